//! The same on Neon's branches, against the stand-in.

use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::kills::APART;
use crate::program::project::{Project, Said};
use crate::support::neon::Project as Neon;
use crate::support::{Database, StandIn, kills, seed, wait_until};

/// A database on a branch with history; the project's target `app`.
pub struct World {
    /// The project of the stand-in.
    pub neon: Neon,
    /// The database of its default branch.
    pub app: Database,
    /// The project of ours.
    pub project: Project,
}

impl World {
    /// A world with what this SQL makes.
    pub fn with(sql: &str) -> Self {
        let neon = StandIn::shared().project(&json!({ "databases": true, "history_seconds": 2_592_000 }));
        let app = Database { name: "app".into(), url: neon.uri.clone() };
        app.sql(sql);
        let project = Project::on(&app);
        project.file("runsheet.toml", &format!("{}\n{}", neon.toml(), neon.target_toml("app")));
        let world = Self { neon, app, project };
        // A branch has no history from before it was made.
        world.passed(world.now(), 1.5);
        world
    }

    /// A moment of the server's clock, with everything that was committed before it.
    pub fn now(&self) -> DateTime<Utc> {
        let text =
            self.app.sql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
        text.parse().expect("a time")
    }

    /// Waits until so much has passed since a moment.
    pub fn passed(&self, since: DateTime<Utc>, seconds: f64) {
        wait_until("the time passes", || (self.now() - since).as_seconds_f64() > seconds);
    }

    #[track_caller]
    fn restore(&self, args: &[&str]) -> Said {
        self.project.run(&[&["run", "pitr-restore", "source=app"], args].concat())
    }

    #[track_caller]
    fn approved(&self) -> Said {
        self.project.run(&["approve", "--why", "looks right"]).with_code(0);
        self.project.run(&["resume"])
    }
}

/// A time as it is given.
pub fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Twenty notes.
pub const NOTES: &str = "create table notes (id serial primary key, note text); insert into notes (note) select 'note ' || n from generate_series(1, 20) n";

#[test]
fn lost_rows_come_back_from_a_branch_and_only_the_kept_present_is_left() {
    let world = World::with(NOTES);
    let at = world.now();
    world.app.sql("delete from notes where id > 15");
    let at = format!("at={}", text(at));
    let good = "predicate=select count(*) >= 20 from notes";
    world.restore(&[&at, good, "tables=notes", "preserve=the present"]).with_code(5);
    world.app.sql("insert into notes (note) values ('meanwhile')");
    world.approved().with_code(0);
    assert_eq!(world.app.sql("select count(*) from notes"), "21");
    assert_eq!(world.neon.names(), ["main", "the present"]);
    assert_eq!(world.app.sql("select count(*) from pg_namespace where nspname like 'runsheet%'"), "0");
}

#[test]
fn a_day_is_searched_to_the_second_with_seventeen_branches_that_are_all_gone() {
    let begun = Instant::now();
    let world = World::with(NOTES);
    let made = world.now();
    world.passed(made, 6.0);
    let good = world.now();
    world.app.sql("update notes set note = 'spoilt'");
    let bad = world.now();
    world.passed(made, 12.0);
    // What took twelve seconds is shown as more than a day.
    let anchor = world.now();
    let factor = 10_000.0;
    world.neon.lab("POST", "/stretch", &json!({ "anchor": text(anchor), "factor": factor }));
    let from = format!("from={}", text(anchor - TimeDelta::seconds(86_399)));
    let to = format!("to={}", text(anchor));
    let said =
        world.restore(&["predicate=select count(*) > 0 from notes where note like 'note %'", &from, &to]).with_code(0);
    let probes = said.err.matches("of at most 17:").count();
    assert!((15..=17).contains(&probes), "{probes} probes: {}", said.err);
    let line = said.err.lines().find_map(|line| line.trim().strip_prefix("last good: ")).expect("a line").to_owned();
    let found: DateTime<Utc> = format!("{}Z", line[..19].replace(' ', "T")).parse().expect("a time");
    // The update lies between what other statements told before and after it.
    let shown = |at: DateTime<Utc>| anchor - Duration::from_secs_f64((anchor - at).as_seconds_f64() * factor);
    let (good, bad) = (shown(good), shown(bad));
    let second = TimeDelta::seconds(1);
    assert!(good - second <= found && found <= bad + second, "found {found}, it was between {good} and {bad}");
    // What the service itself says: a branch for each probe, one for what was found, never two of them at once, all gone.
    assert_eq!(world.neon.made().len(), 1 + probes + 1, "{:?}", world.neon.made());
    assert_eq!(world.neon.removed().len(), probes + 1, "{:?}", world.neon.removed());
    assert_eq!(world.neon.state()["peak"], 3);
    assert_eq!(world.neon.names().len(), 2, "{:?}", world.neon.names());
    // Good at that second, and not at the next one.
    for (at, good) in [(found, 20), (found + TimeDelta::seconds(1), 0)] {
        let wish = json!({ "name": text(at), "parent_id": world.neon.branch, "parent_timestamp": text(at) });
        world.neon.write("POST", "/branches", &json!({ "branch": wish }));
        let rows = world.neon.sql(&text(at), "select count(*) from notes where note like 'note %'");
        assert_eq!(rows[0][0], good.to_string(), "at {at}: {rows}");
    }
    println!("{probes} probes in {:.1} s", begun.elapsed().as_secs_f64());
}

#[test]
fn a_protected_branch_is_rewound_whole_with_the_present_kept_and_protected_again() {
    let world = World::with(NOTES);
    world.neon.alter("main", &json!({ "protected": true }));
    let at = world.now();
    world.app.sql("update notes set note = 'spoilt'; select setval('notes_id_seq', 500)");
    let at = format!("at={}", text(at));
    let good = "predicate=select count(*) > 0 from notes where note like 'note %'";
    let asked = world.restore(&[&at, good, "mode=rewind", "preserve=main before"]).with_code(5);
    assert!(asked.err.contains("Rewind branch main with all its databases"), "{}", asked.err);
    assert_eq!(world.app.sql("select min(note) from notes"), "spoilt");
    world.approved().with_code(0);
    assert_eq!(world.app.sql("select min(note) from notes"), "note 1");
    assert_eq!(world.app.sql("select nextval('notes_id_seq')"), "501", "no number is given out twice");
    assert_eq!(world.neon.names(), ["main", "main before"]);
    let main = world.neon.api("GET", &format!("/branches/{}", world.neon.branch), &Value::Null).with(200);
    assert_eq!(main["branch"]["protected"], true);
}

#[test]
fn a_restore_on_branches_killed_around_its_writes_is_made_once_and_leaves_only_the_kept_presents() {
    let world = World::with(NOTES);
    let at = world.now();
    world.app.sql("delete from notes where id > 15");
    let at = format!("at={}", text(at));
    let run = ["run", "pitr-restore", "source=app", &at, "predicate=select count(*) = 20 from notes", "tables=notes"];
    let mut died = 0;
    for write in kills(APART) {
        let when = format!("{}:{write}", if write % 2 == 0 { "before" } else { "after" });
        let said = world.project.run_with("RUNSHEET_CRASH", &when, &run);
        super::kills::carried_on(&world.project, &when);
        if said.code == 5 {
            break;
        }
        assert_eq!(said.code, -1, "{when}: {}", said.err);
        died += 1;
        world.app.sql("delete from notes where id > 15");
        let left: Vec<String> =
            world.neon.names().into_iter().filter(|name| name != "main" && !name.starts_with("pitr-")).collect();
        assert_eq!(left, Vec::<String>::new(), "{when}");
    }
    assert!(died > 1, "it died {died} times");
    assert_eq!(world.app.sql("select count(*) from notes"), "20");
    let runs = world.project.run(&["runs", "-n", "1000", "--json"]).json().as_array().expect("a list").len();
    let kept = world.neon.names().len() - 1;
    assert!(kept <= runs, "{kept} presents are kept of {runs} runs");
}

#[test]
fn a_service_that_misbehaves_all_the_while_costs_time_and_nothing_else() {
    let seed = seed();
    println!("seed {seed}");
    let world = World::with(NOTES);
    let at = world.now();
    world.app.sql("delete from notes where id > 15");
    world.neon.chaos(&json!({ "seed": seed % 1_000_000, "all": 0.1 }));
    let at = format!("at={}", text(at));
    let run = [
        "run",
        "pitr-restore",
        "source=app",
        &at,
        "predicate=select count(*) = 20 from notes",
        "tables=notes",
        "preserve=the present",
    ];
    // What the service says no to for good ends a run, and then everything that it made is gone again.
    let said = world.project.run(&run).with_code(5);
    assert!(said.err.contains("notes: insert 5"), "{}", said.err);
    world.approved().with_code(0);
    world.neon.chaos(&json!({ "seed": 0, "all": 0.0 }));
    assert_eq!(world.app.sql("select count(*) from notes"), "20");
    assert_eq!(world.neon.names(), ["main", "the present"]);
}

#[test]
fn a_rewind_that_was_interrupted_can_be_taken_back_from_the_kept_present() {
    let world = World::with(NOTES);
    world.neon.alter("main", &json!({ "protected": true }));
    let at = world.now();
    world.app.sql("update notes set note = 'spoilt'");
    let at = format!("at={}", text(at));
    let good = "predicate=select count(*) > 0 from notes where note like 'note %'";
    world.restore(&[&at, good, "mode=rewind", "preserve=main before"]).with_code(5);
    world.project.run(&["approve", "--why", "looks right"]).with_code(0);
    // A few writes at a time, until the branch was rewound and the run is not over.
    for _ in 0..20 {
        world.project.run_with("RUNSHEET_CRASH", "after:5", &["resume"]);
        if world.neon.names().contains(&"main before".to_owned()) {
            break;
        }
    }
    world.project.run(&["undo", "--why", "the other branch was meant"]).with_code(0);
    assert_eq!(world.app.sql("select min(note) from notes"), "spoilt");
    assert_eq!(world.neon.names(), ["main", "main before", "main before-undone"]);
    let main = world.neon.api("GET", &format!("/branches/{}", world.neon.branch), &Value::Null).with(200);
    assert_eq!(main["branch"]["protected"], true);
}
