//! Killed at any instant, a run carries on: no row twice, none lost, the chain consistent.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::project::{Project, Said};
use crate::support::{Cluster, Database, seed};

/// Inserts in a step, in lanes, by a command's probe, and takes a note at the end. The tables have no keys, so what is done twice shows.
const STEPS: &str = r#"
fn written(request) { if sql::value(params.app, "select count(*) from notes") == 0 { "not done" } else { "done" } }

step("plain", || {
    for n in [1, 2, 3] {
        sql::exec(params.app, "insert into plain (n) values ({{ n }})", #{ n: n }, #{ rows: 1 });
    }
    "three"
});
step("lanes", || {
    flow::each(["a", "b", "c"], #{ at_once: 2 }, |name| {
        sql::exec(params.app, "insert into lanes (name) values ({{ name }})", #{ name: name }, #{ rows: 1 });
        let so_far = sql::value(params.app, "select count(*) from lanes where name = {{ name }}", #{ name: name });
        sql::exec(params.app, "insert into lanes (name) values ({{ name }})", #{ name: `${name}-${so_far}` }, #{ rows: 1 });
    });
});
step("note", || sql::admin(params.app, "insert into notes (n) values (1)", #{}, #{ probe: "written" }))
    .cleanup(|made| sql::exec(params.app, "insert into cleaned (n) values (1)"));
step("verify", || check::that("all rows", sql::value(params.app, "select count(*) from plain") == 3, ""));
"#;

fn tables(database: &Database) {
    database.sql(
        // The server of the random test commits lazily, and its crash must not take the tables back.
        "set synchronous_commit = on; drop table if exists plain, lanes, notes, cleaned; create table plain (n int); create table lanes (name text);
         create table notes (n int); create table cleaned (n int)",
    );
}

#[track_caller]
fn nothing_twice_nothing_lost(database: &Database, project: &Project, context: &str) {
    let plain = database.sql("select string_agg(n::text, ',' order by n) from plain");
    assert_eq!(plain, "1,2,3", "{context}");
    let lanes = database.sql("select string_agg(name, ',' order by name) from lanes");
    assert_eq!(lanes, "a,a-1,b,b-1,c,c-1", "{context}");
    assert_eq!(database.sql("select count(*) from notes"), "1", "{context}");
    assert_eq!(database.sql("select count(*) from cleaned"), "1", "{context}");
    project.run(&["audit", "verify"]).with_code(0);
}

/// Goes on with what a killed process left: resumes an unfinished run, starts one if none was begun, leaves a finished one.
fn go_on(project: &Project, begun_before: usize) -> Said {
    let runs = project.run(&["runs", "-n", "1000", "--json"]).json();
    let runs = runs.as_array().expect("a list");
    match runs.first() {
        Some(newest) if runs.len() > begun_before && newest["state"] == "done" => project.run(&["report"]),
        Some(_) if runs.len() > begun_before => project.run(&["resume"]),
        _ => project.run(&["run", "killed"]),
    }
}

/// Kills runs around each of their journal writes in turn, until one has no more writes to be killed at.
fn kill_around_every_write(when: &str) {
    let database = Cluster::shared().database(when);
    let project = Project::on(&database);
    project.runbook("killed", STEPS);
    for (begun_before, write) in (1..).enumerate() {
        tables(&database);
        let context = format!("killed {when} write {write}");
        let first = project.run_with("RUNSHEET_CRASH", &format!("{when}:{write}"), &["run", "killed"]);
        if first.code == 0 {
            assert!(write > 40, "a run has more writes than {write}");
            nothing_twice_nothing_lost(&database, &project, &context);
            break;
        }
        assert_eq!(first.code, -1, "{context}: {}", first.err);
        let again = go_on(&project, begun_before);
        assert_eq!(again.code, 0, "{context}: {}", again.err);
        nothing_twice_nothing_lost(&database, &project, &context);
    }
}

#[test]
fn a_run_killed_before_each_of_its_journal_writes_carries_on_exactly() {
    kill_around_every_write("before");
}

#[test]
fn a_run_killed_after_each_of_its_journal_writes_carries_on_exactly() {
    kill_around_every_write("after");
}

#[test]
fn a_resume_killed_after_each_of_its_journal_writes_carries_on_exactly() {
    let database = Cluster::shared().database("kills_again");
    let project = Project::on(&database);
    project.runbook("killed", STEPS);
    for (begun_before, write) in (1..).enumerate() {
        tables(&database);
        project.run_with("RUNSHEET_CRASH", "after:9", &["run", "killed"]).with_code(-1);
        let second = project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["resume"]);
        if second.code != 0 {
            assert_eq!(second.code, -1, "killed again after write {write}: {}", second.err);
            let third = go_on(&project, begun_before);
            assert_eq!(third.code, 0, "killed again after write {write}: {}", third.err);
        }
        nothing_twice_nothing_lost(&database, &project, &format!("killed again after write {write}"));
        if second.code == 0 {
            break;
        }
    }
}

/// Inserts and commits all the time, so that a transaction id that was lost in a crash is soon a stranger's.
struct Strangers(Child);

impl Strangers {
    fn at(database: &Database) -> Self {
        let script = "do $$ begin for i in 1..100000 loop insert into strangers values (i); commit; perform pg_sleep(0.002); end loop; end $$";
        let mut psql = database.psql(script);
        Self(psql.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("psql starts"))
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Kills in all, servers stopped and backends killed among them.
const KILLS: u32 = 300;

#[test]
fn three_hundred_kills_at_random_instants_with_servers_crashing_lose_and_double_nothing() {
    let mut random = StdRng::seed_from_u64(seed());
    let cluster = Cluster::start(&["wal_writer_delay=10s", "synchronous_commit=off"]);
    let database = cluster.database("random");
    database.sql("create table strangers (i int)");
    let project = Project::on(&database);
    project.runbook("killed", STEPS);
    let (mut kills, mut servers, mut backends) = (0, 0, 0);
    while kills < KILLS {
        tables(&database);
        let mut strangers = Strangers::at(&database);
        let before = project.run(&["runs", "--json", "-n", "1"]).json()[0]["run"].clone();
        let mut unfinished = false;
        let mut last = String::new();
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < Duration::from_secs(120), "a run does not come to its end: {last}");
            let args: &[&str] = if unfinished { &["resume"] } else { &["run", "killed"] };
            let mut child =
                project.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
            std::thread::sleep(Duration::from_millis(random.random_range(5..140)));
            match random.random_range(0..12) {
                0 => {
                    cluster.stop_immediate();
                    servers += 1;
                    let _ = child.kill();
                    cluster.start_again();
                    strangers = Strangers::at(&database);
                }
                1 => {
                    let pid = database.try_sql(
                        "select pid from pg_stat_activity where application_name like 'runsheet%' order by random() limit 1",
                    );
                    if let Some(pid) = pid.ok().and_then(|pid| pid.parse().ok())
                        && std::path::Path::new(&format!("/proc/{pid}")).exists()
                    {
                        cluster.crash_backend(pid);
                        backends += 1;
                    }
                }
                _ => {
                    let _ = child.kill();
                }
            }
            let said = Said::from(child.wait_with_output().expect("it ends"));
            if said.code == 0 {
                break;
            }
            // A server that is gone for the moment is a reason to stop, and so is a kill; nothing else is.
            assert!(matches!(said.code, -1 | 1 | 2 | 6), "{}: {}", said.code, said.err);
            kills += 1;
            last = format!("{}: {}", said.code, said.err);
            let newest = project.run(&["runs", "--json", "-n", "1"]).json()[0].clone();
            let begun_now = newest["run"] != before;
            if begun_now && newest["state"] == "done" {
                break;
            }
            unfinished = begun_now;
        }
        drop(strangers);
        nothing_twice_nothing_lost(&database, &project, &format!("after {kills} kills"));
    }
    println!("{kills} kills, {servers} server stops, {backends} backends killed");
    assert!(servers > 0 && backends > 0, "the world was too kind");
}
