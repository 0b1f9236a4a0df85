//! Ids, host names and passwords in the service's forms.

use crate::model::clock::Clock;
use crate::model::digest;

const ADJECTIVES: [&str; 16] = [
    "blue", "calm", "cold", "cool", "dark", "dry", "fragrant", "green", "little", "misty", "old", "quiet", "red",
    "shy", "warm", "wild",
];
const NOUNS: [&str; 16] = [
    "bird", "brook", "cloud", "dawn", "field", "firefly", "frost", "lake", "leaf", "moon", "paper", "pine", "rain",
    "river", "sun", "wave",
];

/// The domain of every host.
pub const DOMAIN: &str = "lab.localhost";

/// An id such as `br-cold-moon-a1b2c3d4`.
pub fn id(clock: &dyn Clock, prefix: &str) -> String {
    let mut bytes = [0; 6];
    clock.random(&mut bytes);
    format!("{prefix}-{}-{}", words(&bytes), digest::hex(&bytes[2..]))
}

/// A project's id, such as `calm-river-12345678`.
pub fn project(clock: &dyn Clock) -> String {
    let mut bytes = [0; 6];
    clock.random(&mut bytes);
    let number = u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]) % 100_000_000;
    format!("{}-{number:08}", words(&bytes))
}

/// An operation's id, a UUID.
pub fn operation(clock: &dyn Clock) -> String {
    let mut bytes = [0; 16];
    clock.random(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = digest::hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A secret with a prefix: `npg_` for a role's password, `napi_` for a key.
pub fn secret(clock: &dyn Clock, prefix: &str) -> String {
    let mut bytes = [0; 12];
    clock.random(&mut bytes);
    format!("{prefix}{}", digest::hex(&bytes))
}

fn words(bytes: &[u8; 6]) -> String {
    format!("{}-{}", ADJECTIVES[usize::from(bytes[0] % 16)], NOUNS[usize::from(bytes[1] % 16)])
}
