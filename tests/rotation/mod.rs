//! Whole rotations of a credential, on the lab's world: a pooler, consumers, and a client that logs in anew all the while.

mod judging;
mod kills;
mod secrets;
mod trials;
mod whole;
