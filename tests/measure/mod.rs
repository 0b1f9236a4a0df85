//! Proving that databases are equal: nothing that differs is missed, nothing that is equal is called different.

mod after;
mod edges;
mod fidelity;
mod harness;
mod mutations;
mod objects;
mod program;
