//! A cutover whose engine, servers or pooler stop or die at the places that matter, and one that is given up there.
//!
//! A sample in the suite; `RUNSHEET_EVERY=1` is all of them.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::kills::{alone, state};
use super::moving::Moving;
use crate::freeze::pooler::Client;
use crate::freeze::world::Engine;
use crate::support::{Said, wait_until};

/// Before the deadline of 60 s, so that it was not the clock that released it.
const SOON: Duration = Duration::from_secs(40);

/// The consumers beside the pooler: a file, and a command that takes its time as long as there is a file `stay`.
const CONSUMERS: &str = "[[consumers]]\nkind = \"env-file\"\nname = \"file\"\npath = \"other.env\"\nvariables = [\"DATABASE_URL\"]\n\
    [[consumers]]\nkind = \"command\"\nname = \"between\"\nvariables = [\"DATABASE_URL\"]\nrepeatable = true\nread_back = [\"true\"]\n\
    run = [\"sh\", \"-c\", \"touch between; while [ -e stay ]; do sleep 0.01; done\"]\n";

/// A cutover that waits at places where a test wants it.
struct Stalled {
    moving: Moving,
}

impl Stalled {
    fn new() -> Self {
        let stalled = Self { moving: Moving::with(CONSUMERS) };
        stalled.file("other.env", "PORT=8080\nDATABASE_URL=before\n");
        stalled
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.moving.world.lab().path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    fn spawn(&self, args: &[&str]) -> Engine {
        let mut command = self.moving.world.command(args);
        Engine::of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
    }

    /// Everything up to the freeze, which waits for an approval. Answers the run.
    fn ready(&self, args: &[&str]) -> String {
        self.moving.world.run(&[&["run", "cutover"], args].concat()).with_code(5);
        self.run()
    }

    /// The run that is not finished.
    fn run(&self) -> String {
        let status = self.moving.world.run(&["status", "--json"]).json();
        status["unfinished"][0]["run"].as_str().expect("a run").to_owned()
    }

    /// Approves it, and lets it freeze; there it waits for a row that nobody can write on the new side as long as the client
    /// lives.
    fn frozen(&self, run: &str) -> (Engine, Client) {
        self.moving.world.run(&["approve", run]).with_code(0);
        let client = Client::begin(&self.moving.new_side(), "begin; lock table users, issues, issue_payouts;");
        let locked = "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted and relation = 'users'::regclass";
        wait_until("the tables are locked", || self.moving.new_side().sql(locked) == "1");
        let engine = self.spawn(&["resume", run]);
        wait_until("writes are frozen", || state(&self.moving.old()) == "armed");
        (engine, client)
    }

    /// Approved and gone on with, it stands between the first consumer and the pooler.
    fn between(&self, run: &str) -> Engine {
        self.file("stay", "");
        self.moving.world.run(&["approve", run]).with_code(0);
        let engine = self.spawn(&["resume", run]);
        wait_until("it stands between two consumers", || self.path("between").exists());
        assert_eq!(state(&self.moving.old()), "committed");
        engine
    }

    /// Goes on until the run is over, whatever has to be approved.
    fn on(&self, run: &str) -> Said {
        for _ in 0..6 {
            let said = self.moving.world.run(&["resume", run]);
            if said.code != 5 {
                return said;
            }
            self.moving.world.run(&["approve", run]).with_code(0);
        }
        panic!("{run} asks again and again");
    }

    #[track_caller]
    fn served_soon(&self, what: &str) {
        let (begun, before) = (Instant::now(), self.moving.world.acknowledged());
        wait_until("the application writes again", || self.moving.world.acknowledged() > before);
        println!("{what}: served again after {:?}", begun.elapsed());
        assert!(begun.elapsed() < SOON, "{what}: {:?}", begun.elapsed());
    }

    /// The application has moved, with all that it wrote, and every consumer with it.
    #[track_caller]
    fn moved(&self) {
        self.moving.served();
        self.moving.all_on("managed");
        alone(&self.moving.world.source());
        let text = std::fs::read_to_string(self.path("other.env")).expect("the file");
        assert!(text.contains("/managed"), "{text}");
    }

    /// Nothing tells that there ever was a run.
    #[track_caller]
    fn untouched(&self, what: &str) {
        self.served_soon(what);
        assert_eq!(self.moving.left(), "", "{what}");
        let there = "select count(*) from pg_class where relnamespace = 'public'::regnamespace";
        assert_eq!(self.moving.new_side().sql(there), "0", "{what}");
        assert!(self.moving.world.source().try_sql("create temp table can_write ()").is_ok(), "{what}");
        self.moving.all_on_source_alone();
    }
}

#[test]
fn an_engine_stalled_past_the_deadline_finds_the_freeze_broken_and_one_that_has_committed_only_goes_on() {
    let world = Stalled::new();
    let run = world.ready(&["max_freeze=6s", "max_lag=1GB"]);
    let (engine, client) = world.frozen(&run);
    engine.signal(Signal::STOP);
    wait_until("the deadline passes", || state(&world.moving.old()) == "lifted");
    world.served_soon("stalled");
    drop(client);
    engine.signal(Signal::CONT);
    // Stalled in the middle of arming or draining, or before its own write that must fail, it fails there.
    world.broken(&run, engine.ended()).saying("no longer holds: going back to step `guard`");

    let engine = world.between(&run);
    engine.signal(Signal::STOP);
    std::thread::sleep(Duration::from_millis(6500)); // The deadline must be seen to pass without anything happening.
    assert_eq!(state(&world.moving.old()), "committed");
    let _ = std::fs::remove_file(world.path("between"));
    engine.signal(Signal::KILL);
    drop(engine);
    let engine = world.spawn(&["resume", &run]);
    wait_until("it stands between two consumers again", || world.path("between").exists());
    engine.signal(Signal::KILL);
    drop(engine);
    let undone = world.moving.world.run(&["undo", &run]).with_code(2);
    assert!(undone.err.contains("point of no return"), "{}", undone.err);
    assert_eq!(state(&world.moving.old()), "committed");
    std::fs::remove_file(world.path("stay")).expect("it was there");
    let said = world.on(&run);
    assert_eq!(said.code, 0, "{}", said.err);
    world.moved();
}

#[test]
fn a_run_given_up_before_the_commit_leaves_nothing_and_one_after_it_leaves_production_alone() {
    let world = Stalled::new();
    let ways = [&["undo"][..], &["abandon", "--why", "tried"]];
    let first = usize::from(crate::support::seed().is_multiple_of(2));
    let few = if std::env::var("RUNSHEET_EVERY").is_ok() { 2 } else { 1 };
    for how in ways.into_iter().cycle().skip(first).take(few) {
        let run = world.ready(&["max_lag=1GB"]);
        world.moving.world.run(&[how, &[&run]].concat());
        world.untouched(&format!("{how:?} before the freeze"));

        let run = world.ready(&["max_lag=1GB"]);
        let (engine, client) = world.frozen(&run);
        engine.signal(Signal::KILL);
        world.served_soon("killed while frozen");
        drop((engine, client));
        world.moving.world.run(&[how, &[&run]].concat());
        world.untouched(&format!("{how:?} after a kill while frozen"));
    }
    let run = world.ready(&["max_lag=1GB"]);
    let engine = world.between(&run);
    engine.signal(Signal::KILL);
    drop(engine);
    world.moving.world.run(&["undo", &run]).with_code(2);
    world.moving.world.run(&["abandon", &run, "--why", "tried"]);
    let rows = world.moving.new_side().sql("select count(*) > 0 from users");
    assert_eq!((state(&world.moving.old()).as_str(), rows.as_str()), ("committed", "t"));
    alone(&world.moving.world.source());

    // Nobody is served between the sides, and going back is a run of its own.
    std::fs::remove_file(world.path("stay")).expect("it was there");
    world.moving.world.run(&["run", "cutover-rollback", "approve=true"]).with_code(0);
    world.moving.served();
    world.moving.all_on("source");
}

#[test]
fn servers_and_pooler_that_die_while_copying_while_frozen_and_after_the_commit_cost_no_write() {
    let every = std::env::var("RUNSHEET_EVERY").is_ok();
    let first = usize::try_from(crate::support::seed() % 3).expect("small");
    let victims = ["source", "scratch", "pooler"];
    for victim in victims.iter().cycle().skip(first).take(if every { 3 } else { 1 }) {
        let world = Stalled::new();
        let engine = world.spawn(&["run", "cutover"]);
        wait_until("the copy begins", || world.moving.new_side().sql("select count(*) from pg_subscription") == "1");
        world.dies(victim);
        println!("{victim} while copying: {}", engine.ended().code);
        let mut run = world.run();
        let said = world.moving.world.run(&["resume", &run]);
        if said.err.contains("begin anew") {
            world.moving.world.run(&["undo", &run]).with_code(0);
            run = world.ready(&[]);
        } else {
            assert!([0, 5].contains(&said.code), "{victim} while copying: {}", said.err);
        }

        let (engine, client) = world.frozen(&run);
        world.dies(victim);
        drop(client);
        println!("{victim} while frozen: {}", engine.ended().code);
        if state(&world.moving.old()) != "committed" {
            world.served_soon(victim);
            let engine = world.between_after(&run);
            world.dies(victim);
            std::fs::remove_file(world.path("stay")).expect("it was there");
            println!("{victim} after the commit: {}", engine.ended().code);
        }
        let status = world.moving.world.run(&["status", "--json"]).json();
        if !status["unfinished"][0].is_null() {
            let said = world.on(&run);
            assert_eq!(said.code, 0, "{victim}: {}", said.err);
        }
        world.moved();
    }
}

impl Stalled {
    /// Kills a server, as a power loss would, or the pooler, and has it started again.
    fn dies(&self, victim: &str) {
        self.moving.world.kill(victim);
        self.moving.world.revive();
        self.moving.world.lab().run(&["app", "start"]);
    }

    /// The same as `between`, when the freeze before it is broken and has to be asked for again.
    fn between_after(&self, run: &str) -> Engine {
        self.broken(run, self.moving.world.run(&["resume", run]));
        self.between(run)
    }

    /// A person is asked before there is another freeze. A run that failed in the middle of one is resumed first.
    #[track_caller]
    fn broken(&self, run: &str, mut said: Said) -> Said {
        if [1, 3].contains(&said.code) {
            said = self.moving.world.run(&["resume", run]);
        }
        said.with_code(5)
    }
}
