//! Runbooks against a service that misbehaves in every way that it is known to: they come through, nothing is made twice,
//! nothing is left over, and nothing is deleted that was not to be.
//!
//! A few seeds in the suite; `RUNSHEET_SEEDS=200` tries as many, and `RUNSHEET_SEED` begins at another one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::program::project::Project as Folder;
use crate::support::StandIn;
use crate::support::neon::Project;

/// How often somebody types `runsheet resume` before it counts as stuck.
const PATIENCE: usize = 12;

/// A runbook, and what may come of it.
pub struct Trial<'a> {
    /// Its text; none for one that is shipped.
    pub text: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
    /// Further arguments of `runsheet run`.
    pub args: &'a [&'a str],
    /// What `POST /lab/projects` takes.
    pub wish: Value,
    /// The branches that are there.
    pub branches: Value,
    /// Those of them that it deletes.
    pub deletes: &'a [&'a str],
    /// What is there besides at the end.
    pub adds: &'a [&'a str],
    /// How many branches of its own there may be at once.
    pub at_once: u64,
    /// Share of each kind of misbehaviour.
    pub share: f64,
}

/// Seeds to be tried.
fn seeds() -> impl Iterator<Item = u64> {
    let count = std::env::var("RUNSHEET_SEEDS").map_or(2, |text| text.parse().expect("RUNSHEET_SEEDS is a number"));
    let first = std::env::var("RUNSHEET_SEED").map_or(1, |text| text.parse().expect("RUNSHEET_SEED is a number"));
    first..first + count
}

impl Trial<'_> {
    /// Tries it with every seed.
    pub fn survives(&self) {
        for seed in seeds() {
            println!("RUNSHEET_SEED={seed}");
            self.survives_one(seed);
        }
    }

    fn survives_one(&self, seed: u64) {
        let mut wish = self.wish.clone();
        wish["seed"] = seed.into();
        let project = StandIn::shared().project(&wish);
        project.seed(&self.branches);
        let before: BTreeSet<String> = project.names().into_iter().collect();
        project.chaos(&json!({ "seed": seed, "all": self.share }));

        let folder = Folder::with_url(&project.uri);
        folder.file("runsheet.toml", &format!("{}\n{}", project.toml(), project.target_toml("prod")));
        if let Some(text) = self.text {
            folder.file(&format!("runbooks/{}.rhai", self.name), text);
        }
        let mut said = Vec::new();
        let mut run = folder.run(&[&["run", self.name], self.args].concat());
        while run.code != 0 && said.len() < PATIENCE {
            said.push(format!("exit {}\n{}", run.code, run.err));
            run = folder.run(&["resume"]);
        }
        said.push(format!("exit {}\n{}", run.code, run.err));
        let said = said.join("\n----\n");
        assert_eq!(run.code, 0, "seed {seed}: it does not come through\n{said}\n{}", happened(&project));

        project.settle();
        let after: BTreeSet<String> = project.names().into_iter().collect();
        let kept: BTreeSet<String> =
            before.iter().filter(|name| !self.deletes.contains(&name.as_str())).cloned().collect();
        let expected: BTreeSet<String> =
            kept.iter().cloned().chain(self.adds.iter().map(|name| (*name).to_owned())).collect();
        assert_eq!(after, expected, "seed {seed}: what is there at the end\n{said}");
        // One that came to nothing may be made again, but never beside the first.
        let peak = project.state()["peak"].as_u64().expect("a number");
        let most = before.len() as u64 + self.at_once;
        assert!(peak <= most, "seed {seed}: {peak} branches at once: {:?}\n{said}", project.made());
        let removed: BTreeSet<String> = project.removed().into_iter().collect();
        let wrong: Vec<&String> = removed.iter().filter(|name| kept.contains(*name)).collect();
        assert!(wrong.is_empty(), "seed {seed}: deleted {wrong:?}\n{said}");
        project.lab("DELETE", "", &Value::Null);
    }
}

/// What a failure is to be understood by.
fn happened(project: &Project) -> String {
    let state = project.state();
    format!("misbehaved: {}\nanswered: {}\nbranches: {:?}", state["chaos"], state["statuses"], project.names())
}

#[test]
fn a_branch_is_made_changed_and_dropped_whatever_the_service_does() {
    let text = r#"
        runbook("branching", "1.0.0", #{ about: "A branch comes and goes", params: #{} });
        step("make", || neon::create_branch(#{ name: "drill", compute: true, ttl: "1h", annotation: #{ why: "chaos" } }))
            .retry(#{ attempts: 6, wait: "100ms" }).cleanup(|made| neon::drop_branch(made));
        step("look", || neon::branch(done.make.id).name).retry(#{ attempts: 6, wait: "100ms" });
        step("rename", || neon::update_branch(done.make.id, #{ name: "drill, renamed" })).retry(#{ attempts: 6, wait: "100ms" });
        step("others", || neon::branches(#{ prefix: "preview/" }).len()).retry(#{ attempts: 6, wait: "100ms" });
    "#;
    let trial = Trial {
        text: Some(text),
        name: "branching",
        args: &[],
        wish: json!({}),
        branches: json!([{ "name": "preview/pr-1" }, { "name": "preview/pr-2", "parent": "preview/pr-1" }]),
        at_once: 1,
        deletes: &[],
        adds: &[],
        share: 0.02,
    };
    trial.survives();
}

#[test]
fn branches_are_deleted_leaves_first_and_no_others_whatever_the_service_does() {
    let text = r#"
        runbook("clearing", "1.0.0", #{ about: "Branches go", params: #{} });
        step("list", || neon::branches(#{ prefix: "old/" })).retry(#{ attempts: 6, wait: "100ms" });
        step("delete", || {
            let leaves = done.list.filter(|branch| branch.children.is_empty());
            for branch in leaves { neon::delete_branch(branch); }
            let rest = neon::branches(#{ prefix: "old/" });
            for branch in rest { neon::delete_branch(branch); }
        }).retry(#{ attempts: 6, wait: "100ms" });
    "#;
    let trial = Trial {
        text: Some(text),
        name: "clearing",
        args: &[],
        wish: json!({}),
        branches: json!([
            { "name": "old/1" }, { "name": "old/2", "parent": "old/1" }, { "name": "old/3" }, { "name": "old" },
            { "name": "new/1" }, { "name": "old/protected", "protected": true }, { "name": "old/used", "active": true },
        ]),
        at_once: 0,
        deletes: &["old/1", "old/2", "old/3"],
        adds: &[],
        share: 0.02,
    };
    trial.survives();
}

#[test]
fn a_branch_is_put_back_in_place_once_whatever_the_service_does() {
    let text = r#"
        runbook("rewinding", "1.0.0", #{ about: "A branch goes back", params: #{} });
        step("restore", || neon::restore_branch("dev", #{ from: "main", preserve: "dev, before" }))
            .retry(#{ attempts: 6, wait: "100ms" });
        step("look", || gate::that("it is a child of main", neon::branch("dev").parent == neon::branch("main").id));
        step("compute", || {
            let endpoint = neon::endpoints("main")[0].id;
            neon::start_endpoint(endpoint);
            neon::suspend_endpoint(endpoint);
        }).retry(#{ attempts: 6, wait: "100ms" });
        step("password", || neon::reset_password("main", "app_owner")).retry(#{ attempts: 6, wait: "100ms" });
    "#;
    let trial = Trial {
        text: Some(text),
        name: "rewinding",
        args: &[],
        wish: json!({ "created_at": "2026-01-01T00:00:00Z" }),
        branches: json!([{ "name": "dev" }, { "name": "below", "parent": "dev" }]),
        at_once: 1,
        deletes: &[],
        adds: &["dev, before"],
        share: 0.02,
    };
    trial.survives();
}
