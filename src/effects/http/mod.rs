//! HTTP, once for everybody here: how a client is made, what one exchange came to, and the words `http::…`.
//!
//! Neon, GitHub, notifications and the words ask through [`client`]; each says for itself what an answer means.

pub mod client;
mod open;
mod parts;
mod words;

pub use words::{Clients, WORDS, by_hand, perform, preview, resolve};
