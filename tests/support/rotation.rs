//! The world of a credential rotation, in a folder of its own that is also a project.
//!
//! ```ignore
//! let world = Rotation::up(&[]);
//! world.run(&["run", "credential-rotation"]).with_code(0);
//! assert_eq!(world.logins().1, Vec::<String>::new());     // nobody was refused meanwhile
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use runsheet::journal::entry::Entry;
use runsheet::journal::sqlite::SqliteJournal;
use runsheet::journal::store::Journal;
use serde_json::Value;

use super::{Database, Lab, Said, wait_until};

/// Where its key lies.
const KEY: &str = "ops.key";

/// A lab with both login roles, a pooler, a client that logs in anew all the while, a `runsheet.toml` and a `.env`. Dropping it
/// takes all of it down.
pub struct Rotation {
    lab: Lab,
}

/// A process, as everybody (its line) and its owner (its environment) on the machine can see it.
#[derive(Debug)]
pub struct Seen {
    /// Its id.
    pub pid: i32,
    /// Program and arguments, with blanks between them.
    pub line: String,
    /// Its environment, `NAME=value` with blanks between them.
    pub environment: String,
}

impl Rotation {
    /// A small lab without awkward tables, made with these arguments besides.
    pub fn up(args: &[&str]) -> Self {
        let world = Self { lab: Lab::new() };
        world.lab.run(&[&["up", "--rotation", "--rows", "1000", "--plain"], args].concat()).with_code(0);
        for (word, file) in [("toml", "runsheet.toml"), ("env", ".env")] {
            let text = world.lab.run(&[word]).with_code(0).out;
            std::fs::write(world.lab.path().join(file), text).expect("the project");
        }
        world.run(&["key", "new", KEY]).with_code(0);
        world
    }

    /// Its lab.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// What `lab status` says of it.
    pub fn status(&self) -> Value {
        self.lab.status()["rotation"].clone()
    }

    /// The program, run in its project, with the key that seals.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runsheet"));
        command.args(args).current_dir(self.lab.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.lab.path());
        command.env("RUNSHEET_KEY_FILE", self.lab.path().join(KEY));
        command
    }

    /// Runs it.
    pub fn run(&self, args: &[&str]) -> Said {
        self.command(args).output().expect("the program runs").into()
    }

    /// Adds lines to the `runsheet.toml`, before the runbooks' own.
    pub fn configure(&self, more: &str) {
        let path = self.lab.path().join("runsheet.toml");
        let text = std::fs::read_to_string(&path).expect("the project");
        let at = text.find("[runbooks.").unwrap_or(text.len());
        std::fs::write(&path, format!("{}{more}{}", &text[..at], &text[at..])).expect("the project");
    }

    /// Every entry of a run.
    pub fn entries(&self, run: &str) -> Vec<Entry> {
        let journal = SqliteJournal::open(&self.lab.path().join(".runsheet/journal.db"), "test").expect("the journal");
        let raw = journal.raw(&run.parse().expect("a run id"), 0, 1_000_000).expect("the entries");
        raw.iter().map(|entry| serde_json::from_str(&entry.text).expect("an entry")).collect()
    }

    /// The application's database, as who may change roles.
    pub fn admin(&self) -> Database {
        Database { name: "app".to_owned(), url: self.text("admin_url") }
    }

    /// The same, as today's login through the pooler.
    pub fn pooled(&self) -> Database {
        Database { name: "app".to_owned(), url: self.text("pooled_url") }
    }

    /// The application's database by today's login, directly.
    pub fn direct(&self) -> Database {
        Database { name: "app".to_owned(), url: self.text("direct_url") }
    }

    /// A command of the pooler's administrator.
    pub fn pooler(&self, command: &str) -> String {
        let url = self.status()["pooler"]["admin_url"].as_str().expect("a url").to_owned();
        Database { name: "pooler".to_owned(), url }.sql(command)
    }

    /// What a file of the world holds: `web.env`, `worker.env` or `logins.log` of the lab, `users.txt` or `pgbouncer.ini` of the
    /// pooler, and otherwise one of the project, such as `.env`.
    pub fn file(&self, name: &str) -> String {
        let path = match name {
            "users.txt" => self.status()["pooler"]["auth_file"].as_str().expect("a path").into(),
            "pgbouncer.ini" => self.status()["pooler"]["config"].as_str().expect("a path").into(),
            name if self.lab.file(name).exists() => self.lab.file(name),
            name => self.lab.path().join(name),
        };
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// How many logins the client tried, and the lines of those that failed.
    pub fn logins(&self) -> (usize, Vec<String>) {
        let lines = self.lines();
        let failed = lines.iter().filter(|line| !line.ends_with(" ok")).cloned().collect();
        (lines.len(), failed)
    }

    /// Waits until the client tried so many more.
    pub fn attempts_more(&self, more: usize) {
        let begun = self.lines().len();
        wait_until("the client logs in", || self.lines().len() >= begun + more);
    }

    /// Whom the server took the newest login for that it let in.
    pub fn last_role(&self) -> String {
        let lines = self.lines();
        let newest = lines.iter().rfind(|line| line.ends_with(" ok")).expect("a login");
        newest.split(' ').nth(2).expect("a role").to_owned()
    }

    /// The login that the application is told today.
    pub fn current(&self) -> &'static str {
        let told = self.file("web.env");
        let named: Vec<_> =
            ["app_a", "app_b"].into_iter().filter(|role| told.contains(&format!("//{role}:"))).collect();
        assert_eq!(named.len(), 1, "web.env names one of both: {named:?}");
        named[0]
    }

    /// Kills the `pooler`, the `client`, or a server (`source`, `scratch`), which is stopped as a power loss would.
    pub fn kill(&self, what: &str) {
        self.lab.kill("rotation", what);
    }

    /// Gives the pooler another user list. It takes the place of the one before: written into it, of the same size and within the
    /// same second, it would not be read again.
    pub fn users(&self, text: &str) {
        let list = self.status()["pooler"]["auth_file"].as_str().expect("a path").to_owned();
        std::fs::write(format!("{list}.other"), text).expect("the users");
        std::fs::rename(format!("{list}.other"), &list).expect("the users");
        self.pooler("reload");
    }

    /// Starts everything again that is gone.
    pub fn revive(&self) {
        self.lab.run(&["up"]).with_code(0);
    }

    /// Everything that the source has logged, which is every statement that it was told.
    pub fn server_log(&self) -> String {
        self.file("source.log")
    }

    /// Every living process of this world: those that name its folders, and whatever they started.
    pub fn process_list(&self) -> Vec<Seen> {
        let servers = self.text("server_log").replace("source.log", "");
        let config = self.status()["pooler"]["config"].as_str().expect("a path").replace("pooler/pgbouncer.ini", "");
        let folders = [self.lab.path().display().to_string(), servers, config];
        let mut parents = BTreeMap::new();
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            let text = |name: &str| {
                let bytes = std::fs::read(entry.path().join(name)).unwrap_or_default();
                String::from_utf8_lossy(&bytes).replace('\0', " ")
            };
            // Behind the program's name, which may hold anything, come the state and the parent.
            let parent = text("stat").rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
            parents.insert(pid, parent.unwrap_or(0));
            all.insert(pid, Seen { pid, line: text("cmdline"), environment: text("environ") });
        }
        let names = |seen: &Seen| folders.iter().any(|it| seen.line.contains(it) || seen.environment.contains(it));
        let mut ours: BTreeSet<i32> = all.values().filter(|seen| names(seen)).map(|seen| seen.pid).collect();
        loop {
            let more: Vec<i32> = parents
                .iter()
                .filter(|(pid, of)| ours.contains(of) && !ours.contains(pid))
                .map(|(pid, _)| *pid)
                .collect();
            if more.is_empty() {
                return all.into_values().filter(|seen| ours.contains(&seen.pid)).collect();
            }
            ours.extend(more);
        }
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.lab.file("logins.log")).unwrap_or_default();
        text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
    }

    /// A text of what `lab status` says of it, such as where `web` or `worker` lies.
    pub fn text(&self, which: &str) -> String {
        self.status()[which].as_str().expect("a text").to_owned()
    }
}
