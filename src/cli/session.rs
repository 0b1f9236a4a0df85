//! A process at work on a project: configuration, journal, effects and engine, joined together.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Global;
use super::config::{self, Config};
use super::error::CliError;
use super::out::Out;
use super::show::Terminal;
use crate::effects::local::SystemClock;
use crate::effects::sealing::Key;
use crate::effects::{Effects, World};
use crate::engine::cancel::{self, Cancel};
use crate::engine::context::{Engine, Operator};
use crate::engine::past::JournaledPast;
use crate::journal::entry::Actor;
use crate::journal::lease::LockDir;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::store::Journal;
use crate::model::event::SharedSink;
use crate::model::ids::RunId;
use crate::model::secret::Vault;
use crate::model::verdict::Verdict;

/// What the command line says about the project, and the current folder.
pub fn whereabouts(global: &Global) -> Result<(config::Options, PathBuf), CliError> {
    let options = config::Options {
        project: global.project.clone(),
        state: global.state.clone(),
        environment: global.environment.clone(),
    };
    let cwd = std::env::current_dir()
        .map_err(|error| CliError::refused(format!("the current folder cannot be read: {error}")))?;
    Ok((options, cwd))
}

/// A project that was found and read; nothing is contacted.
pub struct Project {
    /// What is configured.
    pub config: Config,
    /// Keeps the secrets of this process.
    pub vault: Arc<Vault>,
}

impl Project {
    /// Finds and reads the project, and says which environment it is.
    pub fn open(global: &Global, out: &mut Out) -> Result<Self, CliError> {
        let (options, cwd) = whereabouts(global)?;
        let process: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let config = config::load(&options, process, &cwd)?;
        let key = config::state::open(&config.state, &SystemClock)?;
        let vault = Arc::new(Vault::new(key));
        for (name, password) in config.passwords() {
            vault.hide(name, password);
        }
        for (name, secret) in config.secrets() {
            vault.keep(name, secret);
        }
        if let Some(url) = &config.notify {
            vault.hide("notify.url", url);
        }
        out.guard(Arc::clone(&vault));
        if !out.json && !out.quiet {
            out.talk(&config.environment_line());
        }
        for warning in &config.warnings {
            out.talk(&format!("{} {warning}", out.paint("1;33", "warning:")));
        }
        Ok(Self { config, vault })
    }

    /// Opens the project's journal.
    pub fn journal(&self) -> Result<Arc<dyn Journal>, CliError> {
        Ok(Arc::new(self.sqlite()?))
    }

    /// Opens the project's journal as the store it is.
    pub fn sqlite(&self) -> Result<SqliteJournal, CliError> {
        Ok(SqliteJournal::open(&self.config.state.join("journal.db"), env!("CARGO_PKG_VERSION"))?)
    }

    /// The locks of this host.
    pub fn locks(&self) -> Result<LockDir, CliError> {
        Ok(LockDir::new(&self.config.state)?)
    }

    /// Label of every target.
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.config.targets.iter().map(|(name, target)| (name.clone(), target.label.clone())).collect()
    }

    /// The run named, or the only unfinished one.
    pub fn run_id(&self, journal: &dyn Journal, named: Option<&RunId>) -> Result<RunId, CliError> {
        if let Some(run) = named {
            journal.summary(run)?;
            return Ok(run.clone());
        }
        let unfinished: Vec<RunId> = journal.unfinished()?.into_iter().map(|run| run.run).collect();
        match unfinished.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(CliError::refused("no run is unfinished, so name one").next("runsheet runs")),
            many => {
                let names: Vec<&str> = many.iter().map(RunId::as_str).collect();
                let message = format!("{} runs are unfinished, so name one: {}", many.len(), names.join(", "));
                Err(CliError::refused(message).next("runsheet status"))
            }
        }
    }

    /// Joins everything that a run needs.
    pub fn session(self, out: &Out) -> Result<Session, CliError> {
        let cannot = |what: &str, error: std::io::Error| CliError::new(Verdict::Failed, format!("{what}: {error}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| cannot("the runtime cannot start", error))?;
        let terminal = Arc::new(Terminal::new(out, Arc::clone(&self.vault)));
        let sink: SharedSink = Arc::clone(&terminal) as SharedSink;
        let (canceller, cancel) = cancel::pair();
        let speaker = Arc::clone(&terminal);
        super::signals::listen(runtime.handle(), canceller, move |text| speaker.line(text))
            .map_err(|error| cannot("signals cannot be caught", error))?;
        let program = std::env::current_exe().map_err(|error| cannot("this program's own path is unknown", error))?;
        let journal = self.journal()?;
        #[cfg(debug_assertions)]
        let journal = super::crash::point(journal, &self.config.variables);
        let locks = self.locks()?;
        let key = config::key::read(&self.config)?;
        for secret in key.iter().flat_map(Key::secrets) {
            self.vault.hide(config::key::KEY, &secret);
        }
        let effects = Effects::new(World {
            targets: self.config.targets.clone(),
            providers: self.config.providers.clone(),
            environment: self.config.variables.clone(),
            vault: Arc::clone(&self.vault),
            sink,
            key,
            clock: Arc::new(SystemClock),
            project: self.config.project.clone(),
            state: self.config.state.clone(),
            past: Arc::new(JournaledPast(Arc::clone(&journal))),
            program,
        });
        let engine = Engine {
            journal,
            effects: Arc::new(effects),
            operator: Arc::new(Person { terminal: Arc::clone(&terminal), cancel: cancel.clone() }),
            cancel,
            handle: runtime.handle().clone(),
            actor: actor(),
        };
        Ok(Session { project: self, engine, locks, terminal, runtime: Some(runtime) })
    }
}

/// A process at work.
pub struct Session {
    /// The project.
    pub project: Project,
    /// The engine.
    pub engine: Engine,
    /// The locks of this host.
    pub locks: LockDir,
    /// Shows progress.
    pub terminal: Arc<Terminal>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Session {
    fn drop(&mut self) {
        // A read that still waits for its server must not keep the process.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Who acts, from where.
pub fn actor() -> Actor {
    let user = ["SUDO_USER", "LOGNAME", "USER"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    let user = user.unwrap_or_else(login);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Actor { user, host, pid: std::process::id() }
}

/// The login of this process from the system's database of users, for cron jobs and services without a `USER`.
fn login() -> String {
    let uid = nix::unistd::getuid();
    match nix::unistd::User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => format!("uid {uid}"),
    }
}

/// Whether a person sits at both ends.
pub fn attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

struct Person {
    terminal: Arc<Terminal>,
    cancel: Cancel,
}

impl Person {
    /// Waits for a line at the terminal; false when a signal comes first.
    fn answered(&self) -> bool {
        const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let stdin = std::io::stdin();
        while !self.cancel.asked() {
            match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&LOOK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                _ => return true,
            }
        }
        false
    }
}

impl Operator for Person {
    fn ask(&self, question: &str, manual: bool) -> Option<bool> {
        if !attended() {
            return None;
        }
        let question = &crate::model::shown::on_a_screen(question, false);
        let prompt = if manual { "done? [yes/no/later]" } else { "[yes/no/later]" };
        self.terminal.suspended(|| {
            loop {
                let mut stderr = std::io::stderr();
                let _ = write!(stderr, "{question} {prompt} ");
                let _ = stderr.flush();
                if !self.answered() {
                    return None;
                }
                let mut answer = String::new();
                if !matches!(std::io::stdin().lock().read_line(&mut answer), Ok(read) if read > 0) {
                    return None;
                }
                match answer.trim().to_lowercase().as_str() {
                    "yes" | "y" => return Some(true),
                    "no" | "n" => return Some(false),
                    "later" | "l" => return None,
                    _ => {}
                }
            }
        })
    }
}
