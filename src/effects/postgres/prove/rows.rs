//! Whether two measures have the same rows in the same tables.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::Findings;
use super::label;
use crate::model::figures::count;
use crate::model::measured::{Gap, Measured, TableKind, TableMeasure};
use crate::model::request::proving::{Comparison, SameRows, Side, TablePair};

/// Compares table by table. `later` is the left side once more, after the right one was made.
pub fn compare(request: &SameRows, left: &Measured, right: &Measured, later: Option<&Measured>) -> Comparison {
    let mut findings = Findings::new(&request.accept);
    let (tables, others) = (by_name(left), by_name(right));
    let laters = later.map(by_name);
    let gaps = left.gaps.iter().chain(&right.gaps).chain(later.into_iter().flat_map(|later| &later.gaps));
    let missed: BTreeMap<&str, &Gap> = gaps.filter_map(of_rows).collect();
    for (name, gap) in &missed {
        findings.gap(&gap.kind, name, gap.why.as_str());
    }
    let mut pairs = Vec::new();
    let names: BTreeSet<&String> = tables.keys().chain(others.keys()).collect();
    for name in &names {
        let (one, other) = (tables.get(*name).copied(), others.get(*name).copied());
        let moved = laters.as_ref().and_then(|laters| moved(one, other, laters.get(*name).copied(), request.tolerance));
        let verdict = if missed.contains_key(name.as_str()) {
            Pair::NotCompared
        } else if let Some(moved) = moved {
            moved
        } else {
            pair(&mut findings, name, one, other, request)
        };
        pairs.push((verdict, one.map(|table| table.rows), other.map(|table| table.rows), *name));
    }
    // Worst first, then the biggest.
    pairs.sort_by_key(|(verdict, left, right, name)| (*verdict, std::cmp::Reverse(*left.max(right)), *name));
    let left_out = pairs.len().saturating_sub(Comparison::MOST) as u64;
    let equal = pairs.iter().filter(|(verdict, ..)| *verdict == Pair::Equal).count();
    let close = pairs.iter().filter(|(verdict, ..)| *verdict == Pair::Close).count();
    let moved = pairs.iter().filter(|(verdict, ..)| *verdict == Pair::Moved).count();
    let tables = pairs
        .into_iter()
        .take(Comparison::MOST)
        .map(|(verdict, left, right, name)| TablePair {
            name: name.clone(),
            left,
            right,
            verdict: verdict.as_str(request.contents).to_owned(),
        })
        .collect();
    let (left_rows, right_rows) = (left.rows(), right.rows());
    let what = match (request.contents, close) {
        (true, _) => "rows and contents".to_owned(),
        (false, 0) => "rows".to_owned(),
        (false, close) => format!("rows and {close} within {}%", (request.tolerance * 1e4).round() / 1e2),
    };
    let what = if moved == 0 { what } else { format!("{what} and {moved} changed meanwhile") };
    let labels = (label(&request.left, left), label(&request.right, right));
    let compared = format!(
        "{equal} of {} equal in {what}, {left_rows} rows in {} and {right_rows} in {}",
        count(names.len() as u64, "table"),
        labels.0,
        labels.1
    );
    let comparison = Comparison {
        compared: names.len() as u64,
        left: labels.0,
        right: labels.1,
        left_rows,
        right_rows,
        tables,
        left_out,
        ..Comparison::default()
    };
    findings.conclude(&compared, comparison)
}

/// How a pair came out, worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pair {
    Differs,
    NotCompared,
    FilledAnew,
    Moved,
    Close,
    Equal,
}

impl Pair {
    fn as_str(self, contents: bool) -> &'static str {
        match (self, contents) {
            (Self::Differs, _) => "differs",
            (Self::NotCompared, _) => "not compared",
            (Self::FilledAnew, _) => "filled anew",
            (Self::Moved, _) => "changed meanwhile",
            (Self::Close, _) => "close",
            (Self::Equal, true) => "equal",
            (Self::Equal, false) => "same count",
        }
    }
}

fn by_name(measured: &Measured) -> BTreeMap<String, &TableMeasure> {
    measured.tables.iter().map(|table| (table.full_name(), table)).collect()
}

/// A gap that is a table.
fn of_rows(gap: &Gap) -> Option<(&str, &Gap)> {
    gap.kind.ends_with("table").then_some((gap.name.as_str(), gap))
}

/// How a table came out that changed while the right side was made; nothing for one that did not, or that is too far off.
fn moved(
    before: Option<&TableMeasure>,
    there: Option<&TableMeasure>,
    after: Option<&TableMeasure>,
    tolerance: f64,
) -> Option<Pair> {
    let state =
        |table: Option<&TableMeasure>| table.map(|table| (table.rows, table.method.clone(), table.hash.clone()));
    if state(before) == state(after) {
        return None;
    }
    if [state(before), state(after)].contains(&state(there)) {
        return Some(Pair::Equal);
    }
    let rows = |table: Option<&TableMeasure>| table.map_or(0, |table| table.rows);
    let (least, most) = (rows(before).min(rows(after)), rows(before).max(rows(after)));
    let found = rows(Some(there?));
    let near = (least..=most).contains(&found) || close(least, found, tolerance) || close(most, found, tolerance);
    near.then_some(Pair::Moved)
}

fn pair(
    findings: &mut Findings<'_>,
    name: &str,
    left: Option<&TableMeasure>,
    right: Option<&TableMeasure>,
    request: &SameRows,
) -> Pair {
    let Some(kind) = left.or(right).map(|table| table.kind) else { return Pair::NotCompared };
    let different = match (left, right) {
        (Some(left), Some(right)) if left.rows != right.rows => {
            if request.after.is_none() && close(left.rows, right.rows, request.tolerance) {
                return Pair::Close;
            }
            format!("{} on the left, {} on the right", count(left.rows, "row"), right.rows)
        }
        (Some(left), Some(right)) if request.contents => match contents_of(left, right) {
            Contents::Equal => return Pair::Equal,
            Contents::Unlike(why) => {
                findings.gap("table", name, why);
                return Pair::NotCompared;
            }
            Contents::Different(what) => format!("{} on both sides, but {what}", count(left.rows, "row")),
        },
        (Some(_), Some(_)) => return Pair::Equal,
        (Some(left), None) => format!("{} on the left, missing on the right", count(left.rows, "row")),
        (None, right) => format!("missing on the left, {} on the right", count(right.map_or(0, |it| it.rows), "row")),
    };
    match kind {
        TableKind::Table | TableKind::LargeObjects => {
            findings.differs("table", name, different);
            Pair::Differs
        }
        // A dump holds its query, not its rows: what a restore fills it with is as new as the tables below it.
        TableKind::MaterialisedView if request.after.is_none() && matches!(request.left, Side::File { .. }) => {
            Pair::FilledAnew
        }
        TableKind::MaterialisedView => {
            findings.gap("materialised view", name, format!("{different}; one of them may be older"));
            Pair::NotCompared
        }
        TableKind::OfExtension => {
            findings.gap("table of an extension", name, format!("{different}; its extension decides what is dumped"));
            Pair::NotCompared
        }
    }
}

/// Whether a count is near enough to another one. A few rows are, even of a small table; none at all is not.
fn close(left: u64, right: u64, tolerance: f64) -> bool {
    const FEW: f64 = 10.0;
    #[expect(clippy::cast_precision_loss, reason = "a share of a count of rows need not be exact")]
    let allowed = (left as f64 * tolerance).max(FEW);
    #[expect(clippy::cast_precision_loss, reason = "the same")]
    let off = left.abs_diff(right) as f64;
    tolerance > 0.0 && (right > 0 || left == 0) && off <= allowed
}

enum Contents {
    Equal,
    Different(&'static str),
    Unlike(&'static str),
}

fn contents_of(left: &TableMeasure, right: &TableMeasure) -> Contents {
    let parts = |table: &TableMeasure| {
        let method = table.method.as_deref()?;
        let (form, columns) = method.split_once(' ')?;
        Some((form.to_owned(), columns.to_owned()))
    };
    match (parts(left), parts(right)) {
        (Some((form, _)), Some((other, _))) if form != other => {
            Contents::Unlike("the servers hash differently: other version, encoding or processor")
        }
        (Some((_, columns)), Some((_, others))) if columns != others => {
            Contents::Different("names or types of columns differ")
        }
        (Some(_), Some(_)) if left.hash == right.hash => Contents::Equal,
        (Some(_), Some(_)) => Contents::Different("contents differ"),
        _ => Contents::Unlike("its rows were counted, not hashed"),
    }
}
