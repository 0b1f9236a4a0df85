//! A stand-in for Neon's control plane, on loopback.

pub mod backing;
pub mod storage;
