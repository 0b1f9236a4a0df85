//! `runsheet resume`.

use std::sync::Arc;
use std::time::Instant;

use super::super::Global;
use super::super::catalog;
use super::super::error::CliError;
use super::super::given::open_secret;
use super::super::out::Out;
use super::super::session::{Project, Session};
use crate::engine::context::Run;
use crate::engine::drive::Ending;
use crate::engine::start::{self, Reach, Taking};
use crate::engine::state;
use crate::engine::unwind;
use crate::journal::entry::RunState;
use crate::journal::store::{Journal, RunSummary};
use crate::model::ids::{Phase, RunId};
use crate::model::script::Script;
use crate::model::verdict::Verdict;
use crate::runbook::Sources;

/// Go on with a run where it stands
#[derive(clap::Args)]
pub struct Args {
    /// The run (default: the only unfinished one)
    run: Option<RunId>,
    /// Only say what would happen
    #[arg(long)]
    plan: bool,
    /// Take the run from a process of this host that still holds it; its next change is refused
    #[arg(long)]
    take_over: bool,
    /// A database was restored meanwhile: believe nothing it says about changes in doubt
    #[arg(long)]
    world_restored: bool,
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let (project, _, summary) = open(global, out, self.run.as_ref())?;
        let session = project.session(out)?;
        if self.plan {
            return say_what(&session, out, &summary);
        }
        let command = if self.world_restored { state::WORLD_RESTORED } else { "resume" };
        let how = How { take_over: self.take_over, command, reach: Reach::Targets };
        go_on(&session, out, &summary, &how, unwind::go_on)
    }
}

/// How a run is gone on with.
pub struct How {
    /// Take it from a living process.
    pub take_over: bool,
    /// `resume`, [`state::WORLD_RESTORED`], `undo`, `abandon`.
    pub command: &'static str,
    /// Whether its databases are contacted.
    pub reach: Reach,
}

impl How {
    /// A plain resume.
    pub fn resume() -> Self {
        Self { take_over: false, command: "resume", reach: Reach::Targets }
    }
}

/// Opens the project and finds the run that is to be gone on with.
pub fn open(
    global: &Global,
    out: &mut Out,
    run: Option<&RunId>,
) -> Result<(Project, Arc<dyn Journal>, RunSummary), CliError> {
    let project = Project::open(global, out)?;
    let journal = project.journal()?;
    let summary = journal.summary(&project.run_id(&*journal, run)?)?;
    refuse_finished(&summary)?;
    Ok((project, journal, summary))
}

/// Refuses to go on with what has ended.
fn refuse_finished(summary: &RunSummary) -> Result<(), CliError> {
    if !summary.state.finished() {
        return Ok(());
    }
    let message = format!("run {} is {}; there is nothing to go on with", summary.run, summary.state.as_str());
    Err(CliError::refused(message).next(format!("runsheet report {}", summary.run)))
}

/// Loads the text that the run keeps.
pub fn kept_script(summary: &RunSummary) -> Result<Arc<dyn Script>, CliError> {
    let started = &summary.started;
    let sources = Sources { main: started.main.clone(), files: started.files.clone() };
    if catalog::digest(&sources) != started.digest {
        return Err(CliError::new(
            Verdict::Failed,
            format!("the text that run {} keeps is not the text it was started with", summary.run),
        )
        .next(format!("runsheet audit verify {}", summary.run)));
    }
    let load = catalog::load(&sources, false);
    Ok(Arc::new(load.map_err(|error| error.next(format!("runsheet report {}", summary.run)))?))
}

/// Takes a run and works on it.
pub fn go_on(
    session: &Session,
    out: &Out,
    summary: &RunSummary,
    how: &How,
    work: impl FnOnce(&Arc<Run>) -> Ending + Send + 'static,
) -> Result<Verdict, CliError> {
    let begun = Instant::now();
    let script = kept_script(summary)?;
    if let Err(error) = reopen_secrets(session, summary) {
        if how.command != "abandon" {
            return Err(error.next(format!("runsheet {} {}", how.command, summary.run)));
        }
        // Giving up must stay possible when a secret is gone for good; a cleanup that needs it says so itself.
        out.talk(&format!("{} {}; cleanups may fail for it", out.paint("1;33", "warning:"), error.message));
    }
    let config = &session.project.config;
    if how.reach == Reach::Targets {
        for name in summary.started.targets.keys() {
            config.target(name)?;
        }
    }
    let chosen = config.environment.as_ref().map(|chosen| chosen.name.clone());
    if chosen != summary.started.environment {
        let show = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".into());
        let message = format!(
            "run {} was started in environment {}, and this is {}",
            summary.run,
            show(&summary.started.environment),
            show(&chosen)
        );
        let next = match &summary.started.environment {
            Some(name) => format!("runsheet {} {} -e {name}", how.command, summary.run),
            None => format!("env -u ENVIRONMENT -u NODE_ENV runsheet {} {}", how.command, summary.run),
        };
        return Err(CliError::refused(message).next(next));
    }
    let taking = Taking { summary, script, command: how.command, take_over: how.take_over, reach: how.reach };
    let held = start::take(&session.engine, &session.locks, taking)?;
    out.talk(&super::run::headline(&held.run));
    Ok(super::run::perform(session, out, &held, begun, work))
}

/// Opens the secrets that the run was started with; another value under the same name is refused.
fn reopen_secrets(session: &Session, summary: &RunSummary) -> Result<(), CliError> {
    let project = &session.project;
    for (name, source) in &summary.started.secrets {
        let about = format!("secret `{name}` of run {}", summary.run);
        let value = if source.from == "asked" {
            super::run::ask_secret(&about)
                .ok_or_else(|| format!("it was typed at a terminal; resume at one to type `{name}` again"))
        } else {
            open_secret(&source.from, &project.config)
        };
        let value = value.map_err(|why| CliError::refused(format!("{about}: {why}")))?;
        project.vault.keep(name, value);
        if project.vault.fingerprint(name).as_deref() != Some(source.fingerprint.as_str()) {
            let message = format!("{about} has another value now than when the run was started");
            return Err(CliError::refused(message)
                .hinted(format!("put the old value back at {}, or abandon the run", source.from)));
        }
    }
    Ok(())
}

/// What `resume` would do, from the journal alone.
fn say_what(session: &Session, out: &Out, summary: &RunSummary) -> Result<Verdict, CliError> {
    use crate::engine::state::State;
    use crate::journal::entry::StepEnd;
    let script = kept_script(summary)?;
    let names: Vec<String> = script.declaration().steps.iter().map(|step| step.name.clone()).collect();
    let story = session.engine.journal.story(&summary.run)?;
    let state = State::of(&story, &names).ok_or_else(|| CliError::refused("the run has no first entry"))?;
    let mut lines = vec![format!("resume of {} ({})", summary.run, state_of(session, summary)?.as_str())];
    for name in &names {
        let closure = state.closure(name, Phase::Perform);
        let what = match (&closure.end, closure.started) {
            (Some(StepEnd::Done { .. }), _) => "done already",
            (Some(StepEnd::Skipped), _) => "did not apply",
            (Some(StepEnd::Failed { .. }), _) => "failed; tried again from after its last recorded change",
            (None, true) => "interrupted; goes on after its last recorded change, once what is in doubt is settled",
            (None, false) => "to do",
        };
        lines.push(format!("  {name}: {what}"));
    }
    out.data(&lines.join("\n"));
    out.next(&format!("runsheet resume {}", summary.run));
    Ok(Verdict::Pass)
}

/// The state of a run as it is now: a running one whose process is gone is interrupted.
pub fn state_of(session: &Session, summary: &RunSummary) -> Result<RunState, CliError> {
    super::runs::live_state(&session.locks, summary)
}
