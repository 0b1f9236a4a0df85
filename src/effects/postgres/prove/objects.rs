//! Whether two measures have the same objects: everything that is no row.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::Findings;
use super::label;
use crate::model::measured::{Measured, ObjectMeasure, SequenceMeasure};
use crate::model::request::proving::{Comparison, SameObjects};

/// Kinds that belong to the place where a database is rather than to it, which a copy leaves out on purpose.
const OF_THE_PLACE: [&str; 3] = ["publication", "subscription", "database setting"];

/// Kinds whose definitions servers of different major versions may print differently.
const PRINTED: [&str; 8] =
    ["view", "materialised view", "rule", "constraint", "index", "policy", "statistics", "trigger"];

/// Compares object by object.
pub fn compare(request: &SameObjects, left: &Measured, right: &Measured) -> Comparison {
    let mut findings = Findings::new(&request.accept);
    let gaps = left.gaps.iter().map(|gap| (gap, "left")).chain(right.gaps.iter().map(|gap| (gap, "right")));
    for (gap, side) in gaps.filter(|(gap, _)| !gap.kind.ends_with("table")) {
        findings.gap(&gap.kind, &gap.name, format!("on the {side}: {}", gap.why));
    }
    let (objects, others) = (by_name(left, request), by_name(right, request));
    let names: BTreeSet<_> = objects.keys().chain(others.keys()).copied().collect();
    let same_major = left.server / 10_000 == right.server / 10_000;
    let mut equal = 0;
    for (kind, name) in &names {
        let (one, other) = (objects.get(&(*kind, *name)), others.get(&(*kind, *name)));
        let what = match (one, other) {
            (Some(one), Some(other)) if one == other => {
                equal += 1;
                continue;
            }
            (Some(one), Some(other)) => changed(one, other),
            (Some(_), None) => "missing on the right".to_owned(),
            _ => "missing on the left".to_owned(),
        };
        let printed = PRINTED.contains(kind) && !same_major && one.is_some() && other.is_some();
        match (OF_THE_PLACE.contains(kind), printed) {
            (true, _) => findings.gap(kind, name, format!("{what}; a copy leaves it out")),
            (_, true) => findings.gap(kind, name, "servers of two major versions print it differently"),
            _ => findings.differs(kind, name, what),
        }
    }
    let positions: BTreeMap<_, _> = right.sequences.iter().map(|it| ((&it.schema, &it.name), it)).collect();
    for sequence in left.sequences.iter().filter(|_| !request.older) {
        let Some(other) = positions.get(&(&sequence.schema, &sequence.name)) else { continue };
        if behind(sequence, other) {
            let name = format!("{}.{}", sequence.schema, sequence.name);
            let what = format!("gives out {} next, on the left {}", next(other), next(sequence));
            findings.differs("sequence", &name, what);
        }
    }
    let labels = (label(&request.left, left), label(&request.right, right));
    let grants = if request.grants { "" } else { ", grants not looked at" };
    let compared = format!("{equal} of {} objects equal in {} and {}{grants}", names.len(), labels.0, labels.1);
    let comparison =
        Comparison { compared: names.len() as u64, left: labels.0, right: labels.1, ..Comparison::default() };
    findings.conclude(&compared, comparison)
}

fn by_name<'a>(measured: &'a Measured, request: &SameObjects) -> BTreeMap<(&'a str, &'a str), &'a str> {
    let wanted = |object: &&ObjectMeasure| match object.kind.as_str() {
        "grants" => request.grants,
        "large objects" => !request.older,
        _ => true,
    };
    measured
        .objects
        .iter()
        .filter(wanted)
        .map(|object| ((object.kind.as_str(), object.name.as_str()), object.definition.as_str()))
        .collect()
}

/// Both definitions where they are short enough to be read.
fn changed(left: &str, right: &str) -> String {
    let short = |text: &str| text.len() <= 120 && !text.starts_with("digest ");
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if short(left) && short(right) {
        format!("`{}` on the left, `{}` on the right", line(left), line(right))
    } else {
        "its definition differs".to_owned()
    }
}

/// The value that a sequence gives out next.
fn next(sequence: &SequenceMeasure) -> i128 {
    i128::from(sequence.last_value) + if sequence.is_called { i128::from(sequence.increment) } else { 0 }
}

/// Whether the right one would give out values that the left one has given out. To be ahead is no loss: a sequence goes on
/// while a dump is made.
fn behind(left: &SequenceMeasure, right: &SequenceMeasure) -> bool {
    if left.increment < 0 { next(right) > next(left) } else { next(right) < next(left) }
}
