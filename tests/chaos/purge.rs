//! `branch-purge`: what the plan named goes, once each, and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;

use super::carried::{Course, behave, carried_on, misbehave, removals, with_every_seed};
use super::crowd::Crowd;
use crate::program::project::Said;

/// By which it is run.
const RUN: [&str; 4] = ["run", "branch-purge", "--plan", "p.json"];

impl Crowd {
    /// Makes a plan, as often as it takes.
    #[track_caller]
    pub fn planned(&self) -> Said {
        let plan = ["plan", "branch-purge", "max_share=100%", "--out", "p.json"];
        let tried = std::iter::repeat_with(|| self.world.ours.run(&plan)).take(6);
        tried.reduce(|before, said| if before.code == 0 { before } else { said }).expect("a plan").with_code(0)
    }

    /// Purges by the plan from what a first command came to, and holds what is there then against what was planned.
    #[track_caller]
    pub fn purged(&self, first: Said) -> Course {
        let named = self.named();
        assert_eq!(named, self.going, "what the plan names");
        let course = carried_on(&self.world.neon, &self.world.ours, &RUN, first);
        behave(&self.world.neon);
        let removed = removals(&self.world.neon);
        let gone: BTreeSet<String> = removed.keys().cloned().collect();
        assert_eq!(gone, named, "what went\n{}", course.said);
        assert!(removed.values().all(|times| *times == 1), "{removed:?}");
        let left: BTreeSet<String> = self.world.neon.names().into_iter().collect();
        assert_eq!(left, self.all.difference(&self.going).cloned().collect(), "what is left\n{}", course.said);
        assert_eq!(self.world.neon.made(), [""; 0]);
        let state = self.world.neon.state();
        let branches = state["branches"].as_array().expect("branches");
        let ends = branches.iter().filter(|branch| branch["deleted"] == false && !branch["expires_at"].is_null());
        let ends = ends.map(|it| it["name"].as_str().expect("a name").to_owned());
        // Where many pull requests are listed at once, GitHub does say what it refuses to say of a single one.
        let ends: BTreeSet<String> = ends.filter(|name| !name.ends_with("-unknown")).collect();
        assert_eq!(ends, self.expiring, "what goes by itself\n{}", course.said);
        course
    }

    /// Names of the branches that the plan says go.
    fn named(&self) -> BTreeSet<String> {
        let text = std::fs::read_to_string(self.world.ours.path().join("p.json")).expect("a plan");
        assert!(text.contains("NOW+2592000s"), "the lines to run by hand name the end");
        let plan: Value = serde_json::from_str(&text).expect("JSON");
        let steps = plan["steps"].as_array().expect("steps");
        let step = steps.iter().find(|step| step["name"] == "delete").expect("the step");
        let lines = step["lines"].as_array().expect("lines").iter();
        lines.map(|line| self.names[line["lane"].as_str().expect("an id")].clone()).collect()
    }
}

#[test]
fn a_purge_deletes_what_its_plan_names_once_whatever_the_service_does() {
    with_every_seed(1, |seed| {
        let crowd = Crowd::new(seed);
        misbehave(&crowd.world.neon, seed);
        crowd.planned();
        let first = crowd.world.ours.run(&RUN);
        let course = crowd.purged(first);
        println!("{} deleted, resumed {} times", crowd.going.len(), course.resumed);
        crowd.world.neon.lab("DELETE", "", &Value::Null);
    });
}

#[test]
fn a_purge_killed_around_its_journal_writes_deletes_each_once() {
    let mut died = 0;
    for moment in super::kills::moments(1, 90) {
        let crowd = Crowd::new(moment as u64);
        misbehave(&crowd.world.neon, moment as u64);
        crowd.planned();
        let first = crowd.world.ours.run_with("RUNSHEET_CRASH", &super::kills::when(moment), &RUN);
        let over = first.code == 0;
        crowd.purged(first);
        crowd.world.neon.lab("DELETE", "", &Value::Null);
        if over {
            break;
        }
        died += 1;
    }
    println!("died {died} times");
    assert!(died > 0, "it never died");
}
