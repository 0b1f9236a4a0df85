//! The stand-in's contract, row by row of the checklist that it was built from.

use serde_json::{Value, json};

use crate::support::StandIn;

#[test]
fn a_wrong_key_is_told_so_with_the_request_id_that_it_sent() {
    let project = StandIn::shared().project(&Value::Null);
    for headers in [&[("x-request-id", "mine-1")][..], &[("authorization", "Bearer no"), ("x-request-id", "mine-1")]] {
        let answer = project.api_with(headers, "GET", "");
        assert_eq!(answer.refused(401), "supplied credentials do not pass authentication");
        assert_eq!(answer.json()["request_id"], "mine-1");
        assert_eq!(answer.json()["code"], "");
        assert!(answer.head.contains("x-request-id: mine-1"), "{}", answer.head);
    }
    assert_eq!(project.api("GET", "", &Value::Null).with(200)["project"]["id"], project.id);
    let reader = project.key("read");
    project.api_as(&reader, "GET", "/branches", &Value::Null).expect("an answer").with(200);
    project.api_as(&reader, "POST", "/branches", &Value::Null).expect("an answer").refused(403);
    let none = project.key("none");
    project.api_as(&none, "GET", "", &Value::Null).expect("an answer").refused(403);
    let other = StandIn::shared().project(&Value::Null);
    assert_eq!(
        project.api_as(&other.key, "GET", "", &Value::Null).expect("an answer").refused(404),
        "project not found"
    );
}

#[test]
fn while_operations_are_pending_a_write_gets_423_and_does_nothing() {
    let project = StandIn::shared().project(&json!({ "knobs": { "manual": true } }));
    let body = json!({ "branch": { "name": "one" }, "endpoints": [{ "type": "read_write" }] });
    let made = project.api("POST", "/branches", &body).with(201);
    let statuses = |operations: &Value| -> Vec<String> {
        let list = operations.as_array().expect("a list").iter();
        list.map(|it| format!("{} {}", it["action"].as_str().unwrap(), it["status"].as_str().unwrap())).collect()
    };
    assert_eq!(statuses(&made["operations"]), ["create_branch running", "start_compute scheduling"]);
    assert_eq!(made["branch"]["current_state"], "init");
    assert_eq!(made["connection_uris"].as_array().expect("one role and one database").len(), 1);
    let message = project.api("POST", "/branches", &json!({ "branch": { "name": "two" } })).refused(423);
    assert!(message.starts_with("project already has running conflicting operations"), "{message}");
    assert_eq!(project.names(), ["main", "one"]);
    for expected in [
        ["create_branch finished", "start_compute scheduling"],
        ["create_branch finished", "start_compute running"],
        ["create_branch finished", "start_compute finished"],
    ] {
        project.tick(1);
        assert_eq!(statuses(&project.state()["operations"]), expected);
    }
    let id = made["branch"]["id"].as_str().expect("an id");
    let branch = project.api("GET", &format!("/branches/{id}"), &Value::Null).with(200);
    assert_eq!(branch["branch"]["current_state"], "ready");
    project.api("POST", "/branches", &json!({ "branch": { "name": "two" } })).with(201);
}

#[test]
fn operations_can_be_made_to_fail_and_then_nothing_was_done() {
    let project = StandIn::shared().project(&Value::Null);
    project.fates(&json!([
        ["create_branch", "failed"],
        ["delete_timeline", "cancelled"],
        ["create_branch", "skipped"]
    ]));
    let made = project.write("POST", "/branches", &json!({ "branch": { "name": "one" }, "endpoints": [{}] }));
    let status = |operation: &Value| {
        let path = format!("/operations/{}", operation["id"].as_str().expect("an id"));
        project.api("GET", &path, &Value::Null).with(200)["operation"]["status"].clone()
    };
    assert_eq!(status(&made["operations"][0]), "failed");
    assert_eq!(status(&made["operations"][1]), "cancelled", "what comes after it is called off");
    assert_eq!(project.names(), ["main"]);
    let made = project.write("POST", "/branches", &json!({ "branch": { "name": "one" } }));
    assert_eq!(status(&made["operations"][0]), "skipped");
    let path = format!("/branches/{}", made["branch"]["id"].as_str().expect("an id"));
    project.write("DELETE", &path, &Value::Null);
    assert_eq!(project.names(), ["main", "one"], "the deletion was cancelled");
    project.write("DELETE", &path, &Value::Null);
    assert_eq!((project.names(), project.removed()), (vec!["main".to_owned()], vec!["one".to_owned()]));
    assert_eq!(project.made(), ["one"]);
    project.lab("POST", "/operations", &json!({ "count": 1 }));
    let last = project.api("GET", "/operations?limit=1", &Value::Null).with(200)["operations"][0].clone();
    assert_eq!(last["action"], "check_availability", "the service does things by itself");
}

#[test]
fn branches_and_operations_are_paged_in_two_ways_and_search_is_partial() {
    let project = StandIn::shared().project(&Value::Null);
    let seeds: Vec<Value> = (0..25)
        .map(|number| json!({ "name": format!("preview/pr-{number}"), "created_at": format!("2026-01-{:02}T00:00:00Z", 1 + number) }))
        .collect();
    project.seed(&seeds.into());
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/branches?limit=10&search=preview/&sort_by=created_at&sort_order=asc&cursor={cursor}");
        let page = project.api("GET", &path, &Value::Null).with(200);
        names.extend(page["branches"].as_array().expect("a list").iter().map(|it| it["name"].to_string()));
        match page["pagination"]["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(names.len(), 25);
    assert_eq!((names[0].as_str(), names[24].as_str()), ("\"preview/pr-0\"", "\"preview/pr-24\""));
    let found = project.api("GET", "/branches?search=pr-2", &Value::Null).with(200);
    assert_eq!(found["branches"].as_array().expect("a list").len(), 6, "pr-2 and pr-20 to pr-24");
    assert_eq!(project.api("GET", "/branches/count?search=pr-2", &Value::Null).with(200)["count"], 6);
    assert_eq!(found["branches"][0]["name"], "preview/pr-24", "the latest change comes first");
    project.lab("POST", "/operations", &json!({ "count": 3 }));
    project.settle();
    let page = project.api("GET", "/operations?limit=2", &Value::Null).with(200);
    let cursor = page["pagination"]["cursor"].as_str().expect("a cursor");
    let page = project.api("GET", &format!("/operations?limit=2&cursor={cursor}"), &Value::Null).with(200);
    assert_eq!(page["operations"].as_array().expect("a list").len(), 1);
    let cursor = page["pagination"]["cursor"].as_str().expect("one on the last page too");
    let page = project.api("GET", &format!("/operations?limit=2&cursor={cursor}"), &Value::Null).with(200);
    assert_eq!(page["operations"], json!([]));
    assert_eq!(project.asked("GET /projects/{project}/branches/count"), 1);
}

#[test]
fn a_thousand_branches_are_put_there_in_one_call() {
    let project = StandIn::shared().project(&Value::Null);
    let seeds: Vec<Value> = (0..1000).map(|number| json!({ "name": format!("preview/pr-{number}") })).collect();
    assert_eq!(project.seed(&seeds.into()).len(), 1000);
    let all = project.api("GET", "/branches?limit=10000", &Value::Null).with(200);
    assert_eq!(all["branches"].as_array().expect("a list").len(), 1001);
}

#[test]
fn what_is_gone_is_204_and_what_may_not_go_says_why() {
    let project = StandIn::shared().project(&Value::Null);
    let parent =
        json!({ "annotation": { "runsheet": "drill-1" }, "name": "parent", "last_active": "2026-01-02T03:04:05Z" });
    let ids =
        project.seed(&json!([parent, { "name": "child", "parent": "parent" }, { "name": "kept", "protected": true }]));
    let delete = |id: &str| project.api("DELETE", &format!("/branches/{id}"), &Value::Null);
    assert_eq!(delete("br-none-0").with(204), Value::Null);
    assert_eq!(delete(&ids[0]).refused(422), format!("cannot delete branch that has children: {}", ids[1]));
    assert_eq!(delete(&ids[2]).refused(422), "cannot delete protected branch");
    delete(&project.branch).refused(422);
    let read = project.api("GET", &format!("/branches/{}", ids[0]), &Value::Null).with(200);
    assert_eq!(read["annotation"]["value"], json!({ "runsheet": "drill-1" }));
    let endpoints = project.api("GET", &format!("/branches/{}/endpoints", ids[0]), &Value::Null).with(200);
    assert_eq!(endpoints["endpoints"][0]["last_active"], "2026-01-02T03:04:05Z");
    for id in [&ids[1], &ids[0]] {
        delete(id).with(200);
        project.settle();
    }
    assert_eq!(delete(&ids[0]).with(204), Value::Null);
    let deleted = project.api("GET", "/branches?include_deleted=true&search=child", &Value::Null).with(200);
    assert!(deleted["branches"][0]["recovery"]["recoverable_until"].is_string());
    assert_eq!(project.api("GET", "/branches?search=child", &Value::Null).with(200)["branches"], json!([]));
    project.write("POST", &format!("/branches/{}/recover", ids[0]), &Value::Null);
    assert_eq!(project.names(), ["kept", "main", "parent"]);
    project.alter("kept", &json!({ "protected": false, "name": "'; drop table" }));
    assert_eq!(project.names(), ["'; drop table", "main", "parent"]);
}

#[test]
fn limits_refuse_with_their_codes() {
    let limits =
        json!({ "branches_limit": 3, "root_branches_limit": 1, "protected_limit": 1, "suspend_configurable": false });
    let project = StandIn::shared().project(&json!({ "knobs": limits }));
    let make = |branch: Value| project.api("POST", "/branches", &json!({ "branch": branch }));
    let refused = make(json!({ "name": "root", "init_source": "schema-only" })).with(422);
    assert_eq!(refused["code"], "ROOT_BRANCHES_LIMIT_EXCEEDED");
    make(json!({ "name": "a", "protected": true })).with(201);
    project.settle();
    make(json!({ "name": "b", "protected": true })).refused(422);
    assert_eq!(make(json!({ "name": "a" })).refused(409), "branch already exists; branch_name:\"a\"");
    make(json!({ "name": "b" })).with(201);
    project.settle();
    assert_eq!(make(json!({ "name": "c" })).with(422)["code"], "BRANCHES_LIMIT_EXCEEDED");
    let timeout = json!({ "endpoint": { "suspend_timeout_seconds": 60 } });
    let path = format!("/endpoints/{}", project.endpoint);
    assert_eq!(project.api("PATCH", &path, &timeout).refused(412), "suspend interval is too short for your plan");
    project.knobs(&json!({ "rate_per_minute": 60, "rate_burst": 5, "retry_after": true }));
    let limited = (0..20).map(|_| project.api("GET", "", &Value::Null)).find(|answer| answer.status == 429);
    assert!(limited.expect("a limit").head.contains("retry-after: 1"));
}

#[test]
fn the_github_beside_it_says_what_it_was_told() {
    let standin = StandIn::shared();
    let project = standin.project(&Value::Null);
    let ask = |path: &str| {
        let headers = [("authorization", format!("Bearer {}", project.token))];
        let headers = [(headers[0].0, headers[0].1.as_str())];
        standin.ask("GET", &format!("/github/repos/{}{path}", project.repo), &headers).expect("an answer")
    };
    let closed = json!({ "state": "closed", "closed_at": "2026-01-01T00:00:00Z" });
    project.github(&json!({ "pulls": { "1": { "state": "open" }, "2": closed, "3": { "status": 500 } } }));
    assert_eq!(ask("/pulls/1").with(200)["state"], "open");
    assert_eq!(ask("/pulls/2").with(200)["closed_at"], "2026-01-01T00:00:00Z");
    assert_eq!(ask("/pulls/3").status, 500);
    assert_eq!(ask("/pulls/4").refused(404), "Not Found");
    assert_eq!(ask("").with(200)["full_name"], project.repo);
    assert_eq!(project.github(&json!({ "status": 403 }))["asked"]["pull"], 4);
    assert_eq!(ask("/pulls/1").status, 403);
    assert!(project.toml().contains("[github]") && project.target_toml("prod").starts_with("[targets.prod]"));
}

#[test]
fn with_every_kind_of_misbehaviour_a_patient_client_comes_through_and_the_seed_decides() {
    let seed = crate::support::seed();
    let ends = [(); 2].map(|()| {
        let project = StandIn::shared().project(&json!({ "seed": seed }));
        project.chaos(&json!({ "seed": seed, "all": 0.05 }));
        let mut told = Vec::new();
        for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            // Patient: whatever was answered, it looks whether the branch is there, and asks again if not.
            let mut tries = 0;
            while !project.names().contains(&name.to_owned()) {
                tries += 1;
                assert!(tries < 30, "{name} is not made: {told:?}");
                let body = json!({ "branch": { "name": name } });
                let answer = project.api_as(&project.key, "POST", "/branches", &body);
                told.push(format!("{name} {:?}", answer.map(|answer| answer.status)));
                project.settle();
            }
        }
        assert_eq!(project.names(), ["a", "b", "c", "d", "e", "f", "g", "h", "main"]);
        told
    });
    assert_eq!(ends[0], ends[1], "the same happens again");
    let project = StandIn::shared().project(&Value::Null);
    project.chaos(&json!({ "rates": { "dropped": 1 } }));
    let post = || project.api_as(&project.key, "POST", "/branches", &json!({ "branch": { "name": "x" } }));
    assert!(post().is_none(), "the connection broke");
    project.settle();
    assert_eq!(project.names(), ["main", "x"], "but the work was done");
    assert!(post().is_none());
    assert_eq!(post().expect("at the latest the third answer comes").status, 409);
    project.chaos(&json!({ "rates": { "timeout_before": 1, "unknown_fields": 1 } }));
    let page = project.api("GET", "/branches", &Value::Null);
    assert!(page.status == 524 && page.head.contains("text/html") && page.text.starts_with("<!DOCTYPE html>"));
}

#[test]
fn a_project_without_databases_has_nothing_to_connect_to() {
    let project = StandIn::shared().project(&Value::Null);
    assert_eq!(project.sql("main", "select 1"), json!([]));
}
