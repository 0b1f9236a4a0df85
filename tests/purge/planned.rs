//! A runbook that demands a plan, and tables that a plan shows without being held to their rows.

use crate::program::project::Project;
use crate::support::{Cluster, Database};

/// A step that tells what lies in a table and why it goes or stays, and one that acts.
const LISTING: &str = r#"runbook("listing", "1.0.0", #{
    about: "a test",
    params: #{ app: target("the database", #{ or: "app" }), why: text("a reason", #{ or: "old" }) },
    plan: "required",
});
step("tell", || {
    let things = sql::query(params.app, "select name from things order by name");
    let rows = things.map(|thing| #{ name: thing.name, why: params.why, seen: time::read() });
    log::table("why each goes or stays", rows, #{ columns: ["name", "why", "seen"] });
});
step("act", || command::run(["rm", "-f", "nothing"], #{ repeatable: true }));
"#;

fn things() -> (Database, Project) {
    let database = Cluster::shared().database("listing");
    database.sql("create table things (name text); insert into things values ('one'), (e'two\\x1b[31m\\u202e')");
    let project = Project::on(&database);
    project.file("runbooks/listing.rhai", LISTING);
    (database, project)
}

#[test]
fn a_runbook_that_demands_a_plan_is_refused_without_one_and_says_which_two_commands() {
    let (_database, project) = things();
    let said = project.run(&["run", "listing", "why=it's old"]).with_code(2);
    let plan = r#"runsheet plan listing 'why=it'"'"'s old' --out listing.plan.json"#;
    let run = "runsheet run listing --plan listing.plan.json";
    let said = match said.err.contains(plan) {
        true => said,
        // Another way to quote the same word.
        false => said.saying("--out listing.plan.json"),
    };
    said.saying(run).saying("next: runsheet plan listing");
    project.run(&["runs", "--json"]).with_code(0);
    assert!(project.run(&["show", "listing"]).with_code(0).out.contains("begun only by a plan"));
    project.run(&["lint", "listing"]).with_code(0).saying("begun only by a plan");
    project.run(&["plan", "listing"]).with_code(0).saying("next: runsheet plan listing --out listing.plan.json");
    project.run(&["run", "listing", "--dry-run"]).with_code(0);
}

#[test]
fn by_a_plan_it_runs_and_can_be_killed_and_resumed() {
    let (_database, project) = things();
    project
        .run(&["plan", "listing", "--out", "p.json"])
        .with_code(0)
        .saying("next: runsheet run listing --plan p.json");
    project.run(&["run", "listing", "--plan", "p.json"]).with_code(0);
    let killed = project.run_with("RUNSHEET_CRASH", "before:4", &["run", "listing", "--plan", "p.json"]);
    assert_ne!(killed.code, 0, "{}", killed.err);
    project.run(&["resume"]).with_code(0);
}

#[test]
fn rows_of_a_table_are_shown_everywhere_and_are_no_drift() {
    let (database, project) = things();
    let plan = project.run(&["plan", "listing", "--out", "p.json"]).with_code(0);
    assert!(plan.out.contains("why each goes or stays"), "{}", plan.out);
    assert!(plan.out.contains("two\\u{1b}[31m\\u{202e}"), "{}", plan.out);
    // Another row, and another age: what is done is the same.
    database.sql("update things set name = 'three' where name <> 'one'");
    let ran = project.run(&["run", "listing", "--plan", "p.json"]).with_code(0).saying("three");
    assert!(ran.err.contains("why each goes or stays:"), "{}", ran.err);
    let report = project.run(&["report", "listing-1"]).with_code(0).out;
    assert!(report.contains("why each goes or stays") && report.contains("three"), "{report}");
    let report = project.run(&["report", "listing-1", "--json"]).with_code(0).json();
    assert_eq!(report["tables"][0]["rows"]["total"], 2, "{report}");
}

#[test]
fn a_title_is_held_to() {
    let (database, project) = things();
    let titled =
        r#"step("tell", || log::table(`${sql::value(params.app, "select count(*) from things")} things`, []));"#;
    project.runbook("titled", titled);
    project.run(&["plan", "titled", "--out", "p.json"]).with_code(0);
    database.sql("insert into things values ('more')");
    project.run(&["run", "titled", "--plan", "p.json"]).with_code(8);
}
