//! SHA-256 digests, as lower-case hexadecimal.

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The digest of bytes.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The digest of a value's canonical form: JSON with sorted keys and no spaces.
pub fn of_value(value: &impl Serialize) -> String {
    of_bytes(canonical(value).as_bytes())
}

/// A value as canonical JSON: object keys sorted, no spaces.
pub fn canonical(value: &impl Serialize) -> String {
    // `serde_json::Map` is a B-tree, so a passage through `Value` sorts every object.
    let value = serde_json::to_value(value).unwrap_or_default();
    value.to_string()
}

/// A fingerprint that only the holder of `key` can compute, so that a guessed secret cannot be confirmed from a log.
pub fn keyed(key: &[u8], bytes: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(bytes);
    hex(&mac.finalize().into_bytes()[..8])
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
