//! Audit: is what lies here what was written?
//!
//! Whoever can write a journal can also recompute it. So an audit without a *head* (the digest of a run's newest entry,
//! kept somewhere else) says *consistent*: every entry is unchanged with respect to the entries that follow it. With a
//! head it says *complete*: up to that entry nothing was changed, removed or cut off.
//!
//! Entries are read one after the other and forgotten; the memory needed does not grow with the journal.

use serde::Serialize;

use super::chain::Link;
use super::store::{Journal, JournalError, RawEntry};
use crate::model::digest;
use crate::model::figures::count;
use crate::model::ids::RunId;

/// Entries read at a time.
const PAGE: usize = 500;

/// What an audit came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Runs looked at.
    pub runs: u64,
    /// Entries looked at.
    pub entries: u64,
    /// Digest of the last entry looked at: of a run, its head; of a project, the head of its newest run.
    pub head: String,
    /// The entry that the given head names, if one was given and found.
    pub covered: Option<Covered>,
    /// Whether the link of the first run could be followed: false when a run was checked alone.
    pub links_checked: bool,
    /// The first thing that is wrong.
    pub finding: Option<Finding>,
}

/// How far a head reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// Run of the entry.
    pub run: String,
    /// Its place.
    pub n: u64,
    /// Entries that the head says nothing of: those behind it, and those that earlier runs wrote after a later run had
    /// linked to them.
    pub uncovered: u64,
}

/// The first thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The run, as it calls itself; empty when the file as a whole is meant.
    pub run: String,
    /// Place of the entry in the run; 0 when the run or file as a whole is meant.
    pub n: u64,
    /// What was done to it.
    pub what: Tampering,
    /// How that shows.
    pub why: String,
}

/// What was done to an entry, a run or a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tampering {
    /// It does not say what it said when it was written.
    Changed,
    /// It is not there any more.
    Removed,
    /// It does not stand where it stood.
    Reordered,
    /// It and what followed are not there any more.
    CutOff,
    /// It was not there when the rest was written.
    Added,
    /// A run before this one, or the end of it, is not there any more.
    RunRemoved,
}

impl Tampering {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Reordered => "reordered",
            Self::CutOff => "cut off",
            Self::Added => "added",
            Self::RunRemoved => "removed before it",
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.run.as_str(), self.n) {
            ("", _) => write!(f, "the log was {}", self.what.as_str())?,
            (run, n) if self.what == Tampering::RunRemoved => {
                write!(f, "run {run}, entry {n}: something was removed before it")?;
            }
            (run, 0) => write!(f, "run {run} was {}", self.what.as_str())?,
            (run, n) => write!(f, "run {run}, entry {n} was {}", self.what.as_str())?,
        }
        write!(f, ": {}", self.why)
    }
}

impl Audit {
    /// Whether nothing is wrong.
    pub fn sound(&self) -> bool {
        self.finding.is_none()
    }

    /// The result in a few sentences, which claim no more than was proved.
    pub fn verdict(&self) -> String {
        if let Some(finding) = &self.finding {
            return format!("NOT CONSISTENT: {finding}");
        }
        let size = format!("{} and {}", count(self.runs, "run"), count(self.entries, "entry"));
        let alone = if self.links_checked { "" } else { " Whether other runs were deleted is not part of this check." };
        match &self.covered {
            None => format!(
                "consistent: {size} form an unbroken chain. Whether the newest entries were cut off, or the whole log \
                 was rewritten, shows only against a head that was kept elsewhere (--head).{alone}"
            ),
            Some(Covered { run, n, uncovered: 0 }) => {
                format!("complete: {size} lead without a break to the given head, entry {n} of run {run}.{alone}")
            }
            Some(Covered { run, n, uncovered }) => format!(
                "complete up to the given head, entry {n} of run {run}. {} it does not reach, written later or in \
                 other runs meanwhile: these are consistent, and need heads of their own.{alone}",
                count(*uncovered, "entry")
            ),
        }
    }
}

/// Checks one run of a store, or the whole project when `run` is `None`.
///
/// # Errors
/// Only when the store cannot be read, or the run does not exist; what is wrong with the entries is the answer.
pub fn verify_store(journal: &dyn Journal, run: Option<&RunId>, head: Option<&str>) -> Result<Audit, JournalError> {
    let ids = match run {
        Some(run) => vec![run.clone()],
        None => journal.run_ids()?,
    };
    let mut checker = Checker::new(head, run.is_none());
    for (at, run) in ids.iter().enumerate() {
        // Which of this run's entries the next one links to is looked up first, so that digests need not be kept.
        let next = ids.get(at + 1).map(|next| journal.raw(next, 0, 1)).transpose()?;
        let followed_by =
            next.iter().flatten().find_map(|entry| Link::read(&entry.text).ok()).map(|link| link.previous);
        checker.begin(run.as_str(), followed_by);
        let mut after = 0;
        loop {
            let page = match journal.raw(run, after, PAGE) {
                Ok(page) => page,
                // What was found before the file gave out is the answer.
                Err(JournalError::Damaged { .. }) if checker.failed() => break,
                Err(error) => return Err(error),
            };
            let Some(last) = page.last() else { break };
            after = last.n;
            page.iter().for_each(|entry| checker.entry(entry));
        }
        checker.end();
    }
    Ok(checker.finish())
}

/// Follows the chain, entry by entry.
pub(super) struct Checker {
    audit: Audit,
    wanted: Option<String>,
    /// Whether all runs are fed, from the project's first on.
    whole: bool,
    run: String,
    /// Entries of this run so far.
    n: u64,
    /// Digest of the entry before, in this run.
    last: String,
    /// The digest in this run that the next one links to, and whether it was met.
    followed_by: Option<String>,
    met: bool,
    /// Entries of this run behind that digest, and those of all runs before.
    loose_here: u64,
    loose: u64,
    /// What the first entry of this run must link to, when that is known.
    link: Option<Option<String>>,
    /// Place that was empty, while the rest of the run is searched for the entry that belongs there.
    missing: Option<u64>,
}

impl Checker {
    pub(super) fn new(head: Option<&str>, whole: bool) -> Self {
        Self {
            audit: Audit {
                runs: 0,
                entries: 0,
                head: String::new(),
                covered: None,
                links_checked: whole,
                finding: None,
            },
            wanted: head.map(|head| head.trim().to_ascii_lowercase()),
            whole,
            run: String::new(),
            n: 0,
            last: String::new(),
            followed_by: None,
            met: false,
            loose_here: 0,
            loose: 0,
            link: whole.then(|| Some(String::new())),
            missing: None,
        }
    }

    /// A run begins; `followed_by` is the digest that the run after it links to.
    pub(super) fn begin(&mut self, run: &str, followed_by: Option<String>) {
        self.audit.runs += 1;
        run.clone_into(&mut self.run);
        self.n = 0;
        self.last.clear();
        self.followed_by = followed_by;
        self.met = false;
        self.loose += std::mem::take(&mut self.loose_here);
        self.missing = None;
    }

    /// Name of the run being followed, and the place that comes next in it.
    pub(super) fn place(&self) -> (&str, u64) {
        (&self.run, self.n + 1)
    }

    /// Whether something is wrong already.
    pub(super) fn failed(&self) -> bool {
        self.audit.finding.is_some()
    }

    pub(super) fn report(&mut self, n: u64, what: Tampering, why: impl Into<String>) {
        if self.audit.finding.is_none() {
            self.audit.finding = Some(Finding { run: self.run.clone(), n, what, why: why.into() });
        }
    }

    /// Something is wrong with the log as a whole.
    pub(super) fn report_log(&mut self, what: Tampering, why: impl Into<String>) {
        if self.audit.finding.is_none() {
            self.audit.finding = Some(Finding { run: String::new(), n: 0, what, why: why.into() });
        }
    }

    /// The next entry of the run.
    pub(super) fn entry(&mut self, entry: &RawEntry) {
        if self.failed() {
            return self.search(entry);
        }
        self.audit.entries += 1;
        if let Err((n, what, why)) = self.check(entry) {
            return self.report(n, what, why);
        }
        self.n += 1;
        self.last.clone_from(&entry.hash);
        self.loose_here += u64::from(self.met);
        self.met |= self.followed_by.as_deref() == Some(&entry.hash);
        if self.wanted.as_deref() == Some(&entry.hash) {
            self.audit.covered = Some(Covered { run: self.run.clone(), n: self.n, uncovered: self.loose });
        } else if let Some(covered) = &mut self.audit.covered {
            covered.uncovered += 1;
        }
    }

    fn check(&mut self, entry: &RawEntry) -> Result<(), (u64, Tampering, String)> {
        let next = self.n + 1;
        let digest = digest::of_bytes(entry.text.as_bytes());
        // A gap is told first: what stands behind it may be sound in itself.
        if entry.n > next {
            self.missing = Some(next);
            return Err((next, Tampering::Removed, format!("entry {} follows entry {}", entry.n, self.n)));
        }
        if digest != entry.hash {
            let why = format!("its text has the digest {digest}, and {} was noted", entry.hash);
            return Err((next, Tampering::Changed, why));
        }
        let link = Link::read(&entry.text)
            .map_err(|error| (next, Tampering::Changed, format!("it is not an entry: {error}")))?;
        if link.run.as_str() != self.run {
            let why = format!("in its place stands entry {} of run {}", link.n, link.run);
            return Err((next, Tampering::Reordered, why));
        }
        if link.n != next {
            let why = format!("in its place stands entry {}", link.n);
            if link.n > next {
                self.missing = Some(next);
                return Err((next, Tampering::Removed, why));
            }
            return Err((next, Tampering::Added, why));
        }
        if next == 1 {
            self.check_run_link(&link)?;
        } else if link.previous != self.last {
            let why = format!("entry {next} follows another entry {} than the one that stands here", self.n);
            return Err((self.n, Tampering::Changed, why));
        }
        if entry.index.as_ref().is_some_and(|index| *index != link.index()) {
            let why = "the columns beside its text do not agree with it, so that searches miss or misplace it";
            return Err((next, Tampering::Changed, why.into()));
        }
        Ok(())
    }

    /// A run's first entry links to the run before it.
    fn check_run_link(&mut self, link: &Link) -> Result<(), (u64, Tampering, String)> {
        match &self.link {
            Some(Some(expected)) if expected.is_empty() && !link.previous.is_empty() => {
                let why = "it links to an earlier run, which is not here: that run was deleted";
                Err((1, Tampering::RunRemoved, why.into()))
            }
            Some(Some(expected)) if *expected != link.previous => {
                Err((1, Tampering::Changed, "it does not link to the run before it".into()))
            }
            Some(None) => {
                let why = "the run before it does not hold the entry that it links to: a run between them was deleted, \
                           or that run was cut off";
                Err((1, Tampering::RunRemoved, why.into()))
            }
            _ => Ok(()),
        }
    }

    /// After a gap: the entry that belongs there may stand further down, then it was moved.
    fn search(&mut self, entry: &RawEntry) {
        let moved = self
            .missing
            .is_some_and(|n| Link::read(&entry.text).is_ok_and(|link| link.n == n && link.run.as_str() == self.run));
        if let Some(finding) = self.audit.finding.as_mut().filter(|_| moved) {
            finding.what = Tampering::Reordered;
            finding.why.push_str("; it stands further down");
            self.missing = None;
        }
    }

    /// The run ends here.
    pub(super) fn end(&mut self) {
        self.missing = None;
        if self.failed() {
            return;
        }
        if self.n == 0 {
            return self.report(1, Tampering::Removed, "the run is listed, and has no entry");
        }
        self.audit.head.clone_from(&self.last);
        self.link = self.whole.then(|| self.followed_by.take().filter(|_| self.met));
    }

    /// Nothing follows.
    pub(super) fn finish(mut self) -> Audit {
        if let (Some(head), None, None) = (&self.wanted, &self.audit.covered, &self.audit.finding) {
            let why = format!(
                "no entry has the head {head}: the newest entries were cut off, or the log was rewritten after that \
                 head was noted"
            );
            let n = if self.audit.runs == 1 { self.n + 1 } else { 0 };
            let run = if self.audit.runs == 1 { self.run } else { String::new() };
            self.audit.finding = Some(Finding { run, n, what: Tampering::CutOff, why });
        }
        self.audit
    }
}
