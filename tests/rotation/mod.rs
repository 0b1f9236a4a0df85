//! Whole rotations of a credential, on the lab's world: a pooler, consumers, and a client that logs in anew all the while.

mod many;
mod neon;
mod pair;
mod paths;
mod single;
mod whole;
