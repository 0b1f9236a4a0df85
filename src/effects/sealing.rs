//! Secrets that a run will need again, kept in its journal as only the holder of a key can read them.
//!
//! The format is age's, so that what is sealed can also be opened without this program: `age --decrypt --identity KEYFILE`.

use std::fmt::Write as _;
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use serde_json::json;

use super::{Done, Ledger, Ticket, World};
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::secrets::SecretSeal;
use crate::model::secret;

/// The key of whoever operates: its first identity seals, and any of them opens, so that a key can be followed by another.
pub struct Key(Vec<Identity>);

/// A key as it is kept in a file, and the name by which others know it.
pub struct Made {
    /// What `age-keygen` writes: comments, and the line that is secret.
    pub text: String,
    /// The public half, by which one can seal and not open.
    pub public: String,
}

impl Key {
    /// A new one.
    pub fn make(created: &str) -> Made {
        let identity = Identity::generate();
        let public = identity.to_public().to_string();
        let mut text = format!("# created: {created}\n# public key: {public}\n");
        let _ = writeln!(text, "{}", identity.to_string().expose_secret());
        Made { text, public }
    }

    /// Reads the text of a key file: a line each for one identity or more, and comments.
    ///
    /// # Errors
    /// In one sentence that holds nothing of the text.
    pub fn read(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let identities = lines.map(Identity::from_str).collect::<Result<Vec<_>, _>>();
        match identities {
            Ok(identities) if !identities.is_empty() => Ok(Self(identities)),
            Ok(_) => Err("it holds no line that begins with AGE-SECRET-KEY-1".to_owned()),
            Err(_) => Err("it holds a line that is no AGE-SECRET-KEY-1…".to_owned()),
        }
    }

    /// What must never be printed of it.
    pub fn secrets(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|identity| identity.to_string().expose_secret().to_owned())
    }

    /// The public half of what seals.
    pub fn public(&self) -> String {
        self.0[0].to_public().to_string()
    }

    /// Text that only this key opens.
    fn seal(&self, value: &str) -> Result<String, Fault> {
        let recipient = self.0[0].to_public();
        age::encrypt_and_armor(&recipient, value.as_bytes())
            .map_err(|error| Fault::fatal("secret.seal", format!("a secret could not be sealed: {error}")))
    }

    /// What was sealed for it; `None` if that was for another key.
    pub fn open(&self, sealed: &str) -> Option<String> {
        let bytes = self.0.iter().find_map(|identity| age::decrypt(identity, sealed.as_bytes()).ok())?;
        String::from_utf8(bytes).ok()
    }
}

/// A secret that the run makes, under a name, sealed in the journal where there is a key. Answers its handle.
///
/// One that an earlier attempt has sealed is kept as it is: whatever was made of it may be in use already.
pub fn keep(world: &World, ledger: &dyn Ledger, name: &str, make: impl FnOnce() -> String) -> Result<String, Fault> {
    if world.vault.knows(name) {
        return Ok(secret::handle(name));
    }
    seal(world, ledger, name, &make())
}

/// `secret::seal`: a secret as it is now, whatever becomes of the place it came from.
///
/// One that an earlier attempt has sealed gives way to it: whoever mended a wrong password and goes on means the new one. Where
/// something was made of the earlier one since, this is not performed anew.
pub fn perform(world: &World, action: &Action, ticket: &Ticket, ledger: &dyn Ledger) -> Result<Done, Fault> {
    let value = world.vault.open(&SecretSeal::of(action)?.value)?;
    let run = ticket.run_name();
    let name = format!("sealed:{run}/{}", ticket.key);
    let handle = secret::handle(&name);
    if world.vault.open(&handle).ok().as_ref() != Some(&value) {
        seal(world, ledger, &name, &value)?;
    }
    Ok(Done { value: json!(handle), rows: None })
}

fn seal(world: &World, ledger: &dyn Ledger, name: &str, value: &str) -> Result<String, Fault> {
    // Hidden before it is written anywhere, and known by its name only once it is sealed.
    world.vault.hide(name, value);
    if let Some(key) = &world.key {
        ledger.sealed(name, &key.seal(value)?)?;
    }
    Ok(world.vault.keep(name, value))
}
