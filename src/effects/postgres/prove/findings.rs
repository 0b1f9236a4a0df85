//! From single findings to a verdict: a difference fails, a gap could not be verified, and only nothing at all passes.

use crate::model::request::proving::{Comparison, Finding, Side};
use crate::model::verdict::CheckVerdict;

/// Findings so far, with what their author tolerates.
pub struct Findings<'a> {
    accept: &'a [String],
    differences: Vec<Finding>,
    gaps: Vec<Finding>,
    tolerated: Vec<Finding>,
}

impl<'a> Findings<'a> {
    /// None yet. What is in `accept`, by its name or its kind, is tolerated.
    pub fn new(accept: &'a [String]) -> Self {
        Self { accept, differences: Vec::new(), gaps: Vec::new(), tolerated: Vec::new() }
    }

    /// Something that differs, or is wrong.
    pub fn differs(&mut self, kind: &str, name: &str, what: impl Into<String>) {
        let finding = Finding { name: full(kind, name), what: what.into() };
        let tolerated = self.accepts(kind, name);
        if tolerated { self.tolerated.push(finding) } else { self.differences.push(finding) }
    }

    /// Something that could not be compared.
    pub fn gap(&mut self, kind: &str, name: &str, what: impl Into<String>) {
        let finding = Finding { name: full(kind, name), what: what.into() };
        let tolerated = self.accepts(kind, name);
        if tolerated { self.tolerated.push(finding) } else { self.gaps.push(finding) }
    }

    fn accepts(&self, kind: &str, name: &str) -> bool {
        self.accept.iter().any(|it| it == name || it == kind || *it == full(kind, name))
    }

    /// The verdict with its reasons; `compared` says what was looked at, for people.
    pub fn conclude(self, compared: &str, comparison: Comparison) -> Comparison {
        let Self { mut differences, mut gaps, mut tolerated, .. } = self;
        let verdict = match (differences.is_empty(), gaps.is_empty()) {
            (false, _) => CheckVerdict::Fail,
            (true, false) => CheckVerdict::CouldNotVerify,
            (true, true) => CheckVerdict::Pass,
        };
        let mut detail = String::new();
        let parts = [("", &differences), ("not compared: ", &gaps), ("tolerated: ", &tolerated)];
        for (word, findings) in parts.into_iter().filter(|(_, findings)| !findings.is_empty()) {
            let shown: Vec<String> = findings.iter().take(3).map(|it| format!("{} ({})", it.name, it.what)).collect();
            let more = findings.len() - shown.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            detail = format!("{detail}{word}{}{more}; ", shown.join(", "));
        }
        detail.push_str(compared);
        let mut left_out = comparison.left_out;
        for list in [&mut differences, &mut gaps, &mut tolerated] {
            left_out += list.len().saturating_sub(Comparison::MOST) as u64;
            list.truncate(Comparison::MOST);
        }
        Comparison { verdict, detail, differences, gaps, tolerated, left_out, ..comparison }
    }
}

/// A table is known by its name alone.
fn full(kind: &str, name: &str) -> String {
    if kind == "table" { name.to_owned() } else { format!("{kind} {name}") }
}

/// A comparison that had nothing to compare.
pub fn nothing(left: &Side, right: &Side, why: &str) -> Comparison {
    Comparison { detail: why.to_owned(), left: left.to_string(), right: right.to_string(), ..Comparison::default() }
}
