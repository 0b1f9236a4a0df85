//! What is written down of a freeze in the state folder, for `runsheet status` and for people: a page a database, without
//! any secret, and beside it the lock that keeps a second watchdog away.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::charge::Ended;
use crate::effects::files;
use crate::effects::process::Session;

/// The folder of the pages.
const FOLDER: &str = "freezes";

/// What a page says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Page {
    /// The run.
    pub run: String,
    /// The target.
    pub target: String,
    /// Its label.
    pub label: String,
    /// The control schema.
    pub schema: String,
    /// Which freeze.
    pub token: String,
    /// `guarded`, `armed`, `committed`, `lifted`, `opened`.
    pub state: String,
    /// When everything is released, by the server's clock.
    pub deadline: String,
    /// How it ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// What stands in the way of releasing it, while something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The watchdog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<Session>,
}

impl Page {
    /// Whether writes are frozen, as far as this page knows.
    pub fn frozen(&self) -> bool {
        matches!(self.state.as_str(), "armed" | "committed")
    }
}

/// The folder of the pages below a state folder.
pub fn folder(state: &Path) -> PathBuf {
    state.join(FOLDER)
}

/// Writes a page. What cannot be written is not worth stopping for: the database itself is the truth.
pub fn write(state: &Path, name: &str, page: &Page) {
    let folder = folder(state);
    let text = serde_json::to_vec_pretty(page).unwrap_or_default();
    let _ = files::make_folder(&folder).and_then(|()| files::write_whole(&folder.join(format!("{name}.json")), &text));
}

/// Every page that can be read.
pub fn pages(state: &Path) -> Vec<(String, Page)> {
    let mut found: Vec<(String, Page)> = std::fs::read_dir(folder(state))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_str()?.strip_suffix(".json")?.to_owned();
            Some((name, serde_json::from_slice(&std::fs::read(entry.path()).ok()?).ok()?))
        })
        .collect();
    found.sort_by(|one, two| one.0.cmp(&two.0));
    found
}

/// Changes the page of a freeze, if it is still about that one.
pub fn change(state: &Path, token: &str, change: impl FnOnce(&mut Page)) {
    if let Some((name, mut page)) = pages(state).into_iter().find(|(_, page)| page.token == token) {
        change(&mut page);
        write(state, &name, &page);
    }
}

/// Whether the watchdog of a page is at work: its lock goes when it does.
pub fn watched(state: &Path, name: &str) -> bool {
    let Ok(file) = File::open(folder(state).join(format!("{name}.lock"))) else { return false };
    flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}

/// Takes the lock of a database, which goes with the process; an earlier watchdog is given `patience` to come to its end.
pub async fn lock(state: &Path, name: &str, patience: Duration) -> std::io::Result<Option<File>> {
    let folder = folder(state);
    files::make_folder(&folder)?;
    let file = File::options().create(true).truncate(false).write(true).open(folder.join(format!("{name}.lock")))?;
    let begun = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) if begun.elapsed() < patience => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}
