//! A configured target is filled by the run that found it empty, and by nobody else.

use super::{empty, full, managed, project, runbook};
use crate::support::kills;

const CLAIM: &str = r#"
    step("claim", || pg::control(params.target, #{ empty: true })).cleanup(|| pg::drop_control(params.target, #{ contents: true }));
"#;

#[test]
fn a_dump_is_restored_into_a_claimed_target_analyzed_and_proved() {
    let target = managed("restored");
    let project = project(&full("restored"), &target);
    let steps = r#"
        step("dump", || pg::dump(params.source, #{ count: true })).cleanup(|made| pg::drop_dump(made));
        step("restore", || pg::restore(params.target, done.dump, #{ accept: ["watch"] }));
        step("verify", || {
            check::same_rows(done.dump, params.target);
            check::same_objects(params.source, params.target, #{ accept: ["event trigger", "database setting"] });
            let known = sql::value(params.target, "select count(distinct tablename) from pg_stats where schemaname = 'shop'");
            gate::that("the planner knows the tables", known == 4, `${known}`);
            gate::that("named", done.restore.left_out == ["comment on extension pg_trgm", "event trigger watch"], `${done.restore.left_out}`);
        });
    "#;
    runbook(&project, "restored", &format!("{CLAIM}{steps}step(\"open\", || pg::release(params.target));"));
    let said = project.run(&["run", "restored"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(target.sql("select count(*) from shop.orders"), "50");
    // Filled, it is nobody's to claim.
    runbook(&project, "second", CLAIM);
    let said = project.run(&["run", "second"]).with_code(1);
    assert!(said.err.contains("is not empty"), "{}", said.err);
}

#[test]
fn an_event_trigger_that_the_role_may_not_make_is_named_before_anything_is_done() {
    let target = managed("refused");
    let project = project(&full("refused"), &target);
    runbook(
        &project,
        "refused",
        &format!("{CLAIM}step(\"schema\", || pg::copy_schema(params.source, params.target));"),
    );
    let said = project.run(&["run", "refused"]).with_code(1);
    assert!(said.err.contains("may not make event triggers: watch"), "{}", said.err);
    assert!(said.err.contains("accept: [\"watch\"]"), "{}", said.err);
    assert_eq!(
        target.sql("select count(*) from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"),
        "0"
    );
}

#[test]
fn a_schema_is_copied_whole_and_its_copy_holds_no_row() {
    let target = empty("schema");
    let project = project(&full("schema"), &target);
    let steps = r#"
        step("own", || { let own = pg::control(params.source); sql::exec(params.source, "create table {{ s | ident }}.beats (n int)", #{ s: own.schema }) })
            .cleanup(|| pg::drop_control(params.source));
        step("schema", || pg::copy_schema(params.source, params.target, #{ jobs: 2 }));
        step("scratch", || pg::scratch(params.target, #{ like: params.source })).cleanup(|made| pg::drop_scratch(made));
        step("rehearse", || { pg::copy_schema(params.source, done.scratch); pg::drop_control(done.scratch) });
        step("again", || {
            let own = pg::scratch(params.target, #{ like: params.source });
            let control = pg::control(own, #{ empty: true });
            pg::copy_schema(params.source, own);
            gate::that("the schema of the run stays", sql::value(own, "select count(*) from pg_namespace where nspname = {{ it }}", #{ it: control.schema }) == 1, "");
            pg::drop_scratch(own);
        });
        step("verify", || {
            sql::exec(params.target, "refresh materialized view shop.totals");
            sql::exec(done.scratch, "refresh materialized view shop.totals");
            check::same_objects(params.source, params.target, #{ accept: ["large objects", "sequence"] });
            check::same_objects(done.scratch, params.target);
            gate::that("no row", sql::value(params.target, "select count(*) from shop.orders") == 0, "");
            gate::that("analyzed", pg::analyze(params.target).tables == 5, "");
        });
    "#;
    runbook(&project, "schema", &format!("{CLAIM}{steps}"));
    let said = project.run(&["run", "schema"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(
        target.sql("select count(*) from pg_class where relnamespace = 'public'::regnamespace"),
        "0",
        "emptied again"
    );
}

#[test]
fn a_target_is_filled_by_no_run_but_the_one_that_claimed_it() {
    let (source, target) = (full("claimed"), empty("claimed"));
    let project = project(&source, &target);
    let copy = "step(\"schema\", || pg::copy_schema(params.source, params.target, #{ accept: [\"watch\"] }));";
    for (name, steps, why) in [
        ("configured", copy.to_owned(), "is not a database that a run made, nor one that this run claimed"),
        ("not_empty", format!("step(\"own\", || pg::control(params.target));{copy}"), "is not this run's to fill"),
        (
            "released",
            format!(
                "step(\"own\", || {{ pg::control(params.target, #{{ empty: true }}); pg::release(params.target) }});{copy}"
            ),
            "is not this run's to fill",
        ),
    ] {
        runbook(&project, name, &steps);
        let said = project.run(&["run", name]).with_code(1);
        assert!(said.err.contains(why), "{name}: {}", said.err);
        project.run(&["abandon", &format!("{name}-1"), "--why", "a test"]).with_code(0);
        target.sql("do $$ declare s text; begin for s in select nspname from pg_namespace where nspname like 'runsheet\\_%' loop execute 'drop schema ' || s; end loop; end $$");
    }
}

#[test]
fn killed_around_its_journal_writes_a_filling_begins_anew_and_is_whole() {
    let target = empty("killed");
    let project = project(&full("killed_source"), &target);
    let before = target.dump();
    let steps = r#"
        step("schema", || pg::copy_schema(params.source, params.target, #{ jobs: 2 }));
        step("verify", || {
            sql::exec(params.target, "refresh materialized view shop.totals");
            check::same_objects(params.source, params.target, #{ accept: ["large objects", "sequence"] });
        });
    "#;
    runbook(&project, "killed", &format!("{CLAIM}{steps}"));
    for (when, go_on) in [("after", &["resume"][..]), ("before", &["abandon", "--why", "a test"])] {
        for write in kills(7) {
            let context = format!("killed {when} write {write}, then {go_on:?}");
            let first = project.run_with("RUNSHEET_CRASH", &format!("{when}:{write}"), &["run", "killed"]);
            if first.code == 0 {
                assert!(write > 10, "{write}");
                break;
            }
            if !project.run(&["status", "--json"]).json()["unfinished"][0].is_null() {
                let again = project.run(go_on);
                assert_eq!(again.code, 0, "{context}: {}{}", again.out, again.err);
            }
            assert_eq!(target.dump(), before, "{context}");
        }
    }
}
