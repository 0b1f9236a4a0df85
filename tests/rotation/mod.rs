//! Whole rotations of a credential, on the lab's world: a pooler, consumers, and a client that logs in anew all the while.

mod attacks;
mod back;
mod judging;
mod kills;
mod many;
mod neon;
mod pair;
mod paths;
mod people;
mod secrets;
mod single;
mod trials;
mod whole;

use std::process::{Child, Stdio};

use crate::support::rotation::Rotation;
use crate::support::{Database, Said, wait_until};

/// A rotation without patience.
const RUN: [&str; 4] = ["run", "credential-rotation", "grace=1s", "apart=0s"];

/// A consumer that notes whom it was told of in `told.txt`, and says no as long as there is no file of that name.
fn consumer(name: &str, fine: &str) -> String {
    format!(
        "\n[[consumers]]\nkind = \"command\"\nname = \"{name}\"\nrepeatable = true\nvariables = [\"DATABASE_URL\"]\n\
         run = [\"sh\", \"-c\", \"echo {name} $RUNSHEET_TARGET >> told.txt; test -e {fine}\"]\n"
    )
}

/// Adds lines to the project's `runsheet.toml`.
fn add(world: &Rotation, lines: &str) {
    write(world, "runsheet.toml", &(world.file("runsheet.toml") + lines));
}

fn write(world: &Rotation, name: &str, text: &str) {
    std::fs::write(world.lab().path().join(name), text).expect("a file of the project");
}

/// Has something else lead where a target of the project leads.
fn lead(world: &Rotation, from: &Database, to: &Database) {
    write(world, "runsheet.toml", &world.file("runsheet.toml").replacen(&from.url, &to.url, 1));
}

/// Everything that a rotation may change: both roles with their verifiers, the user list, and what consumers were told.
fn state(world: &Rotation) -> String {
    let roles = "select rolname, rolcanlogin, rolpassword, shobj_description(oid, 'pg_authid') from pg_authid where rolname ~ '^app_' order by 1";
    let files = ["users.txt", ".env", "web.env", "worker.env"].map(|name| world.file(name));
    format!("{}\n{}", world.admin().sql(roles), files.join("\n"))
}

/// Runs a rotation with these parameters besides.
fn run(world: &Rotation, args: &[&str]) -> Said {
    world.run(&[&RUN[..], args].concat())
}

/// A URL of a variable in a file of the world.
fn url(world: &Rotation, file: &str, variable: &str) -> Database {
    let text = world.file(file);
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{variable}="))).expect("the variable");
    Database { name: "app".to_owned(), url: line.trim_matches(['\'', '"']).to_owned() }
}

/// Somebody who is logged in and stays, until it is dropped.
struct Stayer {
    session: Child,
    admin: Database,
}

impl Stayer {
    /// Logged in once this returns.
    fn new(world: &Rotation, database: &Database) -> Self {
        let mut psql = database.psql("select pg_sleep(600)");
        let child = psql.env("PGAPPNAME", "stayer").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("psql");
        let there = "select count(*) from pg_stat_activity where query like 'select pg_sleep(600)%'";
        wait_until("it is logged in", || world.admin().sql(there) != "0");
        Self { session: child, admin: world.admin() }
    }

    fn ended(&mut self) -> bool {
        self.session.try_wait().expect("its state").is_some()
    }
}

impl Drop for Stayer {
    fn drop(&mut self) {
        let _ = self.session.kill();
        let _ = self.session.wait();
        // Asleep, its server process does not notice.
        self.admin.sql(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where query like 'select pg_sleep(600)%'",
        );
    }
}
