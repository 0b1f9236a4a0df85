//! SHA-256 digests, as lower-case hexadecimal.

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Value;

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
    canonical_text(&serde_json::to_value(value).unwrap_or_default())
}

/// The same of what is a [`Value`] already: `serde_json::Map` is a B-tree, so that every object in it is sorted.
pub fn canonical_text(value: &Value) -> String {
    value.to_string()
}

/// A fingerprint that only the holder of `key` can compute, so that a guessed secret cannot be confirmed from a log.
pub fn keyed(key: &[u8], bytes: &[u8]) -> String {
    hex(&keyed_whole(key, bytes)[..8])
}

/// The same in full, for what is derived from a key.
pub fn keyed_whole(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
