//! `runsheet run`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::Global;
use super::super::catalog;
use super::super::error::CliError;
use super::super::given;
use super::super::out::{Out, quoted};
use super::super::session::{Project, Session, attended};
use super::super::show::Closing;
use super::plan::{self, Prepared};
use crate::engine::context::Run;
use crate::engine::drive::{self, Ending};
use crate::engine::plan::Plan;
use crate::engine::start::{self, Held, StartError};
use crate::engine::unwind;
use crate::model::declaration::{Declaration, PlanRule};
use crate::model::ids::RunId;
use crate::model::script::Script;
use crate::model::verdict::Verdict;

/// What to do about an unfinished run that keeps the lock.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum IfUnfinished {
    /// Refuse, naming it
    Fail,
    /// Go on with it instead, if it is of the same runbook
    Resume,
    /// Give it up, then start
    Abandon,
}

/// Run a runbook
#[derive(clap::Args)]
pub struct Args {
    /// Name of the runbook, or path of its file
    runbook: String,
    /// Parameters, as name=value
    params: Vec<String>,
    /// Only show what would happen (the same as `runsheet plan`)
    #[arg(long)]
    dry_run: bool,
    /// Run exactly what this plan says, or stop with exit 8
    #[arg(long, value_name = "FILE")]
    plan: Option<std::path::PathBuf>,
    /// When an unfinished run keeps the lock
    #[arg(long, value_enum, default_value = "fail", value_name = "fail|resume|abandon", hide_possible_values = true)]
    if_unfinished: IfUnfinished,
    /// When another process has the lock: fail, skip, or wait=10m
    #[arg(long, default_value = "fail", value_name = "fail|skip|wait=TIME")]
    if_locked: String,
}

/// What to do about a lock that another process holds.
enum IfLocked {
    Fail,
    Skip,
    Wait(Duration),
}

impl IfLocked {
    fn read(text: &str) -> Result<Self, CliError> {
        match text {
            "fail" => Ok(Self::Fail),
            "skip" => Ok(Self::Skip),
            _ => {
                let limit =
                    text.strip_prefix("wait=").ok_or("must be fail, skip, or wait=TIME such as wait=10m".to_owned());
                let limit = limit.and_then(|limit| {
                    crate::runbook::read_param(&crate::model::param::ParamKind::Duration, &limit.into())
                });
                let seconds = limit.map_err(|why| CliError::refused(format!("--if-locked {why}")))?;
                Ok(Self::Wait(Duration::from_secs_f64(seconds.as_f64().unwrap_or_default())))
            }
        }
    }
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        if self.dry_run {
            return plan::preview(global, out, &self.runbook, &self.params, None, false);
        }
        let if_locked = IfLocked::read(&self.if_locked)?;
        let approved = self.plan.as_deref().map(|file| plan::read(file, &self.runbook)).transpose()?;
        let prepared = Prepared::open(global, out, &self.runbook, &self.params, approved.as_ref())?;
        refuse_unplanned(&prepared, approved.as_ref(), &self.params)?;
        refuse_unchosen_environment(&prepared, &self.params)?;
        let session = prepared.session;
        if let Some(approved) = &approved {
            hold_to(approved, &session, &prepared.planning, self.plan.as_deref().unwrap_or(Path::new("plan.json")))?;
        }
        let begun = Instant::now();
        let deadline = match if_locked {
            IfLocked::Wait(limit) => begun + limit,
            _ => begun,
        };
        let mut told = false;
        let held = loop {
            let beginning = prepared.planning.beginning(approved.as_ref().map(|plan| plan.digest.clone()));
            match start::begin(&session.engine, &session.locks, beginning) {
                Ok(held) => break held,
                Err(StartError::Locked { run: Some(other), why }) if !session.locks.is_alive(&other)? => {
                    match self.if_unfinished {
                        IfUnfinished::Fail => return Err(StartError::Locked { run: Some(other), why }.into()),
                        IfUnfinished::Resume => {
                            return resume_instead(session, out, &other, &prepared.planning.declaration);
                        }
                        IfUnfinished::Abandon => give_up(&session, out, &other)?,
                    }
                }
                Err(StartError::Locked { run, why }) => match if_locked {
                    IfLocked::Wait(_) if Instant::now() < deadline => {
                        if !std::mem::replace(&mut told, true) {
                            out.talk(&format!("waiting: {why}"));
                        }
                        wait_a_little(&session)?;
                    }
                    IfLocked::Skip => {
                        out.talk(&format!("skipped: {why}"));
                        return Err(locked_by_living(&session, run, why));
                    }
                    _ => return Err(locked_by_living(&session, run, why)),
                },
                Err(error @ StartError::Refused { .. }) => {
                    return Err(CliError::from(error).next(format!("runsheet lint {}", quoted(&self.runbook))));
                }
                Err(error) => return Err(error.into()),
            }
        };
        out.talk(&headline(&held.run));
        Ok(perform(&session, out, &held, begun, drive::perform))
    }
}

/// `fix-orders-3: fix-orders 1.0.0 on app (database shop at 10.0.0.7:5432)`.
pub fn headline(run: &Run) -> String {
    let started = &run.state.started;
    let targets = started
        .targets
        .iter()
        .map(|(name, seen)| format!("{name} (database {} at {})", seen.identity.database, seen.identity.address));
    let targets: Vec<String> = targets.collect();
    let on = if targets.is_empty() { String::new() } else { format!(" on {}", targets.join(", ")) };
    format!("{}: {} {}{on}", run.lease.run, started.runbook, started.version)
}

/// A run that lives and keeps the lock: since when, so that a hung one is noticed.
fn locked_by_living(session: &Session, run: Option<RunId>, why: String) -> CliError {
    let error = CliError::from(StartError::Locked { run: run.clone(), why });
    let Some(summary) = run.and_then(|run| session.engine.journal.summary(&run).ok()) else { return error };
    let now = session.engine.now();
    let since = (now - summary.started_at).num_seconds();
    let quiet = (now - summary.last_at).num_seconds();
    #[expect(clippy::cast_precision_loss, reason = "shown to people")]
    let hint = format!(
        "{} (pid {} on {}) started {} ago and last wrote {} ago; if it hangs, stop that process and resume",
        summary.run,
        summary.by.pid,
        summary.by.host,
        super::super::show::duration(since as f64),
        super::super::show::duration(quiet as f64),
    );
    CliError { hint: Some(hint), next: Some("runsheet status".into()), ..error }
}

fn wait_a_little(session: &Session) -> Result<(), CliError> {
    use crate::engine::cancel::Urgency;
    session
        .engine
        .pause(Urgency::Soft, Duration::from_millis(500))
        .map_err(|_| CliError::new(Verdict::Interrupted, "interrupted while waiting for the lock"))
}

/// Works on a run on a thread of its own, as far as it goes, and says how it ended.
pub fn perform(
    session: &Session,
    out: &Out,
    held: &Held,
    begun: Instant,
    work: impl FnOnce(&Arc<Run>) -> Ending + Send + 'static,
) -> Verdict {
    let run = Arc::clone(&held.run);
    let name = run.lease.run.to_string();
    // Scripts recurse on the stack of the thread that calls them.
    const STACK: usize = 16 << 20;
    let worker = std::thread::Builder::new().name(name).stack_size(STACK).spawn(move || work(&run));
    let ending = match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(ending)) => ending,
        Ok(Err(_)) | Err(_) => {
            session.terminal.quiet();
            out.error(
                &CliError::new(Verdict::Failed, "the engine stopped unexpectedly; what was done is in the journal")
                    .next(format!("runsheet resume {}", held.run.lease.run)),
            );
            return Verdict::Failed;
        }
    };
    session.terminal.quiet();
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let closing = Closing::of(&held.run, &ending, took_ms);
    notify(session, out, &closing);
    closing.print(out, &ending);
    ending.verdict
}

/// Tells whoever is to be told. A run is not less done because nobody could be told.
fn notify(session: &Session, out: &Out, closing: &Closing) {
    let Some(url) = &session.project.config.notify else { return };
    let body = session.project.vault.redact(&serde_json::to_string(closing).unwrap_or_default());
    if let Err(fault) = session.engine.handle.block_on(crate::effects::notify::post(url, body)) {
        out.talk(&format!("{} {fault}", out.paint("1;33", "warning:")));
    }
}

fn hold_to(approved: &Plan, session: &Session, planning: &plan::Parts, file: &Path) -> Result<(), CliError> {
    let now = Plan::make(&session.engine, planning.planning())?;
    let drift = approved.drift(&now);
    if drift.is_empty() {
        return Ok(());
    }
    let mut error = CliError::new(Verdict::Drifted, "the world is not what the plan saw; nothing was done");
    error.detail = drift.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n");
    Err(error.hinted("make a new plan, have it reviewed, and run that").next(format!(
        "runsheet plan {} --out {}",
        approved.runbook,
        quoted(&file.to_string_lossy())
    )))
}

/// A runbook that says so is begun only by a plan that somebody could look at.
fn refuse_unplanned(prepared: &Prepared, approved: Option<&Plan>, params: &[String]) -> Result<(), CliError> {
    let declaration = &prepared.planning.declaration;
    if declaration.plan == PlanRule::Optional || approved.is_some() {
        return Ok(());
    }
    let (plan, run) = plan::commands(&declaration.name, params);
    Err(CliError::refused(format!("`{}` is begun only by a plan that was looked at", declaration.name))
        .hinted(format!("first `{plan}`, then `{run}`"))
        .next(plan))
}

/// A protected target is not changed in an environment that nobody named.
fn refuse_unchosen_environment(prepared: &Prepared, params: &[String]) -> Result<(), CliError> {
    let config = &prepared.session.project.config;
    let explicit = config.environment.as_ref().is_some_and(super::super::config::Chosen::explicit);
    if explicit || config.environments.is_empty() {
        return Ok(());
    }
    let planning = &prepared.planning;
    let protected = start::targets_in(&planning.declaration, &planning.params)
        .into_iter()
        .find(|(_, name)| config.targets.get(name).is_some_and(|target| target.protected));
    match protected {
        None => Ok(()),
        Some((_, name)) => {
            let params: String = params.iter().map(|param| format!(" {}", quoted(param))).collect();
            let environment = if let [only] = config.environments.as_slice() { only } else { "NAME" };
            Err(CliError::refused(format!("target `{name}` is protected, and no environment was named with -e"))
                .hinted(format!("environments of this project: {}", config.environments.join(", ")))
                .next(format!("runsheet run {}{params} -e {environment}", planning.declaration.name)))
        }
    }
}

fn resume_instead(session: Session, out: &Out, other: &RunId, declaration: &Declaration) -> Result<Verdict, CliError> {
    let summary = session.engine.journal.summary(other)?;
    if summary.started.runbook != declaration.name {
        let why = format!("run {other} is of `{}`, not of `{}`", summary.started.runbook, declaration.name);
        return Err(StartError::Locked { why, run: Some(other.clone()) }.into());
    }
    super::resume::go_on(&session, out, &summary, &super::resume::How::resume(), unwind::go_on)
}

fn give_up(session: &Session, out: &Out, other: &RunId) -> Result<(), CliError> {
    let summary = session.engine.journal.summary(other)?;
    out.talk(&format!("giving up {other} first"));
    let verdict =
        super::abandon::give_up(session, out, &summary, "a new run was started with --if-unfinished abandon")?;
    if verdict == Verdict::Pass {
        return Ok(());
    }
    Err(CliError::new(verdict, format!("{other} could not be given up")).next(format!("runsheet report {other}")))
}

/// Asks for a secret at the terminal, if somebody sits there.
pub fn ask_secret(about: &str) -> Option<String> {
    if !attended() {
        return None;
    }
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    use std::io::{BufRead, Write};
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).ok()?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &hidden).ok()?;
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{about}: ");
    let _ = stderr.flush();
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    let _ = tcsetattr(&stdin, OptionalActions::Now, &before);
    let _ = writeln!(stderr);
    let value = line.trim_end_matches(['\n', '\r']);
    (read.is_ok() && !value.is_empty()).then(|| value.to_owned())
}

/// Loads a project's runbook and reads its parameters.
pub fn open_runbook(project: &Project, out: &Out, name: &str, params: &[String]) -> Result<plan::Parts, CliError> {
    let sources = catalog::sources(&project.config, name)?;
    let runbook = catalog::load(&sources, out.color)?;
    let script: Arc<dyn Script> = Arc::new(runbook);
    let declaration = script.declaration().clone();
    let given = given::read(&declaration, params, &project.config, &project.vault, &ask_secret)?;
    for warning in &given.warnings {
        out.talk(&format!("{} {warning}", out.paint("1;33", "warning:")));
    }
    Ok(plan::Parts {
        digest: catalog::digest(&sources),
        sources,
        script,
        declaration,
        params: given.params,
        secrets: given.secrets,
        labels: project.labels(),
        environment: project.config.environment.as_ref().map(|chosen| chosen.name.clone()),
        git: project.config.git.clone(),
        warnings: project.config.warnings.clone(),
    })
}
