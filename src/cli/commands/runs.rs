//! `runsheet runs`.

use serde_json::{Value, json};

use super::super::Global;
use super::super::error::CliError;
use super::super::out::Out;
use super::super::session::Project;
use crate::journal::entry::RunState;
use crate::journal::lease::LockDir;
use crate::journal::store::RunSummary;
use crate::model::verdict::Verdict;

/// List runs, newest first
#[derive(clap::Args)]
pub struct Args {
    /// Only this runbook's
    runbook: Option<String>,
    /// How many at most
    #[arg(short = 'n', long, default_value_t = 20)]
    limit: usize,
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let project = Project::open(global, out)?;
        let journal = project.journal()?;
        let locks = project.locks()?;
        let mut rows = Vec::new();
        let runs = journal.runs()?;
        let wanted = |run: &&RunSummary| self.runbook.as_ref().is_none_or(|name| run.started.runbook == *name);
        for summary in runs.iter().rev().filter(wanted).take(self.limit) {
            rows.push(row(&locks, summary)?);
        }
        if out.json {
            out.json(&rows);
            return Ok(Verdict::Pass);
        }
        if !rows.is_empty() {
            out.data(HEADER);
        }
        for row in &rows {
            out.data(&line(row));
        }
        if rows.is_empty() {
            out.talk("no runs yet");
        }
        Ok(Verdict::Pass)
    }
}

/// The state of a run now: one whose process is gone is interrupted.
pub fn live_state(locks: &LockDir, summary: &RunSummary) -> Result<RunState, CliError> {
    Ok(match summary.state {
        RunState::Running if !locks.is_alive(&summary.run)? => RunState::Interrupted,
        state => state,
    })
}

/// A run as data.
pub fn row(locks: &LockDir, summary: &RunSummary) -> Result<Value, CliError> {
    let state = live_state(locks, summary)?;
    Ok(json!({
        "run": summary.run,
        "runbook": summary.started.runbook,
        "version": summary.started.version,
        "state": state.as_str(),
        "verdict": summary.verdict,
        "started_at": summary.started_at,
        "last_at": summary.last_at,
        "by": summary.by,
        "environment": summary.started.environment,
        "why": summary.why,
        "head": summary.head,
    }))
}

/// What stands above lines of runs.
pub const HEADER: &str = "RUN                      STATE        VERDICT          STARTED (UTC)     BY";

/// A run in one line, and beneath it why it stands where it stands.
pub fn line(row: &Value) -> String {
    let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
    let started = text("started_at");
    let started = started.get(..16).unwrap_or(&started).replace('T', " ");
    // Nothing passed that was given up or taken back; the verdict was about the cleaning up.
    let ended = ["undone", "abandoned"].contains(&text("state").as_str());
    let verdict = if ended { "-".to_owned() } else { text("verdict") };
    let why = text("why");
    let why = if ended || why == "-" || why.is_empty() { String::new() } else { format!("\n    {why}") };
    let by = row["by"]["user"].as_str().unwrap_or("-");
    format!("{:<24} {:<12} {verdict:<16} {started}  {by}{why}", text("run"), text("state"))
}
