//! Previews tell the truth: what is known and how, what is known only later, and nothing is changed by looking.

use serde_json::{Value, json};

use super::project::{Project, Said};
use crate::support::{Cluster, Database};

fn orders() -> (Database, Project) {
    let database = Cluster::shared().database("preview");
    database.sql(
        "create table orders (id int primary key, state text); insert into orders values (1, 'open'), (2, 'open')",
    );
    let project = Project::on(&database);
    (database, project)
}

/// The step of a plan's JSON.
#[track_caller]
fn step(said: &Said, name: &str) -> Value {
    let plan = said.json();
    let steps = plan["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no step {name}")).clone()
}

/// Level of each line, in order, of a step.
fn levels(step: &Value) -> Vec<&str> {
    step["lines"]
        .as_array()
        .map(|lines| lines.iter().filter_map(|line| line["level"].as_str()).collect())
        .unwrap_or_default()
}

#[test]
fn each_line_says_how_it_was_got() {
    let (_, project) = orders();
    project.runbook(
        "levels",
        r#"
step("count", || sql::value(params.app, "select count(*) from orders"));
step("close", || sql::exec(params.app, "update orders set state = 'closed'"));
step("vacuum", || sql::admin(params.app, "vacuum orders"));
step("call", || command::run(["true"]));
step("make", || sql::exec(params.app, "create table made (id int)"));
step("later", || sql::exec(params.app, "insert into made values (1)"));
"#,
    );
    let said = project.run(&["plan", "levels", "--json"]).with_code(0);
    let count = step(&said, "count");
    assert_eq!((levels(&count), &count["lines"][0]["seen"]), (vec!["read"], &json!(2)));
    assert_eq!(count["lines"][0]["change"], false);
    assert_eq!(levels(&step(&said, "close")), ["prepared"]);
    assert_eq!(step(&said, "close")["lines"][0]["change"], true);
    assert_eq!(levels(&step(&said, "vacuum")), ["rendered"]);
    assert_eq!(levels(&step(&said, "call")), ["rendered"]);
    let later = step(&said, "later");
    assert_eq!(levels(&later), ["rendered"], "no server can have checked it");
    assert!(later["lines"][0]["notes"][0].as_str().is_some_and(|note| note.contains("only after `")), "{later}");
    let text = project.run(&["plan", "levels"]);
    assert!(text.out.contains("read      select count(*) from orders on app: 2"), "{}", text.out);
    assert!(text.out.contains("~ prepared  update orders set state = 'closed' on app"), "{}", text.out);
    assert!(text.out.contains("changes (~): in close, vacuum, call, make, later"), "{}", text.out);
}

#[test]
fn what_the_server_refuses_is_found_by_the_preview() {
    let (_, project) = orders();
    project.runbook(
        "typo",
        r#"
step("first", || sql::exec(params.app, "update orders set state = 'closing'"));
step("close", || sql::exec(params.app, "update orders set sate = 'closed'"));
"#,
    );
    let said = project.run(&["plan", "typo"]).with_code(1).saying("next: runsheet plan typo");
    assert!(said.out.contains("column \"sate\" of relation \"orders\" does not exist"), "{}", said.out);
}

#[test]
fn a_read_of_what_an_unperformed_change_writes_is_known_after_that_change() {
    let (database, project) = orders();
    project.runbook(
        "stale",
        r#"
step("before", || sql::value(params.app, "select count(*) from orders"));
step("close", || sql::exec(params.app, "delete from orders where id = 1", #{}, #{ rows: 1 }));
step("after", || { let left = sql::value(params.app, "select count(*) from orders"); check::that("one left", left == 1, `${left} left`); });
"#,
    );
    let said = project.run(&["plan", "stale", "--json"]).with_code(0);
    assert_eq!(step(&said, "before")["lines"][0]["seen"], 2);
    let after = step(&said, "after");
    assert_eq!(after["lines"][0]["known_after"], "close");
    assert!(after["lines"][0]["seen"].is_null(), "{after}");
    assert_eq!(after["lines"][1]["known_after"], "close", "a check of what is not known was decided: {after}");
    let text = project.run(&["plan", "stale"]).with_code(0);
    assert!(text.out.contains("select count(*) from orders on app: known after `close`"), "{}", text.out);
    project.run(&["run", "stale"]).with_code(0);
    assert_eq!(database.sql("select count(*) from orders"), "1");
}

#[test]
fn a_condition_on_what_is_not_known_ends_the_preview_of_its_step_and_takes_no_branch() {
    let (_, project) = orders();
    project.runbook(
        "branch",
        r#"
step("close", || sql::exec(params.app, "update orders set state = 'closed'").rows);
step("decide", || {
    sql::value(params.app, "select 1");
    if done.close > 1 { log::info("yes"); sql::exec(params.app, "insert into orders values (7, 'yes')"); }
    else { log::info("no"); sql::exec(params.app, "insert into orders values (8, 'no')"); }
});
step("last", || command::run(["true"], #{ repeatable: true }));
"#,
    );
    let said = project.run(&["plan", "branch", "--json"]).with_code(0);
    let decide = step(&said, "decide");
    assert_eq!(decide["ends"], "what follows depends on a value that is known after `close`");
    assert!(!said.out.contains("(7, 'yes')") && !said.out.contains("(8, 'no')"), "a branch was taken: {}", said.out);
    assert_eq!(levels(&step(&said, "last")), ["rendered"], "the steps after it are previewed all the same");
    let text = project.run(&["plan", "branch"]).with_code(0);
    let sentence = "preview ends here: what follows depends on a value that is known after `close`";
    assert!(text.out.contains(sentence), "{}", text.out);
    assert!(text.out.contains("not foreseen to the end: decide"), "{}", text.out);
}

const CLOSE: &str =
    r#"step("close", || sql::exec(params.app, "update orders set state = {{ state }}", #{ state: "closed" }));"#;

#[test]
fn a_run_by_a_plan_does_what_was_approved_and_needs_no_parameters_again() {
    let (database, project) = orders();
    project.runbook("close", CLOSE);
    project
        .run(&["plan", "close", "app=app", "--out", "plan.json"])
        .with_code(0)
        .saying("next: runsheet run close --plan plan.json");
    // Figures inform; they are no drift.
    database.sql("insert into orders values (3, 'open')");
    project.run(&["run", "close", "--plan", "plan.json"]).with_code(0);
    assert_eq!(database.sql("select count(*) from orders where state = 'closed'"), "3");
    let plan: Value =
        serde_json::from_str(&std::fs::read_to_string(project.path().join("plan.json")).expect("the plan"))
            .expect("JSON");
    let report = project.run(&["report", "--json"]).with_code(0).json();
    assert_eq!(report["plan"], plan["digest"]);
}

#[test]
fn a_world_that_drifted_from_the_plan_stops_the_run_and_is_named() {
    let (database, project) = orders();
    project.runbook("close", CLOSE);
    let plan = || project.run(&["plan", "close", "--out", "plan.json"]).with_code(0);
    let drifted = |named: &str| {
        project
            .run(&["run", "close", "--plan", "plan.json"])
            .with_code(8)
            .saying(named)
            .saying("next: runsheet plan close");
    };
    plan();
    database.sql("alter table orders add column note text");
    drifted("the schema of target `app`");

    plan();
    let text = std::fs::read_to_string(project.path().join("runbooks/close.rhai")).expect("the runbook");
    project.file("runbooks/close.rhai", &text.replace("\"closed\"", "\"done\""));
    drifted("what step `close` does");
    drifted("the runbook's text");

    plan();
    let other = Cluster::shared().database("preview_other");
    other.sql("create table orders (id int primary key, state text, note text)");
    let mut command = project.command(&["run", "close", "--plan", "plan.json"]);
    let said = Said::from(command.env("DATABASE_URL", &other.url).output().expect("it runs"));
    said.with_code(8).saying("the identity of target `app`");

    let said = project.run(&["run", "close", "--plan", "plan.json", "--json"]).with_code(0).json();
    assert_eq!(said["run"], "close-1", "a refused run left something behind");
    assert_eq!(database.sql("select string_agg(distinct state, ',') from orders"), "done");
}

#[test]
fn a_plan_that_was_edited_is_refused() {
    let (database, project) = orders();
    project.runbook("close", CLOSE);
    project.run(&["plan", "close", "--out", "plan.json"]).with_code(0);
    let text = std::fs::read_to_string(project.path().join("plan.json")).expect("the plan");
    assert!(text.contains("'closed'") || text.contains("closed"), "{text}");
    project.file("edited.json", &text.replacen("update orders", "update  orders", 1));
    project
        .run(&["run", "close", "--plan", "edited.json"])
        .with_code(8)
        .saying("was edited")
        .saying("next: runsheet plan close");
    project.file("garbage.json", "{ \"format\": 1");
    project.run(&["run", "close", "--plan", "garbage.json"]).with_code(2).saying("is not a plan");
    project.run(&["run", "close", "--plan", "none.json"]).with_code(2).saying("cannot be read");
    assert_eq!(database.sql("select count(*) from orders where state = 'open'"), "2");
}

#[test]
fn a_plan_changes_nothing_and_run_dry_run_is_the_same_plan() {
    let (database, project) = orders();
    project.runbook(
        "all",
        r#"
step("make", || sql::exec(params.app, "create table made (id serial); insert into made default values; insert into orders values (3, 'x')"))
    .cleanup(|made| sql::exec(params.app, "drop table made"));
step("next", || sql::value(params.app, "select max(id) from orders"));
step("lanes", || flow::each([1, 2], |n| sql::exec(params.app, "delete from orders where id = {{ n }}", #{ n: n }, #{ rows: 1 })));
step("admin", || sql::admin(params.app, "vacuum orders"));
step("file", || command::run(["touch", "made-by-the-preview"], #{ repeatable: true }));
step("ask", || flow::approve("Go on?"));
"#,
    );
    let before = database.dump();
    let plan = project.run(&["plan", "all", "--json"]).with_code(0).json();
    let dry = project.run(&["run", "all", "--dry-run", "--json"]).with_code(0).json();
    assert_eq!(database.dump(), before);
    assert_eq!(plan["digest"], dry["digest"]);
    assert_eq!(plan["steps"], dry["steps"]);
    assert!(!project.path().join("made-by-the-preview").exists());
    assert_eq!(project.run(&["runs", "--json"]).json(), json!([]), "a preview is no run");
}

#[test]
fn the_full_plan_is_lines_that_one_can_run_by_hand() {
    let (database, project) = orders();
    project.runbook(
        "hand",
        r#"
step("make", || sql::exec(params.app, "create table made (note text)"));
step("fill", || sql::exec(params.app, "insert into made values ({{ note }}); insert into made values ('second')", #{ note: "it's \"$HOME\" `x`" }));
step("count", || check::that("two", sql::value(params.app, "select count(*) from made") == 2));
step("file", || command::run(["sh", "-c", "echo \"$1\" > by-hand", "sh", "two words"], #{ repeatable: true }));
"#,
    );
    let full = project.run(&["plan", "hand", "--full"]).with_code(0).out;
    assert!(full.contains("# APP_URL: the URL of target app"), "{full}");
    let script = project.file("by-hand.sh", &full);
    let mut shell = std::process::Command::new("bash");
    shell.arg("-eu").arg(&script).current_dir(project.path()).env("APP_URL", &database.url);
    let done = Said::from(shell.output().expect("bash runs"));
    assert_eq!(done.code, 0, "{full}\n{}", done.err);
    assert_eq!(database.sql("select string_agg(note, '|' order by note) from made"), "it's \"$HOME\" `x`|second");
    let file = std::fs::read_to_string(project.path().join("by-hand")).expect("what the command wrote");
    assert_eq!(file, "two words\n");
}

#[test]
fn a_secret_stands_in_the_full_plan_as_a_variable() {
    let (_, project) = orders();
    project.file(
        "runbooks/role.rhai",
        r#"runbook("role", "1.0.0", #{ params: #{ app: target("db"), pw: secret("the password") } });
step("role", || sql::exec(params.app, "create role preview_role password {{ pw | scram }}", #{ pw: params.pw }));
"#,
    );
    let said =
        project.run_with("NEW_PASSWORD", "canary-93f1", &["plan", "role", "app=app", "pw=env:NEW_PASSWORD", "--full"]);
    let said = said.with_code(0);
    assert!(said.out.contains("$PW"), "{}", said.out);
    assert!(!said.out.contains("canary-93f1") && !said.err.contains("canary-93f1"));
}
