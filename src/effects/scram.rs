//! SCRAM verifiers of passwords, computed here so that no password travels: what a server and a pooler keep to know it by.
//!
//! A verifier is the same text every time within a project. Done again, a change of a password writes what stands there
//! already; and PgBouncer passes a login on to the server only where its user list and `pg_authid` agree to the byte.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use crate::model::digest;
use crate::model::secret::Vault;

/// How often the hash is repeated: PostgreSQL's own number.
const ROUNDS: u32 = 4096;

/// The SCRAM-SHA-256 verifier of a password, as `pg_authid` holds it. It is redacted from everything that is printed.
pub fn verifier(vault: &Vault, password: &str) -> String {
    let verifier = with_salt(password, &vault.salt(password));
    vault.hide("verifier", &verifier);
    verifier
}

/// Whether a text is a verifier rather than a password in the clear or its MD5.
pub fn is_verifier(text: &str) -> bool {
    text.starts_with("SCRAM-SHA-256$")
}

fn with_salt(password: &str, salt: &[u8; 16]) -> String {
    // A password with characters that SASLprep forbids is taken as it is, by servers and clients alike.
    let prepared = stringprep::saslprep(password).unwrap_or_else(|_| password.into());
    let salted = stretched(prepared.as_bytes(), salt);
    let stored = Sha256::digest(digest::keyed_whole(&salted, b"Client Key"));
    let server = digest::keyed_whole(&salted, b"Server Key");
    let encoded = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    format!("SCRAM-SHA-256${ROUNDS}:{}${}:{}", encoded(salt), encoded(&stored), encoded(&server))
}

/// PBKDF2 with HMAC-SHA-256, of which one block is all that is needed.
fn stretched(password: &[u8], salt: &[u8; 16]) -> [u8; 32] {
    let mut first = salt.to_vec();
    first.extend([0, 0, 0, 1]);
    let mut block = digest::keyed_whole(password, &first);
    let mut whole = block;
    for _ in 1..ROUNDS {
        block = digest::keyed_whole(password, &block);
        for (byte, other) in whole.iter_mut().zip(block) {
            *byte ^= other;
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::{BASE64_STANDARD, Vault, verifier, with_salt};

    const PASSWORDS: [&str; 8] = [
        "plain",
        "",
        "with space",
        "pässwörd",
        "\u{ff50}\u{2168}\u{fb01}",
        "soft\u{ad}hyphen\u{a0}nbsp",
        "bell\u{7}",
        "\u{5d0}a",
    ];

    #[test]
    fn a_verifier_is_what_others_compute_with_the_same_salt() {
        for password in PASSWORDS {
            let theirs = postgres_protocol::password::scram_sha_256(password.as_bytes());
            let salt = theirs.split(['$', ':']).nth(2).expect("its salt");
            let salt = BASE64_STANDARD.decode(salt).expect("base64").try_into().expect("16 bytes");
            assert_eq!(with_salt(password, &salt), theirs, "{password:?}");
        }
    }

    #[test]
    fn it_is_the_same_every_time_and_another_one_with_another_key() {
        let vault = Vault::new(vec![7; 32]);
        assert_eq!(verifier(&vault, "one"), verifier(&Vault::new(vec![7; 32]), "one"));
        assert_ne!(verifier(&vault, "one"), verifier(&Vault::new(vec![8; 32]), "one"));
        assert_ne!(vault.salt("one"), vault.salt("two"));
        let said = format!("it is {}", verifier(&vault, "one"));
        assert_eq!(vault.redact(&said), "it is (secret verifier)");
    }
}
