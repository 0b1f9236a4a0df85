//! The schema that a run makes for its own things, and databases that are a run's because they were empty.

use super::{EVERYTHING, empty, full, project, runbook};
use crate::support::{Database, kills};

/// Schemas that runs made in a database.
fn schemas(database: &Database) -> String {
    database.sql("select nspname from pg_namespace where nspname like 'runsheet\\_%'")
}

#[test]
fn the_schema_is_called_alike_on_both_sides_and_is_no_part_of_what_is_compared_or_dumped() {
    let (source, target) = (full("alike"), empty("alike"));
    let project = project(&source, &target);
    runbook(
        &project,
        "alike",
        r#"
        step("one", || pg::control(params.source));
        step("other", || pg::control(params.target, #{ empty: true }));
        step("again", || pg::control(params.target, #{ empty: true }));
        step("fill", || {
            gate::that("same name", done.one.schema == done.other.schema && done.again.schema == done.one.schema, done.one.schema);
            sql::exec(params.source, `create table {{ s | ident }}.beats (n int primary key); insert into {{ s | ident }}.beats values (1);
                create sequence {{ s | ident }}.numbers; comment on table {{ s | ident }}.beats is 'ours'`, #{ s: done.one.schema });
        });
        step("measure", || pg::measure(params.source));
        step("dump", || pg::dump(params.source, #{ count: true, compress: "none" }));
        step("copy", || pg::scratch(params.target, #{ like: params.source })).cleanup(|made| pg::drop_scratch(made));
        step("restore", || pg::restore(done.copy, done.dump));
        step("verify", || {
            check::same_rows(done.dump, done.copy);
            check::same_objects(params.source, done.copy);
            let there = sql::value(done.copy, "select count(*) from pg_namespace where nspname like 'runsheet%'");
            gate::that("no schema of a run in the copy", there == 0, "");
        });
        step("drop", || { pg::drop_control(params.source); pg::drop_control(params.target); pg::drop_control(params.target) });
        "#,
    );
    let said = project.run(&["run", "alike"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(schemas(&source), "");
    assert_eq!(schemas(&target), "");
}

#[test]
fn a_database_that_holds_anything_is_not_claimed_and_what_is_there_is_named() {
    let source = full("held");
    for (nth, (what, made)) in [
        ("table public.precious", "create table precious (id int)"),
        ("view public.v", "create view v as select 1"),
        ("schema other", "create schema other"),
        ("function public.f()", "create function f() returns int language sql as 'select 1'"),
        ("type public.e", "create type e as enum ('a')"),
        ("sequence public.s", "create sequence s"),
        ("extension pg_trgm", "create extension pg_trgm"),
        ("large objects 1", "select lo_from_bytea(0, 'x')"),
        ("publication p", "create publication p for all tables"),
        ("and 1 more", "create table a (); create table b (); create table c (); create table d (); create table e (); create table f ()"),
    ]
    .into_iter()
    .enumerate()
    {
        let target = empty("held");
        target.sql(made);
        let project = project(&source, &target);
        let name = format!("held{nth}");
        runbook(&project, &name, r#"step("claim", || pg::control(params.target, #{ empty: true }));"#);
        let said = project.run(&["run", &name]).with_code(1);
        assert!(said.err.contains("is not empty") && said.err.contains(what), "{made}: {}", said.err);
        let planned = project.run(&["plan", &name]);
        assert!(planned.code != 0 || planned.out.contains(what), "{made}: {}{}", planned.out, planned.err);
        assert_eq!(schemas(&target), "", "{made}");
    }
}

#[test]
fn what_was_accepted_stays_and_everything_that_came_goes() {
    let target = empty("emptied");
    target.sql("create extension pg_trgm; create schema provider; create table provider.kept (id int)");
    let project = project(&full("emptied"), &target);
    let before = target.dump();
    let everything = EVERYTHING.replace(
        "create extension pg_trgm;",
        "create schema \"odd \"\"name\"; create table \"odd \"\"name\".\"t t\" ();",
    );
    project.file("everything.sql", &everything);
    runbook(
        &project,
        "emptied",
        r#"
        step("claim", || pg::control(params.target, #{ empty: true, accept: ["pg_trgm", "provider"] }));
        step("fill", || command::run(["sh", "-c", "psql \"$URL\" -X -v ON_ERROR_STOP=1 -f everything.sql"],
            #{ repeatable: true, env: #{ URL: pg::url(params.target) } }));
        step("empty", || pg::drop_control(params.target, #{ contents: true }));
        "#,
    );
    let said = project.run(&["run", "emptied"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(target.dump(), before);
}

#[test]
fn killed_before_and_after_its_journal_writes_a_claim_is_made_and_given_back() {
    let target = empty("killed");
    let project = project(&full("killed"), &target);
    let before = target.dump();
    runbook(
        &project,
        "killed",
        r#"
        step("claim", || pg::control(params.target, #{ empty: true })).cleanup(|| pg::drop_control(params.target, #{ contents: true }));
        step("fill", || sql::exec(params.target, "create table t (id int); create table {{ s | ident }}.own (id int)", #{ s: done.claim.schema }));
        step("verify", || gate::that("there", sql::value(params.target, "select count(*) from t") == 0, ""));
        "#,
    );
    for when in ["before", "after"] {
        for write in kills(4) {
            let context = format!("killed {when} write {write}");
            let first = project.run_with("RUNSHEET_CRASH", &format!("{when}:{write}"), &["run", "killed"]);
            if first.code == 0 {
                assert!(write > 8, "{write}");
                break;
            }
            if !project.run(&["status", "--json"]).json()["unfinished"][0].is_null() {
                let again = project.run(&["resume"]);
                assert_eq!(again.code, 0, "{context}: {}{}", again.out, again.err);
            }
            assert_eq!(target.dump(), before, "{context}");
        }
    }
}

#[test]
fn a_released_database_is_left_as_it_is() {
    let target = empty("released");
    let project = project(&full("released"), &target);
    runbook(
        &project,
        "released",
        r#"
        step("claim", || pg::control(params.target, #{ empty: true })).cleanup(|| pg::drop_control(params.target, #{ contents: true }));
        step("fill", || sql::exec(params.target, "create table t (id int)"));
        step("open", || pg::release(params.target));
        "#,
    );
    project.run(&["run", "released"]).with_code(0);
    assert_eq!(target.sql("select count(*) from t"), "0");
    assert_eq!(schemas(&target), "");
}

#[test]
fn the_schema_of_another_run_is_dropped_by_its_id_once_that_run_is_over() {
    let target = empty("others");
    let project = project(&full("others"), &target);
    runbook(
        &project,
        "makes",
        r#"
        step("own", || pg::control(params.source));
        step("stop", || gate::that("stops here", false, ""));
        "#,
    );
    runbook(&project, "drops", r#"step("drop", || pg::drop_control(params.source, #{ run: "makes-1" }));"#);
    project.run(&["run", "makes"]).with_code(3);
    let said = project.run(&["run", "drops"]).with_code(1);
    assert!(said.err.contains("is not finished"), "{}", said.err);
    project.run(&["abandon", "makes-1", "--why", "a test"]).with_code(0);
    project.run(&["resume", "drops-1"]).with_code(0);
}
