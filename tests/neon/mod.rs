//! Neon: the words, and the stand-in that they are tried against.

mod bench;
mod changing;
mod gates;
mod making;
mod reading;
mod standin;
mod standin_databases;
mod storage;
mod stored;
