//! Whatever is half done, removing leaves nothing; a side that cannot be reached is named with what to do there.

use runsheet::model::request::logical::{LogicalRemove, LogicalSweep};
use serde_json::json;

use super::world::{self, World};
use crate::support::{Cluster, target, world as sealed};

#[tokio::test]
async fn removing_works_from_every_half_done_state() {
    // A copy of a big table that is at work: it has a slot of its own.
    let world = World::with("create table t (id int primary key)");
    world.source.sql("insert into t select generate_series(1, 100)");
    world.target.sql("insert into t values (5)");
    world.copied().await;
    world.until("the copy of the table fails", |progress| progress["failures"].as_i64() > Some(0)).await;
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
    // Only a publication; only a slot; a subscription whose slot is gone.
    let world = World::with("create table t (id int primary key)");
    world.source.sql(&format!("create publication {}", world.schema));
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
    world.source.sql(&format!("select pg_create_logical_replication_slot('{}', 'pgoutput')", world.schema));
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
    world.copied().await;
    world.target.sql(&format!("alter subscription {} disable", world.schema));
    let dropped = format!("select pg_drop_replication_slot('{}')", world.schema);
    crate::support::wait_until("nobody reads the slot", || world.source.try_sql(&dropped).is_ok());
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
}

#[tokio::test]
async fn a_side_that_cannot_be_reached_is_named_and_removed_later() {
    let gone = Cluster::start(&["fsync=off", "wal_level=logical", "wal_retrieve_retry_interval=100ms"]);
    let world = World::between(world::old(), &gone, "create table t (id int primary key)");
    world.copied().await;
    world.ready().await;
    gone.stop_immediate();
    let fault = world.remove().await.expect_err("one side cannot be reached");
    assert_eq!(fault.code, "logical.left");
    for part in ["in new, which cannot be reached", "set (slot_name = none)", "drop subscription"] {
        assert!(fault.message.contains(part), "{fault}");
    }
    let slots = "select count(*) from pg_replication_slots where database = current_database()";
    assert_eq!(world.source.sql(slots), "0", "the slot of the side that is there is gone");
    gone.start_again();
    world.remove().await.expect("the rest is removed");
    world.nothing_is_left();
}

#[tokio::test]
async fn what_another_run_made_stays_until_that_run_is_over() {
    let world = World::with("create table t (id int primary key)");
    world.copied().await;
    let effects =
        runsheet::effects::Effects::new(sealed([target("old", &world.source.url), target("new", &world.target.url)]));
    let mut ticket = world.ticket();
    ticket.origin.stamp = "f".repeat(64);
    let remove = World::action(&LogicalRemove { target: "new".into(), source: "old".into(), schema: None });
    let book = crate::postgres::harness::Book::default();
    let fault = effects.perform(&remove, &ticket, &book).await.expect_err("it is another run's");
    assert_eq!(fault.code, "logical.not-ours", "{fault:?}");
    let sweep = World::action(&LogicalSweep { target: "old".into() });
    let swept = effects.perform(&sweep, &ticket, &book).await.expect("it is swept").value;
    assert_eq!(swept["removed"], json!([]));
    assert_eq!(swept["kept"][0]["name"], json!(world.schema));
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
}
