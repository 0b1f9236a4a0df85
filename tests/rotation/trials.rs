//! Rotations there and back in one world, during which the engine is killed at any moment, and now and then the pooler or the
//! server, while a client logs in anew all the while: nobody is ever refused.
//!
//! A few in the suite; `RUNSHEET_TRIALS=100` makes as many rotations, and `RUNSHEET_SEED` begins at another seed.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};

use super::judging::Watch;
use super::kills::{ROTATE, unfinished};
use crate::support::{Rotation, seed, wait_until};

/// How many without more being asked for.
const FEW: u64 = 3;
/// A process of a rotation takes about so many milliseconds.
const SPAN: u64 = 1800;
/// Commands that a run may need to come to its end.
const COMMANDS: usize = 30;

fn trials() -> u64 {
    std::env::var("RUNSHEET_TRIALS").ok().map_or(FEW, |text| text.parse().expect("a number"))
}

#[test]
fn nobody_is_refused_and_no_login_fails_however_often_the_engine_is_killed() {
    let world = Rotation::up(&[]);
    let first = seed();
    let (mut kills, begun) = (0, Instant::now());
    for trial in 0..trials() {
        let seed = first.wrapping_add(trial);
        kills += Trial::new(&world, seed, &["engine"]).rotate();
    }
    world.attempts_more(5);
    let (attempts, failed) = world.logins();
    println!(
        "{} rotations, {kills} kills, {attempts} logins, {} failed, {:?}",
        trials(),
        failed.len(),
        begun.elapsed()
    );
    assert_eq!(failed, Vec::<String>::new());
}

#[test]
fn nobody_is_refused_while_the_pooler_or_the_server_is_killed_too() {
    let world = Rotation::up(&[]);
    let first = seed();
    let (mut kills, begun) = (0, Instant::now());
    for trial in 0..trials().min(FEW.max(trials() / 4)) {
        let seed = first.wrapping_add(trial);
        kills += Trial::new(&world, seed, &["engine", "pooler", "source"]).rotate();
    }
    world.attempts_more(5);
    let (attempts, failed) = world.logins();
    let refused: Vec<&String> = failed.iter().filter(|line| is_refusal(line)).collect();
    println!(
        "{kills} kills, {attempts} logins, {} found nobody there, {:?}",
        failed.len() - refused.len(),
        begun.elapsed()
    );
    assert_eq!(refused, Vec::<&String>::new());
}

/// The newest run, whether it is at its end or not; nothing before there was one.
fn newest(world: &Rotation) -> String {
    let runs = world.run(&["runs", "--json"]).json();
    let all = runs.as_array().expect("a list").iter().filter_map(|run| run["run"].as_str());
    let number = |run: &&str| run.rsplit('-').next().and_then(|number| number.parse::<u64>().ok());
    all.max_by_key(number).unwrap_or_default().to_owned()
}

fn passed(world: &Rotation, run: &str) -> bool {
    let runs = world.run(&["runs", "--json"]).json();
    runs.as_array().expect("a list").iter().any(|it| it["run"] == run && it["verdict"] == "pass")
}

/// Whether a line of the client's log says that a login was not accepted, rather than that nobody was there.
fn is_refusal(line: &str) -> bool {
    let code = line.split(' ').nth(4).unwrap_or_default();
    code.starts_with("28") || line.contains("authentication failed") || line.contains("not permitted to log in")
}

/// One rotation.
struct Trial<'a> {
    world: &'a Rotation,
    seed: u64,
    dice: StdRng,
    begun: Instant,
    /// After how long each process of the run finds something killed, the last one first.
    kills: Vec<(Duration, &'a str)>,
    told: Vec<String>,
}

impl<'a> Trial<'a> {
    fn new(world: &'a Rotation, seed: u64, victims: &[&'a str]) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let kills = (0..dice.random_range(1..=4))
            .map(|_| (Duration::from_millis(dice.random_range(5..SPAN)), victims[dice.random_range(0..victims.len())]))
            .collect();
        Self { world, seed, dice, begun: Instant::now(), kills, told: Vec::new() }
    }

    fn tell(&mut self, text: String) {
        self.told.push(format!("{:7.2} {text}", self.begun.elapsed().as_secs_f64()));
    }

    /// To its end, whatever is killed; answers how often something was.
    fn rotate(mut self) -> usize {
        let what = format!("RUNSHEET_SEED={}", self.seed);
        println!("{what}");
        let watch = Watch::over(self.world);
        let (many, mut before) = (self.kills.len(), newest(self.world));
        let mut words: Vec<String> = ROTATE.iter().map(|word| (*word).to_owned()).collect();
        for _ in 0..COMMANDS {
            let (code, said) = self.command(&words);
            self.tell(format!("{}: exit {code}\n{said}", words.join(" ")));
            let run = newest(self.world);
            match self.next() {
                Some(next) => words = next,
                // Killed before its first entry, it begins once more.
                None if run == before => {}
                // What stood against it was seen before anything was touched; once that is over, it begins anew.
                None if words[0] != "undo" && !passed(self.world, &run) => {
                    before = run;
                    words = ROTATE.iter().map(|word| (*word).to_owned()).collect();
                }
                None => {
                    let seen = watch.end(&what);
                    if words[0] == "undo" {
                        seen.as_before(self.world, &what);
                    } else {
                        seen.rotated(self.world, &run, &what);
                    }
                    return many - self.kills.len();
                }
            }
        }
        panic!("{what}: it did not come to its end\n{}", self.told.join("\n"));
    }

    /// What to type next, as the program says it; nothing once the run is over.
    fn next(&self) -> Option<Vec<String>> {
        let status = self.world.run(&["status", "--json"]).json();
        unfinished(self.world)?;
        let next = status["next"].as_str().unwrap_or_default();
        let words: Vec<String> = next.split_whitespace().skip(1).map(str::to_owned).collect();
        let known = words.first().is_some_and(|word| ["resume", "undo"].contains(&word.as_str()));
        assert!(known, "seed {}: nobody knows what to do: {status}\n{}", self.seed, self.told.join("\n"));
        Some(words)
    }

    /// Runs the program to its end, or until something is killed.
    fn command(&mut self, words: &[String]) -> (i32, String) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let path = self.world.lab().path().join("said");
        let file = std::fs::File::create(&path).expect("a file");
        let mut command = self.world.command(&words);
        let mut child = command.stdout(Stdio::null()).stderr(file).spawn().expect("the program runs");
        let mut due = self.kills.last().copied().map(|(after, victim)| (Instant::now() + after, victim));
        loop {
            if let Some(status) = child.try_wait().expect("its state") {
                return (status.code().unwrap_or(-1), std::fs::read_to_string(&path).unwrap_or_default());
            }
            if let Some((_, victim)) = due.filter(|(at, _)| Instant::now() >= *at) {
                self.kills.pop();
                due = None;
                self.kill(victim, &child);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn kill(&mut self, victim: &str, engine: &Child) {
        self.tell(format!("killed: {victim}"));
        if victim == "engine" {
            let _ = kill_process(Pid::from_child(engine), Signal::KILL);
            return;
        }
        self.world.kill(victim);
        std::thread::sleep(Duration::from_millis(self.dice.random_range(0..1500)));
        self.world.revive();
        wait_until("everything answers again", || self.world.pooled().try_sql("select 1").is_ok());
        self.tell(format!("back: {victim}"));
    }
}
