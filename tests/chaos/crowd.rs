//! Branches of every kind, of pull requests in every state, shuffled; and which of them are to go.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{SecondsFormat, Utc};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::purge::world::{LONG_AGO, World};

/// A project full of branches.
pub struct Crowd {
    pub world: World,
    /// Names of those that are to go.
    pub going: BTreeSet<String>,
    /// Names of all.
    pub all: BTreeSet<String>,
    /// The same by id, for when they are gone.
    pub names: BTreeMap<String, String>,
    /// Names of those that get an expiry.
    pub expiring: BTreeSet<String>,
}

/// What is put there, before it is put there.
#[derive(Default)]
struct Draft {
    seeds: Vec<Value>,
    pulls: Value,
    going: BTreeSet<String>,
    expiring: BTreeSet<String>,
}

impl Draft {
    fn branch(&mut self, name: &str, more: &Value) {
        let mut seed = json!({ "name": name, "created_at": LONG_AGO });
        for (key, value) in more.as_object().into_iter().flatten() {
            seed[key] = value.clone();
        }
        self.seeds.push(seed);
    }

    fn closed(&mut self, number: u32) {
        self.pulls[number.to_string()] =
            json!({ "state": "closed", "closed_at": LONG_AGO, "merged": number.is_multiple_of(2) });
    }

    /// A branch of a closed pull request that nobody uses.
    fn goes(&mut self, number: u32, tail: &str, more: &Value) -> String {
        let name = format!("preview/pr-{number}{tail}");
        self.closed(number);
        self.branch(&name, more);
        self.going.insert(name.clone());
        name
    }

    /// A branch of a closed pull request that stays all the same.
    fn stays(&mut self, number: u32, tail: &str, more: &Value) -> String {
        let name = self.goes(number, tail, more);
        self.going.remove(&name);
        name
    }
}

impl Crowd {
    /// One drawn from a seed: some thirty branches.
    pub fn new(seed: u64) -> Self {
        let mut draw = StdRng::seed_from_u64(seed);
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut draft = Draft { pulls: json!({}), ..Draft::default() };
        // Parents are named before their children; which of the lone ones comes when is drawn.
        let mut numbers: Vec<u32> = (1..=400).collect();
        numbers.shuffle(&mut draw);
        let mut next = || numbers.pop().expect("a number");
        for tail in ["", "-Fix/It", "$(rm -rf)", "'; drop table notes; --", " \u{202e}back", "-ümlaut"] {
            for _ in 0..draw.random_range(0..=1) {
                draft.goes(next(), tail, &json!({}));
            }
        }
        draft.goes(next(), "-archived", &json!({ "state": "archived" }));
        draft.goes(next(), "-idle", &json!({ "active": false, "last_active": LONG_AGO }));
        let (ours, other) = (next(), next());
        draft.goes(ours, "", &json!({ "annotation": { "runsheet": "preview-branch-1", "pr": ours.to_string() } }));
        draft.stays(other, "", &json!({ "annotation": { "runsheet": "preview-branch-2", "pr": "9999" } }));
        draft.stays(next(), "-protected", &json!({ "protected": true }));
        draft.stays(next(), "-active", &json!({ "active": true }));
        draft.stays(next(), "_old_2026", &json!({}));
        draft.stays(next(), "-restricted", &json!({ "restricted": [["delete", "it is a snapshot's"]] }));
        draft.stays(next(), "-schema", &json!({ "init_source": "schema-only", "parent": "" }));
        let used = draft.stays(next(), "-used", &json!({ "active": false, "last_active": now }));
        draft.expiring.insert(used);
        // A family that goes whole, leaves first.
        let (root, middle) = (draft.goes(next(), "-root", &json!({})), next());
        let middle = draft.goes(middle, "-middle", &json!({ "parent": root }));
        draft.goes(next(), "-leaf", &json!({ "parent": middle }));
        draft.goes(next(), "-other-leaf", &json!({ "parent": root }));
        // One that stays because something below it does.
        let parent = draft.stays(next(), "-parent", &json!({}));
        draft.goes(next(), "-sister", &json!({ "parent": parent }));
        let kind = ["open", "recent", "missing", "unknown"][draw.random_range(0..4)];
        for (what, parent) in [("open", ""), ("recent", ""), ("missing", ""), ("unknown", ""), (kind, &parent)] {
            let number = next();
            let name = format!("preview/pr-{number}-{what}");
            let more = if parent.is_empty() { json!({}) } else { json!({ "parent": parent }) };
            draft.branch(&name, &more);
            draft.pulls[number.to_string()] = match what {
                "open" => json!({ "state": "open" }),
                "recent" => json!({ "state": "closed", "closed_at": now }),
                "missing" => continue,
                _ => json!({ "status": 403 }),
            };
            if what == "open" || what == "recent" {
                draft.expiring.insert(name);
            }
        }
        for name in ["dev", "preview/pr-", "preview/pr-x", "previews/pr-1", "runsheet/other-1/abcdef01"] {
            draft.branch(name, &json!({}));
        }
        draft.put()
    }
}

impl Draft {
    fn put(self) -> Crowd {
        let world = World::new(&json!({ "created_at": LONG_AGO }));
        world.neon.github(&json!({ "pulls": self.pulls }));
        let named = self.seeds.iter().map(|seed| seed["name"].as_str().expect("a name").to_owned());
        let named: Vec<String> = named.collect();
        let names = world.neon.seed(&Value::Array(self.seeds)).into_iter().zip(named).collect();
        let all = world.neon.names().into_iter().collect();
        Crowd { world, going: self.going, all, names, expiring: self.expiring }
    }
}
