//! Commands as real processes, and the words of this host.

mod death;
mod local;
mod meaning;
mod secrets;
mod ssh;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use runsheet::effects::local::SystemClock;
use runsheet::effects::{Done, Ledger, Origin, Ticket, World, process};
use runsheet::model::Value;
use runsheet::model::action::{Action, Recovery, Resource};
use runsheet::model::environment::Environment;
use runsheet::model::event::{Event, Sink};
use runsheet::model::fault::Fault;
use runsheet::model::ids::{ActionKey, Phase, RunId};
use runsheet::model::provider::Providers;
use runsheet::model::request::{CommandRun, Request};
use runsheet::model::secret::Vault;

/// A folder and a world whose environment is small and known.
struct Bench {
    folder: tempfile::TempDir,
    world: World,
    events: Arc<Events>,
}

#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl Sink for Events {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Bench {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(variables: &[(&str, &str)]) -> Self {
        let mut environment = BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]);
        environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let folder = tempfile::tempdir().unwrap();
        let events = Arc::new(Events::default());
        let world = World {
            targets: BTreeMap::new(),
            providers: Providers::default(),
            environment: Environment::new(environment),
            vault: Arc::new(Vault::new(vec![7; 32])),
            sink: events.clone(),
            key: None,
            clock: Arc::new(SystemClock),
            project: folder.path().to_owned(),
            state: folder.path().join(".runsheet"),
            past: crate::support::world::no_past(),
            program: PathBuf::from(env!("CARGO_BIN_EXE_runsheet")),
        };
        Self { folder, world, events }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn perform(&self, action: &Action, ledger: &Book) -> Result<Done, Fault> {
        process::perform(&self.world, action, &ticket(), ledger).await
    }

    /// Performs a command of class ask.
    async fn run(&self, run: &[&str]) -> Result<Done, Fault> {
        self.perform(&action(Recovery::Ask, &command(run)), &Book::default()).await
    }

    async fn shell(&self, script: &str) -> Result<Done, Fault> {
        self.run(&["sh", "-c", script]).await
    }
}

/// A ledger that remembers what it was told.
#[derive(Default)]
struct Book {
    lines: Mutex<Vec<(&'static str, Value)>>,
    /// Must not exist while the intent is being written.
    not_yet: Option<PathBuf>,
    refuse: bool,
}

impl Book {
    fn holds(&self) -> Value {
        self.lines.lock().unwrap().iter().find(|(what, _)| *what == "started").expect("a session").1.clone()
    }

    fn told(&self) -> Vec<&'static str> {
        self.lines.lock().unwrap().iter().map(|(what, _)| *what).collect()
    }
}

impl Ledger for Book {
    fn started(&self, holds: Value) -> Result<(), Fault> {
        self.lines.lock().unwrap().push(("started", holds));
        Ok(())
    }

    fn sealed(&self, _: &str, _: &str) -> Result<(), Fault> {
        Ok(())
    }

    fn intent(&self, proof: Value) -> Result<(), Fault> {
        self.lines.lock().unwrap().push(("intent", proof));
        if let Some(path) = &self.not_yet {
            assert!(!path.exists(), "the command began before its intent was written");
        }
        if self.refuse { Err(Fault::fatal("journal", "the disk is full")) } else { Ok(()) }
    }
}

fn command(run: &[&str]) -> CommandRun {
    let run = run.iter().map(|word| (*word).to_owned()).collect();
    CommandRun { run, cwd: None, env: BTreeMap::new(), ssh: None, ok: Vec::new() }
}

fn action(class: Recovery, request: &CommandRun) -> Action {
    Action::change(CommandRun::WORD, request, "a command", class, vec![Resource::world()])
}

fn ticket() -> Ticket {
    let key = ActionKey { step: "move".into(), phase: Phase::Perform, lane: String::new(), seq: 3 };
    Ticket { run: Some(RunId::new("drill", 7)), origin: Origin::default(), key, attempt: 2 }
}

/// Waits until something is so, or fails after twenty seconds.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(120), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The process ids that a command wrote into a file, once there are `count`.
async fn pids(path: &Path, count: usize) -> Vec<u32> {
    let read = || -> Vec<u32> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().filter_map(|line| line.trim().parse().ok()).collect()
    };
    until("the command wrote its process ids", || read().len() >= count).await;
    read()
}

/// Whether a process is at work: neither gone nor dead and uncollected.
fn alive(pid: u32) -> bool {
    crate::support::alive(pid.cast_signed())
}

fn kill(signal: &str, pid: u32) {
    let done = std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(done.success());
}

/// A shell line that leaves a tree behind: a child, one that ignores SIGTERM, one in a group of its own, one that is stopped.
fn tree(pids: &Path) -> String {
    let file = pids.display();
    format!(
        "set -m; echo $$ >> {file}; \
         sh -c 'echo $$ >> {file}; exec sleep 1000' & \
         sh -c 'trap \"\" TERM; echo $$ >> {file}; while :; do sleep 1000; done' & \
         sh -c 'echo $$ >> {file}; kill -STOP $$; sleep 1000' & \
         wait"
    )
}
