//! Which branches go and which stay, and that each is told why.

use serde_json::json;

use super::world::{LONG_AGO, World};
use crate::support::neon::StandIn;

#[test]
fn what_is_closed_and_unused_goes_and_everything_else_is_kept_with_its_reason() {
    let world = World::new(&json!({}));
    world.closed(&["preview/pr-1-gone", "preview/pr-2-parent", "preview/pr-3-protected", "preview/pr-4-active"]);
    world.closed(&["preview/pr-5-used", "preview/pr-6-open", "preview/pr-9-nosuch", "preview/pr-11_old_state", "dev"]);
    world.neon.seed(&json!([
        { "name": "child-of-2", "parent": "preview/pr-2-parent", "created_at": LONG_AGO },
        { "name": "preview/pr-12-schema", "created_at": LONG_AGO, "init_source": "schema-only", "parent": "" },
        { "name": "preview/pr-nonumber", "created_at": LONG_AGO },
    ]));
    world.neon.alter("preview/pr-3-protected", &json!({ "protected": true }));
    world.neon.alter("preview/pr-4-active", &json!({ "active": true }));
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    world.neon.alter("preview/pr-5-used", &json!({ "last_active": now, "active": false }));
    world.pull(6, &json!({ "state": "open" }));
    world.pull(7, &json!({ "state": "closed", "closed_at": now }));
    world.neon.seed(&json!([{ "name": "preview/pr-7-justclosed", "created_at": LONG_AGO }]));
    world.neon.github(&json!({ "pulls": { "9": null, "8": { "status": 500 } } }));
    world.neon.seed(&json!([{ "name": "preview/pr-8-cannottell", "created_at": LONG_AGO }]));

    let plan = world.plan(&[]).with_code(0);
    for (name, why) in [
        ("preview/pr-1-gone", "pull request 1 was merged"),
        ("preview/pr-2-parent", "its child child-of-2 stays"),
        ("preview/pr-3-protected", "it is protected"),
        ("preview/pr-4-active", "a compute of it is active"),
        ("preview/pr-5-used", "younger than 7 d"),
        ("preview/pr-6-open", "pull request 6 is open"),
        ("preview/pr-7-justclosed", "younger than 7 d"),
        ("preview/pr-8-cannottell", "GitHub answered 500"),
        ("preview/pr-9-nosuch", "has no pull request 9"),
        ("preview/pr-11_old_state", "a restore preserved"),
        ("preview/pr-12-schema", "schema"),
        ("preview/pr-nonumber", "no number of a pull request"),
        ("dev", "does not begin with preview/pr-"),
    ] {
        let told = world.reason(name);
        assert!(told.contains(why), "{name}: {told}");
    }
    assert_eq!(plan.out.matches("delete branch ").count(), 1, "{}", plan.out);
    let before = world.neon.names();
    let said = world.run().with_code(0);
    assert_eq!(world.neon.removed(), ["preview/pr-1-gone"]);
    assert_eq!(world.neon.names().len(), before.len() - 1);
    assert!(said.err.contains("deleted + gone + kept + unknown = listed"), "{}", said.err);
    let report = world.ours.run(&["report"]).with_code(0).out;
    assert!(report.contains("deleted, and until when each can be recovered"), "{report}");
}

#[test]
fn names_are_only_text_whatever_they_are() {
    let world = World::new(&json!({}));
    let long = format!("preview/pr-4-{}", "x".repeat(243));
    let names =
        ["preview/pr-1-$(rm -rf)", "preview/pr-2'; drop table branches; --", "preview/pr-3-ünï🦀\u{202e}cod", &long];
    world.closed(&names);
    world.plan(&[]).with_code(0);
    world.run().with_code(0);
    let mut removed = world.neon.removed();
    removed.sort();
    let mut names = names.map(str::to_owned).to_vec();
    names.sort();
    assert_eq!(removed, names);
    assert!(world.ours.path().join("runsheet.toml").exists());
}

#[test]
fn children_go_before_their_parents() {
    let world = World::new(&json!({}));
    world.closed(&["preview/pr-1"]);
    world.neon.seed(&json!([
        { "name": "preview/pr-1-child", "parent": "preview/pr-1", "created_at": LONG_AGO },
        { "name": "preview/pr-1-grandchild", "parent": "preview/pr-1-child", "created_at": LONG_AGO },
    ]));
    world.plan(&[]).with_code(0);
    world.run().with_code(0);
    assert_eq!(world.neon.removed(), ["preview/pr-1-grandchild", "preview/pr-1-child", "preview/pr-1"]);
}

#[test]
fn with_require_annotation_only_what_our_annotation_says_is_ours_goes() {
    let world = World::new(&json!({}));
    world.closed(&["preview/pr-1-theirs", "preview/pr-2-ours", "preview/pr-3-else"]);
    world.neon.alter(
        "preview/pr-2-ours",
        &json!({ "annotation": { "runsheet": "preview-branch-7", "stamp": "s", "pr": "2" } }),
    );
    world.neon.alter(
        "preview/pr-3-else",
        &json!({ "annotation": { "runsheet": "preview-branch-8", "stamp": "s", "pr": "33" } }),
    );
    world.plan(&["require_annotation=true"]).with_code(0);
    assert!(world.reason("preview/pr-1-theirs").contains("no annotation of ours"));
    assert!(world.reason("preview/pr-3-else").contains("says pull request 33"));
    world.run().with_code(0);
    assert_eq!(world.neon.removed(), ["preview/pr-2-ours"]);
}

#[test]
fn whoever_cannot_read_the_repository_deletes_nothing() {
    let world = World::new(&json!({}));
    world.closed(&["preview/pr-1", "preview/pr-2"]);
    for status in [403, 404, 429, 500] {
        world.neon.github(&json!({ "status": status }));
        let plan = world.plan(&[]).with_code(0);
        assert!(!plan.out.contains("delete branch "), "{status}: {}", plan.out);
        world.reason("preview/pr-1");
    }
    world.run().with_code(0);
    assert_eq!(world.neon.removed(), [""; 0]);
}

#[test]
fn survivors_of_a_known_pull_request_get_a_time_to_live() {
    let world = World::new(&json!({}));
    world.closed(&["preview/pr-1-open", "preview/pr-2-has-one", "dev"]);
    let soon = (chrono::Utc::now() + chrono::TimeDelta::days(3)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    world.pull(1, &json!({ "state": "open" }));
    world.pull(2, &json!({ "state": "open" }));
    world.neon.alter("preview/pr-2-has-one", &json!({ "expires_at": soon }));
    world.plan(&["ttl=14d"]).with_code(0);
    world.run().with_code(0);
    let state = world.neon.state();
    let expiry = |name: &str| {
        let branches = state["branches"].as_array().expect("branches");
        branches.iter().find(|branch| branch["name"] == name).expect("it")["expires_at"].clone()
    };
    assert!(expiry("preview/pr-1-open").is_string(), "{state}");
    assert_eq!(expiry("preview/pr-2-has-one"), soon);
    assert!(expiry("dev").is_null() && expiry("main").is_null());
}

#[test]
fn a_project_of_another_name_and_a_key_without_rights_stop_before_anything_is_listed() {
    let world = World::new(&json!({}));
    world.closed(&["preview/pr-1"]);
    let toml = world.neon.toml();
    world.ours.file("runsheet.toml", &toml.replacen("project = ", "expect_project_name = \"other\"\nproject = ", 1));
    world.plan(&[]).with_code(1);
    let read = world.neon.key("read");
    world.ours.file("runsheet.toml", &toml.replace(&world.neon.key, &read));
    world.plan(&[]).with_code(0);
    assert_ne!(world.run().code, 0);
    assert_eq!(world.neon.removed(), [""; 0]);
    let _ = StandIn::shared();
}

#[test]
fn a_pull_request_that_is_closed_nobody_knows_when_keeps_its_branch() {
    let world = World::new(&json!({}));
    world.closed(&["preview/pr-1", "preview/pr-2"]);
    world.pull(1, &json!({ "state": "closed" }));
    world.plan(&[]).with_code(0);
    assert!(
        world.reason("preview/pr-1").contains("does not say when it was closed"),
        "{}",
        world.reason("preview/pr-1")
    );
    world.run().with_code(0);
    assert_eq!(world.neon.removed(), ["preview/pr-2"]);
}

#[test]
fn that_no_name_of_the_project_is_expected_is_told_in_plan_and_run() {
    let world = World::new(&json!({}));
    world.closed(&["preview/pr-1"]);
    let said = world.plan(&[]).with_code(0);
    assert!(said.out.contains("nobody said what the project must be called"), "{}", said.out);
    world.run().with_code(0).saying("nobody said what the project must be called");
    let toml = world.neon.toml().replace("[neon]\n", "[neon]\nexpect_project_name = \"shop\"\n");
    world.ours.file("runsheet.toml", &toml);
    let said = world.plan(&[]).with_code(0);
    assert!(!said.out.contains("nobody said"), "{}", said.out);
}

#[test]
fn many_deletions_take_four_requests_each() {
    let world = World::new(&json!({ "knobs": { "operation_ms": 1 } }));
    let names: Vec<String> = (1..=20).map(|nth| format!("preview/pr-{nth}")).collect();
    world.closed(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.plan(&[]).with_code(0);
    let asked = || {
        let counts = world.neon.state()["counts"].clone();
        let routes: Vec<u64> =
            counts.as_object().expect("counts").values().filter_map(serde_json::Value::as_u64).collect();
        routes.iter().sum::<u64>()
    };
    let before = asked();
    world.run().with_code(0);
    let took = asked() - before;
    // Beside the deletions: the project and its branches read for the plan, for the run, and for its sum.
    assert!(took <= 20 * 4 + 25, "{took} requests: {}", world.neon.state()["counts"]);
}
