//! Killed at any instant, a copy is carried on or given up, and nothing of it is left: no database, no dump, no process.

use super::dump::{application, dumps};
use super::{made, project, runbook};
use crate::program::project::Project;
use crate::support::{Cluster, Database, wait_until};

const STEPS: &str = r#"
step("dump", || pg::dump(params.app, #{ jobs: 2, compress: "none" })).cleanup(|made| pg::drop_dump(made));
step("scratch", || pg::scratch(params.server, #{ like: params.app })).cleanup(|made| pg::drop_scratch(made));
step("restore", || pg::restore(done.scratch, done.dump, #{ jobs: 2 }));
step("verify", || gate::that("rows", sql::value(done.scratch, "select count(*) from issues") == 300, ""));
"#;

#[track_caller]
fn nothing_is_left(project: &Project, name: &str, context: &str) {
    let made = made(&format!("_{name}_"));
    assert!(made.is_empty(), "{context}: {made:?}");
    let left: Vec<_> =
        dumps(project).into_iter().filter(|path| path.extension().is_some_and(|end| end == "dat")).collect();
    assert!(left.is_empty(), "{context}: {left:?}");
}

/// Kills runs around each of their journal writes in turn, and then does `go_on` with what is left.
fn kill_around_every_write(name: &str, when: &str, go_on: &[&str]) {
    let project = project(&application(name));
    runbook(&project, name, STEPS);
    for write in 1.. {
        let context = format!("killed {when} write {write}, then {go_on:?}");
        let first = project.run_with("RUNSHEET_CRASH", &format!("{when}:{write}"), &["run", name]);
        if first.code == 0 {
            assert!(write > 20, "a run has more writes than {write}");
            nothing_is_left(&project, name, &context);
            project.run(&["audit", "verify"]).with_code(0);
            break;
        }
        assert_eq!(first.code, -1, "{context}: {}", first.err);
        let unfinished = !project.run(&["status", "--json"]).json()["unfinished"][0].is_null();
        if unfinished {
            let again = project.run(go_on);
            assert_eq!(again.code, 0, "{context}: {}", again.err);
        }
        nothing_is_left(&project, name, &context);
    }
}

#[test]
fn a_copy_killed_after_each_of_its_journal_writes_is_carried_on() {
    kill_around_every_write("carried_on", "after", &["resume"]);
}

#[test]
fn a_copy_killed_before_each_of_its_journal_writes_is_given_up_without_a_trace() {
    kill_around_every_write("given_up", "before", &["abandon", "--why", "a test"]);
}

/// A server session of a program, by what the program calls itself.
fn sessions(server: &Database, part: &str) -> String {
    server.sql(&format!("select count(*) from pg_stat_activity where application_name like 'runsheet %{part}%'"))
}

#[test]
fn programs_that_outlive_their_engine_and_its_supervisor_are_ended_before_anything_is_done_again() {
    let app = application("orphans");
    // An index that takes its time keeps the first attempt at work, and only that.
    app.sql(
        "create function slow(n int) returns int immutable language plpgsql as $$ begin
           if current_setting('application_name') like 'runsheet orphans-1 restore#1 a1%' then perform pg_sleep(0.1); end if; return n;
         end $$; create index slow on issues (slow(id))",
    );
    let project = project(&app);
    runbook(&project, "orphans", STEPS);
    let mut child =
        project.command(&["run", "orphans"]).stderr(std::process::Stdio::null()).spawn().expect("it starts");
    let server = Cluster::second().open("postgres");
    // The engine's own session is called alike, before anything is restored.
    let indexing = "select count(*) from pg_stat_activity where query like 'CREATE INDEX slow%' and application_name like '%orphans-1 restore#1%'";
    wait_until("the restore is at work", || server.sql(indexing) != "0");
    // The supervisor first: nobody ends the program with it.
    let restoring = children(child.id());
    for pid in &restoring {
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_raw(*pid).expect("a pid"),
            rustix::process::Signal::KILL,
        );
    }
    child.kill().expect("the engine is killed");
    let _ = child.wait();
    assert!(!restoring.is_empty(), "there was a supervisor");
    let again = project.run(&["resume"]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(sessions(&server, "orphans-1 restore#1"), "0");
    nothing_is_left(&project, "orphans", "resumed");
    assert!(dumps(&project).is_empty(), "what the first attempt said is of no use any more");
    assert_eq!(
        Cluster::shared()
            .open("postgres")
            .sql("select count(*) from pg_stat_activity where application_name like 'runsheet orphans-1 dump%'"),
        "0"
    );
}

/// Direct children of a process.
fn children(of: u32) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if parent == Some(of) {
            found.push(pid);
        }
    }
    found
}
