//! `http::…`: what is sent, what is kept of an answer, and what becomes of a request without one.

mod server;
mod words;
