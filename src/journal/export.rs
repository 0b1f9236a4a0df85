//! A journal as JSON lines, to be kept elsewhere and checked there without the database.
//!
//! | line | holds |
//! |---|---|
//! | first | `runsheet_export` (version of this format), `format` of the entries, `program`, whether it is the `project` as a whole |
//! | before each run | `run`, and `followed_by`: the digest in it that the next run links to |
//! | each entry | `hash` and, character by character as stored, `entry` |
//! | last | `end`: how many runs and entries, and the SHA-256 digest of all bytes before this line |
//!
//! The last line finds accidents. Against intent only the chain counts, and a head that was kept elsewhere.

use std::io::{BufRead, Read, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::audit::{Audit, Checker, Tampering};
use super::chain::Link;
use super::entry::FORMAT;
use super::store::{Journal, JournalError, RawEntry};
use crate::model::digest;
use crate::model::ids::RunId;

/// Version of the export's format.
const EXPORT: u32 = 1;
/// Entries read at a time.
const PAGE: usize = 500;
/// Longest line that is read, in bytes: a run's first entry holds all its text, a result at most 1 MB.
const LONGEST: u64 = 64 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Header {
    runsheet_export: u32,
    format: u32,
    program: String,
    project: bool,
}

#[derive(Serialize, Deserialize)]
struct RunLine {
    run: String,
    followed_by: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct EntryLine<'a> {
    hash: String,
    #[serde(borrow)]
    entry: &'a RawValue,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct End {
    runs: u64,
    entries: u64,
    digest: String,
}

#[derive(Serialize, Deserialize)]
struct EndLine {
    end: End,
}

/// Writes one run, or the whole project when `run` is `None`, and answers how many entries that were.
pub fn export(
    journal: &dyn Journal,
    run: Option<&RunId>,
    program: &str,
    to: &mut dyn Write,
) -> Result<u64, JournalError> {
    let ids = match run {
        Some(run) => vec![run.clone()],
        None => journal.run_ids()?,
    };
    let mut out = Output { to, hasher: Sha256::new() };
    let header = Header { runsheet_export: EXPORT, format: FORMAT, program: program.into(), project: run.is_none() };
    out.json(&header)?;
    let mut entries = 0;
    for (at, run) in ids.iter().enumerate() {
        let next = ids.get(at + 1).map(|next| journal.raw(next, 0, 1)).transpose()?;
        let link = next.iter().flatten().find_map(|entry| Link::read(&entry.text).ok());
        out.json(&RunLine { run: run.to_string(), followed_by: link.map(|link| link.previous) })?;
        let mut after = 0;
        loop {
            let page = journal.raw(run, after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.n;
            entries += page.len() as u64;
            for entry in &page {
                // By hand, so that even an entry that is no JSON any more leaves as it lies there.
                out.line(&format!("{{\"hash\":{},\"entry\":{}}}", quoted(&entry.hash), entry.text))?;
            }
        }
    }
    let digest = digest::hex(&out.hasher.clone().finalize());
    out.json(&EndLine { end: End { runs: ids.len() as u64, entries, digest } })?;
    out.to.flush().map_err(|error| unwritable(&error))?;
    Ok(entries)
}

/// Where the lines go, with the digest of all of them.
struct Output<'a> {
    to: &'a mut dyn Write,
    hasher: Sha256,
}

impl Output<'_> {
    fn json(&mut self, line: &impl Serialize) -> Result<(), JournalError> {
        let text = serde_json::to_string(line).map_err(|error| unwritable(&error.into()))?;
        self.line(&text)
    }

    fn line(&mut self, text: &str) -> Result<(), JournalError> {
        for part in [text.as_bytes(), b"\n"] {
            self.hasher.update(part);
            self.to.write_all(part).map_err(|error| unwritable(&error))?;
        }
        Ok(())
    }
}

fn unwritable(error: &std::io::Error) -> JournalError {
    JournalError::Storage { path: "the export".into(), why: format!("it cannot be written: {error}") }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Checks an export. Nothing but the file is needed.
///
/// # Errors
/// Only when the file cannot be read or has a newer format; what is wrong with it is the answer.
pub fn verify_export(mut from: impl BufRead, head: Option<&str>) -> Result<Audit, JournalError> {
    let mut hasher = Sha256::new();
    let mut line = Vec::new();
    read_line(&mut from, &mut line)?;
    let Some(header) = line.strip_suffix(b"\n").and_then(|text| serde_json::from_slice::<Header>(text).ok()) else {
        let mut checker = Checker::new(head, false);
        checker.report_log(Tampering::Changed, "line 1 is not the first line of an export of Runsheet's journal");
        return Ok(checker.finish());
    };
    for (found, known) in [(header.runsheet_export, EXPORT), (header.format, FORMAT)] {
        if found != known {
            return Err(JournalError::Format { found, known, written_by: header.program });
        }
    }
    hasher.update(&line);
    let mut reader = Reader { checker: Checker::new(head, header.project), in_run: false, runs: 0, entries: 0 };
    let mut number = 1u64;
    loop {
        number += 1;
        read_line(&mut from, &mut line)?;
        if line.is_empty() {
            reader.cut_off(number);
            break;
        }
        if line.starts_with(b"{\"end\":") {
            reader.end(&line, number, digest::hex(&hasher.finalize()));
            read_line(&mut from, &mut line)?;
            if !line.is_empty() {
                reader.checker.report_log(Tampering::Added, format!("line {} stands behind the last one", number + 1));
            }
            break;
        }
        hasher.update(&line);
        if let Err(why) = reader.take(&line) {
            reader.garbage(&format!("line {number}, where it belongs, {why}"));
        }
    }
    Ok(reader.checker.finish())
}

/// Reads one line with its end into `line`; a line that is too long is read in parts, each of which is garbage.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> Result<(), JournalError> {
    line.clear();
    match from.take(LONGEST).read_until(b'\n', line) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(JournalError::Storage { path: "the export".into(), why: format!("it cannot be read: {error}") })
        }
    }
}

/// What has been read so far.
struct Reader {
    checker: Checker,
    in_run: bool,
    runs: u64,
    entries: u64,
}

impl Reader {
    fn take(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let text = line.strip_suffix(b"\n").ok_or("has no end")?;
        let text = std::str::from_utf8(text).map_err(|_| "is not text")?;
        if text.starts_with("{\"run\":") {
            let run: RunLine = serde_json::from_str(text).map_err(|_| "is not readable")?;
            self.close();
            self.in_run = true;
            self.runs += 1;
            self.checker.begin(&run.run, run.followed_by);
            return Ok(());
        }
        let entry: EntryLine<'_> = serde_json::from_str(text).map_err(|_| "is not an entry")?;
        // What was written has one form; an extra space would otherwise go unseen.
        if text != format!("{{\"hash\":{},\"entry\":{}}}", quoted(&entry.hash), entry.entry.get()) || !self.in_run {
            return Err("is not as it was written");
        }
        self.entries += 1;
        let text = entry.entry.get().to_owned();
        let n = Link::read(&text).map_or(self.checker.place().1, |link| link.n);
        self.checker.entry(&RawEntry { n, text, hash: entry.hash, index: None });
        Ok(())
    }

    fn close(&mut self) {
        if self.in_run {
            self.checker.end();
        }
    }

    /// A line that is nothing: named by the entry that belongs there.
    fn garbage(&mut self, why: &str) {
        if self.in_run {
            let (_, n) = self.checker.place();
            self.checker.report(n, Tampering::Changed, why);
        } else {
            self.checker.report_log(Tampering::Changed, why.to_owned());
        }
    }

    fn cut_off(&mut self, line: u64) {
        let why = format!("the file ends before line {line}, without the line that ends an export");
        if self.in_run {
            let (_, n) = self.checker.place();
            self.checker.report(n, Tampering::CutOff, why);
        } else {
            self.checker.report_log(Tampering::CutOff, why);
        }
    }

    fn end(&mut self, line: &[u8], number: u64, digest: String) {
        self.close();
        let expected = EndLine { end: End { runs: self.runs, entries: self.entries, digest } };
        let text = serde_json::to_string(&expected).unwrap_or_default();
        if line.strip_suffix(b"\n") != Some(text.as_bytes()) {
            let why = format!("line {number} does not agree with the lines before it, though their entries do");
            self.checker.report_log(Tampering::Changed, why);
        }
    }
}
