//! The stand-in's branches: their place in the tree, their time to live, their history.

use serde_json::{Value, json};

use crate::support::StandIn;
use crate::support::neon::Project;

/// The branches by name: their parents' names, and none for a root.
fn tree(project: &Project) -> Vec<(String, String)> {
    let all = project.api("GET", "/branches?sort_by=name&sort_order=asc", &Value::Null).with(200);
    let all = all["branches"].as_array().expect("a list");
    let name =
        |id: &Value| all.iter().find(|branch| branch["id"] == *id).map_or("", |it| it["name"].as_str().unwrap_or(""));
    all.iter()
        .map(|branch| (branch["name"].as_str().unwrap_or("").to_owned(), name(&branch["parent_id"]).to_owned()))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, parent)| ((*name).to_owned(), (*parent).to_owned())).collect()
}

fn id_of(project: &Project, name: &str) -> String {
    let found = project.api("GET", &format!("/branches?search={name}"), &Value::Null).with(200);
    let all = found["branches"].as_array().expect("a list");
    all.iter().find(|branch| branch["name"] == name).expect(name)["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_restore_moves_branches_in_the_tree_as_was_measured() {
    let project = StandIn::shared().project(&Value::Null);
    project.seed(&json!([{ "name": "dev" }, { "name": "drill", "parent": "dev" }]));
    let restore = |target: &str, body: &Value| {
        let id = id_of(&project, target);
        project.api("POST", &format!("/branches/{id}/restore"), body)
    };
    let drill = id_of(&project, "drill");
    let refused = restore("dev", &json!({ "source_branch_id": drill })).refused(422);
    assert_eq!(refused, "Branch has children, preserve_under_name is required");
    let dev = id_of(&project, "dev");
    restore("dev", &json!({ "source_branch_id": drill, "preserve_under_name": "dev-before" })).with(200);
    project.settle();
    let expected = [("dev", "drill"), ("dev-before", "main"), ("drill", "dev-before"), ("main", "")];
    assert_eq!(tree(&project), pairs(&expected));
    assert_eq!(id_of(&project, "dev"), dev, "it is the same branch");
    let taken = restore("drill", &json!({ "source_branch_id": dev, "preserve_under_name": "dev-before" })).refused(409);
    assert_eq!(taken, "branch already exists; branch_name:\"dev-before\"");
    project.api("DELETE", &format!("/branches/{drill}"), &Value::Null).refused(422);

    // A root's own past: both are roots, and what was below it is below what was kept.
    let now = project.lab("GET", "", &Value::Null)["project"]["created_at"].clone();
    project.alter("main", &json!({ "created_at": "2026-01-01T00:00:00Z" }));
    let body =
        json!({ "source_branch_id": project.branch, "source_timestamp": now, "preserve_under_name": "main-before" });
    restore("main", &body).with(200);
    project.settle();
    assert_eq!(tree(&project)[1], ("dev-before".to_owned(), "main-before".to_owned()));
    assert_eq!(tree(&project)[3..], pairs(&[("main", ""), ("main-before", "")]));
    project.alter("main", &json!({ "protected": true }));
    assert_eq!(restore("main", &body).refused(422), "cannot reset protected branch");
    project.alter("drill", &json!({ "restricted": [["restore", "imported"]] }));
    restore("drill", &json!({ "source_branch_id": dev, "preserve_under_name": "x" })).refused(422);

    // One of which the operation fails is as it was.
    project.fates(&json!([["create_timeline", "failed"]]));
    let before = tree(&project);
    restore("dev", &json!({ "source_branch_id": drill, "preserve_under_name": "dev-again" })).with(200);
    project.settle();
    assert_eq!(tree(&project), before);
}

#[test]
fn a_root_that_is_restored_from_another_branch_goes_either_way() {
    for (child, expected) in [
        (false, [("main", ""), ("old", ""), ("other", "old")]),
        (true, [("main", "other"), ("old", ""), ("other", "old")]),
    ] {
        let project = StandIn::shared().project(&json!({ "knobs": { "root_becomes_child": child } }));
        let other = project.seed(&json!([{ "name": "other" }])).remove(0);
        let body = json!({ "source_branch_id": other, "preserve_under_name": "old" });
        project.write("POST", &format!("/branches/{}/restore", project.branch), &body);
        assert_eq!(tree(&project), pairs(&expected));
    }
}

#[test]
fn a_branch_whose_time_is_over_goes_by_itself_and_expiry_has_its_rules() {
    let project = StandIn::shared().project(&json!({ "knobs": { "janitor_ms": 20 } }));
    let in_seconds = |seconds: i64| {
        use runsheet::model::clock::Clock as _;
        (runsheet::effects::local::SystemClock.now() + chrono::TimeDelta::seconds(seconds)).to_rfc3339()
    };
    let make = |name: &str, seconds: i64| {
        project.api("POST", "/branches", &json!({ "branch": { "name": name, "expires_at": in_seconds(seconds) } }))
    };
    make("past", -5).refused(400);
    make("far", 31 * 86_400).refused(400);
    let made = make("short", 2).with(201);
    assert_eq!(made["branch"]["ttl_interval_seconds"], 2);
    let child = json!({ "branch": { "parent_id": made["branch"]["id"] } });
    project.settle();
    project.api("POST", "/branches", &child).refused(422);
    crate::support::wait_until("it is gone", || project.removed() == ["short"]);
    let expiry = json!({ "branch": { "expires_at": in_seconds(60) } });
    project.settle();
    project.api("PATCH", &format!("/branches/{}", project.branch), &expiry).refused(422);
    let kept =
        project.write("POST", "/branches", &json!({ "branch": { "name": "kept", "expires_at": in_seconds(60) } }));
    let path = format!("/branches/{}", kept["branch"]["id"].as_str().expect("an id"));
    let without = project.write("PATCH", &path, &json!({ "branch": { "expires_at": null } }));
    assert!(without["branch"].get("expires_at").is_none());
    project.write("POST", &format!("{path}/set_as_default"), &Value::Null);
    assert_eq!(project.api("GET", &path, &Value::Null).with(200)["branch"]["default"], true);
}

#[test]
fn the_window_is_the_projects_and_ends_where_the_branch_begins() {
    let project = StandIn::shared().project(&json!({ "created_at": "2026-01-01T00:00:00Z", "history_seconds": 3600 }));
    let at = |hours: i64| {
        use runsheet::model::clock::Clock as _;
        (runsheet::effects::local::SystemClock.now() - chrono::TimeDelta::hours(hours)).to_rfc3339()
    };
    let make = |time: String| project.api("POST", "/branches", &json!({ "branch": { "parent_timestamp": time } }));
    assert!(make(at(2)).refused(400).contains("outside of the history of branch"));
    assert!(make(at(-1)).refused(400).contains("outside of the history of branch"));
    project.knobs(&json!({ "history_status": 422 }));
    make(at(2)).refused(422);
    let patch = json!({ "project": { "history_retention_seconds": 86_400 } });
    let patched = project.write("PATCH", "", &patch);
    assert_eq!(patched["operations"][0]["action"], "apply_storage_config");
    assert_eq!(project.write("PATCH", "", &patch)["operations"], json!([]), "nothing is to be done");
    let made = make(at(2)).with(201);
    let shown = made["branch"]["parent_timestamp"].as_str().expect("a time");
    assert_eq!(shown[..13], at(2)[..13]);
    project.settle();
    let both = json!({ "branch": { "parent_timestamp": at(1), "parent_lsn": "0/1" } });
    project.api("POST", "/branches", &both).refused(400);
    let of_child = json!({ "branch": { "parent_id": made["branch"]["id"], "parent_timestamp": at(1) } });
    assert!(project.api("POST", "/branches", &of_child).refused(422).contains("outside of the history"));
}

#[test]
fn schemas_are_compared_and_the_same_ones_differ_in_nothing() {
    let project = StandIn::shared().project(&Value::Null);
    let id = project.seed(&json!([{ "name": "child" }])).remove(0);
    let compare = || project.api("GET", &format!("/branches/{id}/compare_schema?db_name=app"), &Value::Null).with(200);
    assert_eq!(compare()["diff"], "");
    project.lab("POST", "/schemas", &json!({ "branch": "main", "sql": "create table a ();\ncreate table b ();\n" }));
    project.lab("POST", "/schemas", &json!({ "branch": "child", "sql": "create table a ();\ncreate table c ();\n" }));
    let diff = "--- a/app\n+++ b/app\n@@ -1,2 +1,2 @@\n create table a ();\n-create table b ();\n+create table c ();\n";
    assert_eq!(compare()["diff"], diff);
    project.api("GET", &format!("/branches/{id}/compare_schema?db_name=none"), &Value::Null).refused(404);
}
