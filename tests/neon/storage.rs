//! Storages of the stand-in: forks of a history by real recovery.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use runsheet::lab::neon::backing::{At, StorageError, Storages};

use super::stored::{World, folder, open};
use crate::support::wait_until;

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_begins_as_its_parent_was_at_a_position() {
    let world = World::shared().await;
    let root = world.root().await;
    world.customer(&root, "one").await;
    let between = world.lsn(&root).await;
    world.customer(&root, "two").await;

    let fork = world.fork(&root, At::Lsn(between)).await;
    let begun = Instant::now();
    assert_eq!(world.added(&fork).await, "one");
    println!("from a record to the first answer: {:?}", begun.elapsed());
    world.customer(&fork, "three").await;
    assert_eq!(world.added(&fork).await, "one three");
    assert_eq!(world.added(&root).await, "one two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_between_two_commits_is_the_first_of_them() {
    let world = World::shared().await;
    let root = world.root().await;
    world.customer(&root, "one").await;
    let between = world.now(&root).await;
    world.customer(&root, "two").await;

    let point = world.resolve(&root, At::Time(between)).await;
    assert!(point.time.expect("a commit") <= between, "{point:?} {between}");
    let fork = world.histories.fork(&root, &point).await.expect("a fork");
    assert_eq!(world.added(&fork).await, "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_has_all_that_was_acknowledged_while_a_writer_goes_on() {
    let world = World::shared().await;
    let root = world.root().await;
    world.customer(&root, "first").await;
    let (histories, storage) = (Arc::clone(&world.histories), root.clone());
    let written = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (counted, done) = (Arc::clone(&written), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stop = Arc::clone(&done);
    let writer = tokio::spawn(async move {
        while !stop.load(std::sync::atomic::Ordering::SeqCst) {
            let n = counted.load(std::sync::atomic::Ordering::SeqCst) + 1;
            let sql = format!("insert into customers (email, name) values ('w{n}', 'w')");
            histories.sql(&storage, "app", &sql).await.expect("a row");
            counted.store(n, std::sync::atomic::Ordering::SeqCst);
        }
    });
    for round in 1..=3u64 {
        crate::support::wait_until_async(|| written.load(std::sync::atomic::Ordering::SeqCst) >= round * 5).await;
        let before = written.load(std::sync::atomic::Ordering::SeqCst);
        let fork = world.fork(&root, At::Head).await;
        let after = written.load(std::sync::atomic::Ordering::SeqCst);
        // They are numbered without a gap, so what is there is exactly a prefix.
        let found =
            world.sql(&fork, "select count(*), max(substr(email, 2)::int) from customers where name = 'w'").await;
        let number = |column: usize| found[0][column].as_ref().expect("a number").parse::<u64>().expect("a number");
        assert_eq!(number(0), number(1));
        assert!((before..=after + 1).contains(&number(0)), "{before} {} {after}", number(0));
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    writer.await.expect("the writer");
}

#[tokio::test(flavor = "multi_thread")]
async fn forks_of_forks_replay_every_one_of_their_ancestors() {
    let world = World::shared().await;
    let mut storage = world.root().await;
    let mut expected = String::new();
    for name in ["one", "two", "three", "four"] {
        world.customer(&storage, name).await;
        expected = format!("{expected} {name}").trim().to_owned();
        let fork = world.fork(&storage, At::Head).await;
        world.customer(&storage, "later").await;
        storage = fork;
        assert_eq!(world.added(&storage).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_forks_of_one_storage_know_nothing_of_one_another() {
    let world = World::shared().await;
    let root = world.root().await;
    world.customer(&root, "one").await;
    let (left, right) = (world.fork(&root, At::Head).await, world.fork(&root, At::Head).await);
    world.customer(&left, "left").await;
    world.customer(&right, "right").await;
    // Both write on a timeline of the same number.
    let (of_left, of_right) = (world.fork(&left, At::Head).await, world.fork(&right, At::Head).await);
    assert_eq!(world.added(&of_left).await, "one left");
    assert_eq!(world.added(&of_right).await, "one right");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vacuum_of_the_template_database_stays_with_the_history_that_did_it() {
    let world = World::shared().await;
    let root = world.root().await;
    world.customer(&root, "one").await;
    let before = world.lsn(&root).await;
    for sql in ["analyze", "vacuum (freeze)", "checkpoint"] {
        world.histories.sql(&root, "template1", sql).await.expect("the database that every new one is made from");
    }
    let fork = world.fork(&root, At::Lsn(before)).await;
    assert_eq!(world.added(&fork).await, "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_is_a_fork_of_the_same_storage_at_an_earlier_point() {
    let world = World::shared().await;
    let root = world.root().await;
    world.customer(&root, "kept").await;
    let good = world.lsn(&root).await;
    world.sql(&root, "delete from payments").await;
    world.customer(&root, "lost").await;

    let restored = world.fork(&root, At::Lsn(good)).await;
    assert_eq!(world.added(&restored).await, "kept");
    assert_ne!(world.value(&restored, "select count(*) from payments").await, "0");
    // And once more, of what was restored: to a moment after the first restore.
    world.customer(&restored, "new").await;
    let good = world.lsn(&restored).await;
    world.sql(&restored, "delete from payments").await;
    let again = world.fork(&restored, At::Lsn(good)).await;
    assert_eq!(world.added(&again).await, "kept new");
    assert_ne!(world.value(&again, "select count(*) from payments").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_was_stopped_is_forked_and_started_again() {
    let world = World::shared().await;
    let root = world.root().await;
    world.customer(&root, "one").await;
    world.histories.stop(&root).await.expect("it stops");
    let fork = world.fork(&root, At::Head).await;
    assert_eq!(world.added(&fork).await, "one");
    assert_eq!(world.added(&root).await, "one");
    world.customer(&root, "two").await;
    assert_eq!(world.added(&world.fork(&root, At::Head).await).await, "one two");
}

#[tokio::test(flavor = "multi_thread")]
async fn forks_are_records_until_they_are_used() {
    let world = World::shared().await;
    let root = world.root().await;
    world.customer(&root, "one").await;
    let head = world.resolve(&root, At::Head).await;
    let begun = Instant::now();
    let mut last = root.clone();
    for _ in 0..1000 {
        last = world.histories.fork(&root, &head).await.expect("a fork");
        assert!(!world.has_files(&last));
    }
    println!("1,000 forks: {:?}", begun.elapsed());
    assert_eq!(world.added(&last).await, "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_stay_until_nobody_comes_from_them() {
    let world = World::shared().await;
    let root = world.root().await;
    world.customer(&root, "one").await;
    let child = world.fork(&root, At::Head).await;
    world.customer(&child, "two").await;
    let grandchild = world.fork(&child, At::Head).await;

    world.histories.remove(&root).await.expect("it goes");
    world.histories.remove(&child).await.expect("it goes");
    world.histories.remove(&child).await.expect("twice is fine");
    assert!(world.histories.sql(&root, "app", "select 1").await.is_err());
    assert_eq!(world.added(&grandchild).await, "one two");
    assert!(world.has_files(&root) && world.has_files(&child));
    world.histories.remove(&grandchild).await.expect("it goes");
    assert!(!world.has_files(&root) && !world.has_files(&child) && !world.has_files(&grandchild));
}

#[tokio::test(flavor = "multi_thread")]
async fn points_outside_of_a_history_are_refused_with_its_ends() {
    let world = World::shared().await;
    let root = world.root().await;
    world.customer(&root, "one").await;
    let before = world.now(&root).await;
    let (lsn, child) = (world.lsn(&root).await, world.fork(&root, At::Head).await);
    world.customer(&child, "two").await;
    let hour = chrono::TimeDelta::hours(1);
    for (storage, at) in [
        (&root, At::Time(before - hour)),
        (&root, At::Time(before + hour)),
        (&root, At::Lsn(1)),
        (&root, At::Lsn(lsn + (1 << 24))),
        // What was before a fork is its parent's to tell.
        (&child, At::Time(before)),
        (&child, At::Lsn(lsn - 4096)),
    ] {
        match world.histories.resolve(storage, at).await {
            Err(StorageError::OutOfHistory { earliest, latest }) => assert!(earliest < latest),
            other => panic!("{at:?}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_no_superuser_and_sequences_and_keys_are_there() {
    let world = World::shared().await;
    let root = world.root().await;
    let sql = "select rolsuper::text, pg_has_role('app_owner', 'neon_superuser', 'member')::text from pg_roles \
               where rolname = 'app_owner'";
    assert_eq!(world.sql(&root, sql).await, [[Some("false".to_owned()), Some("true".to_owned())]]);
    assert_eq!(
        world.value(&root, "select count(*) from orders join customers on customer_id = customers.id").await,
        "2000"
    );
    let broken = "insert into orders (customer_id, total) values (-1, 1)";
    let fault = world.histories.sql(&root, "app", broken).await.expect_err("a key is broken");
    assert_eq!(fault.code, "sql.23503");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_follows_nobody_elses_changes() {
    let world = World::shared().await;
    let (publisher, subscriber) = (world.root().await, world.root().await);
    world.sql(&publisher, "create publication p for table customers").await;
    let port = world.histories.start(&publisher).await.expect("it runs").port;
    let password = world.histories.owner_password().to_owned();
    let from = format!("host=127.0.0.1 port={port} user=app_owner password={password} dbname=app");
    let subscribe = format!(
        "create subscription \"s 1\" connection '{from}' publication p with (copy_data = false, slot_name = s1)"
    );
    world.sql(&subscriber, &subscribe).await;
    let fork = world.fork(&subscriber, At::Head).await;
    assert_eq!(world.value(&fork, "select count(*) from pg_subscription").await, "0");
    assert_eq!(world.value(&subscriber, "select count(*) from pg_subscription").await, "1");
    assert_eq!(world.value(&publisher, "select count(*) from pg_replication_slots").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compute_that_breaks_down_comes_back_with_all_that_was_committed() {
    let world = World::shared().await;
    let root = world.root().await;
    world.customer(&root, "one").await;
    let fork = world.fork(&root, At::Head).await;
    world.customer(&fork, "two").await;
    world.break_down(&fork).await;
    let of_fork = world.fork(&fork, At::Head).await;
    assert_eq!(world.added(&fork).await, "one two");
    assert_eq!(world.added(&of_fork).await, "one two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_read_as_it_was_at_a_point() {
    let world = World::shared().await;
    let root = world.root().await;
    world.sql(&root, "create table \"new one\" (id int)").await;
    let before = world.resolve(&root, At::Head).await;
    world.sql(&root, "alter table \"new one\" add price numeric").await;
    let after = world.resolve(&root, At::Head).await;
    let mut schemas = Vec::new();
    for point in [&before, &after, &after] {
        let schema = world.histories.schema(&root, point, "app").await.expect("a schema");
        schemas.push(schema.expect("there are databases"));
    }
    assert!(schemas[0].contains("new one") && !schemas[0].contains("price"), "{}", schemas[0]);
    assert!(schemas[1].contains("price numeric"), "{}", schemas[1]);
    assert_eq!(schemas[1], schemas[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_and_roles_belong_to_a_history_too() {
    let world = World::shared().await;
    let root = world.root().await;
    for statement in ["create role \"o'x\" login in role neon_superuser", "create database \"a b\" owner \"o'x\""] {
        world.sql(&root, statement).await;
    }
    let rows =
        world.histories.sql(&root, "a b", "create table t as select 7 as n; select 1; select n, null from t").await;
    assert_eq!(rows.expect("rows"), [[Some("7".to_owned()), None]]);
    let fork = world.fork(&root, At::Head).await;
    let rows = world.histories.sql(&fork, "a b", "select n, current_database() from t").await;
    assert_eq!(rows.expect("rows"), [[Some("7".to_owned()), Some("a b".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_stand_in_leaves_no_server_and_no_files() {
    let folder = folder().keep();
    let mut process = Command::new(std::env::current_exe().expect("this program"));
    process.args(["--ignored", "--exact", "--nocapture", "neon::storage::a_stand_in_that_is_killed"]);
    process.env("RUNSHEET_TEST_FOLDER", &folder).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = process.spawn().expect("this program runs");
    let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let port = lines.map_while(Result::ok).find_map(|line| line.split_once("listens on ")?.1.parse::<u16>().ok());
    let port = port.expect("a server");
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    process.kill().expect("it is killed");
    process.wait().expect("it ends");
    wait_until("the server is gone", || std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    wait_until("the files are gone", || !folder.exists());
}

/// What the test above kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by a test of the same file"]
async fn a_stand_in_that_is_killed() {
    let Some(folder) = std::env::var_os("RUNSHEET_TEST_FOLDER") else { return };
    let histories = open(folder.as_ref()).await;
    let root = histories.root().await.expect("a storage");
    println!("listens on {}", histories.start(&root).await.expect("it runs").port);
    tokio::time::sleep(Duration::from_secs(60)).await;
}
