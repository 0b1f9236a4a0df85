//! Neon: the words, and the stand-in that they are tried against.

mod gates;
mod standin;
mod storage;
mod stored;
