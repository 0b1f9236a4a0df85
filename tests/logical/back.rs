//! The way back: the old database follows the new one, and nothing runs in circles.

use runsheet::model::request::logical::{LogicalForward, LogicalRetire};

use super::follow::{GOODS, SHOP};
use super::world::World;
use crate::support::Cluster;

const ROWS: &str = "select count(*), sum(hashtext(o::text)) from orders o";

#[tokio::test]
async fn the_old_database_follows_the_new_one_although_it_is_read_only() {
    let world = World::with(SHOP);
    world.source.sql(GOODS);
    world.copied().await;
    world.ready().await;
    world.watch().await;
    world.source.sql(&format!("alter database {} set default_transaction_read_only = on", world.source.name));
    // Prepared while changes still come: none of them goes back.
    world.does(&world.reverse_request(true)).await.expect("it is prepared");
    world.source.sql("begin read write; insert into orders (note) values ('last'); commit");
    let drained = world.drain(60.0).await.expect("it is drained");
    let made = world.reverse().await.expect("there is a way back");
    println!("the way back took {} s", made["took"]);
    assert_eq!(world.reverse().await.expect("it is there")["slot"], made["slot"], "done again, it comes to the same");
    world.target.sql("insert into orders (id, note) values (70001, 'new'); update words set times = 77 where word = 'wörd 7'; delete from orders where id = 3; truncate doomed");
    let back = runsheet::model::request::logical::LogicalDrain {
        source: "new".into(),
        target: "old".into(),
        schema: None,
        back: true,
        limit: 10.0,
    };
    world.does(&back).await.expect("it is drained back");
    world.same(ROWS);
    assert_eq!(world.source.sql("select times from words where word = 'wörd 7'"), "77");
    assert_eq!(world.source.sql("select count(*) from doomed"), "0");
    // What came back is nobody's write here, and does not go forth again.
    assert_eq!(world.changed_since(Some(&drained["lsn"])).await["changes"], 0);
    world.source.sql("begin read write; insert into doomed values (1); commit");
    assert_eq!(world.changed_since(Some(&drained["lsn"])).await["changes"], 1, "a write to the old side is seen");
    let retire = LogicalRetire { target: "new".into(), source: "old".into(), schema: None };
    world.does(&retire).await.expect("the forward stream ends");
    world.target.sql("insert into orders (id, note) values (70002, 'later')");
    world.does(&back).await.expect("the way back stays");
    world.same(ROWS);
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
}

#[tokio::test]
async fn the_way_back_is_taken_back_and_the_copy_goes_on() {
    let world = World::with(SHOP);
    world.source.sql(GOODS);
    world.copied().await;
    world.ready().await;
    world.drain(60.0).await.expect("it is drained");
    world.reverse().await.expect("there is a way back");
    let forward = LogicalForward { target: "new".into(), source: "old".into(), schema: None };
    world.does(&forward).await.expect("it is taken back");
    world.does(&forward).await.expect("done again, it comes to the same");
    world.source.sql("insert into orders (note) values ('after the freeze that did not hold')");
    world.ready().await;
    world.drain(60.0).await.expect("it is drained");
    world.same(ROWS);
    world.reverse().await.expect("there is a way back");
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
}

#[tokio::test]
async fn a_new_server_that_cannot_publish_is_told_as_no_way_back() {
    let plain = Cluster::start(&["fsync=off", "wal_retrieve_retry_interval=100ms"]);
    let world = World::between(super::world::old(), &plain, "create table t (id int primary key)");
    world.copied().await;
    world.ready().await;
    let fault = world.reverse().await.expect_err("its WAL does not say enough");
    assert_eq!(fault.code, "logical.no-way-back");
    assert!(fault.message.contains("no way back: wal_level of new is replica"), "{fault}");
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
}
