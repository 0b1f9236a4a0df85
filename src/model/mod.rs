//! The shared language: data and traits that every other module speaks, and nothing else.
//!
//! A runbook asks for an [`action::Action`] through [`host::Host`]; the engine decides what becomes of it;
//! effects perform it; the journal remembers it. Nothing in here touches the world.

pub mod action;
pub mod clock;
pub mod declaration;
pub mod digest;
pub mod dotenv;
pub mod environment;
pub mod event;
pub mod fault;
pub mod figures;
pub mod host;
pub mod identity;
pub mod ids;
pub mod lsn;
pub mod measured;
pub mod param;
pub mod preview;
pub mod provider;
pub mod reach;
pub mod request;
pub mod scan;
pub mod script;
pub mod secret;
pub mod shown;
pub mod target;
pub mod unknown;
pub mod verdict;

/// Plain data as it crosses the door and lies in the journal.
///
/// Secrets and unknowns travel inside strings as handles: see [`secret`] and [`unknown`].
pub type Value = serde_json::Value;
