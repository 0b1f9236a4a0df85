//! The requests of the words about secrets.

use serde::{Deserialize, Serialize};

use super::Request;

/// `secret::seal`: a secret as it is now. Answers a handle of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecretSeal {
    /// The handle.
    pub value: String,
}

impl Request for SecretSeal {
    const WORD: &'static str = "secret::seal";
}
