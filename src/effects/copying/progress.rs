//! What a program says while it works: shown as progress, kept in a file, and read for losses.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::folder::broken;
use crate::effects::World;
use crate::model::event::{Event, SharedSink};
use crate::model::fault::Fault;
use crate::model::figures::size;
use crate::model::{secret, unknown};

/// Lines worth telling that are kept.
const KEPT: usize = 50;

/// Follows a program's standard error.
pub struct Progress {
    sink: SharedSink,
    verb: &'static str,
    tables: u64,
    inner: Mutex<Inner>,
}

struct Inner {
    log: File,
    done: u64,
    bytes: u64,
    table: String,
    said: Vec<String>,
    /// Whether the last line told of something, so that what is indented behind it belongs to it.
    telling: bool,
}

impl Progress {
    /// Follows a program that works on so many tables; `verb` says what it does to them. What it says goes to the file `log`.
    pub fn new(world: &World, verb: &'static str, tables: u64, log: &Path) -> Result<Self, Fault> {
        let file = File::create(log).map_err(|error| broken(log, &error))?;
        let (table, said) = (String::new(), Vec::new());
        let inner = Inner { log: file, done: 0, bytes: 0, table, said, telling: false };
        Ok(Self { sink: world.sink.clone(), verb, tables, inner: Mutex::new(inner) })
    }

    /// One line of standard error.
    pub fn line(&self, line: &str) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk is told by the program itself.
        let _ = writeln!(inner.log, "{line}");
        let handles = [secret::OPEN, secret::CLOSE, unknown::OPEN, unknown::CLOSE];
        let line = line.replace(handles, "\u{FFFD}");
        let begins = ["dumping contents of table ", "processing data for table "];
        if let Some((_, table)) = begins.iter().find_map(|words| line.split_once(words)) {
            inner.table = table.replace('"', "");
            inner.telling = false;
        } else if line.contains("finished item ") && line.contains(" TABLE DATA ") {
            inner.done += 1;
            inner.telling = false;
        } else if line.starts_with("pg_") && !TELLING.iter().any(|word| line.contains(word)) {
            inner.telling = false;
            return;
        } else if inner.telling || TELLING.iter().any(|word| line.contains(word)) {
            inner.telling = true;
            if inner.said.len() < KEPT {
                inner.said.push(line);
            }
            return;
        } else {
            return;
        }
        self.show(&inner);
    }

    /// How many bytes there are by now.
    pub fn bytes(&self, bytes: u64) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.bytes != bytes {
            inner.bytes = bytes;
            self.show(&inner);
        }
    }

    fn show(&self, inner: &Inner) {
        let bytes = match inner.bytes {
            0 => String::new(),
            bytes => format!(", {}", size(bytes)),
        };
        let what = format!("{} {}{bytes}; tables", self.verb, inner.table);
        self.sink.event(Event::Progress { what, done: inner.done, of: Some(self.tables.max(inner.done)) });
    }

    /// Errors, warnings and what belongs to them, in order.
    pub fn said(&self) -> Vec<String> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).said.clone()
    }
}

/// Begins or marks a line that tells of more than progress.
const TELLING: [&str; 8] = ["error:", "warning:", "WARNING:", "ERROR:", "FATAL:", "PANIC:", "detail:", "hint:"];

/// Warnings of the programs that lose nothing.
const HARMLESS: [&str; 1] = ["there are circular foreign-key constraints"];

/// Among what a program said that ended well: lines that tell of a loss, and mere warnings.
pub fn losses(said: &[String]) -> (Vec<String>, Vec<String>) {
    let lost = |line: &&String| {
        let of_program = line.starts_with("pg_") && (line.contains(" error:") || line.contains(" warning:"));
        of_program && !HARMLESS.iter().any(|words| line.contains(words))
    };
    let (lost, rest): (Vec<&String>, Vec<&String>) = said.iter().partition(lost);
    let warnings = rest.into_iter().filter(|line| line.contains("WARNING:") || line.contains("warning:"));
    (lost.into_iter().cloned().collect(), warnings.cloned().collect())
}
