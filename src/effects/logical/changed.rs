//! Which rows changed, by table and key, as far as the change stream was read; kept in a file, so that a slot can be moved on.
//!
//! A key too many does no harm: its row is compared later than it need be. One too few would be a row that nobody compares.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Logical;
use crate::effects::files;
use crate::model::fault::Fault;
use crate::model::lsn;

/// Keys of one table beyond which it is looked at as a whole.
const MOST: usize = 300_000;

/// Schema and name.
pub type Name = (String, String);

/// The texts of the columns of a key.
pub type Key = Vec<String>;

/// What changed of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The rows with these keys.
    Keys(BTreeSet<Key>),
    /// More than can be told by keys, and why.
    Whole(String),
}

/// What changed since the stream is watched.
#[derive(Debug, Default)]
pub struct Changed {
    /// By table.
    pub tables: BTreeMap<Name, Part>,
    /// Up to where the stream was read; `None` before it was read for the first time.
    pub upto: Option<u64>,
    /// How many changes each part of the stream that was read made of each table, with the position of its end.
    pub counted: Vec<(u64, BTreeMap<String, u64>)>,
}

/// One line of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Key(Name, Key),
    Whole(Name, String),
    Upto(String, BTreeMap<String, u64>),
}

impl Changed {
    /// Adds a row. Answers whether that is news.
    pub fn add(&mut self, name: &Name, key: Key) -> bool {
        let part = match self.tables.get_mut(name) {
            Some(part) => part,
            None => self.tables.entry(name.clone()).or_insert_with(|| Part::Keys(BTreeSet::new())),
        };
        let Part::Keys(keys) = part else { return false };
        if keys.len() >= MOST && !keys.contains(&key) {
            *part = Part::Whole(format!("more than {MOST} of its rows changed"));
            return true;
        }
        keys.insert(key)
    }

    /// Marks a table as changed as a whole. Answers whether that is news.
    pub fn whole(&mut self, name: &Name, why: &str) -> bool {
        if matches!(self.tables.get(name), Some(Part::Whole(_))) {
            return false;
        }
        self.tables.insert(name.clone(), Part::Whole(why.to_owned()));
        true
    }

    /// How many keys there are.
    pub fn keys(&self) -> usize {
        self.tables.values().map(|part| if let Part::Keys(keys) = part { keys.len() } else { 0 }).sum()
    }
}

/// Where the keys of a stream lie.
pub fn path(logical: &Logical<'_>, stream: &str) -> PathBuf {
    logical.world.state.join("logical").join(format!("{stream}.keys"))
}

/// Removes the keys of a stream.
pub fn forget(logical: &Logical<'_>, stream: &str) {
    let _ = std::fs::remove_file(path(logical, stream));
}

/// Reads what there is; nothing if there is no file. What a kill left of a last line does not count.
pub fn load(path: &Path) -> Result<Changed, Fault> {
    let mut changed = Changed::default();
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(changed),
        Err(error) => return Err(broken(path, &error)),
    };
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|error| broken(path, &error))?;
        match serde_json::from_str(&line) {
            Ok(Line::Key(name, key)) => {
                changed.add(&name, key);
            }
            Ok(Line::Whole(name, why)) => {
                changed.whole(&name, &why);
            }
            Ok(Line::Upto(at, counted)) => {
                changed.upto = lsn::read(&at).or(changed.upto);
                changed.counted.push((changed.upto.unwrap_or(0), counted));
            }
            Err(_) => {}
        }
    }
    Ok(changed)
}

/// The file, to be written on.
pub struct Book {
    path: PathBuf,
    file: std::io::BufWriter<std::fs::File>,
}

impl Book {
    /// Opens it, or begins it.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let opened = path.parent().map_or(Ok(()), files::make_folder).and_then(|()| {
            let mut file = std::fs::File::options().append(true).create(true).mode(0o600).open(path)?;
            // A line that a kill cut off is ended.
            file.write_all(b"\n")?;
            Ok(file)
        });
        let file = opened.map_err(|error| broken(path, &error))?;
        Ok(Self { path: path.to_owned(), file: std::io::BufWriter::new(file) })
    }

    /// Writes down a row.
    pub fn key(&mut self, name: &Name, key: &Key) -> Result<(), Fault> {
        self.line(&Line::Key(name.clone(), key.clone()))
    }

    /// Writes down a table.
    pub fn whole(&mut self, name: &Name, why: &str) -> Result<(), Fault> {
        self.line(&Line::Whole(name.clone(), why.to_owned()))
    }

    /// Writes down how far the stream was read, and makes everything durable: afterwards the slot may move on.
    pub fn upto(&mut self, at: u64, counted: &BTreeMap<String, u64>) -> Result<(), Fault> {
        self.line(&Line::Upto(lsn::text(at), counted.clone()))?;
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|error| broken(&self.path, &error))
    }

    fn line(&mut self, line: &Line) -> Result<(), Fault> {
        let written = serde_json::to_vec(line).map_err(std::io::Error::other).and_then(|mut bytes| {
            bytes.push(b'\n');
            self.file.write_all(&bytes)
        });
        written.map_err(|error| broken(&self.path, &error))
    }
}

fn broken(path: &Path, error: &dyn std::fmt::Display) -> Fault {
    Fault::fatal("logical.keys", format!("the keys of changed rows, {}: {error}", path.display()))
}
