//! Each gate of `lib/preflight` is seen to fail once, all of them in one look, and to hold once what it proposes was typed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::program::project::Project;
use crate::support::{Cluster, Database, PgBouncer, wait_until};

const LOOK: &str = r#"
runbook("look", "1.0.0", #{
    about: "a test",
    params: #{
        source: target("one side"), target: target("the other", #{ or: "" }),
        at: one_of(["source", "target", "both"], "which side"), strategy: text("live or dump", #{ or: "live" }),
        accept: list(text("gate"), #{ or: [] }), owners: list(text("writer"), #{ or: [] }), longest: integer("seconds", #{ or: 300 }),
    },
    lock: [], on_failure: "clean_up",
});
import "lib/preflight" as preflight;
step("look", || {
    let options = #{ accept: params.accept, owners: params.owners, longest: params.longest, strategy: params.strategy };
    if params.at == "source" { preflight::source(params.source, params.strategy, options); }
    else if params.at == "target" { preflight::target(params.source, params.target, options); }
    else { preflight::both(params.source, params.target, options); }
    true
});
"#;

/// What a source has that stands in the way, and a role `mover` that may nearly nothing.
const WRONG: &str = r#"
    create role mover login password 'a-way-in';
    create schema shut; create table shut.inside (id integer primary key);
    create table keyless (kind text, n integer); insert into keyless values ('one', 1);
    create table documents (content json); alter table documents add constraint brief check (length(content::text) < 9) not valid;
    create unlogged table fleeting (id integer primary key, n integer generated always as (1) stored);
    create foreign data wrapper elsewhere; create server far foreign data wrapper elsewhere; create foreign table remote (id integer) server far;
    create materialized view counted as select count(*) from keyless;
    create table secured (id integer primary key); alter table secured enable row level security;
    create policy theirs on secured to mover using (true);
    select lo_create(0);
    create schema runsheet_deadbeef; comment on schema runsheet_deadbeef is '{"runsheet":"cutover-1"}';
    create publication runsheet_deadbeef_1; create publication debezium for all tables;
    select pg_create_physical_replication_slot('standby');
    create extension citext; create extension hstore;
    set allow_system_table_mods = on;
    update pg_extension set extversion = '99.1' where extname = 'citext';
    update pg_extension set extname = 'nowhere' where extname = 'hstore';
    create function watch() returns event_trigger language plpgsql as $$ begin end $$;
    create event trigger watching on ddl_command_end execute function watch();
    create schema cron; create table cron.job (jobid bigint primary key, active boolean); insert into cron.job values (1, true);
    alter default privileges grant select on tables to mover;
"#;

/// A project whose targets are these.
fn project(targets: &[(&str, &str)]) -> Project {
    let project = Project::with_url("postgresql://nobody@127.0.0.1:1/none");
    let tables = targets.iter().map(|(name, url)| format!("[targets.{name}]\nurl = \"{url}\"\nlabel = \"{name}\"\n"));
    project.file("runsheet.toml", &tables.collect::<String>());
    project.file("runbooks/look.rhai", LOOK);
    project
}

/// Every check that a look records: its verdict and what it says, by name.
#[track_caller]
fn look(project: &Project, code: i32, args: &[&str]) -> BTreeMap<String, (String, String)> {
    let said = project.run(&[&["run", "look", "--json"], args].concat()).with_code(code);
    let run = said.json()["run"].as_str().expect("a run").to_owned();
    let report = project.run(&["report", &run, "--json"]).json();
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let checks = report["checks"]["shown"].as_array().expect("checks").iter();
    checks.map(|check| (text(check, "name"), (text(check, "verdict"), text(check, "detail")))).collect()
}

fn failing(found: &BTreeMap<String, (String, String)>) -> Vec<&str> {
    let closed = found.iter().filter(|(name, (verdict, _))| verdict != "pass" && !name.ends_with("in the way"));
    closed.map(|(name, _)| name.split_once(": ").expect("a side").1).collect()
}

fn as_mover(database: &Database) -> String {
    let (_, place) = database.url.split_once('@').expect("a host");
    format!("postgresql://mover:a-way-in@{place}")
}

#[test]
fn what_stands_in_the_way_at_the_source_is_all_named_at_once_and_goes_by_what_is_proposed() {
    let server = Cluster::start(&[
        "fsync=off",
        "wal_level=replica",
        "max_replication_slots=4",
        "max_wal_senders=2",
        "max_slot_wal_keep_size=1MB",
        "wal_sender_timeout=5s",
        "max_prepared_transactions=2",
    ]);
    let source = server.database("shop");
    source.sql(WRONG);
    source.sql("begin; insert into keyless values ('two', 2); prepare transaction 'forgotten'");
    let mut idle = source.psql("begin; select pg_sleep(100)").spawn().expect("psql runs");
    let waiting = "select count(*) from pg_stat_activity where query like 'begin; select pg_sleep%'";
    wait_until("a transaction goes on", || source.sql(waiting) == "1");

    let project = project(&[("old", &source.url), ("mover", &as_mover(&source))]);
    let found = look(&project, 3, &["source=old", "at=source", "longest=0", "owners=nobody"]);
    let expected = [
        "WAL kept for slots",
        "can be frozen",
        "checks hold for every row",
        "every table has a key",
        "foreign tables",
        "free WAL senders",
        "free replication slots",
        "large objects",
        "leftovers",
        "long transactions",
        "prepared transactions",
        "publications of all tables",
        "replication of others",
        "rows without a key can be compared",
        "unlogged tables",
        "wal_level",
        "wal_sender_timeout",
        "writers",
    ];
    assert_eq!(failing(&found), expected, "{found:#?}");
    let detail = |name: &str| found[&format!("source: {name}")].1.clone();
    assert!(detail("every table has a key").contains("alter table public.keyless replica identity full"));
    assert!(detail("leftovers").contains("drop schema runsheet_deadbeef cascade"), "{}", detail("leftovers"));
    assert!(detail("writers").contains("postgres by psql from 127.0.0.1"), "{}", detail("writers"));

    // A role that may nearly nothing, and a dump, which carries more than replication does.
    let found = look(&project, 3, &["source=mover", "at=source", "strategy=dump", "longest=0", "owners=nobody"]);
    let expected = [
        "can be frozen",
        "every row visible",
        "everything readable",
        "foreign tables",
        "leftovers",
        "long transactions",
        "prepared transactions",
        "replication of others",
        "rights",
        "writers",
    ];
    assert_eq!(failing(&found), expected, "{found:#?}");
    assert_eq!(found["source: writers"].0, "could-not-verify");
    let live = look(&project, 3, &["source=mover", "at=source"]);
    assert!(["every table published", "the way back"].iter().all(|name| failing(&live).contains(name)), "{live:#?}");

    // What is said to be typed, typed.
    let settled =
        ["long transactions", "prepared transactions", "leftovers", "unlogged tables", "every table has a key"];
    for name in settled {
        let (_, statements) = found_in(&look(&project, 3, &["source=old", "at=source", "longest=0"]), name);
        let statements = statements.rsplit_once("type: ").expect("statements").1.to_owned();
        source.sql(&statements);
    }
    let _ = idle.wait();
    let found = look(&project, 3, &["source=old", "at=source", "longest=0", "owners=psql"]);
    let settled =
        ["every table has a key", "unlogged tables", "leftovers", "prepared transactions", "long transactions"];
    assert!(settled.iter().all(|name| found[&format!("source: {name}")].0 == "pass"), "{found:#?}");

    // Whoever has another answer says so by name.
    let accept = format!("accept={}", failing(&found).join(","));
    let accepted = look(&project, 0, &["source=old", "at=source", "longest=0", "owners=psql", &accept]);
    assert_eq!(failing(&accepted), Vec::<&str>::new());

    let pooler = PgBouncer::start(&server, "options");
    let project = self::project(&[("pooled", &pooler.url(&source.name))]);
    let found = look(&project, 3, &["source=pooled", "at=source", "strategy=dump", &accept]);
    assert_eq!(failing(&found), ["direct"]);
}

#[track_caller]
fn found_in(found: &BTreeMap<String, (String, String)>, name: &str) -> (String, String) {
    found.get(&format!("source: {name}")).expect("a gate of that name").clone()
}

#[test]
fn a_target_must_be_empty_another_one_and_alike() {
    let (server, other) = (Cluster::start(&["fsync=off", "max_logical_replication_workers=1"]), Cluster::second());
    let source = server.database("shop");
    source.sql(WRONG);
    source.sql("alter role mover set lock_timeout = '1s'");
    source.sql(&format!("alter database {} set search_path = \"$user\", app", source.name));
    let target = other.database("managed");
    let latin = format!("{}_latin", target.name);
    target.sql(&format!("create database {latin} encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0"));
    let sorted = format!("{}_sorted", target.name);
    target.sql(&format!(
        "create database {sorted} encoding 'UTF8' lc_collate 'C.UTF-8' lc_ctype 'C.UTF-8' template template0"
    ));
    target.sql(&format!("alter database {latin} set xmloption = 'document'"));
    let (latin, sorted) = (other.open(&latin), other.open(&sorted));
    let project = project(&[
        ("old", &source.url),
        ("mover", &as_mover(&source)),
        ("new", &target.url),
        ("latin", &latin.url),
        ("sorted", &sorted.url),
    ]);

    let found = look(&project, 3, &["source=old", "target=old", "at=target"]);
    let expected = ["another database", "can follow", "empty", "leftovers", "the way back"];
    assert_eq!(failing(&found), expected, "{found:#?}");
    assert!(found["target: empty"].1.starts_with("cron.job, public.counted"), "{found:#?}");
    let found = look(&project, 3, &["source=old", "target=mover", "at=target"]);
    assert!(failing(&found).contains(&"rights"), "{found:#?}");
    let found = look(&project, 0, &["source=old", "target=new", "at=target", "strategy=dump"]);
    assert_eq!(failing(&found), Vec::<&str>::new());

    let found = look(&project, 3, &["source=old", "target=latin", "at=both"]);
    let expected =
        ["encoding", "extensions", "roles of policies", "scheduled jobs", "settings", "settings of roles and database"];
    assert_eq!(failing(&found), expected, "{found:#?}");
    let detail = |name: &str| found[&format!("both sides: {name}")].1.clone();
    for text in ["citext 1.6 is older than 99.1", "nowhere is missing"] {
        assert!(detail("extensions").contains(text), "{}", detail("extensions"));
    }
    let given = detail("settings of roles and database");
    assert!(given.ends_with(&format!("alter database {} set search_path = \"$user\", app", latin.name)), "{given}");
    latin.sql(given.split_once("on the target: ").expect("a statement").1);
    latin.sql("create role mover login password 'a-way-in'");
    let found = look(&project, 3, &["source=old", "target=latin", "at=both"]);
    let given = detail_of(&found, "both sides: settings of roles and database");
    assert_eq!(given.split_once("on the target: ").expect("a statement").1, "alter role mover set lock_timeout = '1s'");
    assert!(!failing(&found).contains(&"roles of policies"), "{found:#?}");

    let found = look(&project, 3, &["source=old", "target=sorted", "at=both"]);
    assert!(failing(&found).contains(&"collation"), "{found:#?}");
    let (_, place) = target.url.split_once('@').expect("a host");
    let plain = self::project(&[("old", &source.url), ("plain", &format!("postgresql://mover:a-way-in@{place}"))]);
    let found = look(&plain, 3, &["source=old", "target=plain", "at=both"]);
    assert!(failing(&found).contains(&"event triggers"), "{found:#?}");
}

#[track_caller]
fn detail_of(found: &BTreeMap<String, (String, String)>, name: &str) -> String {
    found.get(name).expect("a gate of that name").1.clone()
}

#[test]
fn a_setting_that_a_session_would_lose_behind_the_pooler_is_given_to_the_database_and_proved_there() {
    let server = Cluster::shared();
    let source = server.database("shop");
    let pooler = PgBouncer::before(server, &source, "transaction", &["postgres"]);
    let project = self::project(&[]);
    let toml = format!(
        "[targets.app]\nurl = \"{}\"\ndirect_url = \"{}\"\nlabel = \"app\"\n[pgbouncer]\nadmin_url = \"{}\"\n",
        pooler.url("app"),
        source.url,
        pooler.admin_url(),
    );
    project.file("runsheet.toml", &toml);
    project.runbook(
        "guard",
        r#"import "lib/pooler_settings" as pooler_settings;
        step("warm", || pooler_settings::warm(params.app, 3, []).len());
        step("set", || pooler_settings::set(params.app, #{ statement_timeout: 15000 })).undo(|made| pooler_settings::restore(params.app, made));
        step("before", || pooler_settings::prove(params.app, done.set, 3, "1s"));
        step("renew", || pgbouncer::reconnect("app"));
        step("after", || pooler_settings::prove(params.app, done.set, 3, "5s"));
        step("stop", || must("undone", false, ""));"#,
    );
    // The sessions that warmed it up know nothing of the setting, and that shows; their successors do.
    let said = project.run(&["run", "guard"]).with_code(1);
    for text in [
        "3 connections opened, 3 sessions of the server behind them",
        "FAIL app: settings hold through the pooler (statement_timeout is 0, not 15s",
        "pass app: settings hold through the pooler (statement_timeout = 15s)",
    ] {
        assert!(said.err.contains(text), "{text}: {}", said.err);
    }
    assert_eq!(source.sql("show statement_timeout"), "15s");
    project.run(&["undo", "guard-1"]);
    assert_eq!(source.sql("show statement_timeout"), "0");
}
