//! Writes of a database frozen for a moment, in two phases. *Guarded* and then *armed*, it ends by itself: a watchdog that
//! outlives the engine releases everything as soon as the engine is gone or the server's clock reaches the deadline, and a
//! session that sleeps on the server does so when even the watchdog is gone. *Committed*, nothing releases it any more.
//!
//! The truth is one row in the run's control schema. Its lock makes release and commit exclude each other, whoever tries
//! them, and whatever was killed or stopped in between.

mod arm;
pub mod book;
mod charge;
mod commit;
mod ground;
mod guard;
mod prove;
mod release;
mod sleeper;
pub mod watchdog;

pub use guard::Guards;

use super::postgres::Postgres;
use super::postgres::preview::url_variable;
use super::{Done, Doubt, Ledger, Resolution, Ticket, World};
use crate::model::Value;
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::freeze::{
    FreezeAble, FreezeArm, FreezeCommit, FreezeGuard, FreezeHolds, FreezeLast, FreezeLift, FreezeOpen, FreezeProve,
};
use crate::model::unknown;

/// The hidden first argument that makes this program a watchdog.
pub const WATCH: &str = "__watch";

/// The words performed here.
pub const WORDS: [&str; 9] = [
    FreezeAble::WORD,
    FreezeGuard::WORD,
    FreezeArm::WORD,
    FreezeHolds::WORD,
    FreezeLast::WORD,
    FreezeProve::WORD,
    FreezeCommit::WORD,
    FreezeLift::WORD,
    FreezeOpen::WORD,
];

/// What freezing needs.
pub struct Freezing<'a> {
    /// The surroundings.
    pub world: &'a World,
    /// The targets.
    pub postgres: &'a Postgres,
    /// The watchdogs of this process.
    pub guards: &'a Guards,
}

/// Performs one of [`WORDS`].
pub async fn perform(
    freezing: &Freezing<'_>,
    action: &Action,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    match action.word.as_str() {
        FreezeAble::WORD => prove::able(freezing, &FreezeAble::of(action)?, ticket).await,
        FreezeGuard::WORD => guard::perform(freezing, &FreezeGuard::of(action)?, ticket, ledger).await,
        FreezeArm::WORD => arm::perform(freezing, &FreezeArm::of(action)?, ticket, ledger).await,
        FreezeHolds::WORD => commit::holds(freezing, &FreezeHolds::of(action)?, ticket).await,
        FreezeLast::WORD => commit::last(freezing, &FreezeLast::of(action)?, ticket).await,
        FreezeProve::WORD => prove::perform(freezing, &FreezeProve::of(action)?, ticket).await,
        FreezeCommit::WORD => commit::commit(freezing, &FreezeCommit::of(action)?, ticket, ledger).await,
        FreezeLift::WORD => commit::lift(freezing, &FreezeLift::of(action)?, ticket, ledger).await,
        _ => commit::open(freezing, &FreezeOpen::of(action)?, ticket, ledger).await,
    }
}

/// What became of an attempt. Of a commit the row tells; everything else is released or done again.
pub async fn resolve(freezing: &Freezing<'_>, action: &Action, doubt: &Doubt) -> Result<Resolution, Fault> {
    match action.word.as_str() {
        FreezeCommit::WORD => commit::resolve(freezing, doubt).await,
        _ => Ok(Resolution::NotDone),
    }
}

/// Says what would be missing; a read is really read.
pub async fn preview(freezing: &Freezing<'_>, action: &Action) -> Result<Previewed, Fault> {
    let by_hand = by_hand(action).unwrap_or_default();
    let shown = Previewed { level: Level::Rendered, value: None, by_hand, notes: Vec::new() };
    if unknown::first_in(&action.request).is_some() {
        return Ok(shown);
    }
    let ticket = Ticket::preview();
    match action.word.as_str() {
        FreezeAble::WORD => {
            let done = prove::able(freezing, &FreezeAble::of(action)?, &ticket).await?;
            Ok(Previewed { level: Level::Read, value: Some(done.value), ..shown })
        }
        // Of another run, whose schema this one neither makes nor misses.
        FreezeLast::WORD if FreezeLast::of(action)?.schema.is_some() => {
            let done = commit::last(freezing, &FreezeLast::of(action)?, &ticket).await?;
            Ok(Previewed { level: Level::Read, value: Some(done.value), ..shown })
        }
        FreezeArm::WORD => {
            let source = FreezeArm::of(action)?.source;
            let done = prove::able(freezing, &FreezeAble { source }, &ticket).await?;
            let texts = |key: &str| -> Vec<String> {
                done.value[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
            };
            let notes = texts("missing").iter().map(|what| format!("missing: {what}")).chain(texts("notes")).collect();
            Ok(Previewed { level: Level::Prepared, notes, ..shown })
        }
        FreezeGuard::WORD if FreezeGuard::of(action)?.pooler.is_some() => {
            freezing.world.providers.pgbouncer()?;
            Ok(shown)
        }
        _ => Ok(shown),
    }
}

/// The action as lines for a shell. Nothing is contacted.
pub fn by_hand(action: &Action) -> Result<Vec<String>, Fault> {
    let says = |source: &str, sql: &str| vec![format!("psql \"${}\" -X -c '{sql}'", url_variable(source))];
    Ok(match action.word.as_str() {
        FreezeArm::WORD => says(
            &FreezeArm::of(action)?.source,
            "alter database … set default_transaction_read_only = on; select pg_terminate_backend(pid) from pg_stat_activity where …",
        ),
        FreezeLift::WORD => says(
            &FreezeLift::of(action)?.source,
            "begin read write; alter database … reset default_transaction_read_only; commit",
        ),
        FreezeOpen::WORD => says(
            &FreezeOpen::of(action)?.source,
            "begin read write; alter database … reset default_transaction_read_only; commit",
        ),
        _ => Vec::new(),
    })
}

/// What a word says that needs a watchdog of this process, where there is none.
fn unguarded(source: &str, row: &Value) -> Fault {
    let why = match ground::text(row, "state") {
        "lifted" => format!("it was released: {}", ground::text(row, "why")),
        "committed" => "it is committed".to_owned(),
        "opened" => "it was opened again".to_owned(),
        _ => "its watchdog is gone".to_owned(),
    };
    Fault::fatal("freeze.broken", format!("the freeze of {source} does not hold: {why}"))
        .hinted("resume the run: it begins to freeze anew")
}
