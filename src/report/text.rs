//! A report for the terminal.

use std::fmt::Write as _;

use super::wording::{facts, headline, line, meaning, moment, rows, value};
use super::{Listing, Report};
use crate::model::figures::millis;
use crate::model::request::table::LogTable;
use crate::model::verdict::CheckVerdict;

/// The report as plain text, without colours.
pub fn text(report: &Report) -> String {
    let mut out = format!("{}  {}\n{}\n\n", report.run, headline(report), line(&meaning(report)));
    for (label, fact) in facts(report) {
        let _ = writeln!(out, "{label:<14} {}", line(&fact));
    }
    section(&mut out, "Databases", &report.targets, |target| {
        let label = if target.label == target.name { String::new() } else { format!(" ({})", target.label) };
        // Branches of one project share a system, and say nothing by it.
        let place = match &target.branch {
            Some(branch) => format!("project {}, branch {}", branch.project, branch.branch),
            None => format!("system {}, oid {}, timeline {}", target.system, target.database_oid, target.timeline),
        };
        format!("{}{label}: database {} at {}, {place}", target.name, target.database, target.address)
    });
    section(&mut out, "Parameters", &report.params, |param| format!("{} = {}", param.name, value(param)));
    section(&mut out, "Who", &report.operators, |operator| {
        format!("{}  {:<8} {}", moment(operator.at), operator.command, operator.by)
    });
    section(&mut out, "Doubts", &report.doubts.shown, |doubt| format!("{}  {}: {}", doubt.key, doubt.title, doubt.why));
    more(&mut out, &report.doubts);
    section(&mut out, "Checks", &report.checks.shown, |check| {
        let mark = match check.verdict {
            CheckVerdict::Pass => "pass",
            CheckVerdict::Fail => "FAIL",
            CheckVerdict::CouldNotVerify => "COULD NOT VERIFY",
        };
        let gate = if check.gate { " (gate)" } else { "" };
        let tolerated = match check.accepted.is_empty() {
            true => String::new(),
            false => format!("; tolerated: {}", check.accepted.join(", ")),
        };
        format!("{mark}  {}{gate}: {}{tolerated}", check.name, check.detail)
    });
    more(&mut out, &report.checks);
    section(&mut out, "Found by checks of whole databases", &report.findings.shown, |found| {
        format!("{:<12} {}: {} ({})", found.state, found.check, found.name, found.what)
    });
    more(&mut out, &report.findings);
    for compared in &report.comparisons {
        section(&mut out, &format!("Rows of {}", line(&compared.heading())), &compared.tables.shown, |table| {
            format!("{:<12} {:>12} {:>12}  {}", table.verdict, rows(table.left), rows(table.right), table.name)
        });
        more(&mut out, &compared.tables);
    }
    section(&mut out, "Steps", &report.steps, |step| {
        let part = if step.phase == "perform" { String::new() } else { format!(" ({})", step.phase) };
        let took = step.took_ms.map(|ms| format!(", {}", millis(ms))).unwrap_or_default();
        let changes = match step.changes {
            0 => String::new(),
            changes => format!(", changes: {changes}, rows: {}", step.rows),
        };
        let why = step.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{:<8} {}{part}{took}{changes}{why}", step.state, step.step)
    });
    section(&mut out, "Changes", &report.changes.shown, |change| {
        let rows = change.rows.map(|rows| format!(", rows: {rows}")).unwrap_or_default();
        let attempt = if change.attempt > 1 { format!(", attempt {}", change.attempt) } else { String::new() };
        let why = change.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{}  {:<7} {}  {}{rows}{attempt}{why}", moment(change.at), change.outcome, change.place, change.title)
    });
    more(&mut out, &report.changes);
    for told in &report.tables {
        let rows = LogTable { title: String::new(), columns: told.columns.clone(), rows: told.rows.shown.clone() };
        section(&mut out, &line(&told.title), &rows.lines(), Clone::clone);
        more(&mut out, &told.rows);
    }
    section(&mut out, "Decisions", &report.decisions, |made| {
        format!("{}  {}  {}: {} ({})", moment(made.at), made.by, made.about, made.answer, made.why)
    });
    section(&mut out, "Notes", &report.notes.shown, |note| format!("{}  {}", moment(note.at), note.text));
    more(&mut out, &report.notes);
    section(&mut out, "Earlier runs", &report.earlier, |run| {
        let verdict = run.verdict.map_or("-", |verdict| verdict.as_str());
        format!("{}  {verdict:<8} {}  {} ({})", moment(run.started_at), run.run, millis(run.took_ms), run.steps())
    });
    let _ = writeln!(out, "\nThe log has {} entries. To check that it is complete and unchanged:", report.entries);
    let _ = writeln!(out, "  {}", line(&report.verify()));
    out
}

/// A heading and a line an item; nothing at all without items.
fn section<T>(out: &mut String, heading: &str, items: &[T], show: impl Fn(&T) -> String) {
    if items.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{heading}");
    for item in items {
        let _ = writeln!(out, "  {}", line(&show(item)));
    }
}

/// What a section leaves out.
fn more<T>(out: &mut String, listing: &Listing<T>) {
    if listing.hidden() > 0 {
        let _ = writeln!(out, "  … and {} more; `runsheet audit show` lists them all", listing.hidden());
    }
}
