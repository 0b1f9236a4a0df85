//! Statements that wait on the server while their engine gives up or dies: what they began is taken back, and they end first.

use std::process::Stdio;

use super::dump::application;
use super::{made, project, project_on, runbook};
use crate::support::{Cluster, Database, wait_until};

/// Keeps databases on the second server from being stamped and dropped, until it is released.
struct Lock {
    server: Database,
    holder: std::process::Child,
    name: &'static str,
}

impl Lock {
    fn take(name: &'static str) -> Self {
        let server = Cluster::second().open("postgres");
        let sql = format!(
            "begin; lock table pg_shdescription in share mode; set application_name = '{name}'; select pg_sleep(60)"
        );
        let holder = server.psql(&sql).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("psql runs");
        let lock = Self { server, holder, name };
        wait_until("the lock is held", || lock.sessions(&format!("application_name = '{name}'")) == 1);
        lock
    }

    /// How many sessions of the server these are.
    fn sessions(&self, which: &str) -> usize {
        let count = self.server.sql(&format!("select count(*) from pg_stat_activity where {which}"));
        count.parse().expect("a number")
    }

    fn release(mut self) {
        let ended = "select pg_terminate_backend(pid) from pg_stat_activity where application_name";
        self.server.sql(&format!("{ended} = '{}'", self.name));
        self.holder.wait().expect("psql ends");
    }
}

const SCRATCH: &str = r#"step("scratch", || pg::scratch(params.server)).cleanup(|made| pg::drop_scratch(made));"#;

#[test]
fn a_scratch_database_that_could_not_be_stamped_is_dropped_and_made_anew() {
    let server = Cluster::second().open("postgres");
    let impatient =
        Database { url: format!("{}?options=-c%20lock_timeout%3D300ms", server.url), name: server.name.clone() };
    let project = project_on(&Cluster::shared().database("unstamped"), &impatient);
    runbook(&project, "unstamped", SCRATCH);
    let lock = Lock::take("unstamped");
    let mut run = project.command(&["run", "unstamped"]).stderr(Stdio::null()).spawn().expect("it starts");
    wait_until("it is dropped again", || {
        lock.sessions("query like 'DROP DATABASE%unstamped%' and wait_event_type = 'Lock'") == 1
    });
    lock.release();
    assert_eq!(run.wait().expect("it ends").code(), Some(0));
    assert!(made("_unstamped_").is_empty());
}

#[test]
fn the_session_of_a_killed_engine_is_ended_before_its_restore_is_done_again() {
    let project = project(&application("outlived"));
    let steps = format!(
        r#"
        step("dump", || pg::dump(params.app)).cleanup(|made| pg::drop_dump(made));
        {SCRATCH}
        step("pause", || command::run(["sh", "-c", "touch ready; while [ ! -e go ]; do sleep 0.02; done"], #{{ repeatable: true }}));
        step("restore", || pg::restore(done.scratch, done.dump));
        "#
    );
    runbook(&project, "outlived", &steps);
    let mut run = project.command(&["run", "outlived"]).stderr(Stdio::null()).spawn().expect("it starts");
    wait_until("it pauses", || project.path().join("ready").exists());
    let lock = Lock::take("outlived");
    project.file("go", "");
    let first = "application_name like 'runsheet outlived-1 restore#1 a1%'";
    wait_until("the engine's session waits", || lock.sessions(&format!("{first} and wait_event_type = 'Lock'")) == 1);
    run.kill().expect("a kill");
    run.wait().expect("it ends");
    assert_eq!(lock.sessions(first), 1, "the session lives on");
    let mut again = project.command(&["resume"]).stderr(Stdio::null()).spawn().expect("it starts");
    wait_until("the session is ended", || lock.sessions(first) == 0);
    lock.release();
    assert_eq!(again.wait().expect("it ends").code(), Some(0));
    assert!(made("_outlived_").is_empty());
}
