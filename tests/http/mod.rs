//! `http::…`: what is sent, what is kept of an answer, and what becomes of a request without one.

pub mod server;
mod words;
