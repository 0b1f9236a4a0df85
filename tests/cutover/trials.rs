//! Whole cutovers, during which the engine, the pooler, a server or the application is killed at any moment, and what the
//! application knows of its writes afterwards: none lost, none doubled, none on the wrong side.
//!
//! A few in the suite; `RUNSHEET_TRIALS=100` makes as many, and `RUNSHEET_SEED` begins at another seed.

use std::fmt::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Cutover, wait_until};

/// How many without more being asked for.
const FEW: u64 = 3;
/// What may be killed.
const VICTIMS: [&str; 5] = ["engine", "pooler", "source", "scratch", "app"];
/// A cutover of so few rows takes about so many milliseconds.
const SPAN: u64 = 5000;
/// How it begins.
const BEGIN: &str = "runsheet run cutover approve=true watch=1s";
/// Commands that a run may need to come to its end.
const COMMANDS: usize = 30;

/// Numbers out of a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A cutover under way, and all that happened to it.
struct Trial {
    world: Cutover,
    dice: Dice,
    begun: Instant,
    /// Moments at which something is killed, the last one first.
    kills: Vec<(Duration, &'static str)>,
    told: String,
}

#[test]
fn no_acknowledged_write_is_lost_doubled_or_on_the_wrong_side_whatever_is_killed() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let (first, count) = (number("RUNSHEET_SEED").unwrap_or(1), number("RUNSHEET_TRIALS").unwrap_or(FEW));
    let mut moved = 0;
    let mut failed = Vec::new();
    for seed in first..first + count {
        println!("RUNSHEET_SEED={seed}");
        let mut trial = Trial::new(seed);
        match trial.run() {
            Ok(over) => {
                let killed: Vec<&str> = trial.told.lines().filter(|line| line.contains("killed: ")).collect();
                println!("seed {seed}: {} {killed:?}", if over { "moved" } else { "stayed" });
                moved += u64::from(over);
            }
            Err(why) => {
                println!("seed {seed}: {why}\n{}", trial.told);
                failed.push(seed);
            }
        }
    }
    println!("{moved} of {count} moved, {} stayed", count - moved - failed.len() as u64);
    assert_eq!(failed, Vec::<u64>::new(), "seeds that failed");
}

impl Trial {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dice.below(2);
        let mut kills: Vec<(Duration, &'static str)> = (0..=dice.below(3))
            .map(|_| {
                let victim = VICTIMS[usize::try_from(dice.below(5)).expect("small")];
                (Duration::from_millis(100 + dice.below(SPAN)), victim)
            })
            .collect();
        kills.sort_unstable();
        kills.reverse();
        let world = Cutover::plain();
        world.writes(50);
        Self { world, dice, begun: Instant::now(), kills, told: String::new() }
    }

    fn tell(&mut self, text: &str) {
        let _ = writeln!(self.told, "{:7.2} {text}", self.begun.elapsed().as_secs_f64());
    }

    /// The whole trial. Answers whether the application moved.
    fn run(&mut self) -> Result<bool, String> {
        let mut args: Vec<String> = BEGIN.split_whitespace().skip(1).map(str::to_owned).collect();
        for _ in 0..COMMANDS {
            let (code, said) = self.command(&args);
            self.tell(&format!("{}: exit {code}\n{said}", args.join(" ")));
            let Some(next) = self.next()? else { return self.judge() };
            args = if said.contains("begin anew") { vec!["undo".to_owned()] } else { next };
        }
        Err(format!("it did not come to its end in {COMMANDS} commands"))
    }

    /// What to type next, as the program itself says it; nothing once the run is over.
    fn next(&self) -> Result<Option<Vec<String>>, String> {
        let said = self.world.run(&["status", "--json"]);
        let status: Value = serde_json::from_str(&said.out).map_err(|_| said.err)?;
        let words = |text: &str| text.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>();
        let Some(run) = status["unfinished"].as_array().and_then(|runs| runs.first()) else {
            let begun =
                status["runbooks"].as_array().is_some_and(|all| all.iter().any(|it| it["runbook"] == "cutover"));
            return Ok(if begun { None } else { Some(words(BEGIN)) });
        };
        match status["next"].as_str().map(words) {
            Some(next) if next.first().is_some_and(|word| word != "resolve") => Ok(Some(next)),
            _ => Err(format!("nobody knows what to do next: {run}")),
        }
    }

    /// Runs a command of the program to its end, while what is due is killed and brought back.
    fn command(&mut self, args: &[String]) -> (i32, String) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let path = self.world.lab().path().join("said");
        let file = std::fs::File::create(&path).expect("a file");
        let mut command: Command = self.world.command(&args);
        let mut child = command.stdout(Stdio::null()).stderr(file).spawn().expect("the program runs");
        loop {
            if let Some(status) = child.try_wait().expect("its state") {
                return (status.code().unwrap_or(-1), std::fs::read_to_string(&path).unwrap_or_default());
            }
            if self.kills.last().is_some_and(|(due, _)| self.begun.elapsed() >= *due) {
                let (_, victim) = self.kills.pop().expect("there is one");
                self.kill(victim, &child);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn kill(&mut self, victim: &str, engine: &Child) {
        self.tell(&format!("killed: {victim}"));
        if victim == "engine" {
            let _ = kill_process(Pid::from_child(engine), Signal::KILL);
            return;
        }
        self.world.kill(victim);
        std::thread::sleep(Duration::from_millis(self.dice.below(1500)));
        self.world.revive();
        self.world.lab().run(&["app", "start"]);
        self.tell(&format!("back: {victim}"));
    }

    /// What the application's own log says, once the run is over.
    fn judge(&mut self) -> Result<bool, String> {
        let mut led = Err(String::new());
        wait_until("the pooler leads somewhere", || {
            led = self.world.pooled().try_sql("select current_database()");
            led.is_ok()
        });
        let moved = led.is_ok_and(|name| name == "managed");
        self.world.writes(20);
        self.world.lab().run(&["app", "stop"]).with_code(0);
        let found = if moved { self.world.check("managed", Some("source")) } else { self.world.check("source", None) };
        self.tell(&format!("moved: {moved}; {found}"));
        if found["pass"] != true {
            return Err("writes are not where they should be".to_owned());
        }
        if !moved {
            let left = "select count(*) from pg_replication_slots where slot_name like 'runsheet%'";
            wait_until("nothing is left on the old side", || self.world.source().sql(left) == "0");
        }
        Ok(moved)
    }
}
