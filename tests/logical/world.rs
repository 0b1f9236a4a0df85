//! Two servers, a database on each, and the words between them.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use runsheet::effects::{Effects, Origin, Resolution, Ticket};
use runsheet::model::Value;
use runsheet::model::action::{Action, Recovery};
use runsheet::model::fault::Fault;
use runsheet::model::ids::{ActionKey, Phase, RunId};
use runsheet::model::request::Request;
use runsheet::model::request::logical::{
    LogicalArrived, LogicalBeat, LogicalChangedSince, LogicalCompare, LogicalCompareChanged, LogicalDrain,
    LogicalProgress, LogicalPublish, LogicalRemove, LogicalReverse, LogicalSequences, LogicalSubscribe, LogicalWatch,
};

use crate::postgres::harness::Book;
use crate::support::{Cluster, Database, target, world};

/// What both servers need.
pub const SETTINGS: [&str; 7] = [
    "fsync=off",
    "wal_level=logical",
    "max_replication_slots=60",
    "max_wal_senders=60",
    "max_logical_replication_workers=40",
    "max_worker_processes=50",
    "wal_retrieve_retry_interval=100ms",
];

/// The server with the databases that are copied.
pub fn old() -> &'static Cluster {
    static OLD: OnceLock<Cluster> = OnceLock::new();
    OLD.get_or_init(|| Cluster::start(&SETTINGS))
}

/// The server that they are copied to.
pub fn new() -> &'static Cluster {
    static NEW: OnceLock<Cluster> = OnceLock::new();
    NEW.get_or_init(|| Cluster::start(&SETTINGS))
}

/// A database on each server, with the same schema, and a run that copies one to the other.
pub struct World {
    pub source: Database,
    pub target: Database,
    pub effects: Effects,
    pub schema: String,
    stamp: String,
    _state: tempfile::TempDir,
}

impl World {
    /// Both with this schema; rows come later.
    pub fn with(schema: &str) -> Self {
        Self::between(old(), new(), schema)
    }

    /// The same on these servers.
    pub fn between(from: &Cluster, to: &Cluster, schema: &str) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let stamp = format!("{:08x}{}", 0xc0ff_0000 + NUMBER.fetch_add(1, Ordering::Relaxed), "0".repeat(56));
        let (source, copy) = (from.database("old"), to.database("new"));
        let name = format!("runsheet_{}", &stamp[..8]);
        let comment = format!(
            r#"{{"runsheet":"cutover-7","stamp":"{stamp}","host":"here","operator":"tester","at":"2026-01-01T00:00:00Z","control":true}}"#
        );
        for database in [&source, &copy] {
            database.sql(&format!("{schema}; create schema {name}; comment on schema {name} is '{comment}'"));
        }
        let mut sealed = world([target("old", &source.url), target("new", &copy.url)]);
        let state = tempfile::tempdir().expect("a folder");
        sealed.state = state.path().to_owned();
        let effects = Effects::new(sealed);
        Self { _state: state, source, target: copy, effects, schema: name, stamp }
    }

    pub fn ticket(&self) -> Ticket {
        let key = ActionKey { step: "copy".to_owned(), phase: Phase::Perform, lane: String::new(), seq: 1 };
        let origin = Origin { stamp: self.stamp.clone(), operator: "tester".into(), host: "here".into() };
        Ticket { run: Some(RunId::new("cutover", 7)), origin, key, attempt: 1 }
    }

    pub fn action<R: Request>(request: &R) -> Action {
        Action::change(R::WORD, request, R::WORD, Recovery::Repeatable, Vec::new())
    }

    /// Performs a word.
    pub async fn does<R: Request>(&self, request: &R) -> Result<Value, Fault> {
        self.effects.perform(&Self::action(request), &self.ticket(), &Book::default()).await.map(|done| done.value)
    }

    /// Performs a word, dies when its intent is written, and answers what the world then says of it.
    pub async fn dies<R: Request>(&self, request: &R) -> Resolution {
        let book = Book::acting(|_| Err(Fault::fatal("test.killed", "killed")));
        let action = Self::action(request);
        let fault = self.effects.perform(&action, &self.ticket(), &book).await.expect_err("it dies");
        assert_eq!(fault.code, "test.killed", "{fault:?}");
        self.effects.resolve(&action, &self.ticket(), &book.doubt()).await.expect("it is asked")
    }

    pub fn publish_request() -> LogicalPublish {
        LogicalPublish { source: "old".into(), schema: None, without: Vec::new() }
    }

    pub fn subscribe_request() -> LogicalSubscribe {
        LogicalSubscribe { target: "new".into(), source: "old".into(), schema: None, copy: true }
    }

    /// Publishes and subscribes.
    pub async fn copied(&self) {
        self.does(&Self::publish_request()).await.expect("it is published");
        self.does(&Self::subscribe_request()).await.expect("it is followed");
    }

    pub async fn progress(&self) -> Value {
        let request = LogicalProgress { target: "new".into(), source: "old".into(), schema: None, back: false };
        self.does(&request).await.expect("progress")
    }

    /// Waits until every table is followed.
    pub async fn ready(&self) {
        self.until("every table is followed", |progress| progress["ready"] == true).await;
    }

    /// Waits until progress says so.
    pub async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let progress = self.progress().await;
            if holds(&progress) {
                return progress;
            }
            assert!(begun.elapsed().as_secs() < 120, "waited 120 s in vain: {what}: {progress:#}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    pub async fn beat(&self) -> i64 {
        let request = LogicalBeat { source: "old".into(), schema: None, back: false };
        self.does(&request).await.expect("it beats")["beat"].as_i64().expect("a number")
    }

    pub async fn arrived(&self, beat: i64) -> bool {
        let request = LogicalArrived { target: "new".into(), beat: beat.into(), schema: None, back: false };
        self.does(&request).await.expect("it is asked") == true
    }

    pub async fn drain(&self, limit: f64) -> Result<Value, Fault> {
        let request = LogicalDrain { source: "old".into(), target: "new".into(), schema: None, back: false, limit };
        self.does(&request).await
    }

    pub async fn sequences(&self, gap: u64) -> Result<Value, Fault> {
        self.does(&LogicalSequences { source: "old".into(), target: "new".into(), gap }).await
    }

    pub async fn watch(&self) -> Value {
        let request = LogicalWatch { source: "old".into(), schema: None, back: false };
        self.does(&request).await.expect("it is watched")
    }

    pub async fn compare(&self) -> Value {
        let request =
            LogicalCompare { source: "old".into(), target: "new".into(), schema: None, back: false, connections: 2 };
        self.does(&request).await.expect("it is compared")
    }

    pub async fn compare_changed(&self, limit: f64) -> Value {
        let request = LogicalCompareChanged {
            source: "old".into(),
            target: "new".into(),
            schema: None,
            back: false,
            counts: true,
            limit,
            connections: 2,
        };
        self.does(&request).await.expect("it is compared")
    }

    pub async fn changed_since(&self, lsn: Option<&Value>) -> Value {
        let lsn = lsn.map(|lsn| lsn.as_str().expect("a position").to_owned());
        let request = LogicalChangedSince { source: "old".into(), schema: None, back: false, lsn };
        self.does(&request).await.expect("it is asked")
    }

    pub async fn reverse(&self) -> Result<Value, Fault> {
        self.does(&self.reverse_request(false)).await
    }

    pub fn reverse_request(&self, prepare: bool) -> LogicalReverse {
        LogicalReverse { target: "new".into(), source: "old".into(), schema: None, without: Vec::new(), prepare }
    }

    pub async fn remove(&self) -> Result<Value, Fault> {
        self.does(&LogicalRemove { target: "new".into(), source: "old".into(), schema: None }).await
    }

    /// Both sides answer this alike.
    #[track_caller]
    pub fn same(&self, sql: &str) {
        assert_eq!(self.source.sql(sql), self.target.sql(sql), "{sql}");
    }

    /// Nothing of a copy is left on either side.
    #[track_caller]
    pub fn nothing_is_left(&self) {
        let asked = format!(
            "select slot_name from pg_replication_slots where database = current_database() \
             union all select pubname from pg_publication \
             union all select subname from pg_subscription where subname like '{0}%' \
             union all select roname from pg_replication_origin where roname in (select 'pg_' || oid from pg_subscription where subname like '{0}%') \
             union all select relname from pg_class where relnamespace = '{0}'::regnamespace and relkind = 'r'",
            self.schema
        );
        assert_eq!(self.source.sql(&asked), "", "left in the source");
        assert_eq!(self.target.sql(&asked), "", "left in the target");
    }
}

/// Somebody who writes until told to stop.
pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Writer {
    /// Runs this again and again.
    pub fn at(database: &Database, sql: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, database, sql) =
            (stop.clone(), Database { name: database.name.clone(), url: database.url.clone() }, sql.to_owned());
        let thread = std::thread::spawn(move || {
            let mut written = 0;
            while !flag.load(Ordering::Relaxed) {
                database.sql(&sql);
                written += 1;
            }
            written
        });
        Self { stop, thread: Some(thread) }
    }

    /// Stops, and answers how often it wrote.
    pub fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("a writer").join().expect("it writes")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
