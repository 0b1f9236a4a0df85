//! Neon: the words, and the stand-in that they are tried against.

mod standin;
mod storage;
