//! Child processes. Each runs in a session of its own under a supervisor, which is this program started again.
//!
//! The engine and the supervisor hold the two ends of a socket. When the engine is gone, however it went, the
//! supervisor reads the end of it and ends every process of the session. When both are gone, the session's number
//! and start, written down before the child began, let a later engine find what is left of it and end that.
//!
//! A session and not only a process group: a shell's job control makes groups, and a session holds them all.

mod capture;
mod child;
mod command;
mod session;
pub(in crate::effects) mod ssh;
pub mod supervise;
pub(in crate::effects) mod tunnel;

pub(in crate::effects) use child::{End, Finished, Prepared};
pub(in crate::effects) use command::{alone, inherited};
pub use command::{by_hand, end_group, perform, preview, resolve};
pub use session::Session;
pub(in crate::effects) use supervise::Launch;

/// The hidden first argument that makes this program a supervisor.
pub const SUPERVISE: &str = "__supervise";
