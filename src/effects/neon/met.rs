//! Which form an answer had, where what is known of the service leaves more than one open. All of them are taken; `-v` says which
//! one came, so that whoever runs against the service can tell what is true there.

use std::fmt::Display;

/// Notes that `fact` came as `form`.
pub fn met(fact: &'static str, form: impl Display) {
    tracing::info!("met: {fact}: {form}");
}
