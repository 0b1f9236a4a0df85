//! Whole cutovers whose engine is killed again and again around its writes to the journal: before, while and after writes are
//! frozen. The application writes all the time.
//!
//! A few kills in the suite; with `RUNSHEET_EVERY=1` each process of a run comes a write or two further than the one before, with
//! `RUNSHEET_EVERY=3` three times as far.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::dump::commands;
use super::moving::Moving;
use crate::chaos::kills::when;
use crate::support::{Database, Said, seed, wait_until};

/// Within this the application is served again: before the deadline of 60 s, so that it was not the clock that released it.
const SOON: Duration = Duration::from_secs(40);
/// Moments around the writes that every process makes for itself.
const OWN: usize = 10;
/// Commands that a run may need to come to its end.
const COMMANDS: usize = 3000;

#[test]
fn a_live_cutover_and_its_finalization_come_to_their_end_whatever_write_they_are_killed_at() {
    let moving = Moving::new();
    Killed::new(&moving, moving.old()).end_it(&["run", "cutover"], 150);
    moving.served();
    moving.all_on("managed");
    alone(&moving.world.source());
    Killed::new(&moving, moving.new_side()).end_it(&["run", "cutover-finalize"], 30);
    moving.served();
    moving.all_on("managed");
    assert_eq!(moving.left(), "");
}

#[test]
fn a_dumped_cutover_and_the_way_back_come_to_their_end_whatever_write_they_are_killed_at() {
    let moving = Moving::new();
    let [quiesce, resume] = commands(&moving);
    Killed::new(&moving, moving.old()).end_it(&["run", "cutover", "strategy=dump", &quiesce, &resume], 100);
    moving.served();
    moving.all_on("managed");
    alone(&moving.world.source());
    Killed::new(&moving, moving.new_side()).end_it(&["run", "cutover-rollback"], 25);
    moving.served();
    moving.all_on("source");
    alone(&moving.world.managed());
    assert_eq!(moving.left(), "");
}

/// The application's role can no longer write on the side that was left.
#[track_caller]
pub fn alone(left: &Database) {
    let refused = left.try_sql("insert into users (email, name) values ('late@example.org', 'late')");
    assert!(refused.as_ref().is_err_and(|said| said.contains("read-only")), "{refused:?}");
}

/// The state of the newest freeze of a database; nothing before there was one, and after a run took its schema away.
pub fn state(side: &Database) -> String {
    let newest = "select nspname from pg_namespace where starts_with(nspname, 'runsheet_') \
                  and to_regclass(nspname || '.freeze') is not null order by oid desc limit 1";
    // Whoever is connected when writes are frozen is cut off.
    let mut schema = None;
    wait_until("the server answers", || {
        schema = side.try_sql(newest).ok();
        schema.is_some()
    });
    let schema = schema.unwrap_or_default();
    if schema.is_empty() {
        return schema;
    }
    let row = format!("select state from {schema}.freeze order by guarded_at desc limit 1");
    side.try_sql(&row).or_else(|_| side.try_sql(&row)).unwrap_or_default()
}

/// A run that is killed on its way.
struct Killed<'a> {
    moving: &'a Moving,
    /// The side whose writes it freezes.
    frozen: Database,
    dice: StdRng,
    /// How many writes further each process comes; a few kills without it.
    every: Option<usize>,
    /// Whether the next process freezes.
    approved: bool,
    /// The moment of the last process that froze.
    moment: usize,
    /// Kills before it froze, around that, and after the commit.
    kills: [usize; 3],
    slowest: Duration,
}

impl<'a> Killed<'a> {
    fn new(moving: &'a Moving, frozen: Database) -> Self {
        let every = std::env::var("RUNSHEET_EVERY").ok().map(|text| text.parse().expect("a number"));
        let (dice, slowest) = (StdRng::seed_from_u64(seed()), Duration::ZERO);
        Self { moving, frozen, dice, every, approved: false, moment: 2, kills: [0; 3], slowest }
    }

    /// Runs it, with all the commands that it asks for; it first freezes, or ends, after about so many writes.
    fn end_it(&mut self, begin: &[&str], writes: usize) {
        let begin: Vec<String> = begin.iter().map(|word| (*word).to_owned()).collect();
        let mut next = Some(begin.clone());
        for _ in 0..COMMANDS {
            let Some(words) = next else {
                println!(
                    "{}: killed {:?} times before it froze, around that, and after the commit; the slowest way back to \
                          writes took {:?}",
                    begin[1], self.kills, self.slowest
                );
                return;
            };
            let phase = self.phase();
            let moment = if words[0] == "approve" { None } else { self.moment(phase, writes * 2) };
            let point = moment.map(when).unwrap_or_default();
            let mut command = self.moving.world.command(&words.iter().map(String::as_str).collect::<Vec<_>>());
            let said = Said::from(command.env("RUNSHEET_CRASH", &point).output().expect("the program runs"));
            match said.code {
                -1 => {
                    self.served_again(&format!("{words:?} killed {point}"));
                    self.kills[if state(&self.frozen) == "committed" { 2 } else { phase }] += 1;
                }
                0 | 5 => {}
                _ => panic!("{words:?} to be killed {point}: {}{}", said.out, said.err),
            }
            // Killed before it froze, it is still approved; one that only finds the freeze broken asks again, unharmed.
            self.approved = words[0] == "approve" || self.every.is_some() && self.approved && said.code == -1;
            if said.code == 5 && phase == 1 {
                self.moment -= self.every.unwrap_or_default();
            }
            next = self.next(&begin);
        }
        panic!("it did not come to its end in {COMMANDS} commands");
    }

    /// Before it freezes, around that, after the commit.
    fn phase(&self) -> usize {
        if state(&self.frozen) == "committed" { 2 } else { usize::from(self.approved) }
    }

    /// At which moment the next process is killed, if it is.
    fn moment(&mut self, phase: usize, moments: usize) -> Option<usize> {
        let kills = self.kills[phase];
        let Some(every) = self.every else {
            let last = if phase == 1 && kills == 2 { 100 } else { [moments, 60, 20][phase] };
            return (kills < [1, 3, 1][phase]).then(|| self.dice.random_range(1..=last));
        };
        if phase == 1 {
            self.moment += every;
            return Some(self.moment);
        }
        // The first writes of every process say that it is at work, what it locks and where it goes on; only behind them does one
        // come further than the one before.
        let further = 2 * self.dice.random_range(0..2 * every);
        Some(if kills < OWN { kills + 1 } else { OWN + 1 + kills % 2 + further })
    }

    /// Whoever was killed: the application writes at once, unless the freeze is committed, which only going on ends.
    fn served_again(&mut self, what: &str) {
        let (begun, before) = (Instant::now(), self.moving.world.acknowledged());
        loop {
            if self.moving.world.acknowledged() > before {
                self.slowest = self.slowest.max(begun.elapsed());
                assert!(begun.elapsed() < SOON, "{what}: {:?}", begun.elapsed());
                return;
            }
            if state(&self.frozen) == "committed" {
                return;
            }
            assert!(begun.elapsed() < SOON * 2, "{what}: nobody is served; {}", self.moving.world.run(&["status"]).out);
        }
    }

    /// What to type next, as the program says it; nothing once the run is over.
    fn next(&self, begin: &[String]) -> Option<Vec<String>> {
        let status: Value = self.moving.world.run(&["status", "--json"]).json();
        if let Some(next) = status["next"].as_str() {
            assert!(!next.contains("resolve"), "nobody knows what to do: {status}");
            return Some(next.split_whitespace().skip(1).map(str::to_owned).collect());
        }
        let over =
            status["runbooks"].as_array().is_some_and(|all| all.iter().any(|it| it["runbook"] == begin[1].as_str()));
        (!over).then(|| begin.to_vec())
    }
}
