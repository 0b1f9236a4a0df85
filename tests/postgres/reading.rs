//! `sql::query`: what it answers and what it refuses.

use serde_json::json;

use runsheet::model::preview::Level;

use super::harness::{admin, effects, exec, perform, query, refused, value};
use crate::support::Cluster;

#[tokio::test]
async fn each_type_has_its_plain_form() {
    let database = Cluster::shared().database("types");
    database.sql("create type mood as enum ('sad', 'ok'); create domain positive as int check (value > 0)");
    let effects = effects(&database);
    let table = [
        ("null::int", json!(null)),
        ("true", json!(true)),
        ("(-7)::int2", json!(-7)),
        ("42", json!(42)),
        ("9223372036854775807", json!(i64::MAX)),
        ("4294967295::oid", json!(4_294_967_295u32)),
        ("0.1::float4", json!(0.1)),
        ("0.1::float8", json!(0.1)),
        ("'NaN'::float8", json!("NaN")),
        ("'-Infinity'::float4", json!("-Infinity")),
        ("0::numeric", json!(0)),
        ("120000::numeric", json!(120_000)),
        ("-10000::numeric", json!(-10_000)),
        ("9223372036854775808::numeric", json!("9223372036854775808")),
        ("12.50::numeric", json!("12.50")),
        ("0.00001234::numeric", json!("0.00001234")),
        ("-1234567890123456789012.000100::numeric", json!("-1234567890123456789012.000100")),
        ("1.00::numeric", json!("1.00")),
        ("0.0::numeric", json!("0.0")),
        ("'NaN'::numeric", json!("NaN")),
        ("'ä''b'::text", json!("ä'b")),
        ("'ab'::char(4)", json!("ab  ")),
        ("'x'::\"char\"", json!("x")),
        ("'n'::name", json!("n")),
        ("'ok'::mood", json!("ok")),
        ("5::positive", json!(5)),
        ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("'{\"a\": [1, null]}'::json", json!({"a": [1, null]})),
        ("'{\"a\": [1, null]}'::jsonb", json!({"a": [1, null]})),
        ("'2026-02-28'::date", json!("2026-02-28")),
        ("'infinity'::date", json!("infinity")),
        ("'04:05:06.789'::time", json!("04:05:06.789")),
        ("'24:00'::time", json!("24:00:00")),
        ("'1999-12-31 23:59:59'::timestamp", json!("1999-12-31T23:59:59")),
        ("'2026-02-28 12:00:00.5+02'::timestamptz", json!("2026-02-28T10:00:00.500Z")),
        ("'-infinity'::timestamptz", json!("-infinity")),
        ("'1 year 2 mons 3 days 04:05:06.5'::interval", json!("P1Y2M3DT4H5M6.5S")),
        ("'-1.5 seconds'::interval", json!("PT-1.5S")),
        ("'0'::interval", json!("PT0S")),
        ("'\\xdeadbeef'::bytea", json!("\\xdeadbeef")),
        ("'10.0.0.1'::inet", json!("10.0.0.1")),
        ("'10.0.0.0/8'::cidr", json!("10.0.0.0/8")),
        ("'::1'::inet", json!("::1")),
        ("'08:00:2b:01:02:03'::macaddr", json!("08:00:2b:01:02:03")),
        ("'5'::xid8", json!("5")),
        ("'16/B374D848'::pg_lsn", json!("16/B374D848")),
        ("array[1, null, 3]", json!([1, null, 3])),
        ("array[[1, 2], [3, 4]]", json!([[1, 2], [3, 4]])),
        ("'{}'::text[]", json!([])),
        ("array['sad', 'ok']::mood[]", json!(["sad", "ok"])),
        ("array[1.5, 2]::numeric[]", json!(["1.5", 2])),
    ];
    for (sql, expected) in table {
        let done =
            perform(&effects, &value(&format!("select {sql}"))).await.unwrap_or_else(|fault| panic!("{sql}: {fault}"));
        assert_eq!(done.value, expected, "{sql}");
    }
}

#[tokio::test]
async fn rows_come_as_objects_in_their_order() {
    let effects = effects(&Cluster::shared().database("rows"));
    let done = perform(&effects, &query("select n, n * 2 as double from generate_series(1, 2) n order by n desc"))
        .await
        .unwrap();
    assert_eq!(done.value, json!([{"n": 2, "double": 4}, {"n": 1, "double": 2}]));
    assert_eq!(done.rows, Some(2));
}

#[tokio::test]
async fn what_has_no_plain_form_is_refused_with_the_cast_to_write() {
    let effects = effects(&Cluster::shared().database("forms"));
    let fault = refused(&effects, &query("select point(1, 2) as place"), "sql.type").await;
    assert!(fault.message.contains("column place has type point") && fault.message.contains("place::text"), "{fault}");
    let fault = refused(&effects, &query("select 1 as a, 2 as a"), "sql.columns").await;
    assert!(fault.message.contains("`a`"), "{fault}");
    refused(&effects, &value("select 1 as a, 2 as b"), "sql.single").await;
    refused(&effects, &value("select 1 from generate_series(1, 2)"), "sql.single").await;
    refused(&effects, &value("select 1 where false"), "sql.single").await;
    refused(&effects, &query("select repeat('x', 300) from generate_series(1, 5000)"), "result.large").await;
    refused(&effects, &query("select U&'\\+0F0000'"), "data.handle").await;
    assert_eq!(perform(&effects, &value("select 1")).await.unwrap().value, json!(1), "the target is still usable");
}

#[tokio::test]
async fn side_effects_are_refused_however_they_are_spelled() {
    let database = Cluster::shared().database("effects");
    database.sql(
        "create function touch() returns int language sql as 'select 1';
         create function look() returns int stable language sql as 'select 1';
         create view hidden as select pg_switch_wal() as lsn;
         create table t (id int)",
    );
    let effects = effects(&database);
    for sql in [
        "select pg_terminate_backend(1)",
        "select PG_Terminate_Backend /* a comment ( */ (1)",
        "select \"pg_reload_conf\"()",
        "select U&\"pg_rel\\006Fad_conf\"()",
        "select pg_catalog.pg_switch_wal()",
        "select * from pg_create_logical_replication_slot('s', 'pgoutput')",
        "select * from hidden",
        "table hidden",
        "select pg_advisory_lock(1)",
        "select pg_sleep(0)",
        "select set_config('work_mem', '1MB', false)",
        "select query_to_xml('select pg_reload_conf()', true, true, '')",
        "select touch()",
        "select 1 limit touch()",
        "explain analyze select * from hidden",
        "do $$ begin perform pg_reload_conf(); end $$",
        "lock table t",
        "copy t to stdout",
        "set work_mem = '1MB'",
        "insert into t values (1)",
        "",
    ] {
        let fault = refused(&effects, &query(sql), "sql.side-effect").await;
        assert!(fault.hint.is_some(), "{sql}: {fault:?}");
    }
    for sql in [
        "select look() as a, clock_timestamp() as b, pg_database_size(current_database()) as c",
        "select 'pg_terminate_backend(1)' as text, $$ pg_reload_conf() $$ as more, E'\\' pg_sleep(1)' as third -- touch()",
        "select count(*) from pg_locks",
        "select count(*) from pg_stat_activity",
        "select name from pg_settings where name in ('work_mem')",
        "show work_mem",
        "explain select * from hidden",
        "with x as (values (1)) select * from x",
    ] {
        perform(&effects, &query(sql)).await.unwrap_or_else(|fault| panic!("{sql}: {fault}"));
    }
}

#[tokio::test]
async fn a_read_cannot_write_and_is_one_statement() {
    let database = Cluster::shared().database("readonly");
    database.sql("create table t (id int); create sequence s");
    let effects = effects(&database);
    refused(&effects, &query("with gone as (insert into t values (1) returning id) select * from gone"), "sql.25006")
        .await;
    refused(&effects, &query("select 1; insert into t values (1)"), "sql.42601").await;
    refused(&effects, &query("select * from t; commit; drop table t"), "sql.42601").await;
    assert_eq!(database.sql("select count(*) from t"), "0");
}

#[tokio::test]
async fn a_read_ends_at_its_time_limit() {
    let effects = effects(&Cluster::shared().database("limit"));
    let mut slow = query("select count(*) from generate_series(1, 1000000000)");
    slow.timeout = Some(0.2);
    let fault = refused(&effects, &slow, "sql.57014").await;
    assert!(fault.hint.unwrap().contains("timeout"));
}

#[tokio::test]
async fn secrets_are_redacted_from_answers_and_from_messages() {
    let effects = effects(&Cluster::shared().database("redact"));
    let handle = effects.world().vault.keep("key", "canary-7f3a");
    let done = perform(&effects, &value("select 'it is canary-' || '7f3a'")).await.unwrap();
    assert_eq!(done.value, json!("it is (secret key)"));
    let fault = refused(&effects, &query("select ('canary-' || '7f3a')::int"), "sql.22P02").await;
    assert!(fault.message.contains("(secret key)"), "{fault}");
    refused(&effects, &query(&format!("select '{handle}'")), "secret.in-sql").await;
}

#[tokio::test]
async fn a_preview_reads_reads_and_prepares_changes_without_making_them() {
    let database = Cluster::shared().database("preview");
    database.sql("create table t (id int)");
    let effects = effects(&database);
    let read = effects.preview(&query("select count(*) as n from t")).await.unwrap();
    assert_eq!((read.level, read.value), (Level::Read, Some(json!([{"n": 0}]))));

    let change = exec(&["insert into t values (1)", "create table u (id int)", "insert into u values (1)"]);
    let shown = effects.preview(&change).await.unwrap();
    assert_eq!(shown.level, Level::Prepared);
    assert_eq!(shown.notes.len(), 1, "{:?}", shown.notes);
    assert!(
        shown.notes[0].starts_with("statement 3 cannot be prepared before statement 2 has run"),
        "{:?}",
        shown.notes
    );
    let by_hand = &shown.by_hand[0];
    assert!(
        by_hand.starts_with("psql \"$PROD_URL\"") && by_hand.contains("-c 'insert into t values (1)'"),
        "{by_hand}"
    );

    let fault = effects.preview(&exec(&["insert into missing values (1)"])).await.unwrap_err();
    assert_eq!(fault.code, "sql.42P01");
    let shown = effects.preview(&admin("vacuum t")).await.unwrap();
    assert_eq!(shown.level, Level::Rendered);
    assert_eq!(database.sql("select count(*), to_regclass('u') is null from t"), "0|t");
}
