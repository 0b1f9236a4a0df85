//! Equal sides are called equal while somebody writes, and whatever differs is named by table and key.

use serde_json::{Value, json};

use super::follow::{GOODS, SHOP, WORK};
use super::world::{World, Writer};

/// Tables and keys of what differs.
fn named(answer: &Value) -> Vec<(String, Vec<String>)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let keys = |value: &Value| value.as_array().expect("keys").iter().map(text).collect();
    answer["differing"].as_array().expect("a list").iter().map(|it| (text(&it["table"]), keys(&it["keys"]))).collect()
}

#[track_caller]
fn equal(answer: &Value) {
    assert!(answer["equal"] == true && answer["left_out"] == json!([]), "{answer:#}");
}

async fn followed() -> World {
    let world = World::with(SHOP);
    world.source.sql(GOODS);
    world.copied().await;
    world.ready().await;
    world
}

#[tokio::test]
async fn equal_sides_are_proved_equal_while_somebody_writes_and_then_at_the_freeze() {
    let world = followed().await;
    // What is not on the disk yet can be seen already.
    world.source.sql(&format!("alter database {} set synchronous_commit = off", world.source.name));
    world.watch().await;
    let writer = Writer::at(&world.source, WORK);
    let compared = world.compare().await;
    equal(&compared);
    assert!(compared["rows"].as_u64() > Some(2500), "{compared:#}");
    // Once more, with more to leave out, and a table that was emptied.
    world.source.sql("truncate doomed; insert into doomed values (1)");
    equal(&world.compare().await);
    writer.stop();
    let drained = world.drain(60.0).await.expect("it is drained");
    let last = world.compare_changed(60.0).await;
    equal(&last);
    assert!(last["changed"].as_u64() > Some(10), "{last:#}");
    let since = world.changed_since(Some(&drained["lsn"])).await;
    assert_eq!(since, json!({ "changes": 0, "tables": [], "ddl": [] }));
    world.source.sql("update words set times = 0 where word = 'wörd 9'");
    let since = world.changed_since(Some(&drained["lsn"])).await;
    assert_eq!(since, json!({ "changes": 1, "tables": ["public.words"], "ddl": [] }));
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
}

#[tokio::test]
async fn a_row_lost_or_altered_or_added_on_the_way_is_named_by_table_and_key() {
    let world = followed().await;
    world.watch().await;
    // Among what nobody touches: found by the long comparison.
    world.target.sql(
        "delete from orders where id = 17; update words set times = -1 where word = 'wörd 5'; \
         insert into \"Order Lines\" values (999, 'it''s \"new\"', 1); update parts set note = 'other' where id = 40",
    );
    let compared = world.compare().await;
    assert_eq!(compared["equal"], false);
    let expected = [
        ("public.Order Lines", "Order=999, Kind \"x\"=it's \"new\" (only in new)"),
        ("public.orders", "id=17 (missing in new)"),
        ("public.parts_b", "id=40, at=2026-02-10 (differs)"),
        ("public.words", "word=wörd 5 (differs)"),
    ];
    let expected: Vec<_> = expected.iter().map(|(table, key)| (table.to_string(), vec![key.to_string()])).collect();
    assert_eq!(named(&compared), expected);
    // Among what changed: found at the freeze. A change that the target has lost, as a skipped transaction would.
    world.target.sql("insert into orders (id, note) select 17, note from orders limit 0");
    world.source.sql("insert into orders (id, note) values (9001, 'a'), (9002, 'b'); update words set times = 8 where word = 'wörd 8'; delete from orders where id = 30");
    world.drain(60.0).await.expect("it is drained");
    world.target.sql("delete from orders where id = 9001; update words set times = 9 where word = 'wörd 8'; insert into orders (id, note) values (30, 'back')");
    let last = world.compare_changed(60.0).await;
    assert_eq!(last["equal"], false);
    let found = named(&last);
    assert!(
        found
            .contains(&("public.orders".into(), vec!["id=30 (only in new)".into(), "id=9001 (missing in new)".into()])),
        "{last:#}"
    );
    assert!(found.contains(&("public.words".into(), vec!["word=wörd 8 (differs)".into()])), "{last:#}");
    world.remove().await.expect("it is removed");
}

#[tokio::test]
async fn a_row_lost_from_a_table_that_nobody_touched_is_seen_by_its_count_at_the_freeze() {
    let world = followed().await;
    world.watch().await;
    equal(&world.compare().await);
    world.target.sql("delete from words where word = 'wörd 3'; delete from bare where a = 4");
    world.drain(60.0).await.expect("it is drained");
    let last = world.compare_changed(60.0).await;
    let count =
        |table: &str, here: u32, there: u32| (table.to_owned(), vec![format!("{here} rows in old, {there} in new")]);
    assert_eq!(named(&last), [count("public.bare", 100, 90), count("public.words", 300, 299)]);
    let late = world.compare_changed(0.0).await;
    assert_eq!(late["left_out"].as_array().expect("a list").len(), 8, "{late:#}");
    assert_eq!(late["left_out"][0]["table"], "public.big", "{late:#}");
    world.remove().await.expect("it is removed");
}

#[tokio::test]
async fn a_target_that_is_not_drained_is_not_compared_at_the_freeze() {
    let world = followed().await;
    world.watch().await;
    world.target.sql("begin; lock table words in access exclusive mode; commit");
    let stop = runsheet::model::request::logical::LogicalStop { target: "new".into(), schema: None, back: false };
    world.does(&stop).await.expect("it is stopped");
    world.source.sql("delete from words where word = 'wörd 1'");
    let request = runsheet::model::request::logical::LogicalCompareChanged {
        source: "old".into(),
        target: "new".into(),
        schema: None,
        back: false,
        counts: false,
        limit: 5.0,
        connections: 1,
    };
    let fault = world.does(&request).await.expect_err("it is not drained");
    assert_eq!(fault.code, "logical.not-drained");
    world.remove().await.expect("it is removed");
}

#[tokio::test]
async fn a_change_of_the_schema_is_named_and_the_run_s_own_things_are_not() {
    let world = followed().await;
    let watched = world.watch().await;
    assert_eq!(world.watch().await, watched, "it is watched once");
    world.source.sql("truncate doomed; reindex table words; analyze; create temp table mine (id int)");
    let database = &world.source.name;
    world.source.sql(&format!("alter database {database} set default_transaction_read_only = off"));
    assert_eq!(world.changed_since(None).await["ddl"], json!([]));
    world.source.sql("alter table words add column late int; create index on orders (note); drop table parts_a");
    let ddl = world.changed_since(None).await["ddl"].clone();
    let ddl: Vec<&str> = ddl.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for name in ["column public.words.late (new)", "index public.orders_note_idx (new)", "table public.parts_a (gone)"]
    {
        assert!(ddl.contains(&name), "{name}: {ddl:?}");
    }
    assert!(ddl.iter().all(|name| !name.contains("runsheet_")), "{ddl:?}");
    world.remove().await.expect("it is removed");
}

#[tokio::test]
async fn keys_of_every_type_are_found_again() {
    let world = World::with(
        r#"create schema "Odd Schema"; create domain "Odd Schema".code as text check (value <> '');
        create type "Odd Schema".colour as enum ('red', 'blue');
        create table uuids (id uuid primary key, v int); create table times (at timestamptz, on_day date, v int, primary key (at, on_day));
        create table numbers (n numeric(20, 5) primary key, v int); create table fixed (c char(8) primary key, v int);
        create table "Odd Schema"."Codes" (code "Odd Schema".code, colour "Odd Schema".colour, v int, primary key (code, colour));
        create table bytes (b bytea primary key, v int); create table floats (f float8 primary key, v int);
        create table arrays (a int[] primary key, v int); create table nets (n inet primary key, v int);
        create table uniques (a text not null, b bool not null, v int, unique (b, a)); alter table uniques replica identity using index uniques_b_a_key;
        create table fulls (a text not null unique, v int); alter table fulls replica identity full;
        create table icu (name text collate "en-x-icu" primary key, v int)"#,
    );
    world.source.sql(
        r#"insert into uuids select gen_random_uuid(), n from generate_series(1, 20) n;
        insert into times select '2026-01-01 00:00:00.123456+02'::timestamptz + n * interval '1 us', date '0044-03-15 BC' + n, n from generate_series(1, 20) n;
        insert into numbers select n / 7.0, n from generate_series(1, 20) n; insert into fixed select 'a ' || n, n from generate_series(1, 20) n;
        insert into "Odd Schema"."Codes" select 'c"''\\' || n, case n % 2 when 0 then 'red' else 'blue' end::"Odd Schema".colour, n from generate_series(1, 20) n;
        insert into bytes select decode(md5(n::text), 'hex'), n from generate_series(1, 20) n; insert into floats select n / 3.0, n from generate_series(1, 20) n;
        insert into arrays select array[n, null, n], n from generate_series(1, 20) n; insert into nets select ('10.0.0.' || n)::inet, n from generate_series(1, 20) n;
        insert into uniques select 'a' || n, n % 2 = 0, n from generate_series(1, 20) n; insert into fulls select 'a' || n, n from generate_series(1, 20) n;
        insert into icu select 'name ' || n, n from generate_series(1, 20) n"#,
    );
    let tables = [
        "uuids",
        "times",
        "numbers",
        "fixed",
        "\"Odd Schema\".\"Codes\"",
        "bytes",
        "floats",
        "arrays",
        "nets",
        "uniques",
        "fulls",
        "icu",
    ];
    world.copied().await;
    world.ready().await;
    world.watch().await;
    for table in tables {
        world
            .source
            .sql(&format!("update {table} set v = v + 100 where v between 5 and 8; delete from {table} where v = 9"));
    }
    equal(&world.compare().await);
    world.drain(60.0).await.expect("it is drained");
    let last = world.compare_changed(60.0).await;
    equal(&last);
    assert_eq!(last["changed"], 5 * tables.len(), "{last:#}");
    for table in tables {
        world.target.sql(&format!("update {table} set v = -1 where v = 105"));
    }
    let last = world.compare_changed(60.0).await;
    let found = named(&last);
    assert_eq!(found.len(), tables.len(), "{last:#}");
    assert!(found.iter().all(|(_, keys)| keys.len() == 1 && keys[0].ends_with("(differs)")), "{last:#}");
    world.remove().await.expect("it is removed");
}
