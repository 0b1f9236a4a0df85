//! `runsheet status`.

use serde_json::json;

use super::super::Global;
use super::super::error::CliError;
use super::super::out::Out;
use super::super::session::Project;
use super::super::show;
use super::approve::{Asked, asked};
use super::runs::{HEADER, line, live_state, row};
use crate::effects::freeze::book::{self, Page};
use crate::effects::local::SystemClock;
use crate::journal::entry::RunState;
use crate::model::Value;
use crate::model::clock::Clock;
use crate::model::param::ParamKind;
use crate::model::verdict::Verdict;
use crate::runbook::read_param;

/// Show unfinished runs first, then the last run of each runbook
#[derive(clap::Args)]
pub struct Args {
    /// Only this runbook's
    runbook: Option<String>,
    /// Exit 1 when a runbook's last pass is older than this, such as 100d
    #[arg(long, value_name = "TIME")]
    max_age: Option<String>,
    /// Say nothing while no run waits for anybody and no pass is too old
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let limit = match &self.max_age {
            None => None,
            Some(text) => read_param(&ParamKind::Duration, &text.as_str().into())
                .map_err(|why| CliError::refused(format!("--max-age {why}")))?
                .as_f64(),
        };
        out.quiet = self.quiet;
        let project = Project::open(global, out)?;
        let journal = project.journal()?;
        let locks = project.locks()?;
        let mut runs = journal.runs()?;
        runs.retain(|run| self.runbook.as_ref().is_none_or(|name| run.started.runbook == *name));
        let now = SystemClock.now();
        let mut unfinished = Vec::new();
        let mut next = None;
        let mut idle = 0;
        for summary in runs.iter().filter(|run| !run.state.finished()) {
            unfinished.push(row(&locks, summary)?);
            let state = live_state(&locks, summary)?;
            idle += usize::from(state != RunState::Running);
            next = Some(match state {
                RunState::Running => format!("runsheet report {}", summary.run),
                RunState::Waiting => match asked(&journal.story(&summary.run)?) {
                    Some(Asked { answered: true, .. }) | None => format!("runsheet resume {}", summary.run),
                    Some(Asked { verdict: Verdict::Waiting, .. }) => format!("runsheet approve {}", summary.run),
                    Some(_) => format!("runsheet resolve {} --as \"done or not-done\" --why \"…\"", summary.run),
                },
                _ => format!("runsheet resume {}", summary.run),
            });
        }
        let pages: Vec<(bool, Page)> = book::pages(&project.config.state)
            .into_iter()
            .map(|(name, page)| (book::watched(&project.config.state, &name), page))
            .collect();
        let of_unfinished = |page: &Page| unfinished.iter().any(|row| row["run"] == page.run.as_str());
        let frozen: Vec<String> = pages
            .iter()
            .filter_map(|(watched, page)| show::frozen::line(page, *watched, now, of_unfinished(page)))
            .collect();
        let mut names: Vec<&str> = runs.iter().map(|run| run.started.runbook.as_str()).collect();
        names.extend(self.runbook.as_deref());
        names.sort_unstable();
        names.dedup();
        let mut books = Vec::new();
        let mut stale = Vec::new();
        for name in names {
            let of_name = || runs.iter().rev().filter(|run| run.started.runbook == name);
            let pass = of_name().find(|run| run.state == RunState::Done && run.verdict == Some(Verdict::Pass));
            #[expect(clippy::cast_precision_loss, reason = "shown to people")]
            let age = pass.map(|run| (now - run.last_at).num_milliseconds() as f64 / 1000.0);
            if limit.is_some_and(|limit| age.is_none_or(|age| age > limit)) {
                stale.push(name.to_owned());
            }
            let last = of_name().find(|run| run.state.finished());
            books.push(json!({
                "runbook": name,
                "last_run": last.map(|run| run.run.to_string()),
                "last_verdict": last.and_then(|run| run.verdict),
                "last_pass": pass.map(|run| run.run.to_string()),
                "last_pass_age_seconds": age,
            }));
        }
        if out.json {
            let pages: Vec<Value> = pages
                .iter()
                .map(|(watched, page)| {
                    let mut shown = serde_json::to_value(page).unwrap_or_default();
                    shown["frozen"] = page.frozen().into();
                    shown["watched"] = (*watched).into();
                    shown
                })
                .collect();
            out.json(&json!({ "frozen": pages, "unfinished": unfinished, "runbooks": books, "stale": stale, "next": next.as_deref().map(|next| out.carried(next)) }));
        } else if !self.quiet || idle > 0 {
            if unfinished.is_empty() {
                out.data("no unfinished runs");
            } else {
                out.data(HEADER);
            }
            for row in &unfinished {
                out.data(&line(row));
            }
            for line in &frozen {
                out.data(line);
            }
            for book in &books {
                let text = |name: &str| book[name].as_str().unwrap_or("never").to_owned();
                let age = book["last_pass_age_seconds"].as_f64();
                let age = age.map(|age| format!(", {} ago", show::duration(age))).unwrap_or_default();
                let last = match (book["last_run"].as_str(), book["last_verdict"].as_str()) {
                    (Some(run), Some(verdict)) if verdict != "pass" => format!("; last run {run}: {verdict}"),
                    _ => String::new(),
                };
                out.data(&format!("{:<24} last pass: {}{age}{last}", text("runbook"), text("last_pass")));
            }
        }
        if !stale.is_empty() {
            let message = format!("no pass within {} of: {}", self.max_age.unwrap_or_default(), stale.join(", "));
            return Err(CliError::new(Verdict::Failed, message).next(format!("runsheet run {}", stale[0])));
        }
        if limit.is_some() && books.is_empty() {
            return Err(CliError::new(Verdict::Failed, "nothing ever ran here").next("runsheet list"));
        }
        if let Some(next) = next {
            out.next(&next);
        }
        Ok(Verdict::Pass)
    }
}
