//! Projects with generated runbooks, and the program run in them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use runsheet::journal::sqlite::SqliteJournal;
use runsheet::journal::store::Journal;
use tempfile::TempDir;

use crate::program::{self, Ran};

/// A project in a folder of its own.
pub struct Project {
    folder: TempDir,
    url: Option<String>,
}

impl Project {
    /// A project, with the target `app` if there is a database. It lies on the disk of the bare loop.
    pub fn new(tmp: &Path, url: Option<&str>) -> Self {
        let folder = tempfile::tempdir_in(tmp).expect("a folder");
        let project = Self { folder, url: url.map(str::to_owned) };
        project
            .write("runsheet.toml", url.map_or("", |_| "[targets.app]\nurl = \"${DATABASE_URL}\"\nlabel = \"app\"\n"));
        project
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) {
        let file = self.folder.path().join(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("the folder");
        std::fs::write(file, text).expect("the file");
    }

    /// Writes a runbook with these steps.
    pub fn runbook(&self, name: &str, steps: &str) {
        let params = self.url.as_ref().map_or("", |_| "app: target(\"the database\", #{ or: \"app\" })");
        let head = format!("runbook(\"{name}\", \"1.0.0\", #{{ about: \"a ratio\", params: #{{ {params} }} }});\n");
        self.write(&format!("runbooks/{name}.rhai"), &format!("{head}{steps}"));
    }

    /// The same project, journal and all, in another folder.
    pub fn copy(&self, tmp: &Path) -> Self {
        let folder = tempfile::tempdir_in(tmp).expect("a folder");
        let all = self.folder.path().join(".");
        let copied = Command::new("cp").arg("-a").arg(all).arg(folder.path()).status();
        assert!(copied.is_ok_and(|status| status.success()), "the project cannot be copied");
        // What was written must not be on its way to the disk while something is measured.
        rustix::fs::sync();
        Self { folder, url: self.url.clone() }
    }

    /// How many entries a run has.
    pub fn entries(&self, run: &str) -> u64 {
        let journal =
            SqliteJournal::open(&self.folder.path().join(".runsheet/journal.db"), "bench").expect("a journal");
        journal.story(&run.parse().expect("a run id")).expect("the story").last().map_or(0, |entry| entry.n)
    }

    /// Runs the program, which must succeed.
    pub fn run(&self, args: &[&str]) -> Ran {
        let ran = self.attempt(args);
        assert_eq!(ran.code, 0, "runsheet {args:?}: {}", self.said());
        ran
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// Runs the program, whatever comes of it.
    pub fn attempt(&self, args: &[&str]) -> Ran {
        let mut command = program::command(self.folder.path(), args);
        command.envs(self.url.iter().map(|url| ("DATABASE_URL", url)));
        program::measure(&mut command, self.folder.path())
    }
}

/// Steps that do nothing but answer.
pub fn trivial_steps(steps: usize) -> String {
    (1..=steps).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "step(\"s{n}\", || {n});");
        text
    })
}

/// A loop of so many actions: of each fifty, one change of the database, one read of it, 24 looks at the clock and
/// 24 lines of log. A change leaves three entries in the journal, the others one.
fn actions(count: usize) -> String {
    let body = r#"sql::exec(params.app, "insert into trace values ({{ n }})", #{ n: i }); sql::value(params.app, "select {{ n }}", #{ n: i });"#;
    let light = "for j in 0..24 { now(); log::info(`item ${i}.${j}`); }";
    format!("for i in 0..{} {{ {body} {light} }}", count / 50)
}

/// One step that stops behind its actions until somebody approves.
pub fn one_long_step(count: usize) -> String {
    format!("step(\"long\", || {{ {} flow::approve(\"go on?\"); }});\n", actions(count))
}

/// One step that fails behind its actions until there is a file `go-on`.
pub fn one_failed_step(count: usize) -> String {
    format!(
        "step(\"long\", || {{ {} command::run([\"test\", \"-e\", \"go-on\"], #{{ repeatable: true }}); }});\n",
        actions(count)
    )
}

/// Steps that are done, and one behind them that waits for an approval.
pub fn many_steps_of_actions(steps: usize, each: usize) -> String {
    let mut text = (1..=steps).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "step(\"s{n}\", || {{ {} {n} }});", actions(each));
        text
    });
    text.push_str("step(\"last\", || flow::approve(\"go on?\"));\n");
    text
}

/// Steps that read, and behind them steps that change: what is read behind a change would not be read really.
pub fn steps_of_sql(steps: usize) -> String {
    (1..=steps).fold(String::new(), |mut text, n| {
        let _ = if n <= steps / 2 {
            writeln!(text, "step(\"s{n}\", || sql::value(params.app, \"select count(*) from orders where id > {n}\"));")
        } else {
            writeln!(text, "step(\"s{n}\", || sql::exec(params.app, \"insert into audit values ({n}, 'x')\"));")
        };
        text
    })
}

/// Steps that run a command.
pub fn steps_of_commands(steps: usize) -> String {
    (1..=steps).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "step(\"s{n}\", || command::run([\"true\", \"{n}\"]));");
        text
    })
}
