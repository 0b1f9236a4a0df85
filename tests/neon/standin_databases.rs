//! The stand-in with real databases behind it: what a client sees who connects.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::neon::{Project, encoded};
use crate::support::{Database, StandIn, wait_until};

fn project(wish: Value) -> Project {
    let mut wish = wish;
    wish["databases"] = true.into();
    StandIn::shared().project(&wish)
}

fn database(url: &str) -> Database {
    Database { name: "app".into(), url: url.to_owned() }
}

impl Project {
    fn uri_of(&self, branch: &str, more: &str) -> String {
        let path = format!("/connection_uri?database_name=app&role_name=app_owner&branch_id={branch}{more}");
        self.api("GET", &path, &Value::Null).with(200)["uri"].as_str().expect("a URI").to_owned()
    }

    fn endpoint_state(&self) -> Value {
        self.api("GET", &format!("/endpoints/{}", self.endpoint), &Value::Null).with(200)["endpoint"]["current_state"]
            .clone()
    }

    /// A branch with a compute; answers its id.
    fn branch(&self, branch: Value) -> String {
        let made =
            self.write("POST", "/branches", &json!({ "branch": branch, "endpoints": [{ "type": "read_write" }] }));
        made["branch"]["id"].as_str().expect("an id").to_owned()
    }

    fn now(&self) -> String {
        let now =
            self.sql(&self.branch, "select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
        now[0][0].as_str().expect("a time").to_owned()
    }
}

#[test]
fn connecting_wakes_the_compute_and_the_role_is_no_superuser() {
    let project = project(json!({}));
    assert_eq!(project.endpoint_state(), "idle");
    let app = database(&project.uri);
    assert_eq!(app.sql("select count(*), current_user from customers"), "500|app_owner");
    assert_eq!(project.endpoint_state(), "active");
    let role = "select rolsuper, pg_has_role('neon_superuser', 'member') from pg_roles where rolname = current_user";
    assert_eq!(app.sql(role), "f|t");
    assert_eq!(project.state()["operations"][0]["action"], "start_compute");
    assert_eq!(database(&project.pooled_uri).sql("select count(*) from customers"), "500", "through the pooler");
    assert_eq!(project.uri_of(&project.branch, ""), project.uri);
    assert_eq!(project.uri_of(&project.branch, "&pooled=true"), project.pooled_uri);
    assert!(project.pooled_uri.contains("-pooler.lab.localhost:"), "{}", project.pooled_uri);
}

#[test]
fn a_compute_falls_asleep_wakes_up_and_does_not_when_it_is_disabled() {
    let project = project(json!({ "knobs": { "default_suspend_seconds": 0.3, "janitor_ms": 50 } }));
    let app = database(&project.uri);
    app.sql("select 1");
    wait_until("it sleeps", || project.endpoint_state() == "idle");
    assert_eq!(app.sql("select 1"), "1");
    let path = format!("/endpoints/{}", project.endpoint);
    wait_until("nothing is at work", || {
        project.api("PATCH", &path, &json!({ "endpoint": { "disabled": true } })).status == 200
    });
    project.settle();
    assert!(app.try_sql("select 1").expect_err("blocked").contains("endpoint is disabled"));
    wait_until("nothing is at work", || {
        project.api("PATCH", &path, &json!({ "endpoint": { "disabled": false } })).status == 200
    });
    assert_eq!(app.sql("select 1"), "1");
}

#[test]
fn a_branch_at_a_time_has_what_was_there_then_and_says_which_commit_that_was() {
    let project = project(json!({}));
    project.sql(&project.branch, "insert into customers (email, name) values ('good@example.org', 'good')");
    let then = project.now();
    std::thread::sleep(Duration::from_millis(50));
    project.sql(&project.branch, "delete from customers where name = 'good'");
    let id = project.branch(json!({ "name": "then", "parent_timestamp": then }));
    let count = "select count(*) from customers where name = 'good'";
    assert_eq!(database(&project.uri).sql(count), "0");
    assert_eq!(database(&project.uri_of(&id, "")).sql(count), "1");
    let branch = project.api("GET", &format!("/branches/{id}"), &Value::Null).with(200)["branch"].clone();
    assert!(branch["parent_timestamp"].as_str().expect("a time")[..19] <= then[..19], "{branch}");
    assert!(branch["parent_lsn"].as_str().expect("an LSN").contains('/'));
    for outside in ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"] {
        let body = json!({ "branch": { "parent_timestamp": outside } });
        assert!(project.api("POST", "/branches", &body).refused(400).contains("outside of the history"));
    }
    let naive = project.api("POST", "/branches", &json!({ "branch": { "parent_timestamp": "2026-01-01T00:00:00" } }));
    naive.refused(400);
}

#[test]
fn a_moment_of_history_is_shown_as_a_day() {
    let project = project(json!({ "history_seconds": 2_592_000 }));
    project.sql(&project.branch, "insert into customers (email, name) values ('good@example.org', 'good')");
    std::thread::sleep(Duration::from_secs(3));
    project.sql(&project.branch, "delete from customers where name = 'good'");
    std::thread::sleep(Duration::from_secs(3));
    // A second is shown as four hours.
    project.lab("POST", "/stretch", &json!({ "factor": 14_400 }));
    let at = |hours: i64| (chrono_now() - chrono::TimeDelta::hours(hours)).to_rfc3339();
    let there = |hours: i64| {
        let id = project.branch(json!({ "name": format!("{hours} hours ago"), "parent_timestamp": at(hours) }));
        database(&project.uri_of(&id, "")).sql("select count(*) from customers where name = 'good'")
    };
    assert_eq!(there(18), "1", "before it was deleted");
    assert_eq!(there(4), "0", "after");
}

fn chrono_now() -> chrono::DateTime<chrono::Utc> {
    use runsheet::model::clock::Clock as _;
    runsheet::effects::local::SystemClock.now()
}

#[test]
fn a_restore_in_place_keeps_id_endpoint_and_host_ends_sessions_and_keeps_the_present_aside() {
    let project = project(json!({}));
    let id = project.branch(json!({ "name": "dev" }));
    let uri = project.uri_of(&id, "");
    let app = database(&uri);
    app.sql("insert into customers (email, name) values ('good@example.org', 'good')");
    let then = app.sql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
    app.sql("delete from customers where name = 'good'");
    let session = std::process::Command::new("psql").args(["-X", &uri, "-c", "select pg_sleep(30)"]).output_later();
    wait_until("a session is there", || {
        app.sql("select count(*) from pg_stat_activity where query like '%sleep(30)%' and pid <> pg_backend_pid()")
            == "1"
    });
    let path = format!("/branches/{id}/restore");
    let missing = json!({ "source_branch_id": id, "source_timestamp": then });
    project.api("POST", &path, &missing).refused(400);
    let body = json!({ "source_branch_id": id, "source_timestamp": then, "preserve_under_name": "dev-before" });
    let answer = project.api("POST", &path, &body).with(200);
    assert_eq!((&answer["branch"]["id"], &answer["branch"]["current_state"]), (&json!(id), &json!("resetting")));
    project.settle();
    assert!(!session.wait().success(), "its session was ended");
    let count = "select count(*) from customers where name = 'good'";
    assert_eq!(app.sql(count), "1");
    assert_eq!(project.uri_of(&id, ""), uri);
    let all = project.api("GET", "/branches?search=dev", &Value::Null).with(200);
    let all = all["branches"].as_array().expect("a list");
    let kept = all.iter().find(|branch| branch["name"] == "dev-before").expect("the present, kept");
    let dev = all.iter().find(|branch| branch["name"] == "dev").expect("the branch");
    assert_eq!((&dev["parent_id"], &kept["parent_id"]), (&kept["id"], &json!(project.branch)));
    assert_eq!(project.sql(kept["id"].as_str().expect("an id"), count), json!([["0"]]));
    assert!(project.api("POST", &path, &body).refused(409).contains("dev-before"), "a name is taken once");
}

trait Later {
    fn output_later(&mut self) -> Running;
}

/// A client that goes on beside the test.
struct Running(std::process::Child);

impl Later for std::process::Command {
    fn output_later(&mut self) -> Running {
        use std::process::Stdio;
        Running(self.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("psql runs"))
    }
}

impl Running {
    fn wait(mut self) -> std::process::ExitStatus {
        self.0.wait().expect("it ends")
    }
}

#[test]
fn a_reset_password_works_when_the_operations_have_ended_and_the_old_one_until_then() {
    let project = project(json!({}));
    database(&project.uri).sql("select 1");
    project.knobs(&json!({ "manual": true }));
    let path = format!("/branches/{}/roles/app_owner", project.branch);
    let reset = project.api("POST", &format!("{path}/reset_password"), &Value::Null).with(200);
    let new = reset["role"]["password"].as_str().expect("a password").to_owned();
    project.tick(1);
    let old = database(&project.uri);
    assert_eq!(old.sql("select 1"), "1");
    project.tick(100);
    assert!(old.try_sql("select 1").expect_err("the old one").contains("password authentication failed"));
    assert_eq!(project.api("GET", &format!("{path}/reveal_password"), &Value::Null).with(200)["password"], new);
    assert_eq!(database(&project.uri_of(&project.branch, "")).sql("select 1"), "1");
    project.knobs(&json!({ "store_passwords": false }));
    project.api("GET", &format!("{path}/reveal_password"), &Value::Null).refused(412);
}

#[test]
fn roles_and_databases_made_by_the_api_are_there_and_children_of_protected_branches_have_other_passwords() {
    let project = project(json!({}));
    let base = format!("/branches/{}", project.branch);
    let made = project.write("POST", &format!("{base}/roles"), &json!({ "role": { "name": "it's \"me\"" } }));
    assert!(made["role"]["password"].as_str().expect("a password").starts_with("npg_"));
    let body = json!({ "database": { "name": "second db", "owner_name": "it's \"me\"" } });
    project.write("POST", &format!("{base}/databases"), &body);
    let role = encoded("it's \"me\"");
    let path = format!("/connection_uri?database_name=second%20db&role_name={role}");
    let uri = project.api("GET", &path, &Value::Null).with(200)["uri"].as_str().expect("a URI").to_owned();
    assert_eq!(database(&uri).sql("select current_user, current_database()"), "it's \"me\"|second db");
    project.api("DELETE", &format!("{base}/roles/{role}"), &Value::Null).refused(422);
    project.write("DELETE", &format!("{base}/databases/second%20db"), &Value::Null);
    project.sql(&project.branch, "create database by_sql");
    let listed = project.api("GET", &format!("{base}/databases"), &Value::Null).with(200);
    let names: Vec<&Value> = listed["databases"].as_array().expect("a list").iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["app", "by_sql"], "what SQL made is listed too");
    project.write("DELETE", &format!("{base}/roles/{role}"), &Value::Null);
    assert_eq!(project.sql(&project.branch, "select count(*) from pg_roles where rolname like 'it%'"), json!([["0"]]));
    project.write("PATCH", &base, &json!({ "branch": { "protected": true } }));
    let id = project.branch(json!({ "name": "child" }));
    let child = project.uri_of(&id, "");
    let password = |uri: &str| uri.split(['@']).next().expect("a login").to_owned();
    assert_ne!(password(&child), password(&project.uri));
    assert_eq!(database(&child).sql("select count(*) from customers"), "500");
}

#[test]
fn schemas_of_branches_are_compared_also_as_they_were() {
    let project = project(json!({}));
    let id = project.branch(json!({ "name": "changed" }));
    let compare = |more: &str| {
        let path = format!("/branches/{id}/compare_schema?db_name=app{more}");
        project.api("GET", &path, &Value::Null).with(200)["diff"].as_str().expect("a diff").to_owned()
    };
    assert_eq!(compare(""), "");
    let then = project.now();
    project.sql(&id, "create table added (id int)");
    assert!(compare("").contains("+CREATE TABLE public.added"), "{}", compare(""));
    assert_eq!(compare(&format!("&timestamp={}", encoded(&then))), "", "before it was added");
}
