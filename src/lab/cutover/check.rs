//! Whether each acknowledged transaction is in a database exactly once, with all that it did, and how long writes stood still.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::LOG;
use super::log::{Line, Status, read};
use super::work::PREFIX;
use crate::lab::session::{Refusal, Session};
use crate::model::fault::Fault;

/// Names shown of each kind of trouble.
const SHOWN: usize = 20;

/// What came out. Transactions are named as in the log; lists are cut off, counts are not.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Checked {
    /// Whether nothing is lost, doubled, torn, or on the wrong side.
    pub pass: bool,
    /// Transactions that were acknowledged.
    pub acknowledged: usize,
    /// Those of which nobody was told how they ended: counted neither as lost nor as doubled.
    pub unknown: usize,
    /// Of these, what is in the database.
    pub unknown_there: usize,
    /// Attempts that were refused before COMMIT, by SQLSTATE.
    pub refused: BTreeMap<String, usize>,
    /// Acknowledged, and in neither database.
    pub lost: Found,
    /// There more than once, whether acknowledged or not.
    pub doubled: Found,
    /// Acknowledged, and only in the other database.
    pub wrong_side: Found,
    /// Issues that are not what the transactions in the database made of them.
    pub torn: Found,
    /// Refused before COMMIT was sent, and there all the same.
    pub refused_there: Found,
    /// The longest time in which nothing was acknowledged.
    pub gap: Option<Gap>,
}

/// What was found of one kind.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Found {
    /// How many.
    pub count: usize,
    /// Some of them.
    pub names: Vec<String>,
}

impl Found {
    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.collect();
        Self { count: names.len(), names: names.into_iter().take(SHOWN).map(str::to_owned).collect() }
    }
}

/// A time in which nothing was acknowledged. Times are seconds since 1970.
#[derive(Clone, Debug, Serialize)]
pub struct Gap {
    /// The last acknowledgement before it.
    pub from: f64,
    /// The first one after it.
    pub to: f64,
    /// Its length in seconds.
    pub seconds: f64,
    /// From the first write that was refused or held to the first one that was accepted again, in seconds.
    pub frozen: f64,
    /// Attempts that were refused in it.
    pub refused: usize,
}

/// What the transactions left in a database.
#[derive(Default)]
struct There {
    /// Transaction: how often its note is there, what it did, and to which issue.
    notes: BTreeMap<String, (u64, String, String)>,
    /// Issue: how often it is there, and its number.
    issues: BTreeMap<String, (u64, u64)>,
}

/// Checks the database of a URL; with `other`, what is only there is on the wrong side rather than lost.
pub fn check(folder: &Path, url: &str, other: Option<&str>) -> Result<Checked, Fault> {
    // The log first: what is acknowledged by now must be there.
    let lines = read(&folder.join(LOG));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| crate::lab::failed("the check cannot be run", &error))?;
    let (here, other) = runtime.block_on(async {
        let here = look(url).await?;
        Ok::<_, Fault>((here, if let Some(other) = other { Some(look(other).await?) } else { None }))
    })?;
    Ok(judge(&lines, &here, other.as_ref()))
}

async fn look(url: &str) -> Result<There, Fault> {
    let cannot = |refusal: Refusal| Fault::fatal("lab.check", format!("the database cannot be read: {}", refusal.why));
    let session = Session::open(url).await.map_err(cannot)?;
    let notes = format!(
        "select split_part(note, ' ', 2), count(*), min(split_part(note, ' ', 3)), min(split_part(note, ' ', 4)) \
         from issue_payouts where note like '{PREFIX}%' group by 1"
    );
    let issues = format!(
        "select split_part(title, ' ', 2), count(*), coalesce(max((details->>'n')::bigint), 0) \
         from issues where title like '{PREFIX}%' group by 1"
    );
    // One snapshot: the application may be at work.
    session.run("begin isolation level repeatable read, read only").await.map_err(cannot)?;
    let mut there = There::default();
    for row in session.run(&notes).await.map_err(cannot)? {
        if let [tag, times, kind, item] = row.as_slice() {
            there.notes.insert(tag.clone(), (times.parse().unwrap_or_default(), kind.clone(), item.clone()));
        }
    }
    for row in session.run(&issues).await.map_err(cannot)? {
        if let [item, times, number] = row.as_slice() {
            let counts = (times.parse().unwrap_or_default(), number.parse().unwrap_or_default());
            there.issues.insert(item.clone(), counts);
        }
    }
    Ok(there)
}

fn judge(lines: &[Line], here: &There, other: Option<&There>) -> Checked {
    let of = |status: Status| -> BTreeSet<&str> {
        lines.iter().filter(|line| line.status == status).map(|line| line.tag.as_str()).collect()
    };
    let (acknowledged, unknown, refused) = (of(Status::Acknowledged), of(Status::Unknown), of(Status::Refused));
    let is_other = |tag: &str| other.is_some_and(|other| other.notes.contains_key(tag));
    let gone: Vec<&str> = acknowledged.iter().copied().filter(|tag| !here.notes.contains_key(*tag)).collect();
    let there = || here.notes.keys().map(String::as_str);
    // An application that was killed had no time to write down what it was about.
    let unlogged = there().filter(|tag| ![&acknowledged, &unknown, &refused].iter().any(|all| all.contains(tag)));
    let unlogged: BTreeSet<&str> = unlogged.collect();
    let mut reasons = BTreeMap::new();
    for line in lines.iter().filter(|line| line.status == Status::Refused) {
        *reasons.entry(line.why.clone()).or_default() += 1;
    }
    let torn = torn(here);
    let mut checked = Checked {
        pass: false,
        acknowledged: acknowledged.len(),
        unknown: unknown.len() + unlogged.len(),
        unknown_there: unknown.iter().filter(|tag| here.notes.contains_key(**tag)).count() + unlogged.len(),
        refused: reasons,
        lost: Found::of(gone.iter().copied().filter(|tag| !is_other(tag))),
        doubled: Found::of(there().filter(|tag| here.notes.get(*tag).is_some_and(|(times, ..)| *times > 1))),
        wrong_side: Found::of(gone.iter().copied().filter(|tag| is_other(tag))),
        torn: Found::of(torn.iter().copied()),
        refused_there: Found::of(there().filter(|tag| refused.contains(tag))),
        gap: gap(lines),
    };
    let Checked { lost, doubled, wrong_side, torn, refused_there, .. } = &checked;
    checked.pass = [lost, doubled, wrong_side, torn, refused_there].iter().all(|found| found.count == 0);
    checked
}

/// Issues that differ from what the notes in the same database say was done to them.
fn torn(there: &There) -> BTreeSet<&str> {
    // Issue: times it was inserted, and how often its number was raised.
    let mut wanted: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut deleted = BTreeSet::new();
    for (_, kind, item) in there.notes.values() {
        let (times, number) = wanted.entry(item).or_default();
        match kind.as_str() {
            "insert" => *times += 1,
            "delete" => _ = deleted.insert(item.as_str()),
            _ => *number += 1,
        }
    }
    for item in deleted {
        wanted.entry(item).or_default().0 = 0;
    }
    let differs = |item: &&str| {
        let (times, number) = wanted.get(item).copied().unwrap_or_default();
        let (found, counted) = there.issues.get(*item).copied().unwrap_or_default();
        found != times || (times > 0 && counted != number)
    };
    wanted.keys().copied().chain(there.issues.keys().map(String::as_str)).filter(differs).collect()
}

fn gap(lines: &[Line]) -> Option<Gap> {
    let mut acknowledged: Vec<i64> =
        lines.iter().filter(|line| line.status == Status::Acknowledged).map(|line| line.ended).collect();
    acknowledged.sort_unstable();
    let (from, to) = acknowledged.windows(2).map(|pair| (pair[0], pair[1])).max_by_key(|(from, to)| to - from)?;
    let within = |time: i64| time > from && time < to;
    // Refused in it, or sent in it and accepted at its end.
    let held = lines.iter().filter(|line| within(line.begun) || within(line.ended)).map(|line| line.begun.max(from));
    let refused = lines.iter().filter(|line| line.status == Status::Refused && within(line.ended)).count();
    let first = held.min().unwrap_or(from);
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 fit")]
    let seconds = |micros: i64| micros as f64 / 1e6;
    Some(Gap {
        from: seconds(from),
        to: seconds(to),
        seconds: seconds(to - from),
        frozen: seconds(to - first),
        refused,
    })
}
