//! Actions as the vocabulary builds them, and ledgers that break at a chosen point.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use runsheet::effects::{Done, Doubt, Effects, Ledger, Origin, Ticket};
use runsheet::model::Value;
use runsheet::model::action::{Action, Recovery, Resource};
use runsheet::model::fault::Fault;
use runsheet::model::ids::{ActionKey, Phase, RunId};
use runsheet::model::request::{Request, RowContract, SqlAdmin, SqlExec, SqlQuery};

use crate::support::{Database, target, world};

/// Effects whose only target is `prod`.
pub fn effects(database: &Database) -> Effects {
    Effects::new(world([target("prod", &database.url)]))
}

pub fn ticket() -> Ticket {
    let key = ActionKey { step: "insert".to_owned(), phase: Phase::Perform, lane: String::new(), seq: 1 };
    Ticket { run: Some(RunId::new("cutover", 7)), origin: Origin::default(), key, attempt: 1 }
}

pub fn query(sql: &str) -> Action {
    let request = SqlQuery { target: "prod".to_owned(), sql: sql.to_owned(), single: false, raw: None, pooled: false };
    Action::read(SqlQuery::WORD, &request, sql, vec![Resource::database("prod")])
}

pub fn value(sql: &str) -> Action {
    let request = SqlQuery { target: "prod".to_owned(), sql: sql.to_owned(), single: true, raw: None, pooled: false };
    Action::read(SqlQuery::WORD, &request, sql, vec![Resource::database("prod")])
}

pub fn exec(statements: &[&str]) -> Action {
    contracted(statements, &[])
}

pub fn contracted(statements: &[&str], rows: &[(u64, u64)]) -> Action {
    let request = SqlExec {
        target: "prod".to_owned(),
        statements: statements.iter().map(|sql| (*sql).to_owned()).collect(),
        rows: rows.iter().map(|(least, most)| RowContract { least: *least, most: *most }).collect(),
        raw: None,
    };
    Action::change(SqlExec::WORD, &request, "a change", Recovery::Provable, vec![Resource::database("prod")])
}

pub fn admin(sql: &str) -> Action {
    let request = SqlAdmin { target: "prod".to_owned(), sql: sql.to_owned(), raw: None };
    Action::change(SqlAdmin::WORD, &request, sql, Recovery::Ask, vec![Resource::server("prod")])
}

/// What a test does when the intent is written; it is given the pid of the session that makes the change.
pub type AtIntent = Box<dyn Fn(i32) -> Result<(), Fault> + Send + Sync>;

/// Keeps what it is told; at the intent it does what the test wants.
#[derive(Default)]
pub struct Book {
    pub doubt: Mutex<Doubt>,
    pub intents: Mutex<Vec<Value>>,
    pub at_intent: Option<AtIntent>,
    pub reached: AtomicBool,
}

impl Book {
    /// Calls `act` when the intent has been written, before COMMIT is sent.
    pub fn acting(act: impl Fn(i32) -> Result<(), Fault> + Send + Sync + 'static) -> Self {
        Self { at_intent: Some(Box::new(act)), ..Self::default() }
    }

    pub fn doubt(&self) -> Doubt {
        self.doubt.lock().unwrap().clone()
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.doubt().holds.unwrap()["pid"].as_i64().unwrap()).unwrap()
    }
}

impl Ledger for Book {
    fn started(&self, holds: Value) -> Result<(), Fault> {
        self.doubt.lock().unwrap().holds = Some(holds);
        Ok(())
    }

    fn sealed(&self, _: &str, _: &str) -> Result<(), Fault> {
        Ok(())
    }

    fn intent(&self, proof: Value) -> Result<(), Fault> {
        self.doubt.lock().unwrap().proof = Some(proof.clone());
        self.intents.lock().unwrap().push(proof);
        self.reached.store(true, Ordering::SeqCst);
        self.at_intent.as_ref().map_or(Ok(()), |act| act(self.pid()))
    }
}

pub async fn perform(effects: &Effects, action: &Action) -> Result<Done, Fault> {
    effects.perform(action, &ticket(), &Book::default()).await
}

/// Performs an action and unwinds out of it when its intent is written, which leaves what a kill of the engine leaves.
pub async fn killed_at_intent(effects: &Arc<Effects>, action: Action) -> Doubt {
    let book = Arc::new(Book::acting(|_| std::panic::resume_unwind(Box::new("killed"))));
    let (effects, given) = (effects.clone(), book.clone());
    let died = tokio::spawn(async move { effects.perform(&action, &ticket(), &*given).await }).await;
    assert!(died.is_err_and(|error| error.is_panic()));
    book.doubt()
}

/// The fault of an action that must fail with this code.
pub async fn refused(effects: &Effects, action: &Action, code: &str) -> Fault {
    let fault = perform(effects, action).await.expect_err("it is refused");
    assert_eq!(fault.code, code, "{fault:?}");
    fault
}
