//! A lab with both sides of a cutover and an application at work.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::program;

/// How long the application writes before and after.
const WRITING: Duration = Duration::from_secs(5);
/// Steps between the freeze and the first accepted write.
const WITHIN: [&str; 9] = ["freeze", "dump", "restore", "drain", "verify", "sequences", "way-back", "commit", "flip"];

/// A running lab. Dropping it takes it down.
pub struct World {
    folder: TempDir,
}

/// How long writes stood still, and what took the time.
pub struct Window {
    /// From the first write that was refused, or held, to the first that was accepted: seconds.
    pub frozen: f64,
    /// Of these, what the step `verify` took.
    pub verified: f64,
    /// Writes that the application was told are committed.
    pub acknowledged: u64,
    /// Attempts that were refused.
    pub refused: u64,
    /// The whole run.
    pub took: f64,
    /// The steps that lie in it.
    pub steps: Vec<(String, f64)>,
}

impl World {
    /// Brings one with so many rows up.
    pub fn up(tmp: &Path, rows: u64) -> Self {
        let world = Self { folder: tempfile::Builder::new().prefix("cutover-").tempdir_in(tmp).expect("a folder") };
        eprintln!("a lab of {rows} rows …");
        world.run(&["lab", "up", "--plain", "--rows", &rows.to_string()]);
        world.run(&["lab", "up", "--cutover"]);
        let toml = world.lab()["toml"].as_str().expect("a text").to_owned();
        std::fs::write(world.folder.path().join("runsheet.toml"), toml).expect("the project");
        world
    }

    /// Moves the application. Whatever it was told is committed must be on the new side alone.
    pub fn cutover(self, strategy: &str, args: &[&str]) -> Window {
        eprintln!("cutover, {strategy} {} …", args.join(" "));
        std::thread::sleep(WRITING);
        let lab = self.lab();
        let words = |name: &str| -> String {
            let words = lab[name].as_array().expect("a list").iter().map(|word| word.as_str().expect("a word"));
            format!("{name}={}", words.collect::<Vec<_>>().join(","))
        };
        // The plain plan stops the application; the other one has it wait at the pooler.
        let stopped = if strategy == "dump" { vec![words("quiesce"), words("resume")] } else { Vec::new() };
        let strategy_arg = format!("strategy={strategy}");
        let mut all = vec!["run", "cutover", &strategy_arg, "approve=true", "watch=1s"];
        all.extend(args.iter().copied().chain(stopped.iter().map(String::as_str)));
        let begun = Instant::now();
        self.run(&all);
        let took = begun.elapsed().as_secs_f64();
        std::thread::sleep(WRITING);
        self.run(&["lab", "app", "stop"]);
        let checked = self.json(&["lab", "app", "check", "--json", "--on", "managed", "--other", "source"]);
        assert_eq!(checked["pass"], true, "{checked}");
        let gap = &checked["gap"];
        let seconds = |name: &str| gap[name].as_f64().expect("seconds");
        let report = self.json(&["report", "cutover-1", "--json"]);
        let steps = report["steps"].as_array().expect("steps").iter().filter_map(|step| {
            let name = step["step"].as_str().filter(|name| WITHIN.contains(name) && step["phase"] == "perform")?;
            Some((name.to_owned(), step["took_ms"].as_f64()? / 1000.0))
        });
        let steps: Vec<(String, f64)> = steps.collect();
        Window {
            // Nobody tries to write while the application is stopped.
            frozen: seconds(if stopped.is_empty() { "frozen" } else { "seconds" }),
            verified: steps.iter().find(|(name, _)| name == "verify").map_or(0.0, |(_, took)| *took),
            acknowledged: checked["acknowledged"].as_u64().unwrap_or_default(),
            refused: gap["refused"].as_u64().unwrap_or_default(),
            took,
            steps,
        }
    }

    fn lab(&self) -> Value {
        self.json(&["lab", "status", "--json"])["cutover"].clone()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_slice(&self.run(args).stdout).expect("JSON")
    }

    fn run(&self, args: &[&str]) -> Output {
        let output = program::command(self.folder.path(), args).output().expect("the program starts");
        assert!(output.status.success(), "{}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        output
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = program::command(self.folder.path(), &["lab", "down"]).output();
    }
}
