//! Canaries: secrets that must stand nowhere but where they are meant to, and a search for them in whatever is left behind.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A value and the forms in which programs write it.
pub fn forms(secret: &str) -> Vec<String> {
    let base64 = base64::prelude::BASE64_STANDARD.encode(secret);
    let json = serde_json::to_string(secret).unwrap();
    let url = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    vec![secret.to_owned(), base64, json[1..json.len() - 1].to_owned(), url]
}

/// What is looked for: the forms, base64 by where the value begins in what was encoded, without the characters that its
/// neighbours change.
fn needles(secret: &str) -> Vec<String> {
    let mut needles = forms(secret);
    needles.remove(1);
    for (offset, from) in [(0, 0), (1, 2), (2, 3)] {
        let padded = [vec![0; offset], secret.as_bytes().to_vec()].concat();
        for engine in [base64::prelude::BASE64_STANDARD_NO_PAD, base64::prelude::BASE64_URL_SAFE_NO_PAD] {
            let text = engine.encode(&padded);
            let until = text.len() - usize::from(padded.len() % 3 != 0);
            needles.push(text[from..until].to_owned());
        }
    }
    needles
}

/// Whether one of the secrets stands in `bytes` in any form.
pub fn stands_in<S: AsRef<str>>(bytes: &[u8], secrets: &[S]) -> bool {
    first(bytes, secrets).is_some()
}

/// Fails if one of the secrets stands in `bytes` in any form.
#[track_caller]
pub fn clean<S: AsRef<str>>(bytes: &[u8], secrets: &[S], place: &str) {
    if let Some((needle, at)) = first(bytes, secrets) {
        let text = String::from_utf8_lossy(bytes);
        let around = &text.as_bytes()[at.saturating_sub(200)..(at + 100).min(text.len())];
        panic!("{needle} is in {place}: … {} …", String::from_utf8_lossy(around));
    }
}

fn first<S: AsRef<str>>(bytes: &[u8], secrets: &[S]) -> Option<(String, usize)> {
    if bytes.is_empty() {
        return None;
    }
    // Text is searched many times faster than bytes; what is no text changes, and no canary is.
    let text = String::from_utf8_lossy(bytes);
    let mut all = secrets.iter().flat_map(|secret| needles(secret.as_ref()));
    all.find_map(|needle| text.find(&needle).map(|at| (needle, at)))
}

/// Searches every file of a folder, but for files and folders that are meant to hold secrets; answers how many it searched.
#[track_caller]
pub fn clean_folder<S: AsRef<str>>(folder: &Path, secrets: &[S], meant: &[&str]) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if meant.contains(&entry.file_name().to_str().unwrap()) {
            continue;
        }
        if path.is_dir() {
            files += clean_folder(&path, secrets, meant);
        } else {
            clean(&std::fs::read(&path).unwrap(), secrets, &path.display().to_string());
            files += 1;
        }
    }
    files
}

/// A process at some moment: its arguments and its environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glimpse {
    /// Program and arguments, with NUL between them.
    pub arguments: Vec<u8>,
    /// `NAME=value`, with NUL between them.
    pub environment: Vec<u8>,
}

/// Looks at every process of the machine, again and again.
pub struct Eyes {
    over: Arc<AtomicBool>,
    looking: Option<JoinHandle<BTreeSet<Glimpse>>>,
}

impl Eyes {
    /// Begins to look.
    pub fn open() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let looking = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            // Everybody once at least, however soon they are closed.
            loop {
                let last = told.load(Ordering::SeqCst);
                for entry in std::fs::read_dir("/proc").unwrap().flatten() {
                    let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
                    let glimpse = Glimpse { arguments: read("cmdline"), environment: read("environ") };
                    if !seen.contains(&glimpse) {
                        seen.insert(glimpse);
                    }
                }
                if last {
                    return seen;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { over, looking: Some(looking) }
    }

    /// Everything that was seen.
    pub fn close(mut self) -> BTreeSet<Glimpse> {
        self.over.store(true, Ordering::SeqCst);
        self.looking.take().expect("they look").join().expect("they looked")
    }
}

impl Drop for Eyes {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}
