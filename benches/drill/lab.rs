//! A project on a lab of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::program::{self, Ran};

/// A running lab. Dropping it takes it down.
pub struct Lab {
    folder: TempDir,
    variables: BTreeMap<String, String>,
}

const PROJECT: &str = r#"
[targets.source]
url = "${LAB_SOURCE_URL}"
[targets.server]
url = "${LAB_SCRATCH_URL}"
[targets.copy]
url = "${COPY_URL}"

[runbooks.restore-drill]
source = "source"
server = "server"
fresh = ["public.issues.created_at"]
[runbooks.contents]
left = "source"
right = "copy"
[runbooks.counts]
left = "source"
right = "copy"
"#;

impl Lab {
    /// Brings a lab with so many rows up.
    pub fn up(tmp: &Path, rows: u64) -> Self {
        let folder = tempfile::Builder::new().prefix("drill-").tempdir_in(tmp).expect("a folder");
        eprintln!("a lab of {rows} rows …");
        let mut lab = Self { folder, variables: BTreeMap::new() };
        let output = lab.command(&["lab", "up", "--rows", &rows.to_string()]).output().expect("the program starts");
        assert!(output.status.success(), "lab up: {}", String::from_utf8_lossy(&output.stderr));
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let pair = line.strip_prefix("export ").and_then(|line| line.split_once('='));
            lab.variables.extend(pair.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())));
        }
        let (before, _) = lab.scratch().rsplit_once('/').expect("a URL");
        let copy = format!("{before}/copy");
        lab.variables.insert("COPY_URL".into(), copy);
        lab.write("runsheet.toml", PROJECT);
        lab
    }

    /// Its folder.
    pub fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Writes a file of the project.
    pub fn write(&self, path: &str, text: &str) {
        let file = self.folder.path().join(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("the folder");
        std::fs::write(file, text).expect("the file");
    }

    /// URL of the source.
    pub fn source(&self) -> &str {
        &self.variables["LAB_SOURCE_URL"]
    }

    /// URL of the scratch server.
    pub fn scratch(&self) -> &str {
        &self.variables["LAB_SCRATCH_URL"]
    }

    /// URL of the database into which the recipe copies.
    pub fn copy(&self) -> &str {
        &self.variables["COPY_URL"]
    }

    /// Size of the source.
    pub fn source_bytes(&self) -> u64 {
        let said = crate::recipe::psql(self.source(), "select pg_database_size(current_database())");
        said.trim_end_matches('\0').parse().expect("a number")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = program::command(self.folder.path(), args);
        command.envs(&self.variables);
        command
    }

    /// Runs the program, which must succeed.
    pub fn run(&self, args: &[&str]) -> Ran {
        let ran = program::measure(&mut self.command(args), self.folder.path());
        let said = std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default();
        assert_eq!(ran.code, 0, "runsheet {args:?}: {said}");
        ran
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.command(&["lab", "down"]).status();
    }
}
