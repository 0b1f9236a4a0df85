//! Nobody writes while all is frozen, whoever tries by whatever means; and what somebody does all the same is found.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use runsheet::effects::{Done, Effects, Origin, Ticket};
use runsheet::model::Value;
use runsheet::model::action::{Action, Recovery, Resource};
use runsheet::model::fault::Fault;
use runsheet::model::ids::{ActionKey, Phase, RunId};
use runsheet::model::request::Request;
use runsheet::model::request::control::{PgControl, PgDropControl};
use runsheet::model::request::freeze::{
    FreezeAble, FreezeArm, FreezeCommit, FreezeGuard, FreezeHolds, FreezeLast, FreezeLift, FreezeOpen, FreezeProve,
};
use serde_json::json;
use tempfile::TempDir;

use super::pooler::Client;
use crate::postgres::harness::Book;
use crate::support::cluster::PASSWORD;
use crate::support::{Cluster, Database, seed, target, wait_until, world};

/// Effects of one run on one database, with a state folder of its own.
struct Desk {
    effects: Effects,
    database: Database,
    stamp: String,
    _state: TempDir,
}

impl Desk {
    async fn on(cluster: &Cluster, name: &str) -> Self {
        let database = cluster.database(name);
        database.sql("create table t (i int)");
        Self::to(database.url.clone(), database).await
    }

    /// The run connects by this URL.
    async fn to(url: String, database: Database) -> Self {
        let state = tempfile::tempdir().expect("a folder");
        let mut world = world([target("prod", &url)]);
        world.state = state.path().to_owned();
        world.program = env!("CARGO_BIN_EXE_runsheet").into();
        let stamp = format!("{:016x}", rand::random::<u64>());
        let desk = Self { effects: Effects::new(world), database, stamp, _state: state };
        desk.perform(&PgControl { target: "prod".into(), empty: false, accept: Vec::new() }).await.expect("the schema");
        desk
    }

    async fn perform<R: Request>(&self, request: &R) -> Result<Done, Fault> {
        let writes = vec![Resource::database("prod")];
        let action = Action::change(R::WORD, request, "a change", Recovery::Repeatable, writes);
        let origin = Origin { stamp: self.stamp.clone(), operator: "tester".into(), host: "here".into() };
        let key = ActionKey { step: "freeze".to_owned(), phase: Phase::Perform, lane: String::new(), seq: 1 };
        let ticket = Ticket { run: Some(RunId::new("cutover", 7)), origin, key, attempt: 1 };
        self.effects.perform(&action, &ticket, &Book::default()).await
    }

    async fn guard(&self, deadline: f64) -> Result<Done, Fault> {
        let request =
            FreezeGuard { source: "prod".into(), schema: None, deadline, pooler: None, resume: Vec::new(), ssh: None };
        self.perform(&request).await
    }

    async fn arm(&self) -> Result<Done, Fault> {
        let allow = vec!["monitor".to_owned()];
        self.perform(&FreezeArm { source: "prod".into(), schema: None, allow, settle: 3.0 }).await
    }

    async fn frozen(&self) -> Value {
        self.guard(60.0).await.expect("it is guarded");
        self.arm().await.expect("it is frozen").value
    }

    async fn holds(&self) -> bool {
        let held = self.perform(&FreezeHolds { source: "prod".into(), schema: None }).await;
        held.expect("it can be asked").value == Value::Bool(true)
    }

    async fn commit(&self) -> Result<Done, Fault> {
        self.perform(&FreezeCommit { source: "prod".into(), schema: None }).await
    }

    async fn lift(&self) -> Result<Done, Fault> {
        self.perform(&FreezeLift { source: "prod".into(), schema: None }).await
    }

    async fn open(&self) -> Result<Done, Fault> {
        self.perform(&FreezeOpen { source: "prod".into(), schema: None }).await
    }

    async fn state(&self) -> Value {
        let last = self.perform(&FreezeLast { source: "prod".into(), schema: None }).await;
        last.expect("it can be asked").value["state"].clone()
    }

    fn writable(&self) -> bool {
        self.database.try_sql("insert into t values (1)").is_ok()
    }

    fn settings(&self) -> String {
        self.database.sql(
            "select s.setrole::regrole, s.setconfig from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
              where d.datname = current_database() order by 1",
        )
    }
}

fn psql(desk: &Desk, role: &str, sql: &str) -> Result<String, String> {
    let url = desk.database.url.replacen("postgres:", &format!("{role}:"), 1);
    Database { name: desk.database.name.clone(), url }.try_sql(sql)
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_with_settings_of_their_own_are_frozen_too_and_get_them_back() {
    let cluster = Cluster::start(&["fsync=off"]);
    let desk = Desk::on(&cluster, "roles").await;
    let name = &desk.database.name;
    desk.database.sql(&format!(
        "create role one login password '{PASSWORD}'; create role two login password '{PASSWORD}'; grant insert on t to one, two;
         alter role one set default_transaction_read_only = off;
         alter role two in database {name} set default_transaction_read_only = off;
         alter role two in database {name} set work_mem = '5MB'"
    ));
    let before = desk.settings();
    let made = desk.frozen().await;
    assert_eq!(made["roles"], json!(["one", "postgres", "two"]));
    for role in ["one", "two", "postgres"] {
        let said = psql(&desk, role, "insert into t values (1)").expect_err("it is frozen");
        assert!(said.contains("read-only transaction"), "{role}: {said}");
    }
    assert!(desk.holds().await);
    desk.lift().await.expect("it is released");
    assert_eq!(desk.settings(), before);
    for role in ["one", "two"] {
        psql(&desk, role, "insert into t values (1)").expect("it writes again");
    }
    assert!(!desk.holds().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_from_before_are_ended_but_for_those_that_are_allowed() {
    let desk = Desk::on(Cluster::shared(), "before").await;
    let monitor = Client::named(&desk.database, "monitor", "select 1;");
    let old = Client::named(&desk.database, "old", "select 1;");
    let count = |who: &str| {
        desk.database.sql(&format!(
            "select count(*) from pg_stat_activity where datname = current_database() and application_name = '{who}'"
        ))
    };
    wait_until("both are there", || count("monitor") == "1" && count("old") == "1");
    let made = desk.frozen().await;
    assert_eq!(made["ended"], 1);
    assert_eq!((count("monitor"), count("old")), ("1".into(), "0".into()));
    assert!(desk.holds().await);
    drop((monitor, old));
    desk.lift().await.expect("it is released");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_switches_read_only_off_and_writes_is_found_and_nothing_is_committed() {
    let desk = Desk::on(Cluster::shared(), "switched").await;
    desk.frozen().await;
    let sneak = "set default_transaction_read_only = off; begin; insert into t values (7); select 1;";
    let _sneak = Client::named(&desk.database, "sneak", sneak);
    let writing = "select count(*) from pg_stat_activity where application_name = 'sneak' and backend_xid is not null";
    wait_until("it writes", || desk.database.sql(writing) == "1");
    assert!(!desk.holds().await);
    let fault = desk.commit().await.expect_err("somebody writes");
    assert_eq!(fault.code, "freeze.broken");
    assert!(
        fault.message.contains("sneak (postgres from 127.0.0.1, pid") && fault.message.contains("writing"),
        "{fault}"
    );
    assert_eq!(desk.state().await, "lifted");
    assert!(desk.writable());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loosens_the_setting_is_found() {
    let desk = Desk::on(Cluster::shared(), "loosened").await;
    desk.frozen().await;
    let name = &desk.database.name;
    desk.database.sql(&format!("begin read write; alter role postgres in database {name} reset default_transaction_read_only; alter database {name} reset default_transaction_read_only; commit"));
    assert!(!desk.holds().await);
    let fault = desk.commit().await.expect_err("it is loose");
    assert!(fault.message.contains("the read-only setting is gone for"), "{fault}");
    assert!(desk.writable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_fails_while_frozen_and_not_otherwise_and_leaves_nothing() {
    let desk = Desk::on(Cluster::shared(), "canary").await;
    let prove = FreezeProve { source: "prod".into(), through: None };
    assert_eq!(desk.perform(&prove).await.expect("it is tried").value["refused"], false);
    desk.frozen().await;
    let proved = desk.perform(&prove).await.expect("it is tried").value;
    assert_eq!(proved["refused"], true, "{proved}");
    assert!(desk.commit().await.expect("it is committed").value["lsn"].is_string());
    assert!(desk.holds().await && !desk.writable());
    let control = PgControl { target: "prod".into(), empty: false, accept: Vec::new() };
    desk.perform(&control).await.expect("the run's own words write where they say so");
    assert_eq!(desk.lift().await.expect_err("only forward").code, "freeze.committed");
    assert_eq!(desk.guard(5.0).await.expect_err("for good").code, "freeze.committed");
    assert_eq!(desk.open().await.expect("the way back").value, json!({ "opened": true }));
    assert_eq!(desk.open().await.expect("it is").value, json!({ "opened": false }));
    assert!(desk.writable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_schema_is_dropped_from_a_side_that_stays_frozen() {
    let desk = Desk::on(Cluster::shared(), "finalized").await;
    desk.frozen().await;
    desk.commit().await.expect("it is committed");
    let drop = PgDropControl { target: "prod".into(), contents: false, run: None };
    assert_eq!(desk.perform(&drop).await.expect("it is dropped").value["dropped"], true);
    assert!(!desk.writable());
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_transactions_are_refused_and_everything_is_released() {
    let cluster = Cluster::start(&["fsync=off", "max_prepared_transactions=5"]);
    let desk = Desk::on(&cluster, "prepared").await;
    desk.database.sql("begin; insert into t values (3); prepare transaction 'later'");
    let able = desk.perform(&FreezeAble { source: "prod".into() }).await.expect("it can be asked").value;
    assert_eq!(able["able"], false);
    assert!(able["missing"][0].as_str().expect("text").contains("later"), "{able}");
    desk.guard(30.0).await.expect("it is guarded");
    assert_eq!(desk.arm().await.expect_err("it could be committed").code, "freeze.prepared");
    assert!(desk.writable());
    assert_eq!(desk.state().await, "lifted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_is_no_superuser_is_told_what_is_missing_and_freezes_once_it_has_it() {
    let cluster = Cluster::start(&["fsync=off"]);
    let database = cluster.database("owned");
    database.sql(&format!(
        "create role keeper login password '{PASSWORD}'; create role app login password '{PASSWORD}';
         alter database {} owner to keeper; create table t (i int); grant insert on t to app",
        database.name
    ));
    let url = database.url.replacen("postgres:", "keeper:", 1);
    let desk = Desk::to(url, database).await;
    let able = async || desk.perform(&FreezeAble { source: "prod".into() }).await.expect("it can be asked").value;
    let missing = able().await["missing"].to_string();
    assert!(missing.contains("pg_monitor") && missing.contains("pg_signal_backend"), "{missing}");
    desk.database.sql("grant pg_monitor, pg_signal_backend to keeper");
    assert_eq!(able().await, json!({ "able": true, "missing": [], "notes": [] }));
    desk.database.sql("alter role app set default_transaction_read_only = off");
    assert!(able().await["missing"].to_string().contains("to alter role app"));
    desk.guard(30.0).await.expect("it is guarded");
    let fault = desk.arm().await.expect_err("one role would slip through");
    assert_eq!(fault.code, "freeze.roles");
    assert!(fault.message.contains("app"), "{fault}");
    desk.database.sql("alter role app reset default_transaction_read_only");
    let _app = Client::named(
        &Database { name: String::new(), url: desk.database.url.replacen("postgres:", "app:", 1) },
        "app",
        "select 1;",
    );
    wait_until("it is there", || {
        desk.database.sql("select count(*) from pg_stat_activity where application_name = 'app'") == "1"
    });
    assert_eq!(desk.frozen().await["ended"], 1);
    assert!(psql(&desk, "app", "insert into t values (1)").is_err());
    assert!(desk.holds().await);
    desk.commit().await.expect("it is committed");
    desk.open().await.expect("and opened");
    psql(&desk, "app", "insert into t values (1)").expect("it writes again");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_never_share_a_freeze() {
    let one = Desk::on(Cluster::shared(), "shared").await;
    let two =
        Desk::to(one.database.url.clone(), Database { name: one.database.name.clone(), url: one.database.url.clone() })
            .await;
    one.frozen().await;
    assert_eq!(two.guard(30.0).await.expect_err("it is taken").code, "freeze.held");
    one.commit().await.expect("it is committed");
    assert_eq!(two.guard(30.0).await.expect_err("it is over").code, "freeze.committed");
    one.open().await.expect("it is opened");
    two.frozen().await;
    two.lift().await.expect("it is released");
    assert!(one.writable());
    one.database.sql(&format!("alter database {} set default_transaction_read_only = on", one.database.name));
    assert_eq!(one.guard(30.0).await.expect_err("somebody else did").code, "freeze.already");
}

/// Commits around the deadline, again and again: exactly one of both wins, and the database is what the row says.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_commit_and_the_deadline_exactly_one_wins() {
    let mut random = StdRng::seed_from_u64(seed());
    let (mut committed, mut lifted) = (0, 0);
    let rounds = std::env::var("RUNSHEET_ROUNDS").ok().map_or(3, |text| text.parse().expect("a number"));
    for _ in 0..rounds {
        let mut racing = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let ahead = Duration::from_micros(random.random_range(0..160_000));
            racing.spawn(async move {
                let desk = Desk::on(Cluster::shared(), "racing").await;
                desk.guard(3.0).await.expect("it is guarded");
                desk.arm().await.expect("it is frozen");
                let left = desk.database.sql(&format!(
                    "select greatest(extract(epoch from deadline - clock_timestamp()), 0) from runsheet_{}.freeze",
                    &desk.stamp[..8]
                ));
                let left = Duration::from_secs_f64(left.parse().expect("a number"));
                tokio::time::sleep(left.saturating_sub(ahead)).await;
                let done = desk.commit().await;
                if done.is_ok() {
                    tokio::time::sleep(Duration::from_millis(700)).await; // Long enough for a release that must not come.
                    assert_eq!(desk.state().await, "committed");
                    assert!(!desk.writable());
                } else {
                    assert_eq!(done.expect_err("it lost").code, "freeze.broken");
                    wait_until("it is released", || desk.writable());
                    assert_eq!(desk.state().await, "lifted");
                    assert_eq!(desk.settings(), "");
                }
                desk.state().await == "committed"
            });
        }
        while let Some(won) = racing.join_next().await {
            if won.expect("no round fails") { committed += 1 } else { lifted += 1 }
        }
    }
    println!("{committed} committed, {lifted} released");
    assert!(committed + lifted == rounds * 4);
}
