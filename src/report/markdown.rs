//! A report as Markdown, to be filed and read years later.

use std::fmt::Write as _;

use super::wording::{facts, headline, line, meaning, moment, rows, value};
use super::{Listing, Report};
use crate::model::figures::millis;

/// The report as Markdown.
pub fn markdown(report: &Report) -> String {
    let mut out = format!("# {}: {}\n\n{}\n\n", cell(report.run.as_str()), headline(report), cell(&meaning(report)));
    table(&mut out, "", &["", ""], facts(report).into_iter().map(|(label, fact)| vec![label.to_owned(), fact]));
    table(
        &mut out,
        "Databases",
        &["Name", "Label", "Database", "Address", "System identifier, or branch", "OID", "Timeline"],
        report.targets.iter().map(|target| {
            let place = target.branch.as_ref().map_or_else(
                || target.system.clone(),
                |branch| format!("project {}, branch {}", branch.project, branch.branch),
            );
            vec![
                target.name.clone(),
                target.label.clone(),
                target.database.clone(),
                target.address.clone(),
                place,
                target.database_oid.to_string(),
                target.timeline.to_string(),
            ]
        }),
    );
    table(
        &mut out,
        "Parameters",
        &["Name", "Value"],
        report.params.iter().map(|param| vec![param.name.clone(), value(param)]),
    );
    table(
        &mut out,
        "Who",
        &["When", "What", "Who", "Host", "Process"],
        report.operators.iter().map(|operator| {
            let by = &operator.by;
            vec![moment(operator.at), operator.command.clone(), by.user.clone(), by.host.clone(), by.pid.to_string()]
        }),
    );
    table(
        &mut out,
        "Doubts",
        &["Action", "What", "What is known"],
        report.doubts.shown.iter().map(|doubt| vec![doubt.key.clone(), doubt.title.clone(), doubt.why.clone()]),
    );
    more(&mut out, &report.doubts);
    table(
        &mut out,
        "Checks",
        &["Verdict", "Check", "Figures", "Step", "Tolerated"],
        report.checks.shown.iter().map(|check| {
            let name = if check.gate { format!("{} (gate)", check.name) } else { check.name.clone() };
            let verdict = check.verdict.as_str().to_owned();
            vec![verdict, name, check.detail.clone(), check.step.clone(), check.accepted.join(", ")]
        }),
    );
    more(&mut out, &report.checks);
    table(
        &mut out,
        "Found by checks of whole databases",
        &["State", "Check", "What", "Why"],
        report
            .findings
            .shown
            .iter()
            .map(|found| vec![found.state.clone(), found.check.clone(), found.name.clone(), found.what.clone()]),
    );
    more(&mut out, &report.findings);
    for compared in &report.comparisons {
        table(
            &mut out,
            &format!("Rows of {}", cell(&compared.heading())),
            &["Table", "Left", "Right", "Verdict"],
            compared
                .tables
                .shown
                .iter()
                .map(|table| vec![table.name.clone(), rows(table.left), rows(table.right), table.verdict.clone()]),
        );
        more(&mut out, &compared.tables);
    }
    table(
        &mut out,
        "Steps",
        &["Step", "Part", "State", "Took", "Changes", "Rows changed"],
        report.steps.iter().map(|step| {
            let state = step.why.as_ref().map_or(step.state.clone(), |why| format!("{}: {why}", step.state));
            let took = step.took_ms.map(millis).unwrap_or_default();
            vec![step.step.clone(), step.phase.clone(), state, took, step.changes.to_string(), step.rows.to_string()]
        }),
    );
    table(
        &mut out,
        "Changes",
        &["When", "Step", "What", "Outcome", "Rows", "Took"],
        report.changes.shown.iter().map(|change| {
            let mut outcome = change.outcome.clone();
            if change.attempt > 1 {
                let _ = write!(outcome, " (attempt {})", change.attempt);
            }
            if let Some(why) = &change.why {
                let _ = write!(outcome, ": {why}");
            }
            let rows = change.rows.map(|rows| rows.to_string()).unwrap_or_default();
            vec![moment(change.at), change.place.clone(), change.title.clone(), outcome, rows, millis(change.took_ms)]
        }),
    );
    more(&mut out, &report.changes);
    for told in &report.tables {
        let columns: Vec<&str> = told.columns.iter().map(String::as_str).collect();
        table(&mut out, &cell(&told.title), &columns, told.rows.shown.iter().cloned());
        more(&mut out, &told.rows);
    }
    table(
        &mut out,
        "Decisions",
        &["When", "Who", "About", "Answer", "Why"],
        report.decisions.iter().map(|made| {
            vec![moment(made.at), made.by.to_string(), made.about.clone(), made.answer.clone(), made.why.clone()]
        }),
    );
    table(
        &mut out,
        "Notes",
        &["When", "Note"],
        report.notes.shown.iter().map(|note| vec![moment(note.at), note.text.clone()]),
    );
    more(&mut out, &report.notes);
    table(
        &mut out,
        "Earlier runs",
        &["Started", "Run", "Verdict", "Took", "Longest steps"],
        report.earlier.iter().map(|run| {
            let verdict = run.verdict.map_or("-", |verdict| verdict.as_str()).to_owned();
            vec![moment(run.started_at), run.run.to_string(), verdict, millis(run.took_ms), run.steps()]
        }),
    );
    let _ = write!(
        out,
        "## How to check this report\n\nIt was made from the run's log of {} entries, in which each entry holds the digest \
         of the one before it. That the log is complete and unchanged up to the making of this report is checked with\n\n\
         ```\n{}\n```\n\nThe head is worth what its keeping is worth: keep this report, or the head alone, where those who \
         can write the log cannot.\n",
        report.entries,
        line(&report.verify())
    );
    out
}

/// A table under a heading; nothing at all when it has no rows.
fn table(out: &mut String, heading: &str, columns: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    if !heading.is_empty() {
        let _ = write!(out, "## {heading}\n\n");
    }
    let _ = writeln!(out, "| {} |\n|{}", columns.join(" | "), " --- |".repeat(columns.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push('\n');
}

/// What a table leaves out.
fn more<T>(out: &mut String, listing: &Listing<T>) {
    if listing.hidden() > 0 {
        let _ = write!(out, "… and {} more; `runsheet audit show` lists them all.\n\n", listing.hidden());
    }
}

/// Text that Markdown shows as it is, on one line.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in line(text).chars() {
        if matches!(c, '\\' | '|' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '#' | '&' | '~') {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}
