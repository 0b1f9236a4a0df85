//! Script and journal → what happens next.
//!
//! Pure: [`state`] (what the story of a run says), [`replay`] (what a lane recorded), [`verdict`].
//! Driving: [`start`], [`drive`], [`unwind`], [`plan`]. The [`door`] is what scripts act through.

pub mod cancel;
pub mod context;
pub mod door;
pub mod drive;
pub mod locks;
pub mod no_return;
pub mod past;
pub mod plan;
pub mod replay;
mod sealed;
pub mod start;
pub mod state;
mod touched;
pub mod unwind;
pub mod verdict;
