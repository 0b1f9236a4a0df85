//! A project of the stand-in with branches of pull requests, and a project of ours that purges them.

use serde_json::{Value, json};

use crate::program::project::{Project, Said};
use crate::support::neon::{self, StandIn};

/// When everything old was made.
pub const LONG_AGO: &str = "2026-01-01T00:00:00Z";

/// Both projects.
pub struct World {
    pub neon: neon::Project,
    pub ours: Project,
}

impl World {
    /// A stand-in's project with this plan of things, and `[neon]`, `[github]` that point there.
    pub fn new(wish: &Value) -> Self {
        let neon = StandIn::shared().project(wish);
        let ours = Project::with_url("postgresql://nobody@127.0.0.1:1/none");
        ours.file("runsheet.toml", &neon.toml());
        Self { neon, ours }
    }

    /// Branches of closed pull requests, long unused, one a name.
    pub fn closed(&self, names: &[&str]) -> Vec<String> {
        let mut pulls = json!({});
        let mut seeds = Vec::new();
        for name in names {
            let digits: String =
                name.trim_start_matches("preview/pr-").chars().take_while(char::is_ascii_digit).collect();
            if !digits.is_empty() {
                pulls[digits] = json!({ "state": "closed", "closed_at": LONG_AGO, "merged": true });
            }
            seeds.push(json!({ "name": name, "created_at": LONG_AGO }));
        }
        self.neon.github(&json!({ "pulls": pulls }));
        self.neon.seed(&Value::Array(seeds))
    }

    /// Says what a pull request is.
    pub fn pull(&self, number: u64, pull: &Value) {
        let mut pulls = json!({});
        pulls[number.to_string()] = pull.clone();
        self.neon.github(&json!({ "pulls": pulls }));
    }

    /// Makes a plan.
    pub fn plan(&self, args: &[&str]) -> Said {
        let given = |name: &str| args.iter().any(|arg| arg.starts_with(name));
        let or = ["max_share=100%", "ttl=0s"].into_iter().filter(|or| !given(or.split('=').next().unwrap_or_default()));
        let or: Vec<&str> = or.collect();
        self.ours.run(&[&["plan", "branch-purge"], &or[..], args, &["--out", "p.json"]].concat())
    }

    /// Runs by that plan.
    pub fn run(&self) -> Said {
        self.ours.run(&["run", "branch-purge", "--plan", "p.json"])
    }

    /// The reason that the plan gives for a branch.
    #[track_caller]
    pub fn reason(&self, name: &str) -> String {
        let plan: Value =
            serde_json::from_str(&std::fs::read_to_string(self.ours.path().join("p.json")).expect("a plan"))
                .expect("JSON");
        let step = plan["steps"].as_array().expect("steps").iter().find(|step| step["name"] == "judge").expect("judge");
        let notes = step["lines"]
            .as_array()
            .expect("lines")
            .iter()
            .flat_map(|line| line["notes"].as_array().into_iter().flatten());
        let mut lines = notes.filter_map(Value::as_str).filter(|line| line.starts_with(name));
        lines.next().unwrap_or_else(|| panic!("nothing is said of {name}: {step}")).to_owned()
    }
}
