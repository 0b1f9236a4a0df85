//! Whether a secret stands anywhere in what was written: the proof that redaction held, made on the bytes themselves.
//!
//! Files are read as they are, in windows that overlap, so that neither their size nor their format matters. The journal is
//! also read entry by entry: what is long lies in its file in pieces.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::{Done, Past, World};
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::scan::SecretScan;
use crate::model::secret::{self, Vault};

/// What lies in the state folder and is not looked through: data of databases, the key of fingerprints, which is one, and the lab,
/// whose book has the passwords of its servers.
const LEFT_OUT: [&str; 4] = ["dumps", "recovered", "key", "lab"];

/// Bytes that are looked through at once.
const WINDOW: usize = 1 << 20;

/// What was looked through, and what was found.
struct Scan {
    vault: Arc<Vault>,
    /// Left away from the places that are told.
    project: PathBuf,
    files: u64,
    bytes: u64,
    /// Place and secret.
    found: BTreeSet<(String, String)>,
    /// Place and reason.
    unread: BTreeSet<(String, String)>,
}

/// Looks through what was written until now.
pub async fn perform(world: &World, action: &Action) -> Result<Done, Fault> {
    let also = SecretScan::of(action)?.also;
    let (state, past) = (world.state.clone(), world.past.clone());
    let mut scan = Scan {
        vault: world.vault.clone(),
        project: world.project.clone(),
        files: 0,
        bytes: 0,
        found: BTreeSet::new(),
        unread: BTreeSet::new(),
    };
    let looked = tokio::task::spawn_blocking(move || {
        scan.state(&state)?;
        for path in also {
            let path = scan.project.join(path);
            if let Err(error) = scan.look(&path) {
                scan.unread(&path, error.to_string());
            }
        }
        scan.journal(&*past);
        Ok(scan)
    });
    let scan = looked.await.map_err(|error| broken(&format!("the search ended early: {error}")))??;
    Ok(Done { value: scan.told(), rows: None })
}

impl Scan {
    fn state(&mut self, state: &Path) -> Result<(), Fault> {
        let unreadable = |error: io::Error| broken(&format!("{}: {error}", state.display()));
        for entry in std::fs::read_dir(state).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if !LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
                self.whatever(&entry.path());
            }
        }
        Ok(())
    }

    /// A file that a folder has, or everything below it.
    fn whatever(&mut self, path: &Path) {
        match self.look(path) {
            Ok(()) => {}
            // What goes while others work, such as a draft that is renamed, was never meant to stay.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.unread(path, error.to_string()),
        }
    }

    fn look(&mut self, path: &Path) -> io::Result<()> {
        let about = std::fs::symlink_metadata(path)?;
        if about.is_dir() {
            for entry in std::fs::read_dir(path)? {
                self.whatever(&entry?.path());
            }
        } else if about.is_file() {
            let bytes = self.file(path)?;
            self.files += 1;
            self.bytes += bytes;
        } else if about.is_symlink() {
            self.unread(path, "a link, which is not followed".to_owned());
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> io::Result<u64> {
        let mut file = File::open(path)?;
        // What could begin in one window and end in the next is looked at again with the next.
        let overlap = self.vault.longest_needle().saturating_sub(1);
        let mut window = Vec::with_capacity(WINDOW + overlap);
        let mut bytes = 0;
        loop {
            let kept = window.len().min(overlap);
            window.drain(..window.len() - kept);
            let read = (&mut file).take(WINDOW as u64).read_to_end(&mut window)?;
            if read == 0 {
                return Ok(bytes);
            }
            bytes += read as u64;
            self.bytes_of(&window, &self.place(path));
        }
    }

    fn journal(&mut self, past: &dyn Past) {
        let looked = past.written(&mut |run, text| self.bytes_of(text.as_bytes(), &format!("journal of {run}")));
        if let Err(why) = looked {
            self.unread.insert(("journal".to_owned(), why));
        }
    }

    fn bytes_of(&mut self, bytes: &[u8], place: &str) {
        for name in self.vault.found_in(bytes) {
            self.found.insert((place.to_owned(), name));
        }
    }

    fn unread(&mut self, path: &Path, why: String) {
        self.unread.insert((self.place(path), why));
    }

    fn place(&self, path: &Path) -> String {
        path.strip_prefix(&self.project).unwrap_or(path).display().to_string()
    }

    fn told(self) -> serde_json::Value {
        let found =
            self.found.into_iter().map(|(place, name)| json!({ "secret": secret::readable(&name), "place": place }));
        let unread = self.unread.into_iter().map(|(place, why)| json!({ "place": place, "why": why }));
        json!({
            "files": self.files,
            "bytes": self.bytes,
            "found": found.collect::<Vec<_>>(),
            "unread": unread.collect::<Vec<_>>(),
        })
    }
}

fn broken(why: &str) -> Fault {
    Fault::fatal("secret.scan", format!("what was written could not be looked through: {why}"))
        .hinted("the state folder must be readable for this user")
}
