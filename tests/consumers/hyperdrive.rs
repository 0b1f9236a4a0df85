//! Hyperdrive: the whole origin at once, tried before it is taken.

use serde_json::json;

use super::world::{CANARIES, World};
use crate::support::{Cluster, Hyperdrive};

fn account() -> Hyperdrive {
    Hyperdrive::new(&Cluster::shared().open("postgres").url)
}

#[test]
fn the_whole_origin_moves_and_moves_back() {
    let hyperdrive = account();
    let world = World::new(&hyperdrive.toml("edge", "binding = \"HYPERDRIVE\""));
    for (to, password) in [("new", CANARIES[1]), ("old", CANARIES[0])] {
        world.lead(to).with_code(0).saying(&format!("edge (HYPERDRIVE) leads to {to}"));
        let origin = hyperdrive.config()["origin"].clone();
        let database = if to == "new" { &world.new.name } else { &world.old.name };
        assert_eq!((&origin["database"], &origin["password"]), (&json!(database), &json!(password)));
        assert_eq!(hyperdrive.config()["caching"], json!({ "disabled": true }), "what was not given is kept");
    }
}

#[test]
fn a_cached_binding_is_named_with_how_long_it_stays_stale() {
    let caching = json!({ "disabled": false, "max_age": 90, "stale_while_revalidate": 30 });
    let hyperdrive = Hyperdrive::with(&Cluster::shared().open("postgres").url, &caching);
    let world = World::new(&hyperdrive.toml("edge", "binding = \"HYPERDRIVE_CACHED\""));
    world
        .lead("new")
        .with_code(0)
        .saying("edge (HYPERDRIVE_CACHED) caches: answers of the old database may be served for 120 s more");
}

#[test]
fn what_it_cannot_reach_is_refused_in_words_and_nothing_moves() {
    let hyperdrive = account();
    let before = hyperdrive.config();
    let world = World::new(&hyperdrive.toml("edge", "database = \"there_is_none\""));
    world.lead("new").with_code(1).saying("the database does not exist on new").saying("it says: 2014");
    assert_eq!(hyperdrive.config(), before);
    // What stood in the way is made good, and the run goes on.
    world.new.sql("create database there_is_none");
    world.is_clean(&world.project.run(&["resume"]).with_code(0));
    world.new.sql("drop database there_is_none with (force)");
}

#[test]
fn a_config_of_terraform_is_left_alone_until_that_is_acknowledged() {
    let hyperdrive = account();
    let before = hyperdrive.config();
    let world = World::new(&hyperdrive.toml("edge", "terraform = true"));
    world.lead("new").with_code(1).saying("cloudflare_hyperdrive_config");
    assert_eq!(hyperdrive.config(), before);
    let world = World::new(&hyperdrive.toml("edge", "terraform = true\nterraform_acknowledged = true"));
    world.lead("new").with_code(0);
}

#[test]
fn lost_answers_and_limits_are_lived_through_and_a_forgotten_change_is_found_out() {
    let hyperdrive = account();
    let world = World::new(&hyperdrive.toml("edge", ""));
    hyperdrive.mishaps(&json!([["show", "dropped"], ["patch", "dropped"], ["patch", "limited"], ["patch", "broken"]]));
    world.lead("new").with_code(0);
    hyperdrive.mishaps(&json!([["patch", "forgets"]]));
    world.lead("old").with_code(3).saying("another database");
}

#[test]
fn a_wrong_token_is_said_without_the_token() {
    let hyperdrive = account();
    let token = hyperdrive.made["token"].as_str().expect("a token").to_owned();
    let world = World::new(&hyperdrive.toml("edge", "").replace(&token, "cf_wrong_but_secret"));
    let said = world.lead("new").with_code(1).saying("Authentication error");
    assert!(!said.err.contains("cf_wrong_but_secret"), "{}", said.err);
}
