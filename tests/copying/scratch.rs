//! Databases that a run makes for itself: they are its own, nothing else ever goes, and nothing is left.

use super::{made, project, project_on, runbook};
use crate::support::Cluster;

#[test]
fn a_scratch_database_is_used_like_a_target_and_dropped_at_the_end() {
    let app = Cluster::shared().database("source");
    let project = project(&app);
    runbook(
        &project,
        "used",
        r#"
        step("make", || pg::scratch(params.server, #{ like: params.app, apart: params.app })).cleanup(|made| pg::drop_scratch(made));
        step("fill", || {
            sql::exec(done.make, "create table t (n int)");
            sql::exec(done.make, "insert into t values (1), (2)", #{}, #{ rows: 2 });
            sql::value(done.make, "select count(*) from t")
        });
        step("tool", || command::run(["sh", "-c", "psql \"$DATABASE_URL\" -XAtc 'insert into t values (3)'"],
            #{ repeatable: true, env: #{ DATABASE_URL: pg::url(done.make) } }));
        step("verify", || {
            gate::that("three rows", sql::value(done.make, "select count(*) from t") == 3, "");
            let who = sql::value(done.make, "select has_database_privilege('public', current_database(), 'connect')");
            gate::that("closed to the public", !who, "");
        });
        "#,
    );
    let plan = project.run(&["plan", "used"]).with_code(0);
    assert!(plan.out.contains("a scratch database on server"), "{}", plan.out);
    assert!(made("_used_").is_empty(), "a preview makes nothing");
    project.run(&["run", "used"]).with_code(0);
    assert!(made("_used_").is_empty(), "it is dropped at the end");
    let entries = project.entries("used-1");
    let text = serde_json::to_string(&entries).expect("text");
    assert!(text.contains("server:runsheet_used_1_"), "{text}");
    assert!(!text.contains(crate::support::cluster::PASSWORD), "a URL is in the journal");
}

#[test]
fn a_server_that_also_has_the_source_is_refused_unless_it_is_wanted() {
    let app = Cluster::shared().database("same");
    let project = project_on(&app, &Cluster::shared().open("postgres"));
    runbook(&project, "same", r#"step("make", || pg::scratch(params.server, #{ apart: params.app }));"#);
    let said = project.run(&["run", "same"]).with_code(1);
    assert!(said.err.contains("`server` and `app` are one server"), "{}", said.err);
    assert!(said.err.contains("same_server: true"), "{}", said.err);
    let steps = r#"step("make", || pg::scratch(params.server, #{ apart: params.app, same_server: true })).cleanup(|made| pg::drop_scratch(made));"#;
    runbook(&project, "wanted", steps);
    project.run(&["run", "wanted"]).with_code(0);
}

#[test]
fn only_what_this_run_made_is_dropped() {
    let app = Cluster::shared().database("precious");
    let project = project(&app);
    let server = Cluster::second().open("postgres");
    server.sql("create database runsheet_stranger_1_00000000");
    runbook(&project, "keeps", r#"step("make", || pg::scratch(params.server));"#);
    project.run(&["run", "keeps"]).with_code(0);
    let kept = made("_keeps_1_").pop().expect("the database of a run without a cleanup");
    for (nth, (what, why)) in [
        ("params.app".to_owned(), "not a database that a run made"),
        ("\"server:runsheet_stranger_1_00000000\"".to_owned(), "carries no stamp"),
        ("\"server:postgres\"".to_owned(), "carries no stamp"),
        (format!("\"server:{kept}\""), "was made by run keeps-1"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("drops{nth}");
        runbook(&project, &name, &format!("step(\"drop\", || pg::drop_scratch({what}));"));
        let said = project.run(&["run", &name]).with_code(1);
        assert!(said.err.contains(why), "{what}: {}", said.err);
        project.run(&["abandon", &format!("{name}-1"), "--why", "a test"]).with_code(0);
    }
    // Nor is anything but a made database reached by such a name.
    runbook(&project, "reads", r#"step("read", || sql::value("server:postgres", "select 1"));"#);
    let said = project.run(&["run", "reads"]).with_code(1);
    assert!(said.err.contains("not a database that a run made"), "{}", said.err);
    assert_eq!(app.sql("select 1"), "1");
    assert_eq!(made("_stranger_").len(), 1);
    server.sql("drop database runsheet_stranger_1_00000000");
    server.sql(&format!("drop database {kept}"));
}

#[test]
fn a_sweep_drops_what_finished_runs_left_and_names_what_it_keeps() {
    let app = Cluster::shared().database("swept");
    let (ours, theirs) = (project(&app), project(&app));
    for project in [&ours, &theirs] {
        runbook(
            project,
            "leaves",
            r#"step("make", || pg::scratch(params.server)); step("gate", || gate::that("it goes on", params.server == "", ""));"#,
        );
        project.run(&["run", "leaves"]).with_code(3);
    }
    assert_eq!(made("_leaves_1_").len(), 2);
    runbook(&ours, "sweep", r#"step("sweep", || pg::sweep(params.server));"#);
    let plan = ours.run(&["plan", "sweep", "--json"]).with_code(0);
    assert!(plan.out.contains("would keep runsheet_leaves_1_"), "{}", plan.out);
    let swept = |project: &crate::program::project::Project, run: &str| {
        project.run(&["run", "sweep"]).with_code(0);
        let text = serde_json::to_string(&project.entries(run)).expect("text");
        (
            text.contains("is not finished: `runsheet resume leaves-1`"),
            text.contains("which this project does not know"),
        )
    };
    assert_eq!(swept(&ours, "sweep-1"), (true, true), "the unfinished run and the stranger are named");
    assert_eq!(made("_leaves_1_").len(), 2);
    ours.run(&["abandon", "leaves-1", "--why", "a test"]).with_code(0);
    let plan = ours.run(&["plan", "sweep", "--json"]).with_code(0);
    assert!(plan.out.contains("would drop runsheet_leaves_1_"), "{}", plan.out);
    assert_eq!(swept(&ours, "sweep-2"), (false, true), "the stranger's stays");
    assert_eq!(made("_leaves_1_").len(), 1);
    runbook(&theirs, "sweep", r#"step("sweep", || pg::sweep(params.server));"#);
    theirs.run(&["abandon", "leaves-1", "--why", "a test"]).with_code(0);
    theirs.run(&["run", "sweep"]).with_code(0);
    assert!(made("_leaves_1_").is_empty());
    runbook(&theirs, "heirloom", r#"step("make", || pg::scratch(params.server, #{ keep: true }));"#);
    theirs.run(&["run", "heirloom"]).with_code(0);
    theirs.run(&["run", "sweep"]).with_code(0);
    let kept = made("_heirloom_1_");
    assert_eq!(kept.len(), 1, "what was made to be kept is kept");
    Cluster::second().open("postgres").sql(&format!("drop database {}", kept[0]));
}

#[test]
fn a_target_may_not_be_called_like_a_made_database() {
    let app = Cluster::shared().database("names");
    let project = project(&app);
    project.file("runsheet.toml", "[targets.\"a:b\"]\nurl = \"postgresql://u@127.0.0.1/x\"\n");
    let said = project.run(&["list"]).with_code(2);
    assert!(said.err.contains("has a `:` in its name"), "{}", said.err);
}

#[test]
fn a_restore_that_was_cut_off_between_two_databases_begins_anew() {
    let app = Cluster::shared().database("between");
    app.sql("create table t as select 1 as n");
    let project = project(&app);
    let server = Cluster::second().open("postgres").url;
    let steps = format!(
        r#"
        step("dump", || pg::dump(params.app));
        step("scratch", || pg::scratch(params.server)).cleanup(|made| pg::drop_scratch(made));
        step("first", || pg::restore(done.scratch, done.dump));
        step("cut", || command::run(["sh", "-c", `psql '{server}' -qc 'alter database ${{done.scratch.split(":")[1]}} rename to ${{done.scratch.split(":")[1]}}_n'`], #{{ repeatable: true }}));
        step("second", || pg::restore(done.scratch, done.dump));
        step("verify", || gate::that("once", sql::value(done.scratch, "select count(*) from t") == 1, ""));
        "#
    );
    runbook(&project, "between", &steps);
    let said = project.run(&["run", "between"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(made("_between_").is_empty());
}

#[test]
fn a_drop_that_was_cut_off_between_two_databases_is_done_again() {
    let app = Cluster::shared().database("twice");
    let project = project(&app);
    let server = Cluster::second().open("postgres");
    // A successor that was killed before it got its stamp. It resists, which cuts the drop off.
    let steps = format!(
        r#"
        step("scratch", || pg::scratch(params.server)).cleanup(|made| pg::drop_scratch(made));
        step("cut", || command::run(["sh", "-c", `psql '{}' -qc 'create database ${{done.scratch.split(":")[1]}}_n is_template true'`], #{{ repeatable: true }}));
        "#,
        server.url
    );
    runbook(&project, "twice", &steps);
    project.run(&["run", "twice"]).with_code(1).saying("template database");
    let successor = made("_twice_").pop().expect("the successor");
    server.sql(&format!("alter database {successor} is_template false"));
    project.run(&["resume"]).with_code(0);
    assert!(made("_twice_").is_empty());
}
