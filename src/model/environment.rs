//! Environment variables as the command line found them: read there, used by effects.

use std::collections::BTreeMap;

/// The process environment with the `.env` files beneath it.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// An environment of these variables.
    pub fn new(variables: BTreeMap<String, String>) -> Self {
        Self { variables }
    }

    /// The variable's value; an empty one counts as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}
