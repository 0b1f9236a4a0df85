//! A lab as people bring it up, gone when the test process is gone.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{Database, Said};

/// A folder of its own for `runsheet lab`. Dropping it takes the lab down; so does the death of this process.
pub struct Lab {
    folder: TempDir,
    _watchdog: Child,
}

impl Lab {
    /// An empty folder; nothing is up.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("runsheet-lab-").tempdir().expect("a folder");
        // Its standard input ends with this process, however that dies.
        let script = r#"cat >/dev/null; cd "$1" 2>/dev/null && "$0" lab down; rm -rf "$1""#;
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", script, env!("CARGO_BIN_EXE_runsheet")]).arg(folder.path());
        watchdog.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { folder, _watchdog: watchdog.spawn().expect("sh runs") }
    }

    /// A small lab that is up, its recent rows counted back from a fixed time.
    pub fn small() -> Self {
        let lab = Self::new();
        lab.run(&["up", "--small", "--at", "2026-01-31T12:00:00Z"]).with_code(0);
        lab
    }

    /// A small lab that is up and keeps its source's history.
    pub fn with_history() -> Self {
        let lab = Self::new();
        lab.run(&["up", "--small", "--pitr", "--at", "2026-01-31T12:00:00Z"]).with_code(0);
        lab
    }

    /// The folder that the program is run in.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file of the lab's own folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(".runsheet/lab").join(name)
    }

    /// Makes the lab's own folder, with nothing in it.
    pub fn make_folder(&self) {
        let mut folder = std::fs::DirBuilder::new();
        folder.recursive(true).mode(0o700).create(self.file("")).expect("a folder");
    }

    /// `runsheet lab` with these arguments.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runsheet"));
        command.arg("lab").args(args).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.path());
        command
    }

    /// Runs it.
    pub fn run(&self, args: &[&str]) -> Said {
        self.command(args).output().expect("the program runs").into()
    }

    /// What `lab status --json` says of a lab that is there.
    pub fn status(&self) -> Value {
        self.run(&["status", "--json"]).json()
    }

    /// The application's database, as the application's role.
    pub fn app(&self) -> Database {
        self.database("source")
    }

    /// What copies are made on, as a superuser.
    pub fn scratch(&self) -> Database {
        self.database("scratch")
    }

    /// A `runsheet.toml` whose target `app` is the application's database with its history.
    pub fn toml(&self) -> String {
        let status = self.status();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        format!(
            "[targets.app]\nurl = \"{}\"\nlabel = \"app\"\n[targets.app.recovery]\nbase = \"{}\"\nrestore_command = \"{}\"\n",
            text(&status["source"]["url"]),
            text(&status["recovery"]["base"]),
            text(&status["recovery"]["restore_command"])
        )
    }

    /// Kills a process of a world (`cutover`, `rotation`), or stops a server (`source`, `scratch`) as a power loss would.
    pub fn kill(&self, world: &str, what: &str) {
        let status = self.status();
        let (pid, signal) = match status[what]["data"].as_str() {
            None => (status[world][what]["pid"].as_i64(), Signal::KILL),
            Some(data) => {
                let file = std::fs::read_to_string(format!("{data}/postmaster.pid")).unwrap_or_default();
                (file.lines().next().and_then(|line| line.trim().parse().ok()), Signal::QUIT)
            }
        };
        if let Some(pid) = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).expect("a pid"))) {
            let _ = kill_process(pid, signal);
            // Whoever brings it up again must not take it for one that runs.
            super::wait_until("what was killed is gone", || !super::alive(pid.as_raw_nonzero().get()));
        }
    }

    fn database(&self, server: &str) -> Database {
        let url = self.status()[server]["url"].as_str().expect("a url").to_owned();
        Database { name: url.rsplit('/').next().unwrap_or_default().to_owned(), url }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.command(&["down"]).output();
    }
}
