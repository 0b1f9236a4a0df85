//! The world of a cutover, small and fast, in a folder of its own that is also a project.
//!
//! ```ignore
//! let world = Cutover::plain();                       // without the awkward tables; `small()` has them
//! world.run(&["run", "cutover", "strategy=live"]).with_code(0);
//! assert_eq!(world.check("managed", Some("source"))["pass"], true);
//! ```

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Database, Lab, Said, wait_until};

/// A lab with both sides of a cutover, an application at work, and a `runsheet.toml`. Dropping it takes all of it down.
pub struct Cutover {
    lab: Lab,
}

impl Cutover {
    /// A small lab with all its awkward tables.
    pub fn small() -> Self {
        Self::up(&["--small"])
    }

    /// The application's four tables and nothing else.
    pub fn plain() -> Self {
        Self::up(&["--rows", "1000", "--plain"])
    }

    /// A lab made with these arguments.
    pub fn up(args: &[&str]) -> Self {
        let world = Self { lab: Lab::new() };
        world.lab.run(&[&["up", "--cutover", "--at", "2026-01-31T12:00:00Z"], args].concat()).with_code(0);
        let toml = world.text("toml");
        std::fs::write(world.lab.path().join("runsheet.toml"), toml).expect("the project");
        world
    }

    /// Its lab.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// What `lab status` says of it.
    pub fn status(&self) -> Value {
        self.lab.status()["cutover"].clone()
    }

    /// The program, run in its project.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runsheet"));
        command.args(args).current_dir(self.lab.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.lab.path());
        command
    }

    /// Runs it.
    pub fn run(&self, args: &[&str]) -> Said {
        self.command(args).output().expect("the program runs").into()
    }

    /// The self-managed side, directly.
    pub fn source(&self) -> Database {
        self.database("source_url")
    }

    /// The managed side.
    pub fn managed(&self) -> Database {
        self.database("managed_url")
    }

    /// Whatever the pooler leads the application to.
    pub fn pooled(&self) -> Database {
        self.database("pooled_url")
    }

    /// A command of the pooler's administrator.
    pub fn pooler(&self, command: &str) -> String {
        let url = self.status()["pooler"]["admin_url"].as_str().expect("a url").to_owned();
        Database { name: "pooler".to_owned(), url }.sql(command)
    }

    /// What `lab app check` finds.
    pub fn check(&self, on: &str, other: Option<&str>) -> Value {
        let mut args = vec!["app", "check", "--json", "--on", on];
        args.extend(other.into_iter().flat_map(|other| ["--other", other]));
        self.lab.run(&args).json()
    }

    /// Transactions that were acknowledged to the application.
    pub fn acknowledged(&self) -> u64 {
        self.status()["app"]["acknowledged"].as_u64().expect("a number")
    }

    /// Waits until so many more were.
    pub fn writes(&self, more: u64) {
        let begun = self.acknowledged();
        wait_until("the application writes", || self.acknowledged() >= begun + more);
    }

    /// Kills the pooler, the application, or a server (`source`, `scratch`); a server as a power loss would.
    pub fn kill(&self, what: &str) {
        self.lab.kill("cutover", what);
    }

    /// Starts servers and pooler again, as far as they are gone; the application stays as it is.
    pub fn revive(&self) {
        self.lab.run(&["up"]).with_code(0);
    }

    fn database(&self, which: &str) -> Database {
        let url = self.text(which);
        Database { name: url.rsplit('/').next().unwrap_or_default().to_owned(), url }
    }

    fn text(&self, which: &str) -> String {
        self.status()[which].as_str().expect("a text").to_owned()
    }
}
