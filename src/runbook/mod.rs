//! Runbooks: text in, a [`Script`](crate::model::script::Script) out. The only home of rhai and minijinja.
//!
//! Loading evaluates the top level once, with only declaring words in reach, and does nothing to the world.
//! Everything a step reads or changes passes through the [`Host`](crate::model::host::Host) it is called with.

mod attempt;
mod convert;
mod declare;
mod diagnostic;
mod failure;
mod frames;
mod lint;
mod operators;
mod param;
mod profile;
mod script;
mod sources;
mod sql_lexer;
mod sql_text;
mod stage;
mod template;
mod text;
mod unknown;
mod vocabulary;
mod walk;

pub use diagnostic::{Diagnostic, Frame, Severity};
pub use lint::lint;
pub use param::read_param;
pub use script::{Runbook, load};
pub use sources::{Sources, gather};
pub use sql_lexer::{Shape, shape};
pub use vocabulary::{Param, Word, words};
