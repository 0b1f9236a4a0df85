//! Who is at the other end, and what is said when it is not whom we wanted.

use serde_json::json;

use runsheet::effects::Effects;
use runsheet::model::fault::FaultClass;
use runsheet::model::identity::ExpectedIdentity;
use runsheet::model::target::{Target, TlsMode};

use super::harness::{admin, effects, exec, perform, query, refused, value};
use crate::support::{Cluster, PgBouncer, free_port, target, wait_until_async, world};

fn only(target: Target) -> Effects {
    Effects::new(world([target]))
}

#[tokio::test]
async fn a_server_that_lets_nobody_in_says_why_without_showing_the_password() {
    let database = Cluster::shared().database("door");
    let wrong = database.url.replace("sealed-world-password", "wrong-canary");
    let fault = refused(&only(target("prod", &wrong)), &query("select 1"), "sql.28P01").await;
    assert_eq!(fault.class, FaultClass::Fatal);
    assert!(fault.message.contains("prod") && fault.hint.as_ref().unwrap().contains("password"), "{fault:?}");
    assert!(!format!("{fault:?}").contains("wrong-canary"));

    let missing = database.url.replace(&database.name, "no_such_database");
    refused(&only(target("prod", &missing)), &query("select 1"), "sql.3D000").await;

    let nobody = format!("postgresql://u:canary-pw@127.0.0.1:{}/x", free_port());
    let fault = refused(&only(target("prod", &nobody)), &query("select 1"), "connection.refused").await;
    assert_eq!(fault.class, FaultClass::Retryable);

    let unnamed = "postgresql://u:canary-pw@no-such-host.invalid/x";
    let fault = refused(&only(target("prod", unnamed)), &query("select 1"), "connection.name").await;
    assert!(!format!("{fault:?}").contains("canary-pw"));

    for broken in [
        "mysql://u:canary-pw@h/x",
        "postgresql://u:canary-pw@h:54x2/x",
        "postgresql://u:%zzcanary-pw@h:x/x",
        "postgresql://u:canary-pw",
        "canary-pw",
        "",
    ] {
        let fault = refused(&only(target("prod", broken)), &query("select 1"), "target.url").await;
        assert!(!format!("{fault:?}").contains("ary-pw"), "{fault:?}");
    }

    let mut tls = target("prod", &database.url);
    tls.tls.mode = TlsMode::Verify;
    refused(&only(tls), &query("select 1"), "connection.tls").await;
    refused(&only(target("other", &database.url)), &query("select 1"), "target.unknown").await;
}

#[tokio::test]
async fn keys_that_are_not_postgresqls_are_stripped_from_the_url() {
    let database = Cluster::shared().database("keys");
    let url = format!(
        "{}?schema=public&pgbouncer=true&connection_limit=5&sslmode=verify-full&connect_timeout=3",
        database.url
    );
    let effects = only(target("prod", &url));
    assert_eq!(perform(&effects, &value("select 1")).await.unwrap().value, json!(1));
}

#[tokio::test]
async fn another_database_than_the_configured_or_the_pinned_one_is_refused() {
    let (one, two) = (Cluster::shared().database("one"), Cluster::shared().database("two"));
    let seen = effects(&one).identify("prod").await.unwrap().identity;
    assert_eq!(seen.database, one.name);

    let mut expecting = target("prod", &one.url);
    expecting.identity = Some(ExpectedIdentity::Database { system: seen.system.clone(), database: one.name.clone() });
    only(expecting.clone()).identify("prod").await.unwrap();
    expecting.url = two.url.clone();
    let fault = only(expecting).identify("prod").await.unwrap_err();
    assert_eq!(fault.code, "identity.mismatch");
    assert!(fault.message.contains(&one.name) && fault.message.contains(&two.name), "{fault}");

    let moved = effects(&two);
    perform(&moved, &value("select 1")).await.unwrap();
    moved.pin("prod", seen);
    refused(&moved, &value("select 1"), "identity.changed").await;
}

#[tokio::test]
async fn a_pooler_serves_reads_and_is_refused_for_changes() {
    let database = Cluster::shared().database("pooled");
    database.sql("create table t (id int)");
    for swallows in ["", "options"] {
        let pooler = PgBouncer::start(Cluster::shared(), swallows);
        let pooled = only(target("prod", &pooler.url(&database.name)));
        for _ in 0..3 {
            assert_eq!(perform(&pooled, &value("select count(*) from t")).await.unwrap().value, json!(0));
        }
        assert_eq!(perform(&pooled, &value("show timezone")).await.unwrap().value, json!("UTC"));
        for change in [exec(&["insert into t values (1)"]), admin("vacuum t")] {
            let fault = refused(&pooled, &change, "target.pooled").await;
            assert!(fault.hint.unwrap().contains("direct_url"));
        }
        let fault = pooled.lock("prod", "cutover-1").await.err().unwrap();
        assert_eq!(fault.code, "target.pooled");

        let mut both = target("prod", &pooler.url(&database.name));
        both.direct_url = Some(database.url.clone());
        perform(&only(both), &exec(&["insert into t values (1)", "delete from t"])).await.unwrap();
    }
}

#[tokio::test]
async fn one_run_at_a_time_has_the_lock_of_a_database() {
    let database = Cluster::shared().database("locked");
    let effects = effects(&database);
    let lock = effects.lock("prod", "cutover-7").await.unwrap();
    lock.prove().await.unwrap();
    let fault = effects.lock("prod", "cutover-8").await.err().unwrap();
    assert_eq!(fault.code, "lock.held");
    assert!(fault.message.contains("runsheet cutover-7 lock") && fault.message.contains("pid"), "{fault}");
    let holder = effects.lock_holder("prod").await.unwrap().unwrap();
    assert_eq!(holder.holds, lock.holds());

    assert!(effects.end_holder(&holder.holds).await.unwrap());
    assert_eq!(lock.prove().await.unwrap_err().code, "lock.lost");
    let next = effects.lock("prod", "cutover-8").await.unwrap();
    assert!(!effects.end_holder(&holder.holds).await.unwrap(), "the old session is gone");
    next.prove().await.unwrap();
    drop(next);
    let locks = "select count(*) from pg_locks where locktype = 'advisory'
                    and database = (select oid from pg_database where datname = current_database())";
    wait_until_async(|| database.sql(locks) == "0").await;
    assert!(effects.lock_holder("prod").await.unwrap().is_none());
}

#[tokio::test]
async fn a_pid_of_another_session_is_left_alone() {
    let effects = effects(&Cluster::shared().database("pids"));
    let lock = effects.lock("prod", "cutover-7").await.unwrap();
    let mut other = lock.holds();
    other["backend_start"] = json!("2001-01-01T00:00:00.000000Z");
    assert!(!effects.end_holder(&other).await.unwrap());
    lock.prove().await.unwrap();
}
