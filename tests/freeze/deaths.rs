//! Whatever dies while writes are frozen: they are accepted again at once, or at the deadline; and never once committed.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::world::{World, send};
use crate::support::{Cluster, alive, kills, wait_until};

/// Well before the deadline of 60 s: somebody released it, rather than the clock. How soon it is on an idle machine is for `benches/`.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn an_engine_killed_while_frozen_lets_waiting_clients_write_at_once_and_the_application_start() {
    let world = World::shared("killed");
    let before = world.settings();
    let engine = world.armed(&[]);
    assert!(world.pooler.paused("app") && world.there("stopped") && !world.there("resumed"));
    let mut waiting = world.client();
    let begun = Instant::now();
    engine.signal(Signal::KILL);
    assert!(waiting.wait().expect("psql ends").success());
    println!("written {:?} after the kill", begun.elapsed());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    wait_until("the application is started", || world.there("resumed"));
    assert!(world.writable() && !world.pooler.paused("app"));
    assert_eq!(world.settings(), before);
    drop(engine);
    let status = world.project.run(&["status"]).with_code(0);
    assert!(status.out.contains("released") && status.out.contains("the engine was gone"), "{}", status.out);

    // Going on begins to freeze anew, and this time comes to its end.
    world.project.file("go", "");
    let resumed = world.project.run(&["resume"]).with_code(0);
    assert!(resumed.err.contains("going back to step `guard`"), "{}", resumed.err);
    assert_eq!(world.row("state"), "committed");
    assert!(!world.writable());
    let status = world.project.run(&["status", "--json"]).with_code(0).json();
    assert_eq!((&status["frozen"][0]["state"], &status["frozen"][0]["target"]), (&"committed".into(), &"app".into()));
}

#[test]
fn an_interrupted_engine_releases_too() {
    let world = World::shared("interrupted");
    let engine = world.armed(&[]);
    let status = world.project.run(&["status"]).with_code(0);
    assert!(status.out.contains("frozen until"), "{}", status.out);
    // Once is asking: a change at work comes to its end first. Twice is now.
    engine.signal(Signal::INT);
    std::thread::sleep(Duration::from_secs(1));
    engine.signal(Signal::INT);
    let begun = Instant::now();
    assert_eq!(engine.ended().code, 130);
    world.until_written();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(world.row("state, ended_by, why"), "lifted|watchdog|the engine was gone");
}

#[test]
fn an_engine_stopped_past_the_deadline_finds_the_freeze_broken_when_it_goes_on() {
    let world = World::shared("stalled");
    let engine = world.armed(&["deadline=8s"]);
    engine.signal(Signal::STOP);
    world.until_written();
    assert_eq!(
        world.row(
            "state, ended_by = any ('{watchdog,sleeper}'), ended_at >= deadline, ended_at < deadline + interval '9 s'"
        ),
        "lifted|t|t|t"
    );
    wait_until("the application is started", || world.there("resumed"));
    world.project.file("go", "");
    engine.signal(Signal::CONT);
    let said = engine.ended();
    assert!(said.err.contains("`guarded` no longer holds: going back to step `guard`"), "{}", said.err);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(world.row("state"), "committed");
}

#[test]
fn a_server_that_is_restarted_while_frozen_stays_frozen_until_the_deadline() {
    let cluster = Cluster::start(&["fsync=off"]);
    for immediate in [true, false] {
        let world = World::on(&cluster, "restarted");
        let before = world.settings();
        let engine = world.armed(&["deadline=10s"]);
        if immediate {
            cluster.stop_immediate()
        } else {
            cluster.stop()
        }
        cluster.start_again();
        assert!(!world.writable(), "it is still frozen");
        world.until_written();
        assert_eq!(world.row("state, ended_at >= deadline"), "lifted|t");
        wait_until("the settings are back", || world.settings() == before);
        drop(engine);
    }
}

#[test]
fn a_server_that_is_down_when_the_engine_dies_is_released_once_it_is_back() {
    let cluster = Cluster::start(&["fsync=off"]);
    let world = World::on(&cluster, "down");
    let engine = world.armed(&[]);
    cluster.stop_immediate();
    engine.signal(Signal::KILL);
    drop(engine);
    wait_until("somebody says what is waited for", || {
        world.project.run(&["status"]).out.contains("cannot be released yet")
    });
    cluster.start_again();
    world.until_written();
    assert!(!world.pooler.paused("app"));
}

#[test]
fn a_killed_watchdog_is_stood_in_for_by_the_server_itself() {
    let world = World::shared("watchdog");
    let before = world.settings();
    let engine = world.armed(&["deadline=8s", "pause=false"]);
    send(world.watchdog(), Signal::KILL);
    engine.signal(Signal::KILL);
    drop(engine);
    assert!(!world.writable());
    wait_until("it is released", || world.writable());
    assert_eq!(
        world.row("state, ended_by, ended_at >= deadline, ended_at < deadline + interval '9 s'"),
        "lifted|sleeper|t|t"
    );
    assert_eq!(world.settings(), before);
    let status = world.project.run(&["status"]).with_code(0);
    assert!(status.out.contains("its watchdog is gone"), "{}", status.out);
}

#[test]
fn an_engine_whose_watchdog_is_killed_begins_anew() {
    let world = World::shared("anew");
    let engine = world.armed(&[]);
    send(world.watchdog(), Signal::KILL);
    world.project.file("go", "");
    let said = engine.ended();
    assert!(said.err.contains("going back to step `guard`"), "{}", said.err);
    assert_eq!((said.code, world.row("state").as_str()), (0, "committed"), "{}", said.err);
}

#[test]
fn what_is_committed_stays_frozen_when_the_engine_is_killed() {
    let world = World::shared("committed");
    world.project.file("go", "");
    world.project.file("stay", "");
    let engine = world.begin(&["deadline=8s"]);
    wait_until("it is committed", || world.there("committed"));
    let watchdog = world.watchdog();
    wait_until("the watchdog has gone", || !alive(watchdog));
    engine.signal(Signal::KILL);
    drop(engine);
    std::thread::sleep(Duration::from_millis(8200)); // The deadline must be seen to pass without anything happening.
    assert!(!world.writable() && world.pooler.paused("app") && !world.there("resumed"));
    assert_eq!(world.row("state"), "committed");
}

#[test]
fn an_engine_killed_half_way_through_arming_is_released() {
    // A server of its own: while one of its processes stands still, nobody can make a database on it.
    let cluster = Cluster::start(&["fsync=off"]);
    let world = World::on(&cluster, "half_way");
    // A session that cannot be ended for the moment keeps the engine at it.
    let stubborn = super::pooler::Client::begin(&world.writer(), "select 1;");
    let pid = || {
        world
            .database
            .sql("select pid from pg_stat_activity where datname = current_database() and usename = 'writer' limit 1")
    };
    wait_until("it is connected", || !pid().is_empty());
    let backend: i32 = pid().parse().expect("a pid");
    let stopped = Stopped::at(backend);
    let engine = world.begin(&["pause=false"]);
    wait_until("it is armed", || {
        world.database.try_sql("select 1 from pg_db_role_setting s join pg_database d on d.oid = setdatabase where datname = current_database()").is_ok_and(|rows| !rows.is_empty())
    });
    assert!(!world.writable());
    engine.signal(Signal::KILL);
    let begun = Instant::now();
    wait_until("it is released", || world.writable());
    println!("released {:?} after the kill", begun.elapsed());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    drop((stopped, engine, stubborn));
}

/// A process that stands still until this is dropped, by a test that fails too.
struct Stopped(i32);

impl Stopped {
    fn at(pid: i32) -> Self {
        send(pid, Signal::STOP);
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        send(self.0, Signal::CONT);
    }
}

#[test]
fn clients_that_stay_at_work_at_the_pooler_fail_the_run_and_everything_goes_on() {
    let world = World::shared("stay");
    let _client = super::pooler::Client::begin(&world.pooler.app("writer"), "begin; select 1;");
    wait_until("it is in a transaction", || world.pooler.console("show servers").contains("|active|"));
    world.project.run(&["run", "cut"]).with_code(1).saying("could not be paused");
    wait_until("the application is started", || world.there("resumed"));
    assert!(world.writable() && !world.pooler.paused("app"));
}

/// Killed around its journal's writes, a run leaves either a committed freeze or a database that takes writes.
#[test]
fn killed_at_any_write_of_the_journal_what_is_not_committed_takes_writes_at_once() {
    let world = World::shared("writes");
    world.project.file("go", "");
    let mut frozen = 0;
    for (round, write) in kills(7).enumerate() {
        let when = format!("{}:{write}", if round.is_multiple_of(2) { "before" } else { "after" });
        let said = world.project.run_with("RUNSHEET_CRASH", &when, &["run", "cut"]);
        let committed = world.database.try_sql("select 1").is_ok() && state(&world) == "committed";
        if !committed {
            let took = world.until_written();
            assert!(took < SOON, "{when}: {took:?}");
            assert!(!world.pooler.paused("app"), "{when}");
            frozen += usize::from(state(&world) == "lifted");
        } else {
            assert!(!world.writable(), "{when}");
        }
        if said.code == 0 {
            break;
        }
        assert_eq!(said.code, -1, "{when}: {}", said.err);
        if !world.project.run(&["status", "--json"]).json()["unfinished"][0].is_null() {
            let resumed = world.project.run(&["resume"]);
            assert_eq!(resumed.code, 0, "{when}: {}", resumed.err);
            assert_eq!(state(&world), "committed", "{when}");
            assert!(!world.writable(), "{when}");
        }
        if state(&world) == "committed" {
            thaw(&world);
        }
    }
    assert!(frozen > 0, "the world was too kind");
}

/// The state of the newest freeze, `none` before there was one.
fn state(world: &World) -> String {
    let schema = world
        .database
        .sql("select nspname from pg_namespace where starts_with(nspname, 'runsheet_') order by oid desc limit 1");
    if schema.is_empty() || world.database.sql(&format!("select to_regclass('{schema}.freeze') is null")) == "t" {
        return "none".to_owned();
    }
    world
        .database
        .sql(&format!("select coalesce((select state from {schema}.freeze order by guarded_at desc limit 1), 'none')"))
}

/// Takes a committed freeze back and away, so that the next round begins from nothing.
fn thaw(world: &World) {
    let schema = world
        .database
        .sql("select nspname from pg_namespace where starts_with(nspname, 'runsheet_') order by oid desc limit 1");
    world.database.sql(&format!("begin read write; select {schema}.freeze_open(token) from {schema}.freeze where state = 'committed'; drop schema {schema} cascade; commit"));
    let _ = world.pooler.console("resume app");
}
