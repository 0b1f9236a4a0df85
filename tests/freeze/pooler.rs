//! PgBouncer through its console: clients wait and go on, a pause ends by itself, and a database is led elsewhere.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};

use runsheet::effects::{Done, Effects};
use runsheet::model::action::{Action, Recovery, Resource};
use runsheet::model::fault::Fault;
use runsheet::model::provider::{PgbouncerAccess, Providers};
use runsheet::model::request::Request;
use runsheet::model::request::pgbouncer::{PgbouncerPause, PgbouncerPoint, PgbouncerResume, PgbouncerShow};
use serde_json::json;

use crate::postgres::harness::{Book, ticket};
use crate::support::{Cluster, Database, PgBouncer, target, wait_until, world};

/// Effects that know this console, and the targets `one` and `two`.
fn effects(admin_url: &str, databases: &[(&str, &str)]) -> Effects {
    let mut world = world(databases.iter().map(|(name, url)| target(name, url)));
    let admin = target("pgbouncer", admin_url);
    world.providers = Providers { pgbouncer: Some(PgbouncerAccess { admin }), ..Providers::default() };
    Effects::new(world)
}

async fn perform<R: Request>(effects: &Effects, request: &R) -> Result<Done, Fault> {
    let writes = vec![Resource::new("pgbouncer")];
    let action = Action::change(R::WORD, request, "a change", Recovery::Repeatable, writes);
    effects.perform(&action, &ticket(), &Book::default()).await
}

fn pause(limit: f64, attempts: u32) -> PgbouncerPause {
    PgbouncerPause { database: "app".into(), limit, attempts }
}

/// A client that stays in what it began.
pub struct Client(Child);

impl Client {
    pub fn begin(database: &Database, sql: &str) -> Self {
        Self::named(database, "stubborn", sql)
    }

    /// The same under a name of its own.
    pub fn named(database: &Database, name: &str, sql: &str) -> Self {
        let mut psql = Command::new(database.psql("").get_program());
        psql.args(["-XAtq", &database.url]).env("PGAPPNAME", name);
        let mut child =
            psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("psql starts");
        child.stdin.as_mut().expect("a pipe").write_all(format!("{sql}\n").as_bytes()).expect("it listens");
        Self(child)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_wait_while_paused_and_go_on_when_resumed() {
    let cluster = Cluster::shared();
    let database = cluster.database("paused");
    let pooler = PgBouncer::before(cluster, &database, "transaction", &["postgres"]);
    let effects = effects(&pooler.admin_url(), &[]);
    database.sql("create table t (i int)");
    pooler.app("postgres").sql("insert into t values (1)");
    let paused = perform(&effects, &pause(2.0, 3)).await.expect("it is paused");
    assert_eq!(paused.value, json!({ "attempts": 1 }));
    let mut waiting = pooler.app("postgres").psql("insert into t values (2)").spawn().expect("psql starts");
    wait_until("the client waits", || pooler.console("show pools").contains("app|postgres|0|1|"));
    assert_eq!(database.sql("select count(*) from t"), "1");
    let shown = perform(&effects, &PgbouncerShow { what: "DATABASES".into() }).await.expect("it shows them");
    let app = shown.value.as_array().expect("rows").iter().find(|row| row["name"] == "app").cloned().expect("app");
    assert_eq!((&app["paused"], &app["port"]), (&json!(1), &json!(cluster.port)));
    let resume = PgbouncerResume { database: "app".into() };
    assert_eq!(perform(&effects, &resume).await.expect("it goes on").value, json!({ "resumed": true }));
    assert!(waiting.wait().expect("psql ends").success());
    assert_eq!(database.sql("select count(*) from t"), "2");
    assert_eq!(perform(&effects, &resume).await.expect("nothing to do").value, json!({ "resumed": false }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_never_comes_to_its_end_names_who_holds_it_and_lets_clients_go_on() {
    let cluster = Cluster::shared();
    let database = cluster.database("held");
    let pooler = PgBouncer::before(cluster, &database, "transaction", &["postgres"]);
    let effects = effects(&pooler.admin_url(), &[]);
    let held = Client::begin(&pooler.app("postgres"), "begin; select 1;");
    wait_until("it is in a transaction", || {
        database.sql("select count(*) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'") == "1"
    });
    let fault = perform(&effects, &pause(0.2, 2)).await.expect_err("somebody is at work");
    assert_eq!(fault.code, "pgbouncer.busy");
    assert!(
        fault.message.contains("stubborn (postgres from 127.0.0.1:") && fault.message.contains("2 times"),
        "{fault}"
    );
    assert!(!pooler.paused("app"));
    assert_eq!(pooler.app("postgres").sql("select 7"), "7", "others go on");
    drop(held);
    assert_eq!(perform(&effects, &pause(2.0, 3)).await.expect("it is paused").value["attempts"], 1);
    assert!(pooler.paused("app"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ends_its_transaction_in_time_is_waited_for() {
    let cluster = Cluster::shared();
    let database = cluster.database("in_time");
    let pooler = PgBouncer::before(cluster, &database, "transaction", &["postgres"]);
    let effects = effects(&pooler.admin_url(), &[]);
    let _busy = Client::begin(&pooler.app("postgres"), "select pg_sleep(0.5);");
    wait_until("it is at work", || pooler.console("show servers").contains("|active|"));
    assert_eq!(perform(&effects, &pause(5.0, 1)).await.expect("it is paused").value, json!({ "attempts": 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn session_pooling_is_refused_before_anybody_waits() {
    let cluster = Cluster::shared();
    let database = cluster.database("sessions");
    let pooler = PgBouncer::before(cluster, &database, "session", &["postgres"]);
    let effects = effects(&pooler.admin_url(), &[]);
    let fault = perform(&effects, &pause(2.0, 3)).await.expect_err("it would wait for ever");
    assert_eq!(fault.code, "pgbouncer.session", "{fault}");
    let fault = perform(&effects, &PgbouncerPause { database: "nosuch".into(), limit: 1.0, attempts: 1 }).await;
    assert_eq!(fault.expect_err("there is none").code, "pgbouncer.database");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_led_to_another_one_and_back_and_only_its_line_changes() {
    let cluster = Cluster::shared();
    let (one, two) = (cluster.database("led_one"), cluster.database("led_two"));
    one.sql("create table here as select 'one' as name");
    two.sql("create table here as select 'two' as name");
    let pooler = PgBouncer::before(cluster, &one, "transaction", &["postgres"]);
    let effects = effects(&pooler.admin_url(), &[("one", &one.url), ("two", &two.url)]);
    let client = || pooler.app("postgres").sql("select name from here");
    assert_eq!(client(), "one");
    let path = pooler.config();
    let (before, about) = (std::fs::read_to_string(&path).unwrap(), std::fs::metadata(&path).unwrap());
    let point = |target: &str| PgbouncerPoint {
        database: "app".into(),
        target: target.into(),
        config: path.display().to_string(),
        ssh: None,
    };
    let led = perform(&effects, &point("two")).await.expect("it is led there").value;
    assert_eq!((&led["changed"], &led["dbname"]), (&json!(true), &json!(two.name)));
    wait_until("clients get there", || client() == "two");
    let after = std::fs::read_to_string(&path).unwrap();
    assert_eq!(after, before.replace(&one.name, &two.name));
    assert_eq!(std::fs::read_to_string(path.with_extension("ini.previous")).unwrap(), before);
    let now = std::fs::metadata(&path).unwrap();
    assert_eq!((now.uid(), now.gid(), now.mode()), (about.uid(), about.gid(), about.mode()));
    assert_eq!(perform(&effects, &point("two")).await.expect("it is there").value["changed"], false);
    perform(&effects, &point("one")).await.expect("and back");
    wait_until("clients are back", || client() == "one");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
}

/// A console that answers PAUSE at once and does nothing, as some poolers' do.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_returns_too_early_is_found_out() {
    for (paused, at_work, code) in [(false, false, "pgbouncer.unpaused"), (true, true, "pgbouncer.busy")] {
        let console = super::console::Fake::start(paused, at_work);
        let effects = effects(&console.url(), &[]);
        let fault = perform(&effects, &pause(0.3, 2)).await.expect_err("nobody was paused");
        assert_eq!(fault.code, code, "{fault}");
    }
}
