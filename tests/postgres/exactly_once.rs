//! `sql::exec` does what it does once, whatever dies in the middle, and can say so afterwards.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;

use runsheet::effects::{Doubt, Effects, Resolution};
use runsheet::model::fault::{Fault, FaultClass};

use super::harness::{Book, admin, contracted, effects, exec, killed_at_intent, perform, refused, ticket, value};
use crate::support::{Cluster, Database, seed, target, wait_until, wait_until_async, world};

fn table(cluster: &Cluster, name: &str) -> Database {
    let database = cluster.database(name);
    database.sql("create table t (id int)");
    database
}

async fn resolve(effects: &Effects, doubt: &Doubt) -> Resolution {
    effects.resolve(&exec(&[]), &ticket(), doubt).await.unwrap()
}

#[tokio::test]
async fn a_change_is_committed_once_and_answers_rows() {
    let database = table(Cluster::shared(), "once");
    let effects = effects(&database);
    let book = Book::default();
    let action =
        exec(&["insert into t select generate_series(1, 3)", "update t set id = id + 1 where id > 2 returning id"]);
    let done = effects.perform(&action, &ticket(), &book).await.unwrap();
    assert_eq!(done.value, json!({"rows": 4, "returned": [{"id": 4}]}));
    assert_eq!(done.rows, Some(4));
    assert_eq!(book.intents.lock().unwrap().len(), 1);
    assert_eq!(database.sql("select count(*) from t"), "3");
    assert_eq!(resolve(&effects, &book.doubt()).await, Resolution::Done(done));
}

#[tokio::test]
async fn a_broken_row_contract_changes_nothing() {
    let database = table(Cluster::shared(), "contract");
    let effects = effects(&database);
    let book = Book::default();
    let action = contracted(&["insert into t select generate_series(1, 3)"], &[(1, 1)]);
    let fault = effects.perform(&action, &ticket(), &book).await.unwrap_err();
    assert_eq!(fault.code, "rows.contract");
    assert_eq!(fault.message, "statement 1 touched 3 rows, the contract says 1; nothing was changed");
    assert!(book.intents.lock().unwrap().is_empty(), "no intent for what cannot take effect");
    assert_eq!(database.sql("select count(*) from t"), "0");
    perform(&effects, &contracted(&["insert into t values (1)", "select * from t"], &[(1, 1), (1, 500)]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_failing_statement_takes_the_others_back() {
    let database = table(Cluster::shared(), "failing");
    database.sql("create table u (id int unique deferrable initially deferred)");
    let effects = effects(&database);
    let fault = refused(&effects, &exec(&["insert into t values (1)", "select 1 / 0"]), "sql.22012").await;
    assert!(fault.message.starts_with("statement 2 of sql::exec on prod: division by zero"), "{fault}");
    let fault = refused(&effects, &exec(&["insert into u values (1), (1)"]), "sql.23505").await;
    assert!(
        fault.class == FaultClass::Fatal && fault.message.starts_with("COMMIT"),
        "a check at COMMIT is known to have failed"
    );
    assert_eq!(database.sql("select (select count(*) from t) + (select count(*) from u)"), "0");
}

#[tokio::test]
async fn transaction_control_is_refused() {
    let database = table(Cluster::shared(), "control");
    let effects = effects(&database);
    for sql in ["commit", "/* x */ ROLLBACK", "prepare transaction 'x'", "savepoint a", "end"] {
        refused(&effects, &exec(&["insert into t values (1)", sql]), "sql.control").await;
    }
    refused(&effects, &exec(&["insert into t values (1); commit"]), "sql.42601").await;
    assert_eq!(database.sql("select count(*) from t"), "0");
}

#[tokio::test]
async fn what_a_change_leaves_in_its_session_is_not_seen_by_the_next() {
    let database = table(Cluster::shared(), "leftovers");
    let effects = effects(&database);
    perform(
        &effects,
        &exec(&["set search_path = pg_catalog", "set timezone = 'Asia/Tokyo'", "create temp table t (x int)"]),
    )
    .await
    .unwrap();
    perform(&effects, &exec(&["insert into t (id) values (1)"])).await.unwrap();
    assert_eq!(perform(&effects, &value("show timezone")).await.unwrap().value, json!("UTC"));
    assert_eq!(database.sql("select count(*) from public.t"), "1");
}

#[tokio::test]
async fn an_engine_killed_between_intent_and_commit_has_changed_nothing() {
    let database = table(Cluster::shared(), "before");
    let effects = Arc::new(effects(&database));
    let doubt = killed_at_intent(&effects, exec(&["insert into t values (1)"])).await;
    assert!(doubt.proof.is_some());
    assert_eq!(resolve(&effects, &doubt).await, Resolution::NotDone);
    assert_eq!(database.sql("select count(*) from t"), "0");
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_done_with_its_rows() {
    let database = table(Cluster::shared(), "after");
    // The commit is slow, so that the session can be killed while it is on its way.
    database.sql(
        "create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.5); return null; end';
         create constraint trigger slow after insert on t deferrable initially deferred for each row execute function slow()",
    );
    let effects = Arc::new(effects(&database));
    let book = Arc::new(Book::default());
    let performing = tokio::spawn({
        let (effects, book) = (effects.clone(), book.clone());
        async move { effects.perform(&exec(&["insert into t values (1) returning id"]), &ticket(), &*book).await }
    });
    wait_until_async(|| {
        book.reached.load(Ordering::SeqCst)
            && database.sql(&format!("select wait_event from pg_stat_activity where pid = {}", book.pid())) == "PgSleep"
    })
    .await;
    performing.abort();
    let _ = performing.await;
    // The orphan is still committing: it is waited for, not taken for dead.
    let Resolution::Done(done) = resolve(&effects, &book.doubt()).await else { panic!("it was committed") };
    assert_eq!(done.value, json!({"rows": 1, "returned": [{"id": 1}]}));
    assert_eq!(database.sql("select count(*) from t"), "1");
}

#[tokio::test]
async fn an_orphan_that_does_not_end_is_ended() {
    let database = table(Cluster::shared(), "orphan");
    let effects = Arc::new(effects(&database));
    let book = Arc::new(Book::default());
    let performing = tokio::spawn({
        let (effects, book) = (effects.clone(), book.clone());
        async move { effects.perform(&exec(&["insert into t values (1)", "select pg_sleep(600)"]), &ticket(), &*book).await }
    });
    wait_until_async(|| {
        book.doubt().holds.is_some()
            && database.sql(&format!("select count(*) from pg_stat_activity where pid = {} and wait_event = 'PgSleep' and application_name = 'runsheet cutover-7 insert#1 a1'", book.pid())) == "1"
    })
    .await;
    performing.abort();
    let _ = performing.await;
    assert_eq!(resolve(&effects, &book.doubt()).await, Resolution::NotDone);
    assert_eq!(database.sql(&format!("select count(*) from pg_stat_activity where pid = {}", book.pid())), "0");
    assert_eq!(database.sql("select count(*) from t"), "0");
}

#[tokio::test]
async fn a_session_ended_at_commit_leaves_the_outcome_unknown_until_the_server_is_asked() {
    let database = table(Cluster::shared(), "ended");
    let effects = effects(&database);
    let killer = Cluster::shared().open(&database.name);
    let book = Book::acting(move |pid| {
        killer.sql(&format!("select pg_terminate_backend({pid})"));
        let gone = || killer.sql(&format!("select count(*) from pg_stat_activity where pid = {pid}")) == "0";
        wait_until("the session is gone", gone);
        Ok(())
    });
    let fault = effects.perform(&exec(&["insert into t values (1)"]), &ticket(), &book).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Unknown, "{fault:?}");
    assert_eq!(resolve(&effects, &book.doubt()).await, Resolution::NotDone);
    assert_eq!(database.sql("select count(*) from t"), "0");
}

#[tokio::test]
async fn a_ledger_that_refuses_the_intent_takes_the_change_back() {
    let database = table(Cluster::shared(), "refusing");
    let effects = effects(&database);
    let book = Book::acting(|_| Err(Fault::fatal("journal.full", "disk full")));
    let fault = effects.perform(&exec(&["insert into t values (1)"]), &ticket(), &book).await.unwrap_err();
    assert_eq!(fault.code, "journal.full");
    assert_eq!(database.sql("select count(*) from t"), "0");
    assert_eq!(resolve(&effects, &Doubt { proof: None, ..book.doubt() }).await, Resolution::NotDone);
}

/// The log is flushed by commits alone, so that a crash loses what nobody waited for.
const LAZY: [&str; 2] = ["wal_writer_delay=10s", "log_statement=all"];

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_number_lost_in_a_server_crash_is_not_taken_for_a_strangers() {
    let cluster = Cluster::start(&LAZY);
    let database = table(&cluster, "crash");
    let effects = Arc::new(effects(&database));
    for immediate in [true, false] {
        database.sql("truncate t");
        let doubt = killed_at_intent(&effects, exec(&["insert into t values (1)"])).await;
        crash(&cluster, &database, immediate);
        for stranger in 0..20 {
            database.sql(&format!("insert into t values ({})", 100 + stranger));
        }
        assert_eq!(resolve(&effects, &doubt).await, Resolution::NotDone, "crash of the whole server: {immediate}");
        assert_eq!(database.sql("select count(*) from t where id = 1"), "0");
    }
}

fn crash(cluster: &Cluster, database: &Database, immediate: bool) {
    if immediate {
        cluster.stop_immediate();
        cluster.start_again();
        return;
    }
    let mut victim =
        database.psql("select pg_sleep(600)").stderr(std::process::Stdio::null()).spawn().expect("psql runs");
    let sleeping = || database.sql("select pid from pg_stat_activity where wait_event = 'PgSleep'");
    wait_until("the victim sleeps", || !sleeping().is_empty());
    cluster.crash_backend(sleeping().parse().expect("a pid"));
    victim.wait().expect("psql ends");
    wait_until("the server has recovered", || database.try_sql("select 1").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn random_crashes_lose_nothing_and_double_nothing() {
    use rand::{RngExt as _, SeedableRng as _};
    let mut random = rand::rngs::StdRng::seed_from_u64(seed());
    let cluster = Arc::new(Cluster::start(&LAZY));
    let database = table(&cluster, "chaos");
    let effects = Arc::new(effects(&database));
    for id in 0..30 {
        let sql = format!("insert into t values ({id})");
        loop {
            let (at, kill) = (random.random_range(0..4u8), cluster.clone());
            let book = Arc::new(Book::acting(move |_| {
                if at == 1 {
                    kill.stop_immediate();
                    kill.start_again();
                }
                if at == 2 { std::panic::resume_unwind(Box::new("killed")) } else { Ok(()) }
            }));
            let delay = random.random_range(0..6000);
            let performing = tokio::spawn({
                let (effects, book, action) = (effects.clone(), book.clone(), exec(&[&sql]));
                async move { effects.perform(&action, &ticket(), &*book).await }
            });
            if at == 3 {
                tokio::time::sleep(std::time::Duration::from_micros(delay)).await;
                performing.abort();
            }
            if let Ok(Ok(_)) = performing.await {
                break;
            }
            database.sql("insert into t select 1000 + n from generate_series(1, 3) n");
            match resolve(&effects, &book.doubt()).await {
                Resolution::Done(_) => break,
                Resolution::NotDone => {}
                Resolution::Unknown(why) => panic!("{why}"),
            }
        }
    }
    assert_eq!(database.sql("select count(*), count(distinct id) from t where id < 1000"), "30|30");
}

#[tokio::test]
async fn the_word_of_another_server_or_an_older_state_is_not_believed() {
    let database = table(Cluster::shared(), "moment");
    let effects = effects(&database);
    let book = Book::default();
    effects.perform(&exec(&["insert into t values (1)"]), &ticket(), &book).await.unwrap();
    let altered = |path: &str, value: serde_json::Value| {
        let mut doubt = book.doubt();
        *doubt.proof.as_mut().unwrap().pointer_mut(path).unwrap() = value;
        doubt
    };
    for doubt in [
        altered("/moment/identity/system", json!("1")),
        altered("/moment/identity/timeline", json!(9)),
        altered("/moment/identity/database_oid", json!(1)),
    ] {
        assert!(matches!(resolve(&effects, &doubt).await, Resolution::Unknown(why) if why.contains("this is system")));
    }
    let mut restored = altered("/moment/started", json!("2001-01-01T00:00:00Z"));
    assert!(
        matches!(resolve(&effects, &restored).await, Resolution::Done(_)),
        "a restart alone is no reason for doubt"
    );
    *restored.proof.as_mut().unwrap().pointer_mut("/moment/insert_lsn").unwrap() = json!(u64::MAX / 4);
    assert!(matches!(resolve(&effects, &restored).await, Resolution::Unknown(why) if why.contains("older state")));
    let mut ancient = book.doubt();
    *ancient.proof.as_mut().unwrap().pointer_mut("/xid").unwrap() = json!("3");
    let answer = resolve(&effects, &ancient).await;
    assert!(!matches!(answer, Resolution::NotDone), "{answer:?}");
}

#[tokio::test]
async fn a_server_that_is_away_cannot_be_asked_yet() {
    let cluster = Cluster::start(&[]);
    let database = table(&cluster, "away");
    let effects = Arc::new(effects(&database));
    let doubt = killed_at_intent(&effects, exec(&["insert into t values (1)"])).await;
    cluster.stop();
    let fault = effects.resolve(&exec(&[]), &ticket(), &doubt).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Retryable, "{fault:?}");
    cluster.start_again();
    assert_eq!(resolve(&effects, &doubt).await, Resolution::NotDone);
}

#[tokio::test]
async fn administration_happens_outside_of_a_transaction() {
    let database = table(Cluster::shared(), "admin");
    let effects = Arc::new(effects(&database));
    let book = Book::default();
    effects.perform(&admin("create index concurrently on t (id)"), &ticket(), &book).await.unwrap();
    assert_eq!(book.intents.lock().unwrap().len(), 1);
    let done = perform(&effects, &admin("select pg_reload_conf() as told")).await.unwrap();
    assert_eq!(done.value, json!({"rows": 1, "returned": [{"told": true}]}));
    refused(&effects, &admin("vacuum t; vacuum t"), "sql.42601").await;
    refused(&effects, &admin("vacuum no_such_table"), "sql.42P01").await;
    refused(&effects, &exec(&["vacuum t"]), "sql.25001").await;

    let doubt = killed_at_intent(&effects, admin("vacuum t")).await;
    let answer = effects.resolve(&admin("vacuum t"), &ticket(), &doubt).await.unwrap();
    assert!(matches!(answer, Resolution::Unknown(_)), "{answer:?}");
}

#[tokio::test]
async fn an_administration_whose_session_dies_is_of_unknown_outcome() {
    let database = table(Cluster::shared(), "admin_lost");
    let effects = Arc::new(effects(&database));
    let book = Arc::new(Book::default());
    let performing = tokio::spawn({
        let (effects, book) = (effects.clone(), book.clone());
        async move { effects.perform(&admin("select pg_sleep(600)"), &ticket(), &*book).await }
    });
    let sleeping = || {
        database
            .sql("select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()")
            == "1"
    };
    wait_until_async(sleeping).await;
    assert!(effects.end_holder(&book.doubt().holds.unwrap()).await.unwrap());
    let fault = performing.await.unwrap().unwrap_err();
    assert_eq!(fault.class, FaultClass::Unknown, "{fault:?}");
}

#[tokio::test]
async fn passwords_reach_the_server_as_verifiers_alone() {
    let cluster = Cluster::start(&LAZY);
    let database = cluster.database("scram");
    let effects = effects(&database);
    let password = "canary-pässword";
    let handle = effects.world().vault.keep("new_password", password);
    let marked = handle.replace("new_password", "new_password|scram");
    perform(&effects, &exec(&[&format!("create role app login password '{marked}'")])).await.unwrap();
    let stored = database.sql("select rolpassword from pg_authid where rolname = 'app'");
    assert!(stored.starts_with("SCRAM-SHA-256$4096:"), "{stored}");
    let url = format!("postgresql://app:canary-p%C3%A4ssword@127.0.0.1:{}/{}", cluster.port, database.name);
    let app = Effects::new(world([target("prod", &url)]));
    assert_eq!(perform(&app, &value("select current_user")).await.unwrap().value, json!("app"));

    refused(&effects, &exec(&[&format!("create role b password '{handle}'")]), "secret.in-sql").await;
    refused(&effects, &exec(&[&format!("select {marked}")]), "secret.in-sql").await;
    refused(&effects, &admin(&format!("create role b password '{handle}'")), "secret.in-sql").await;
    assert!(cluster.log().contains("create role app") && !cluster.log().contains("canary"), "the server's log");
    let shown = effects.preview(&exec(&[&format!("alter role app password '{marked}'")])).await.unwrap();
    assert!(shown.by_hand[0].contains("$NEW_PASSWORD"), "{:?}", shown.by_hand);
}
