//! What can happen to a slot, a password, and a run that is killed.

use runsheet::effects::Effects;
use runsheet::model::request::logical::LogicalStop;
use runsheet::model::target::Target;

use super::world::{self, SETTINGS, World};
use crate::postgres::harness::Book;
use crate::program::project::Project;
use crate::support::cluster::PASSWORD;
use crate::support::{Cluster, kills, target, world as sealed};

#[tokio::test]
async fn a_slot_that_was_lost_is_told_with_what_to_do() {
    let settings = [&SETTINGS[..], &["max_slot_wal_keep_size=1MB", "max_wal_size=32MB"]].concat();
    let small = Cluster::start(&settings);
    let world = World::between(&small, world::new(), "create table t (id int primary key)");
    world.copied().await;
    world.ready().await;
    world.does(&LogicalStop { target: "new".into(), schema: None, back: false }).await.expect("it is stopped");
    for _ in 0..4 {
        world.source.sql("select pg_logical_emit_message(false, 'filler', repeat('x', 8000000)), pg_switch_wal()");
    }
    world.source.sql("checkpoint");
    let progress = world.until("the slot is lost", |progress| progress["slot"]["wal_status"] == "lost").await;
    let trouble = progress["trouble"].as_str().expect("a sentence");
    assert!(trouble.contains("is lost") && trouble.contains("copy again"), "{trouble}");
    let fault = world.drain(5.0).await.expect_err("nothing can follow");
    assert!(fault.message.contains("is lost"), "{fault}");
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
}

#[tokio::test]
async fn a_table_that_cannot_be_copied_and_one_that_can_never_catch_up_are_named() {
    let world = World::with("create table t (id int primary key); insert into t values (1)");
    world.target.sql("truncate t; alter table t add constraint picky check (id > 1)");
    world.does(&World::publish_request()).await.expect("it is published");
    world.does(&World::subscribe_request()).await.expect("it is followed");
    let named = |progress: &serde_json::Value| {
        progress["trouble"].as_str().is_some_and(|trouble| trouble.contains("to copy public.t"))
    };
    let progress = world.until("the table is named", named).await;
    assert_eq!(progress["lost"], false, "{progress:#}");
    world.target.sql("alter table t drop constraint picky");
    world.ready().await;
    // What a crash leaves between the end of the slot and the commit that says so.
    world.target.sql("update pg_subscription_rel set srsubstate = 'f', srsublsn = null where srrelid = 't'::regclass");
    let progress = world.until("it cannot go on", |progress| progress["lost"] == true).await;
    assert!(progress["trouble"].as_str().expect("a sentence").contains("public.t can never catch up"), "{progress:#}");
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
}

#[tokio::test]
async fn the_password_in_a_subscription_is_in_no_log() {
    let talkative = Cluster::start(&[&SETTINGS[..], &["log_statement=all", "log_min_duration_statement=0"]].concat());
    let world = World::between(&talkative, &talkative, "create table t (id int primary key)");
    world.target.sql("drop table t");
    world.does(&World::publish_request()).await.expect("it is published");
    let fault = world.does(&World::subscribe_request()).await.expect_err("a table is missing");
    assert_eq!(fault.code, "sql.42P01", "{fault:?}");
    assert!(!format!("{fault:?}").contains(PASSWORD), "{fault:?}");
    world.target.sql("create table t (id int primary key)");
    world.does(&World::subscribe_request()).await.expect("it is followed");
    world.ready().await;
    world.remove().await.expect("it is removed");
    let log = talkative.log();
    assert!(log.contains("CREATE PUBLICATION"), "the server logs");
    assert!(!log.contains(PASSWORD), "the password is in the log of the server");
    world.nothing_is_left();
}

#[tokio::test]
async fn another_way_for_the_other_server_is_taken_and_told_when_it_leads_nowhere() {
    let world = World::with("create table t (id int primary key)");
    world.does(&World::publish_request()).await.expect("it is published");
    let subscribe = World::action(&World::subscribe_request());
    let reached = |replication_url: String| {
        let source = Target { replication_url: Some(replication_url), ..target("old", &world.source.url) };
        Effects::new(sealed([source, target("new", &world.target.url)]))
    };
    let nowhere = reached(world.source.url.replace(&format!(":{}/", world::old().port), ":1/"));
    let fault = nowhere.perform(&subscribe, &world.ticket(), &Book::default()).await.expect_err("nobody is there");
    assert_eq!(fault.code, "sql.08006", "{fault:?}");
    assert!(fault.hint.as_ref().is_some_and(|hint| hint.contains("`replication_url`")), "{fault:?}");
    assert!(!format!("{fault:?}").contains(PASSWORD), "{fault:?}");
    let there = reached(world.source.url.replace("127.0.0.1", "localhost"));
    there.perform(&subscribe, &world.ticket(), &Book::default()).await.expect("it is followed");
    let asked = format!("select subconninfo ~ 'localhost' from pg_subscription where subname = '{}'", world.schema);
    assert_eq!(world.target.sql(&asked), "t");
    world.remove().await.expect("it is removed");
    world.nothing_is_left();
}

#[test]
fn a_run_that_was_killed_anywhere_goes_on_and_leaves_nothing() {
    let (source, copy) = (world::old().database("killed"), world::new().database("killed"));
    let project = Project::on(&source);
    let table = |name: &str, url: &str| format!("[targets.{name}]\nurl = \"{url}\"\n");
    project.file("runsheet.toml", &format!("{}{}", table("app", &source.url), table("copy", &copy.url)));
    let text = r#"runbook("move", "1.0.0", #{ about: "a test", params: #{ source: target("it"), copy: target("its copy") } });
        step("own", || { pg::control(params.source); pg::control(params.copy) })
            .cleanup(|| { pg::drop_control(params.source); pg::drop_control(params.copy) });
        step("publish", || logical::publish(params.source)).cleanup(|| logical::remove(params.source, params.copy));
        step("follow", || {
            logical::subscribe(params.source, params.copy);
            logical::watch(params.source);
            flow::wait_until("2m", || logical::progress(params.source, params.copy).ready)
        });
        step("compare", || {
            gate::that("equal so far", logical::compare(params.source, params.copy).equal, "");
            logical::gather(params.source)
        });
        step("window", || {
            logical::drain(params.source, params.copy);
            logical::sequences(params.source, params.copy);
            let last = logical::compare_changed(params.source, params.copy);
            gate::that("equal", last.equal && last.left_out.is_empty(), "");
            logical::reverse(params.source, params.copy)
        });"#;
    project.file("runbooks/move.rhai", text);
    let mut killed = 0;
    for write in kills(15) {
        source.sql("drop table if exists t; create table t (id serial primary key); insert into t select from generate_series(1, 100)");
        copy.sql("drop table if exists t; create table t (id serial primary key)");
        let said =
            project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["run", "move", "source=app", "copy=copy"]);
        if said.code != 0 {
            killed += 1;
            let again = project.run(&["resume"]);
            // The last write of all says that the run is over.
            let over = again.code == 2 && again.err.contains("no run is unfinished");
            assert!(again.code == 0 || over, "killed after write {write}: {}{}", said.err, again.err);
        }
        assert_eq!(copy.sql("select count(*) from t"), "100", "killed after write {write}");
        for database in [&source, &copy] {
            let left = "select slot_name from pg_replication_slots where database = current_database() \
                        union all select pubname from pg_publication \
                        union all select nspname from pg_namespace where nspname like 'runsheet%'";
            assert_eq!(database.sql(left), "", "killed after write {write}");
        }
        if said.code == 0 {
            break;
        }
    }
    println!("{killed} runs were killed");
    assert!(killed > 1, "{killed} runs were killed");
    let left = project.path().join(".runsheet/logical");
    let files: Vec<_> = std::fs::read_dir(left).into_iter().flatten().flatten().collect();
    assert!(files.is_empty(), "keys are left: {files:?}");
}
