//! A project in a folder of its own, and the program run in it with nothing of the surroundings.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use runsheet::journal::entry::Entry;
use runsheet::journal::sqlite::SqliteJournal;
use runsheet::journal::store::Journal;
use tempfile::TempDir;

use crate::support::Database;
pub use crate::support::Said;

/// A project with one target, `app`.
pub struct Project {
    folder: TempDir,
    url: String,
}

impl Project {
    /// A project whose target `app` is this database.
    pub fn on(database: &Database) -> Self {
        Self::with_url(&database.url)
    }

    /// A project whose target `app` has this URL.
    pub fn with_url(url: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("runsheet-project-").tempdir().expect("a folder");
        let project = Self { folder, url: url.to_owned() };
        project.file("runsheet.toml", "[targets.app]\nurl = \"${DATABASE_URL}\"\nlabel = \"app\"\n");
        project
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file.
    pub fn file(&self, path: &str, text: &str) -> PathBuf {
        let file = self.path().join(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("the folder");
        std::fs::write(&file, text).expect("the file");
        file
    }

    /// Writes a runbook with these steps and the parameter `app`.
    pub fn runbook(&self, name: &str, steps: &str) {
        let head = format!(
            "runbook(\"{name}\", \"1.0.0\", #{{ about: \"a test\", params: #{{ app: target(\"the database\", #{{ or: \"app\" }}) }} }});\n"
        );
        self.file(&format!("runbooks/{name}.rhai"), &format!("{head}{steps}\n"));
    }

    /// The program with these arguments, its environment empty but for what a login gives and the database's URL.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runsheet"));
        command.args(args).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path()).env("USER", "tester").env("DATABASE_URL", &self.url);
        command
    }

    /// Runs the program.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Said {
        self.command(args).output().expect("the program runs").into()
    }

    /// Runs the program with a variable set.
    pub fn run_with(&self, name: &str, value: &str, args: &[&str]) -> Said {
        self.command(args).env(name, value).output().expect("the program runs").into()
    }

    /// Every entry of a run.
    pub fn entries(&self, run: &str) -> Vec<Entry> {
        let journal = SqliteJournal::open(&self.path().join(".runsheet/journal.db"), "test").expect("the journal");
        let raw = journal.raw(&run.parse().expect("a run id"), 0, 1_000_000).expect("the entries");
        raw.iter().map(|entry| serde_json::from_str(&entry.text).expect("an entry")).collect()
    }
}
