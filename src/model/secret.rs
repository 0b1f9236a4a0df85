//! Secrets: scripts, journal and reports hold a handle; only effects open it.
//!
//! A handle is text: `U+F0000 name U+F0001`. It may stand inside longer text, so that interpolation in a script
//! keeps it intact. Text from outside that contains one of the four handle characters is refused, or a row
//! could forge a handle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::RwLock;

use base64::Engine as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::fault::Fault;
use super::{Value, digest};

/// Opens a secret's handle.
pub const OPEN: char = '\u{F0000}';
/// Closes a secret's handle.
pub const CLOSE: char = '\u{F0001}';

/// The shortest value that is looked for in output, in bytes: shorter ones would redact ordinary words.
pub const SHORTEST_REDACTED: usize = 4;

/// The handle of the secret called `name`.
pub fn handle(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
}

/// Whether text contains a secret's handle.
pub fn contains_handle(text: &str) -> bool {
    text.contains(OPEN)
}

/// The name, if the whole text is one secret's handle.
pub fn whole(text: &str) -> Option<&str> {
    let name = text.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
    (!name.contains([OPEN, CLOSE])).then_some(name)
}

/// A handle shown to people: `(secret name)`.
pub fn readable(text: &str) -> String {
    text.replace(OPEN, "(secret ").replace(CLOSE, ")")
}

/// The values behind the handles of one process, and everything that must never be printed.
#[derive(Default)]
pub struct Vault {
    key: Vec<u8>,
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    values: BTreeMap<String, String>,
    /// What is looked for in output, longest first, with the name to show instead.
    needles: Vec<(String, String)>,
}

impl Vault {
    /// An empty vault whose fingerprints are keyed with `key`.
    pub fn new(key: Vec<u8>) -> Self {
        Self { key, inner: RwLock::default() }
    }

    /// Keeps a secret and gives its handle. From now on its value is redacted from everything that is printed.
    pub fn keep(&self, name: &str, value: impl Into<String>) -> String {
        let value = value.into();
        self.hide(name, &value);
        let mut inner = self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        inner.values.insert(name.to_owned(), value);
        handle(name)
    }

    /// Redacts a value without giving it a handle, such as the password inside a connection URL.
    pub fn hide(&self, name: &str, value: &str) {
        if value.len() < SHORTEST_REDACTED {
            return;
        }
        let mut forms = vec![
            value.to_owned(),
            utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
            Value::from(value).to_string().trim_matches('"').to_owned(),
        ];
        // Base64 shows a value in one of three shapes, by where it starts in what was encoded; the
        // characters that depend on the neighbours are left away.
        for offset in 0..3usize {
            let mut padded = vec![0u8; offset];
            padded.extend_from_slice(value.as_bytes());
            for engine in [&base64::prelude::BASE64_STANDARD_NO_PAD, &base64::prelude::BASE64_URL_SAFE_NO_PAD] {
                let text = engine.encode(&padded);
                let from = [0, 2, 3][offset];
                let to = if padded.len() % 3 == 0 { text.len() } else { text.len() - 1 };
                if to > from + 6 {
                    forms.push(text[from..to].to_owned());
                }
            }
        }
        let mut inner = self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for form in forms {
            if !inner.needles.iter().any(|(needle, _)| *needle == form) {
                inner.needles.push((form, name.to_owned()));
            }
        }
        inner.needles.sort_by_key(|(needle, _)| std::cmp::Reverse(needle.len()));
    }

    /// Whether the secret of that name is looked for in output; one that is shorter than [`SHORTEST_REDACTED`] is not.
    pub fn redacts(&self, name: &str) -> bool {
        let inner = self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        inner.values.get(name).is_some_and(|value| value.len() >= SHORTEST_REDACTED)
    }

    /// Whether a secret of that name is kept.
    pub fn knows(&self, name: &str) -> bool {
        self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner).values.contains_key(name)
    }

    /// Text with every handle replaced by its value. Only effects may call this.
    pub fn open(&self, text: &str) -> Result<String, Fault> {
        self.open_as(text, |value, _| value.to_owned())
    }

    /// The same with each value written as its place asks for, which is given what stands before it.
    pub fn open_as(&self, text: &str, written: impl Fn(&str, &str) -> String) -> Result<String, Fault> {
        if !text.contains(OPEN) && !text.contains(CLOSE) {
            return Ok(text.to_owned());
        }
        let cut = || Fault::fatal("secret.cut", "a secret's handle was cut apart by text functions");
        let inner = self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut opened = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPEN) {
            let (name, tail) = after.split_once(CLOSE).ok_or_else(cut)?;
            let value = inner.values.get(name).ok_or_else(|| {
                Fault::fatal("secret.gone", format!("the secret `{name}` is not at hand any more")).hinted(
                    "a value that the run made itself is kept across a restart only where there is a key (`runsheet key new`); undo the run, or abandon it and start again",
                )
            })?;
            opened.push_str(before);
            let value = written(value, &opened);
            opened.push_str(&value);
            rest = tail;
        }
        if rest.contains(CLOSE) {
            return Err(cut());
        }
        opened.push_str(rest);
        Ok(opened)
    }

    /// A keyed fingerprint of what a handle stands for, for plans and the journal.
    pub fn fingerprint(&self, name: &str) -> Option<String> {
        let inner = self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        inner.values.get(name).map(|value| digest::keyed(&self.key, value.as_bytes()))
    }

    /// The salt of a password's verifier: the same every time for whoever holds the key, and of no help to anybody else. It
    /// is keyed with a key of its own, so that it tells nothing about the fingerprint.
    pub fn salt(&self, password: &str) -> [u8; 16] {
        let whole =
            digest::keyed_whole(&digest::keyed_whole(&self.key, b"salts of SCRAM verifiers"), password.as_bytes());
        let mut salt = [0; 16];
        salt.copy_from_slice(&whole[..16]);
        salt
    }

    /// Text without any secret: values and their encoded forms become `(secret name)`.
    pub fn redact(&self, text: &str) -> String {
        let inner = self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut clean = text.to_owned();
        for (needle, name) in &inner.needles {
            if clean.contains(needle.as_str()) {
                clean = clean.replace(needle.as_str(), &format!("(secret {name})"));
            }
        }
        clean
    }

    /// Names of the secrets whose value stands in these bytes, in any of its forms.
    pub fn found_in(&self, bytes: &[u8]) -> BTreeSet<String> {
        let inner = self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        // By their first byte, so that most bytes are looked at once however many secrets there are.
        let mut starting: Vec<Vec<&(String, String)>> = vec![Vec::new(); 256];
        for needle in &inner.needles {
            if let Some(first) = needle.0.as_bytes().first() {
                starting[usize::from(*first)].push(needle);
            }
        }
        let mut found = BTreeSet::new();
        for (at, first) in bytes.iter().enumerate() {
            for (needle, name) in &starting[usize::from(*first)] {
                if bytes[at..].starts_with(needle.as_bytes()) && !found.contains(name) {
                    found.insert(name.clone());
                }
            }
        }
        found
    }

    /// Bytes of the longest text that is looked for in output.
    pub fn longest_needle(&self) -> usize {
        let inner = self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        inner.needles.first().map_or(0, |(needle, _)| needle.len())
    }

    /// Data without any secret, keys included.
    pub fn redact_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.redact_value(item)).collect(),
            Value::Object(map) => {
                map.into_iter().map(|(key, item)| (self.redact(&key), self.redact_value(item))).collect()
            }
            other => other,
        }
    }

    /// A fault without any secret.
    pub fn redact_fault(&self, mut fault: Fault) -> Fault {
        fault.message = self.redact(&fault.message);
        fault.detail = fault.detail.map(|text| self.redact(&text));
        fault.hint = fault.hint.map(|text| self.redact(&text));
        fault
    }
}
