//! Neon: the stand-in, and what is built upon it.

mod standin;
