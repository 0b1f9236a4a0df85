//! Neon: the words, and the stand-in that they are tried against.

mod bench;
mod changing;
mod chaos;
mod distrust;
mod gates;
mod histories;
mod making;
mod reading;
mod standin;
mod standin_branches;
mod standin_databases;
mod storage;
mod stored;
