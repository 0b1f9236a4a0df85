//! A project that rotates a pair of roles of any server, as its own consumer.

use crate::program::project::Project;
use crate::support::{Database, Said};

/// The password that the first of the pair begins with.
pub const FIRST: &str = "first-password-4f1d";

/// The project, with a key. Its `.env` holds today's login as `APP_URL`, and follows.
pub struct Pair {
    /// The project.
    pub project: Project,
    /// Both roles.
    pub roles: [String; 2],
}

impl Pair {
    /// Two members of an owner made in a database; the first is in use.
    pub fn of(database: &Database) -> [String; 2] {
        let [owner, one, two] = ["own", "a", "b"].map(|name| format!("{}_{name}", database.name));
        database.sql(&format!(
            "create role {owner}; create role {one} login password '{FIRST}' in role {owner}; \
             create role {two} nologin in role {owner}; create table orders (id int); alter table orders owner to {owner}"
        ));
        [one, two]
    }

    /// A project for this administrator and today's URL, with more lines for its `runsheet.toml`.
    pub fn new(roles: [String; 2], admin: &str, today: &str, app: &str, more: &str) -> Self {
        let project = Project::with_url("");
        let [one, two] = &roles;
        let toml = format!(
            "[targets.admin]\nurl = '{admin}'\n[targets.app]\nurl = '${{APP_URL}}'\n{app}\n\
             [[consumers]]\nkind = 'env-file'\nname = 'here'\npath = '.env'\nvariables = {{ APP_URL = 'pooled' }}\n{more}\n\
             [runbooks.credential-rotation]\ntarget = 'admin'\napp = 'app'\nrole = '{one}'\ntwin = '{two}'\n"
        );
        project.file("runsheet.toml", &toml);
        project.file(".env", &format!("APP_URL='{today}'\n"));
        project.run(&["key", "new", "ops.key"]).with_code(0);
        Self { project, roles }
    }

    /// Runs the program with the key.
    pub fn run(&self, args: &[&str]) -> Said {
        self.run_with("USER", "tester", args)
    }

    /// The same with one more variable.
    pub fn run_with(&self, name: &str, value: &str, args: &[&str]) -> Said {
        let key = self.project.path().join("ops.key");
        self.project.command(args).env("RUNSHEET_KEY_FILE", key).env(name, value).output().expect("it runs").into()
    }

    /// Rotates without waiting for what is not there.
    pub fn rotate(&self, more: &[&str]) -> Said {
        self.run(&[&["run", "credential-rotation", "grace=1s", "apart=0s"], more].concat())
    }

    /// What a file of the project sets a variable to.
    pub fn told(&self, file: &str, name: &str) -> String {
        let text = std::fs::read_to_string(self.project.path().join(file)).expect("the file");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.expect("the variable").trim_matches('\'').to_owned()
    }

    /// Today's login, as the project's own `.env` says it.
    pub fn today(&self) -> Database {
        Database { name: "today".into(), url: self.told(".env", "APP_URL") }
    }
}

/// A URL with another login.
pub fn as_login(url: &str, role: &str, password: &str) -> String {
    let (_, place) = url.split_once('@').expect("a user");
    format!("postgresql://{role}:{password}@{place}")
}
