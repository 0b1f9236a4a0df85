//! What an enemy of the engine tries: failures upon failures, kills on the way back, holds that break, locks that are lost.

use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::project::{Project, Said};
use crate::support::{Cluster, Database, wait_until};

fn world(tables: &str) -> (Database, Project) {
    let database = Cluster::shared().database("attack");
    database.sql(tables);
    let project = Project::on(&database);
    (database, project)
}

fn start(project: &Project, args: &[&str]) -> Child {
    project.command(args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts")
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().cast_signed()).expect("a pid"), signal).expect("it is signalled");
}

fn ended(child: Child) -> Said {
    Said::from(child.wait_with_output().expect("it ends"))
}

/// Reads, changes, fails where the table `broken` says so, in the main lane and in lanes, and catches one failure.
const STUMBLING: &str = r#"
fn stumble(at) {
    let broken = sql::value(params.app, "select count(*) from broken where at = {{ at }}", #{ at: at });
    sql::exec(params.app, "insert into done (at) select {{ at }} where 1 / (1 - {{ broken }}) = 1", #{ at: at, broken: broken }, #{ rows: 1 });
}
step("main", || {
    stumble("a");
    try { sql::exec(params.app, "insert into nowhere values (1)") } catch (error) { log::info(error.code) }
    stumble("b");
    stumble("c");
});
step("lanes", || {
    flow::each(["x", "y"], |lane| {
        stumble(`${lane}1`);
        stumble(`${lane}2`);
    });
    stumble("z");
});
"#;

#[test]
fn a_step_that_fails_again_and_again_keeps_what_was_done_and_repeats_the_rest() {
    let (database, project) = world("create table done (at text); create table broken (at text)");
    project.runbook("stumbling", STUMBLING);
    database.sql("insert into broken values ('a'), ('b'), ('c'), ('x2'), ('y1'), ('z')");
    project.run(&["run", "stumbling"]).with_code(1);
    for at in ["a", "b", "c", "x2", "y1", "z"] {
        project.run(&["resume"]).with_code(1).saying("division by zero");
        project.run(&["resume"]).with_code(1).saying("division by zero");
        database.sql(&format!("delete from broken where at = '{at}'"));
    }
    project.run(&["resume"]).with_code(0);
    assert_eq!(database.sql("select string_agg(at, ',' order by at) from done"), "a,b,c,x1,x2,y1,y2,z");
    project.run(&["audit", "verify"]).with_code(0);
}

#[test]
fn a_resume_after_a_failure_killed_at_every_write_carries_on_exactly() {
    let (database, project) = world("create table done (at text); create table broken (at text)");
    project.runbook("stumbling", STUMBLING);
    for write in 1.. {
        database.sql("truncate done, broken; insert into broken values ('b'), ('y1')");
        project.run(&["run", "stumbling"]).with_code(1);
        database.sql("delete from broken where at = 'b'");
        let second = project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["resume"]);
        assert!(matches!(second.code, -1 | 1), "{}", second.err);
        let third = project.run_with("RUNSHEET_CRASH", &format!("before:{}", write + 2), &["resume"]);
        assert!(matches!(third.code, -1 | 1), "write {write}: {}", third.err);
        database.sql("truncate broken");
        // A step that was killed and has not failed yet still has to fail by what it read.
        let mut last = project.run(&["resume"]);
        if last.code == 1 {
            last = project.run(&["resume"]);
        }
        assert_eq!(last.code, 0, "write {write}: {}", last.err);
        let done = database.sql("select string_agg(at, ',' order by at) from done");
        assert_eq!(done, "a,b,c,x1,x2,y1,y2,z", "write {write}");
        if second.code == 1 {
            break;
        }
    }
}

/// Two steps with undo and cleanup, the second failing where `broken` says so.
const THERE_AND_BACK: &str = r#"
step("one", || { sql::exec(params.app, "insert into log values ('one')", #{}, #{ rows: 1 }); "made-one" })
    .undo(|made| sql::exec(params.app, "insert into log values ({{ made }})", #{ made: `undo-${made}` }, #{ rows: 1 }))
    .cleanup(|made| sql::exec(params.app, "insert into log values ({{ made }})", #{ made: `clean-${made}` }, #{ rows: 1 }));
step("two", || {
    sql::exec(params.app, "insert into log values ('two')", #{}, #{ rows: 1 });
    sql::exec(params.app, "insert into log select 'never' where 1 / (1 - (select count(*) from broken)) = 1", #{}, #{ rows: 1 });
})
    .undo(|made| { sql::value(params.app, "select count(*) from log"); sql::exec(params.app, "insert into log values ('undo-two')", #{}, #{ rows: 1 }) })
    .cleanup(|made| { sql::exec(params.app, "insert into log values ('clean-two')", #{}, #{ rows: 1 }); });
"#;

fn way_back(command: &[&str], expected: &str) {
    let (database, project) =
        world("create table log (what text); create table broken (n int); insert into broken values (1)");
    project.runbook("back", THERE_AND_BACK);
    for when in ["before", "after"] {
        for write in 1.. {
            database.sql("truncate log");
            project.run(&["run", "back"]).with_code(1);
            let context = format!("{command:?} killed {when} write {write}");
            let first = project.run_with("RUNSHEET_CRASH", &format!("{when}:{write}"), command);
            if first.code != 0 {
                assert_eq!(first.code, -1, "{context}: {}", first.err);
                // It goes on going back once it said so; before that it is asked again.
                let state = project.run(&["runs", "--json"]).json()[0]["state"].clone();
                if state != "undone" && state != "abandoned" {
                    let said = project.run(command);
                    assert_eq!(said.code, 0, "{context}: {}", said.err);
                }
            }
            let log = database.sql("select string_agg(what, ',' order by what) from log");
            assert_eq!(log, expected, "{context}");
            project.run(&["audit", "verify"]).with_code(0);
            if first.code == 0 {
                assert!(write > 8, "there are more writes than {write}");
                break;
            }
        }
    }
}

#[test]
fn an_undo_killed_at_every_write_takes_back_each_step_once() {
    way_back(&["undo", "--why", "a test"], "clean-made-one,clean-two,one,two,undo-made-one,undo-two");
}

#[test]
fn an_abandon_killed_at_every_write_cleans_up_once() {
    way_back(&["abandon", "--why", "a test"], "clean-made-one,clean-two,one,two");
}

#[test]
fn a_step_that_failed_twice_can_be_undone() {
    let (database, project) =
        world("create table log (what text); create table broken (n int); insert into broken values (1)");
    project.runbook("back", THERE_AND_BACK);
    project.run(&["run", "back"]).with_code(1);
    project.run(&["resume"]).with_code(1);
    project.run(&["resume"]).with_code(1);
    project.run(&["undo"]).with_code(0);
    let log = database.sql("select string_agg(what, ',' order by what) from log");
    assert_eq!(log, "clean-made-one,clean-two,one,two,undo-made-one,undo-two");
}

#[test]
fn cron_that_resumes_does_not_turn_an_interrupted_undo_around() {
    let (database, project) =
        world("create table log (what text); create table broken (n int); insert into broken values (1)");
    project.runbook("back", THERE_AND_BACK);
    project.run(&["run", "back"]).with_code(1);
    database.sql("truncate broken");
    let mut write = 1;
    while database.sql("select count(*) from log where what = 'undo-two'") == "0" {
        project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["undo"]).with_code(-1);
        write += 1;
    }
    project.run(&["run", "back", "--if-unfinished", "resume"]).with_code(0);
    assert_eq!(database.sql("select count(*) from log where what = 'never'"), "0");
    assert_eq!(project.run(&["runs", "--json"]).json()[0]["state"], "undone");
}

#[test]
fn what_was_proved_not_done_is_not_undone_but_cleaned_up() {
    let (database, project) = world("create table log (what text)");
    project.runbook(
        "single",
        r#"step("one", || sql::exec(params.app, "insert into log values ('one')", #{}, #{ rows: 1 }))
            .undo(|made| sql::exec(params.app, "delete from log where what = 'one'", #{}, #{ rows: 1 }))
            .cleanup(|made| sql::exec(params.app, "insert into log values ('clean')", #{}, #{ rows: 1 }));"#,
    );
    let mut seen = 0;
    for write in 3..12 {
        database.sql("truncate log");
        let first = project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["run", "single"]);
        let intended = project.entries(project.run(&["runs", "--json"]).json()[0]["run"].as_str().expect("a run"));
        let intended =
            intended.iter().any(|entry| matches!(&entry.record, runsheet::journal::entry::Record::Intent { .. }));
        if first.code == 0 || database.sql("select count(*) from log where what = 'clean'") == "1" {
            break;
        }
        project.run(&["undo"]).with_code(0);
        let log = database.sql("select coalesce(string_agg(what, ','), '') from log");
        assert_eq!(log, if intended { "clean" } else { "" }, "killed after write {write}");
        seen += u32::from(intended);
    }
    assert!(seen > 0, "no kill fell behind an intent");
}

#[test]
fn another_laptop_is_refused_and_not_left_with_an_unfinished_run() {
    let (database, project) = world("create table log (what text)");
    let other = Project::on(&database);
    let steps = r#"step("slow", || { flow::wait_until("30s", || sql::value(params.app, "select count(*) from log") > 0); sql::exec(params.app, "insert into log values ('x')", #{}, #{ rows: 1 }) });"#;
    project.runbook("slow", steps);
    other.runbook("slow", steps);
    let first = start(&project, &["run", "slow"]);
    wait_until("the lock", || {
        database.sql("select count(*) from pg_stat_activity where datname = current_database() and application_name like '%slow-1 lock'") == "1"
    });
    other.run(&["run", "slow"]).with_code(7).saying("slow-1 lock");
    assert_eq!(other.run(&["runs", "--json"]).json().as_array().map(Vec::len), Some(0), "a refused run is no run");
    database.sql("insert into log values ('go')");
    ended(first).with_code(0);
    other.run(&["run", "slow"]).with_code(0);
}

const HELD: &str = r#"
fn frozen(made) { sql::value(params.app, "select frozen from freezer") }
step("never", || 1).when(|| false);
step("freeze", || { sql::exec(params.app, "update freezer set frozen = true, times = times + 1", #{}, #{ rows: 1 }); "ice" })
    .hold("writes frozen", "frozen")
    .cleanup(|made| sql::exec(params.app, "update freezer set thawed = {{ made }}", #{ made: made }, #{ rows: 1 }));
step("look", || {
    gate::that("allowed", sql::value(params.app, "select allowed from freezer"), "");
    sql::value(params.app, "select times from freezer")
});
"#;

const FREEZER: &str = "create table freezer (frozen bool, times int, allowed bool, thawed text); insert into freezer values (false, 0, false, '')";

#[test]
fn a_hold_is_proved_on_resume_even_when_only_reads_are_left() {
    let (database, project) = world(FREEZER);
    project.runbook("held", HELD);
    project.run(&["run", "held"]).with_code(3);
    database.sql("update freezer set frozen = false, allowed = true");
    project.run(&["resume"]).with_code(0).saying("writes frozen");
    assert_eq!(database.sql("select times from freezer"), "2", "the step that made the hold was performed anew");
}

#[test]
fn what_a_hold_says_of_why_it_broke_is_told_and_written_down() {
    let (database, project) = world(FREEZER);
    let look = r#"sql::value(params.app, "select frozen from freezer")"#;
    let why = format!(r#"if {look} {{ true }} else {{ "the ice is gone" }}"#);
    project.runbook("held", &HELD.replacen(look, &why, 1));
    project.run(&["run", "held"]).with_code(3);
    database.sql("update freezer set frozen = false, allowed = true");
    let said = project.run(&["resume"]).with_code(0);
    said.saying("`writes frozen` no longer holds: going back to step `freeze` (the ice is gone)");
    let report = project.run(&["report", "held-1"]).out;
    assert!(report.contains("`writes frozen` no longer held (the ice is gone): step `freeze`"), "{report}");
}

#[test]
fn what_a_step_made_before_its_hold_broke_is_cleaned_up_although_the_redo_never_began() {
    let (database, project) = world(FREEZER);
    project.runbook("held", HELD);
    project.run(&["run", "held"]).with_code(3);
    database.sql("update freezer set frozen = false, allowed = true");
    let reset = |project: &Project| {
        let entries = project.entries("held-1");
        entries.iter().any(|entry| matches!(&entry.record, runsheet::journal::entry::Record::StepReset { .. }))
    };
    let mut write = 1;
    while !reset(&project) {
        project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["resume"]).with_code(-1);
        write += 1;
    }
    project.run(&["abandon", "--why", "a test"]).with_code(0);
    assert_eq!(database.sql("select times, thawed from freezer"), "1|ice");
}

#[test]
fn the_time_of_a_step_counts_every_process_that_worked_on_it() {
    let (database, project) = world("create table log (what text)");
    project.runbook(
        "long",
        r#"step("long", || { sql::exec(params.app, "insert into log select 'a' from pg_sleep(1.2)"); sql::exec(params.app, "insert into log values ('b')"); });
           step("check", || check::within("long", took.long, "1s"));"#,
    );
    let mut write = 1;
    loop {
        let said = project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["run", "long"]);
        assert_eq!(said.code, -1, "{}", said.err);
        if database.sql("select count(*) from log") == "1" {
            break;
        }
        project.run(&["abandon", "--why", "too early"]);
        database.sql("truncate log");
        write += 1;
    }
    project.run(&["resume"]).with_code(3);
}

#[test]
fn a_plan_notices_a_changed_default_constraint_trigger_and_view() {
    let (database, project) = world(
        "create table t (a int default 1, b int, constraint c check (b > 0)); create view v as select a from t; create index i on t (a)",
    );
    project.runbook(
        "planned",
        r#"step("one", || sql::exec(params.app, "insert into t (b) values (1)", #{}, #{ rows: 1 }));"#,
    );
    let changes = [
        "alter table t alter a set default 2",
        "alter table t drop constraint c, add constraint c check (b > 1)",
        "create or replace view v as select a + 1 as a from t",
        "drop index i; create index i on t (b)",
        "create function f() returns trigger language plpgsql as 'begin return null; end'; create trigger g before insert on t for each row execute function f()",
        "alter table t enable row level security",
        "create type mood as enum ('sad')",
        "alter type mood add value 'glad'",
    ];
    for change in changes {
        project.run(&["plan", "planned", "--out", "plan.json"]).with_code(0);
        database.sql(change);
        let said = project.run(&["run", "planned", "--plan", "plan.json"]);
        assert_eq!(said.code, 8, "{change}: {}", said.err);
    }
    assert_eq!(database.sql("select count(*) from t"), "0");
}

#[test]
fn a_journal_that_was_deleted_under_a_run_stops_it_before_its_next_change() {
    let (database, project) = world("create table log (n int)");
    project.runbook(
        "slow",
        r#"step("slow", || { for n in range(0, 6) { sql::exec(params.app, "insert into log select {{ n }} from pg_sleep(0.3)", #{ n: n }); } });"#,
    );
    let child = start(&project, &["run", "slow"]);
    wait_until("the first row", || database.sql("select count(*) from log") != "0");
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let _ = std::fs::remove_file(project.path().join(".runsheet").join(file));
    }
    let said = ended(child).with_code(1).saying("journal");
    assert!(said.err.contains("gone") || said.err.contains("moved"), "{}", said.err);
    assert!(
        database.sql("select count(*) from log").parse::<u32>().is_ok_and(|count| count < 5),
        "it went on without a journal"
    );
}

#[test]
fn a_preview_calls_nothing_a_fact_that_a_left_out_change_may_alter() {
    let (database, project) = world("create table t (n int)");
    project.file("runsheet.toml", "[targets.app]\nurl = \"${DATABASE_URL}\"\nlabel = \"app\"\n[targets.twin]\nurl = \"${DATABASE_URL}\"\nlabel = \"twin\"\n");
    let head = |name: &str| {
        format!(
            r#"runbook("{name}", "1.0.0", #{{ about: "a test", params: #{{ app: target("it", #{{ or: "app" }}), twin: target("it again", #{{ or: "twin" }}) }} }});"#
        )
    };
    let looks = r#"step("look", || command::run(["cat", "made"], #{ read_only: true }).stdout);
        step("count", || sql::value(params.twin, "select count(*) from t"));"#;
    let books = [
        ("plain", r#"step("change", || sql::exec(params.app, "insert into t values (1)"));"#),
        // What the rest of a lane would do hangs on something unknown.
        (
            "laned",
            r#"step("change", || { flow::each([1], |n| { if random::password(16) == 1 { sql::exec(params.app, "insert into t values (1)"); } }); () });"#,
        ),
        ("commanded", r#"step("change", || { command::run(["touch", "made"]); () });"#),
    ];
    for (name, change) in books {
        project.file(&format!("runbooks/{name}.rhai"), &format!("{}\n{change}\n{looks}\n", head(name)));
        let plan = project.run(&["plan", name, "--json"]).json();
        for step in [1, 2] {
            let line = &plan["steps"][step]["lines"][0];
            assert_eq!(line["known_after"], "change", "{name}: {line}");
        }
    }
    assert!(!project.path().join("made").exists());
    assert_eq!(database.sql("select count(*) from t"), "0");
}

#[test]
fn a_preview_leaves_no_trace_in_the_database() {
    let cluster =
        Cluster::start(&["autovacuum=off", "wal_level=minimal", "max_wal_senders=0", "checkpoint_timeout=1h"]);
    let database = cluster.database("traceless");
    database.sql("create table t (n int); insert into t values (1); create sequence s");
    database.sql("vacuum analyze");
    database.sql("checkpoint");
    let project = Project::on(&database);
    project.runbook(
        "all",
        r#"fn said(request) { true }
           step("read", || sql::query(params.app, "select n from t"));
           step("change", || sql::exec(params.app, "insert into t select nextval('s') returning n; update t set n = n + 1; create table u (n int)"));
           step("admin", || sql::admin(params.app, "vacuum t", #{}, #{ probe: "said" }));
           step("more", || sql::value(params.app, "select count(*) from t"));"#,
    );
    let trace = || {
        database.sql("select pg_current_wal_insert_lsn(), (select last_value || '/' || is_called from s), pg_snapshot_xmax(pg_current_snapshot())")
    };
    // Reading sets hint bits and fills the catalogue's caches once.
    project.run(&["plan", "all"]).with_code(0);
    let before = trace();
    project.run(&["plan", "all"]).with_code(0);
    assert_eq!(trace(), before);
}

#[test]
fn a_plan_that_tells_the_time_can_be_run() {
    let (database, project) = world("create table t (at timestamptz)");
    project.runbook(
        "timed",
        r#"step("one", || sql::exec(params.app, "insert into t values ({{ at }})", #{ at: now() }, #{ rows: 1 }));"#,
    );
    project.run(&["plan", "timed", "--out", "plan.json"]).with_code(0);
    project.run(&["run", "timed", "--plan", "plan.json"]).with_code(0);
    assert_eq!(database.sql("select count(*) from t"), "1");
}

const SLOW: &str = r#"step("slow", || { for n in range(0, 6) { sql::exec(params.app, "insert into log select {{ n }} from pg_sleep(0.2)", #{ n: n }); } });"#;

#[test]
fn a_lock_whose_session_was_ended_is_taken_anew_and_the_gap_is_told() {
    let (database, project) = world("create table log (n int)");
    project.runbook("slow", SLOW);
    let child = start(&project, &["run", "slow"]);
    wait_until("the first row", || database.sql("select count(*) from log") != "0");
    database.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'runsheet slow-1 lock'");
    ended(child).with_code(0).saying("the lock of target `app` is lost");
    let noted = project.entries("slow-1").iter().any(
        |entry| matches!(&entry.record, runsheet::journal::entry::Record::Note { text } if text.contains("taken anew")),
    );
    assert!(noted, "the story does not tell of the gap");
    assert_eq!(database.sql("select count(*) from log"), "6");
}

#[test]
fn a_lock_that_another_took_meanwhile_stops_the_run_before_its_next_change() {
    let (database, project) = world("create table log (n int)");
    project.runbook("slow", SLOW);
    let child = start(&project, &["run", "slow"]);
    wait_until("the first row", || database.sql("select count(*) from log") != "0");
    signal(&child, Signal::STOP);
    database.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'runsheet slow-1 lock'");
    let mut thief = database
        .psql("set application_name = 'thief'; select pg_advisory_lock(1381322323, 1212499284); select pg_sleep(30)")
        .spawn()
        .expect("psql starts");
    wait_until("the lock is stolen", || {
        database.sql("select count(*) from pg_locks l join pg_stat_activity a using (pid) where a.application_name = 'thief' and locktype = 'advisory' and granted") == "1"
    });
    let before = database.sql("select count(*) from log").parse::<u32>().expect("a number");
    signal(&child, Signal::CONT);
    let said = ended(child);
    assert_ne!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("thief"), "{}", said.err);
    // The change in hand when it was stopped may have been proved before.
    assert!(database.sql("select count(*) from log").parse::<u32>().expect("a number") <= before + 1);
    thief.kill().expect("psql ends");
    let _ = thief.wait();
    database.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'thief'");
    project.run(&["resume"]).with_code(0);
    assert_eq!(database.sql("select count(*) from log"), "6");
}

#[test]
fn a_signal_during_a_retry_interrupts_and_the_failure_is_not_remembered_for_good() {
    let cluster = Cluster::start(&[]);
    let database = cluster.database("away");
    database.sql("create table log (n int)");
    let project = Project::on(&database);
    project.file("go", "");
    project.runbook(
        "away",
        r#"step("away", || {
             flow::wait_until("30s", || command::run(["test", "-e", "gone"], #{ read_only: true, ok: [0, 1] }).code == 0);
             sql::value(params.app, "select count(*) from log")
           }).retry(#{ attempts: 100, wait: "1s" });"#,
    );
    let mut child =
        project.command(&["run", "away"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    wait_until("it waits", || project.run(&["status", "--json"]).out.contains("away-1"));
    cluster.stop();
    project.file("gone", "");
    std::thread::sleep(std::time::Duration::from_millis(2500));
    signal(&child, Signal::HUP);
    wait_until("it ends", || child.try_wait().expect("a child").is_some());
    ended(child).with_code(130).saying("next: runsheet resume away-1");
    cluster.start_again();
    project.run(&["resume"]).with_code(0);
}

#[test]
fn pressed_twice_a_run_stops_in_the_middle_of_a_change_and_carries_on_exactly() {
    let (database, project) = world("create table log (n int)");
    project.runbook("long", r#"step("long", || { sql::exec(params.app, "insert into log select 1 from pg_sleep(20)", #{}, #{ rows: 1 }); });"#);
    let child = start(&project, &["run", "long"]);
    wait_until("the change is at work", || {
        database.sql("select count(*) from pg_stat_activity where datname = current_database() and query like 'insert into log%'") == "1"
    });
    signal(&child, Signal::INT);
    std::thread::sleep(std::time::Duration::from_secs(1));
    signal(&child, Signal::INT);
    ended(child).with_code(130).saying("next: runsheet resume long-1");
    project.run(&["undo"]).with_code(0);
    assert_eq!(database.sql("select count(*) from log"), "0");
    assert_eq!(
        database.sql(
            "select count(*) from pg_stat_activity where datname = current_database() and query like 'insert into log%'"
        ),
        "0"
    );
}

#[test]
fn a_world_put_back_to_an_earlier_state_stays_unbelieved_until_a_person_says() {
    let (database, project) = world("create table log (n int)");
    project.runbook(
        "one",
        r#"step("one", || { sql::exec(params.app, "insert into log values (1)", #{}, #{ rows: 1 }); });"#,
    );
    let mut write = 1;
    let intended = || {
        let entries = project.entries("one-1");
        entries.iter().any(|entry| matches!(&entry.record, runsheet::journal::entry::Record::Intent { .. }))
    };
    project.run_with("RUNSHEET_CRASH", "after:3", &["run", "one"]).with_code(-1);
    while !intended() {
        project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["resume"]).with_code(-1);
        write += 1;
    }
    project.run(&["resume", "--world-restored"]).with_code(6);
    project.run(&["resume"]).with_code(6);
    project.run(&["undo"]).with_code(6);
    assert_eq!(database.sql("select count(*) from log"), "0");
}

/// A command that takes its time and can say whether it was done, lanes, an approval and a wait.
#[test]
fn a_command_at_work_ends_with_its_engine_and_is_asked_about_before_it_is_done_again() {
    let (database, project) = world("create table log (n int)");
    project.runbook(
        "cmd",
        r#"fn made(request) { if command::run(["test", "-e", "made"], #{ read_only: true, ok: [0, 1] }).code == 0 { "done" } else { "not done" } }
           step("cmd", || { command::run(["sh", "-c", "echo x >> begun; if [ $(wc -l < begun) -gt 1 ]; then sleep 2; else sleep 600; fi; echo x >> made"], #{ probe: "made" }); () });
           step("lanes", || { flow::each([1, 2, 3, 4], #{ at_once: 4 }, |n| { command::run(["sh", "-c", `sleep 0.3; echo ${n} >> lanes`], #{ repeatable: true }); }); });"#,
    );
    let lines = |file: &str| std::fs::read_to_string(project.path().join(file)).unwrap_or_default().lines().count();
    let mut child = start(&project, &["run", "cmd"]);
    wait_until("the command is at work", || lines("begun") == 1);
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    let child = start(&project, &["resume"]);
    wait_until("it is at work again", || lines("begun") == 2);
    signal(&child, Signal::INT);
    // The first asks to stop after the change in hand.
    ended(child).with_code(130);
    assert_eq!((lines("begun"), lines("made")), (2, 1));
    project.run(&["resume"]).with_code(0);
    assert_eq!((lines("begun"), lines("made"), lines("lanes")), (2, 1, 4));
    assert_eq!(database.sql("select count(*) from log"), "0");
}

#[test]
fn a_stopped_engine_with_a_command_at_work_loses_it_to_who_takes_over() {
    let (_, project) = world("create table log (n int)");
    project.runbook(
        "cmd",
        r#"fn made(request) { if command::run(["test", "-e", "made"], #{ read_only: true, ok: [0, 1] }).code == 0 { "done" } else { "not done" } }
           step("cmd", || { command::run(["sh", "-c", "echo x >> begun; if [ $(wc -l < begun) -gt 1 ]; then sleep 2; else sleep 600; fi; echo x >> made"], #{ probe: "made" }); () });
           step("after", || { command::run(["sh", "-c", "echo x >> after"], #{ repeatable: true }); () });"#,
    );
    let lines = |file: &str| std::fs::read_to_string(project.path().join(file)).unwrap_or_default().lines().count();
    let child = start(&project, &["run", "cmd"]);
    wait_until("the command is at work", || lines("begun") == 1);
    signal(&child, Signal::STOP);
    project.run(&["resume", "--take-over"]).with_code(0);
    signal(&child, Signal::CONT);
    ended(child).with_code(7);
    assert_eq!((lines("begun"), lines("made"), lines("after")), (2, 1, 1));
    project.run(&["audit", "verify"]).with_code(0);
}

#[test]
fn a_stopped_engine_with_a_transaction_in_flight_changes_nothing_once_it_goes_on() {
    let (database, project) = world("create table log (n int)");
    project.runbook("long", r#"step("long", || { sql::exec(params.app, "insert into log select 1 from pg_sleep(1)", #{}, #{ rows: 1 }); });"#);
    let child = start(&project, &["run", "long"]);
    wait_until("the change is at work", || {
        database.sql("select count(*) from pg_stat_activity where datname = current_database() and query like 'insert into log%'") == "1"
    });
    signal(&child, Signal::STOP);
    project.run(&["resume", "--take-over"]).with_code(0);
    signal(&child, Signal::CONT);
    ended(child).with_code(7);
    assert_eq!(database.sql("select count(*) from log"), "1");
}

#[test]
fn five_thousand_actions_in_a_step_and_two_hundred_lanes_survive_kills_in_the_middle() {
    let (database, project) = world("create table log (n int)");
    project.runbook(
        "many",
        r#"step("reads", || { for n in range(0, 5000) { now(); } });
           step("lanes", || { let all = []; for n in range(0, 200) { all.push(n); } flow::each(all, #{ at_once: 50 }, |n| { sql::exec(params.app, "insert into log values ({{ n }})", #{ n: n }, #{ rows: 1 }); }); () });"#,
    );
    project.run_with("RUNSHEET_CRASH", "after:2500", &["run", "many"]).with_code(-1);
    project.run_with("RUNSHEET_CRASH", "after:2900", &["resume"]).with_code(-1);
    project.run_with("RUNSHEET_CRASH", "after:200", &["resume"]).with_code(-1);
    let said = project.run(&["resume"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(database.sql("select count(*), count(distinct n) from log"), "200|200");
}

#[test]
fn a_full_disk_under_the_journal_stops_the_run_before_a_change_and_room_lets_it_go_on() {
    let (database, project) = world("create table log (n int)");
    project.runbook(
        "many",
        r#"step("many", || { for n in range(0, 200) { sql::exec(params.app, "insert into log values ({{ n }}) returning repeat('x', 2000)", #{ n: n }, #{ rows: 1 }); } });"#,
    );
    // As a full disk refuses to let a file grow.
    let limited = format!("trap '' XFSZ; ulimit -f 400; exec {} run many", env!("CARGO_BIN_EXE_runsheet"));
    let mut command = project.command(&[]);
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(limited).current_dir(project.path()).env_clear().stdin(Stdio::null());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env_clear();
    let said = Said::from(shell.output().expect("sh runs")).with_code(1).saying("journal");
    assert!(said.err.contains("next: runsheet resume many-1"), "{}", said.err);
    let done = database.sql("select count(*) from log").parse::<u32>().expect("a number");
    assert!(done > 0 && done < 200, "{done}");
    project.run(&["resume"]).with_code(0);
    assert_eq!(database.sql("select count(*), count(distinct n) from log"), "200|200");
    project.run(&["audit", "verify"]).with_code(0);
}

#[test]
fn an_answer_over_a_megabyte_is_refused_before_its_change_is_made() {
    let (database, project) = world("create table log (n int)");
    project.runbook(
        "big",
        r#"step("big", || sql::exec(params.app, "insert into log values (1) returning repeat('x', 1100000)"));"#,
    );
    let said = project.run(&["run", "big"]).with_code(1);
    assert!(said.err.contains("file"), "{}", said.err);
    assert_eq!(database.sql("select count(*) from log"), "0");
}

#[test]
fn a_database_put_back_from_a_copy_between_kill_and_resume_makes_the_doubt_unknown() {
    let cluster = Cluster::start(&[]);
    let database = cluster.database("copied");
    database.sql("create table log (n int)");
    let project = Project::on(&database);
    project.runbook(
        "one",
        r#"step("one", || { sql::exec(params.app, "insert into log values (1)", #{}, #{ rows: 1 }); });"#,
    );
    cluster.stop();
    let copy = cluster.copy();
    cluster.start_again();
    database.sql("insert into log select 7 from generate_series(1, 20000)");
    let intended = || {
        let runs = project.run(&["runs", "--json"]).json();
        runs.as_array().is_some_and(|runs| !runs.is_empty())
            && project
                .entries("one-1")
                .iter()
                .any(|entry| matches!(&entry.record, runsheet::journal::entry::Record::Intent { .. }))
    };
    project.run_with("RUNSHEET_CRASH", "after:3", &["run", "one"]).with_code(-1);
    let mut write = 1;
    while !intended() {
        project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["resume"]).with_code(-1);
        write += 1;
    }
    cluster.stop();
    cluster.put_back(&copy);
    cluster.start_again();
    project.run(&["resume"]).with_code(6).saying("restored");
    project.run(&["resolve", "--as", "not-done", "--why", "it was restored"]).with_code(0);
    project.run(&["resume"]).with_code(0);
    assert_eq!(database.sql("select count(*) from log"), "1");
}

#[test]
fn a_step_whose_time_was_up_or_that_waited_for_a_person_gets_its_time_anew() {
    let (database, project) = world("create table log (n int)");
    project.runbook(
        "timed",
        r#"step("timed", || { sql::exec(params.app, "insert into log select 1 from pg_sleep((select case when count(*) = 0 then 5 else 0 end from log))"); flow::approve("Go?"); sql::exec(params.app, "insert into log values (2)"); }).timeout("1500ms");"#,
    );
    project.run(&["run", "timed"]).with_code(1);
    database.sql("insert into log values (0)");
    project.run(&["resume"]).with_code(5);
    std::thread::sleep(std::time::Duration::from_millis(2000));
    project.run(&["approve", "--why", "a test"]).with_code(0);
    project.run(&["resume"]).with_code(0);
    assert_eq!(database.sql("select string_agg(n::text, ',' order by n) from log"), "0,1,2");
}

#[test]
fn a_hold_that_breaks_during_a_long_transaction_keeps_it_from_being_committed() {
    let (database, project) = world(FREEZER);
    database.sql("create table log (n int)");
    project.runbook(
        "held",
        r#"fn frozen(made) { sql::value(params.app, "select frozen from freezer") }
           step("freeze", || { sql::exec(params.app, "update freezer set frozen = true, times = times + 1", #{}, #{ rows: 1 }); "ice" }).hold("writes frozen", "frozen");
           step("move", || { sql::exec(params.app, "insert into log select times from freezer, pg_sleep(1.5)", #{}, #{ rows: 1 }); });"#,
    );
    let child = start(&project, &["run", "held"]);
    wait_until("the change is at work", || {
        database.sql("select count(*) from pg_stat_activity where datname = current_database() and query like 'insert into log%'") == "1"
    });
    database.sql("update freezer set frozen = false");
    ended(child).with_code(0).saying("writes frozen");
    assert_eq!(database.sql("select string_agg(n::text, ',') from log"), "2");
}
