//! A project in a folder of its own, and the program run in it with nothing of the surroundings.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use runsheet::journal::entry::Entry;
use runsheet::journal::sqlite::SqliteJournal;
use runsheet::journal::store::Journal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::Database;

/// A project with one target, `app`.
pub struct Project {
    folder: TempDir,
    url: String,
}

/// What the program said and how it ended.
pub struct Said {
    /// Exit code; -1 when it was killed.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// The same, after making sure of the exit code.
    #[track_caller]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// The same, after making sure that stderr has this.
    #[track_caller]
    pub fn saying(self, text: &str) -> Self {
        assert!(self.err.contains(text), "`{text}` is not in stderr:\n{}", self.err);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
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
