//! A copy is made while somebody writes, follows, is drained, and then equal; what nothing carries is refused by name.

use runsheet::effects::Resolution;
use runsheet::model::request::logical::{LogicalCarries, LogicalPublish, LogicalStop};
use serde_json::json;

use super::world::{World, Writer};

/// Tables of many kinds.
pub const SHOP: &str = r#"
create table orders (id bigserial primary key, note text, at timestamptz default clock_timestamp());
create table "Order Lines" ("Order" bigint, "Kind ""x""" text, amount numeric, primary key ("Order", "Kind ""x"""));
create table words (word text primary key, times int, twice int generated always as (times * 2) stored);
create table parts (id int, at date, note text, primary key (id, at)) partition by range (at);
create table parts_a partition of parts for values from ('2026-01-01') to ('2026-02-01');
create table parts_b partition of parts for values from ('2026-02-01') to ('2026-03-01');
create table bare (a int, b text);
alter table bare replica identity full;
create table doomed (id int primary key);
create table big (id int primary key, body text, n int);
"#;

/// Rows for them.
pub const GOODS: &str = r#"
insert into orders (note) select 'order ' || n from generate_series(1, 2000) n;
insert into "Order Lines" select n, 'it''s "ü" \ ' || n, n / 3.0 from generate_series(1, 300) n;
insert into words (word, times) select 'wörd ' || n, n from generate_series(1, 300) n;
insert into parts select n, date '2026-01-01' + n % 50, 'part' from generate_series(1, 300) n;
insert into bare select n % 10, 'bare' from generate_series(1, 100) n;
insert into doomed select generate_series(1, 50);
insert into big select n, (select string_agg(md5(n::text || m), '') from generate_series(1, 200) m), 0 from generate_series(1, 20) n;
"#;

/// What somebody does to them all the while.
pub const WORK: &str = r#"
insert into orders (note) values ('new');
update orders set note = note || '!' where id = (select min(id) from orders where note !~ '!$');
delete from orders where id = (select max(id) - 5 from orders);
update "Order Lines" set amount = amount + 1 where "Order" = 7;
update words set word = word || '+', times = times + 1 where word = (select min(word) from words);
update bare set b = b || '.' where ctid = (select min(ctid) from bare);
update big set n = n + 1 where id = 3;
update parts set at = at + 31 where at < '2026-01-29' and id = (select min(id) from parts where at < '2026-01-29');
"#;

const DIGESTS: &str = r#"
select md5(string_agg(t::text, ' ' order by t::text)) from orders t
union all select md5(string_agg(t::text, ' ' order by t::text)) from "Order Lines" t
union all select md5(string_agg(t::text, ' ' order by t::text)) from words t
union all select md5(string_agg(t::text, ' ' order by t::text)) from parts t
union all select md5(string_agg(t::text, ' ' order by t::text)) from bare t
union all select md5(string_agg(t::text, ' ' order by t::text)) from big t
union all select count(*)::text from doomed"#;

#[tokio::test]
async fn a_copy_made_while_somebody_writes_is_equal_once_it_is_drained() {
    let world = World::with(SHOP);
    world.source.sql(GOODS);
    let published = world.does(&World::publish_request()).await.expect("it is published");
    assert_eq!(published["slot"], json!(world.schema));
    assert!(published["tables"].as_array().expect("tables").contains(&json!("public.Order Lines")), "{published:#}");
    let writer = Writer::at(&world.source, WORK);
    world.does(&World::subscribe_request()).await.expect("it is followed");
    world.ready().await;
    let beat = world.beat().await;
    world.until("the heartbeat arrives", |progress| progress["lag_seconds"] == 0.0).await;
    assert!(world.arrived(beat).await && !world.arrived(beat + 1).await);
    world.source.sql("truncate doomed");
    assert!(writer.stop() > 3);
    let drained = world.drain(60.0).await.expect("it is drained");
    world.same(DIGESTS);
    assert_eq!(world.target.sql("select count(*) from doomed"), "0");
    let again = world.drain(60.0).await.expect("it is drained");
    println!("drained in {} and {} s", drained["took"], again["took"]);

    let set = world.sequences(1000).await.expect("they are set");
    assert_eq!(set["sequences"], 1);
    let stands = |database: &crate::support::Database| -> i64 {
        database.sql("select last_value from orders_id_seq").parse().expect("a number")
    };
    assert_eq!(stands(&world.target), stands(&world.source) + 1000);
    world.target.sql("select setval('orders_id_seq', 900000)");
    world.sequences(1000).await.expect("they are set");
    assert_eq!(stands(&world.target), 900_000, "never lower");
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
    world.remove().await.expect("nothing is there to remove");
}

#[tokio::test]
async fn what_nothing_carries_is_refused_by_name_and_can_be_left_behind_by_name() {
    let world = World::with(
        "create table fine (id int primary key, g int generated always as (id + 1) stored);
         create table keyless (a int); create unlogged table fleeting (id int primary key);
         create table late (id int primary key deferrable); create materialized view mv as select 1 as one;
         create table p (id int) partition by list (id); create table p1 partition of p (primary key (id)) for values in (1);
         create table p2 partition of p for values in (2)",
    );
    world.source.sql("select lo_create(0)");
    let carries = world.does(&LogicalCarries { source: "old".into() }).await.expect("it is looked at");
    assert_eq!(carries["tables"], json!(["public.fine", "public.p1"]));
    assert_eq!(carries["no_key"], json!(["public.keyless", "public.late", "public.p2"]));
    assert_eq!(carries["unlogged"], json!(["public.fleeting"]));
    assert_eq!(carries["matviews"], json!(["public.mv"]));
    assert_eq!(carries["generated"], json!(["public.fine.g"]));
    assert_eq!(carries["partition_roots"], json!(["public.p"]));
    assert_eq!(carries["large_objects"], 1);
    let fault = world.does(&World::publish_request()).await.expect_err("it is refused");
    assert_eq!(fault.code, "logical.cannot-carry");
    for name in ["public.keyless", "public.late", "public.p2", "public.fleeting", "1 large objects"] {
        assert!(fault.message.contains(name), "{fault}");
    }
    let behind = ["public.keyless", "public.late", "public.p2", "public.fleeting", "large objects"];
    let without = behind.iter().map(ToString::to_string).collect();
    let request = LogicalPublish { without, ..World::publish_request() };
    let made = world.does(&request).await.expect("it is published");
    assert_eq!(made["tables"], json!(["public.fine", "public.p1"]));
    // A table that is not published stays as free as it was.
    world
        .source
        .sql("insert into keyless values (1); update keyless set a = 2; insert into p values (2); delete from p");
    let strange = LogicalPublish { without: vec!["public.nothing".into()], ..World::publish_request() };
    world.remove().await.expect("it is removed");
    assert_eq!(world.does(&strange).await.expect_err("it is refused").code, "logical.without");
    world.nothing_is_left();
}

#[tokio::test]
async fn a_disabled_follower_lags_and_is_told() {
    let world = World::with("create table t (id int primary key)");
    world.copied().await;
    world.ready().await;
    world.does(&LogicalStop { target: "new".into(), schema: None, back: false }).await.expect("it is stopped");
    let beat = world.beat().await;
    assert!(!world.arrived(beat).await);
    let progress = world.until("the lag grows", |progress| progress["lag_seconds"].as_f64() > Some(0.2)).await;
    assert_eq!(progress["ready"], false);
    assert!(progress["trouble"].as_str().expect("a sentence").contains("is disabled"), "{progress:#}");
    let fault = world.drain(5.0).await.expect_err("nothing is applied");
    assert_eq!(fault.code, "logical.broken");
    world.remove().await.expect("it is removed");
}

#[tokio::test]
async fn somebody_who_writes_to_the_target_is_told_as_a_conflict() {
    let world = World::with("create table t (id int primary key)");
    world.copied().await;
    world.ready().await;
    world.target.sql("insert into t values (7)");
    world.source.sql("insert into t values (7)");
    let progress = world.until("it fails", |progress| progress["trouble"].is_string()).await;
    assert!(progress["trouble"].as_str().expect("a sentence").contains("somebody wrote to new"), "{progress:#}");
    let fault = world.drain(10.0).await.expect_err("it fails");
    assert_eq!(fault.code, "logical.broken", "{fault:?}");
    // Out of the way, it goes on by itself.
    world.target.sql("delete from t");
    world.ready().await;
    world.until("the trouble is over", |progress| progress["trouble"].is_null()).await;
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
}

#[tokio::test]
async fn a_word_that_was_cut_off_is_settled_by_looking() {
    let world = World::with("create table t (id int primary key)");
    assert_eq!(world.dies(&World::publish_request()).await, Resolution::NotDone);
    let made = world.does(&World::publish_request()).await.expect("it is published");
    assert_eq!(world.does(&World::publish_request()).await, Ok(made), "an answer that got lost is found again");
    assert_eq!(world.dies(&World::subscribe_request()).await, Resolution::NotDone);
    world.does(&World::subscribe_request()).await.expect("it is followed");
    world.does(&World::subscribe_request()).await.expect("it is followed already");
    world.ready().await;
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
}

#[tokio::test]
async fn sequences_of_every_kind_are_set_ahead_and_one_behind_its_column_is_named() {
    let world = World::with(
        "create table t (id int generated always as identity primary key);
         create sequence down increment -2 minvalue -1000000 maxvalue -1 start -1;
         create sequence steps increment 10; create sequence round maxvalue 5 cycle; create sequence small as smallint;
         create sequence unused start 50; create sequence \"Odd Name\"",
    );
    world.copied().await;
    world.source.sql(
        "insert into t select from generate_series(1, 3); select nextval('down'), nextval('down'), nextval('steps'),
         nextval('round'), nextval('small'), nextval('\"Odd Name\"')",
    );
    world.ready().await;
    world.drain(60.0).await.expect("it is drained");
    let set = world.sequences(100_000).await.expect("they are set");
    assert_eq!(set["without_gap"], json!(["public.round", "public.small"]));
    let next = |name: &str| world.target.sql(&format!("select nextval('{name}')"));
    assert_eq!(next("down"), (-3 - 100_000 - 2).to_string());
    assert_eq!(next("steps"), "100011");
    assert_eq!(next("round"), "2");
    assert_eq!(next("small"), "2");
    assert_eq!(next("unused"), "50");
    assert_eq!(next("\"Odd Name\""), "100002");
    assert_eq!(next("t_id_seq"), "100004");
    // One behind on the source itself, and nothing in between.
    world.source.sql("insert into t overriding system value values (5000000)");
    world.drain(60.0).await.expect("it is drained");
    let fault = world.sequences(0).await.expect_err("it is behind");
    assert_eq!(fault.code, "logical.sequence");
    assert!(fault.message.contains("public.t_id_seq") && fault.message.contains("5000000"), "{fault}");
    world.remove().await.expect("it is removed");
}
