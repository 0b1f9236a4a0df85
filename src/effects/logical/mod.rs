//! Live copies: a database that follows another one by PostgreSQL's logical replication until it takes its place.
//!
//! Everything that a copy needs on either side is named after the run's control schema, so that it is found again and
//! removed after whatever was killed when: a slot that nobody reads keeps the source from ever removing WAL.

mod beat;
mod carries;
mod changed;
mod compare;
mod connection;
mod disk;
mod drain;
mod gather;
mod health;
mod keyed;
mod pgoutput;
mod place;
mod progress;
mod publish;
mod remove;
mod reverse;
mod rows;
mod sequences;
mod sides;
mod subscribe;
mod sweep;
mod watch;
mod window;

use super::postgres::Postgres;
use super::postgres::connect::Session;
use super::postgres::{application_name, backend, resolve as asking};
use super::{Done, Doubt, Ledger, Resolution, Ticket, World};
use crate::model::action::{Action, Recovery};
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::logical::{
    LogicalArrived, LogicalBeat, LogicalCarries, LogicalChangedSince, LogicalCompare, LogicalCompareChanged,
    LogicalDrain, LogicalForward, LogicalGather, LogicalProgress, LogicalPublish, LogicalRemove, LogicalRetire,
    LogicalReverse, LogicalSequences, LogicalStop, LogicalSubscribe, LogicalSweep, LogicalWatch,
};
use crate::model::unknown;

/// What keeping a live copy needs.
pub struct Logical<'a> {
    /// The surroundings.
    pub world: &'a World,
    /// The targets.
    pub postgres: &'a Postgres,
}

impl Logical<'_> {
    /// A session to each side.
    async fn sessions(&self, source: &str, target: &str, ticket: &Ticket) -> Result<(Session, Session), Fault> {
        let name = application_name(ticket);
        tokio::try_join!(self.postgres.session(source, &name), self.postgres.session(target, &name))
    }

    /// Keeps both for later work.
    fn give_back(&self, source: Session, target: Session) {
        self.postgres.give_back(source);
        self.postgres.give_back(target);
    }
}

/// Performs one of these words once.
pub async fn perform(
    logical: &Logical<'_>,
    action: &Action,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    match action.word.as_str() {
        LogicalCarries::WORD => carries::perform(logical, &LogicalCarries::of(action)?).await,
        LogicalPublish::WORD => publish::perform(logical, &LogicalPublish::of(action)?, ticket, ledger).await,
        LogicalSubscribe::WORD => subscribe::perform(logical, &LogicalSubscribe::of(action)?, ticket, ledger).await,
        LogicalProgress::WORD => progress::perform(logical, &LogicalProgress::of(action)?, ticket).await,
        LogicalBeat::WORD => beat::perform(logical, &LogicalBeat::of(action)?, ticket, ledger).await,
        LogicalArrived::WORD => beat::arrived(logical, &LogicalArrived::of(action)?, ticket).await,
        LogicalDrain::WORD => drain::perform(logical, &LogicalDrain::of(action)?, ticket, ledger).await,
        LogicalSequences::WORD => sequences::perform(logical, &LogicalSequences::of(action)?, ticket, ledger).await,
        LogicalWatch::WORD => watch::perform(logical, &LogicalWatch::of(action)?, ticket, ledger).await,
        LogicalGather::WORD => watch::gather(logical, &LogicalGather::of(action)?, ticket, ledger).await,
        LogicalChangedSince::WORD => watch::changed_since(logical, &LogicalChangedSince::of(action)?, ticket).await,
        LogicalCompare::WORD => compare::perform(logical, &LogicalCompare::of(action)?, ticket, ledger).await,
        LogicalCompareChanged::WORD => window::perform(logical, &LogicalCompareChanged::of(action)?, ticket).await,
        LogicalReverse::WORD => reverse::perform(logical, &LogicalReverse::of(action)?, ticket, ledger).await,
        LogicalRetire::WORD => reverse::retire(logical, &LogicalRetire::of(action)?, ticket, ledger).await,
        LogicalForward::WORD => reverse::forward(logical, &LogicalForward::of(action)?, ticket, ledger).await,
        LogicalStop::WORD => subscribe::stop(logical, &LogicalStop::of(action)?, ticket, ledger).await,
        LogicalRemove::WORD => remove::perform(logical, &LogicalRemove::of(action)?, ticket, ledger).await,
        LogicalSweep::WORD => sweep::perform(logical, &LogicalSweep::of(action)?, ticket, ledger).await,
        word => Err(super::no_such_word(word)),
    }
}

/// What became of an attempt, after ending what it left at work.
pub async fn resolve(
    logical: &Logical<'_>,
    action: &Action,
    ticket: &Ticket,
    doubt: &Doubt,
) -> Result<Resolution, Fault> {
    if let Some(holds) = &doubt.holds {
        let session = asking::reach(logical.postgres, holds).await?;
        backend::end_with(&session, holds, std::time::Duration::ZERO).await?;
    }
    if action.class == Recovery::Read || doubt.proof.is_none() {
        return Ok(Resolution::NotDone);
    }
    let found = match action.word.as_str() {
        LogicalPublish::WORD => publish::look(logical, &LogicalPublish::of(action)?, ticket).await?,
        LogicalSubscribe::WORD => subscribe::look(logical, &LogicalSubscribe::of(action)?, ticket).await?,
        LogicalWatch::WORD => watch::look(logical, &LogicalWatch::of(action)?, ticket).await?,
        _ => None,
    };
    Ok(found.map_or(Resolution::NotDone, |value| Resolution::Done(Done { value, rows: None })))
}

/// Reads what only reads; of a change says what would be made.
pub async fn preview(logical: &Logical<'_>, action: &Action) -> Result<Previewed, Fault> {
    let by_hand = by_hand(action).unwrap_or_default();
    let shown = Previewed { level: Level::Rendered, value: None, by_hand, notes: Vec::new() };
    if unknown::first_in(&action.request).is_some() {
        return Ok(shown);
    }
    match action.word.as_str() {
        LogicalCarries::WORD => {
            let done = carries::perform(logical, &LogicalCarries::of(action)?).await?;
            Ok(Previewed { level: Level::Read, value: Some(done.value), ..shown })
        }
        // Of another run, whose schema this one neither makes nor misses.
        LogicalProgress::WORD if LogicalProgress::of(action)?.schema.is_some() => {
            let ticket = super::Ticket::preview();
            let done = progress::perform(logical, &LogicalProgress::of(action)?, &ticket).await?;
            Ok(Previewed { level: Level::Read, value: Some(done.value), ..shown })
        }
        LogicalPublish::WORD => {
            let notes = publish::foresee(logical, &LogicalPublish::of(action)?).await?;
            Ok(Previewed { level: Level::Prepared, notes, ..shown })
        }
        _ => Ok(shown),
    }
}

/// The action as lines for a shell. Nothing is contacted.
pub fn by_hand(action: &Action) -> Result<Vec<String>, Fault> {
    use super::postgres::preview::url_variable;
    let psql = |target: &str, sql: &str| format!("psql \"${}\" -X -c \"{sql}\"", url_variable(target));
    Ok(match action.word.as_str() {
        LogicalPublish::WORD => {
            let source = LogicalPublish::of(action)?.source;
            vec![
                psql(&source, "create publication runsheet_XXXXXXXX for table …"),
                psql(&source, "select pg_create_logical_replication_slot('runsheet_XXXXXXXX', 'pgoutput')"),
            ]
        }
        LogicalSubscribe::WORD => {
            let request = LogicalSubscribe::of(action)?;
            let sql = format!(
                "create subscription runsheet_XXXXXXXX connection '…' publication runsheet_XXXXXXXX \
                 with (create_slot = false, copy_data = {})",
                request.copy
            );
            vec![psql(&request.target, &sql)]
        }
        LogicalStop::WORD => {
            vec![psql(&LogicalStop::of(action)?.target, "alter subscription runsheet_XXXXXXXX disable")]
        }
        LogicalRemove::WORD => {
            let request = LogicalRemove::of(action)?;
            vec![
                psql(&request.target, "alter subscription runsheet_XXXXXXXX disable"),
                psql(&request.target, "alter subscription runsheet_XXXXXXXX set (slot_name = none)"),
                psql(&request.target, "drop subscription runsheet_XXXXXXXX"),
                psql(&request.source, "select pg_drop_replication_slot('runsheet_XXXXXXXX')"),
                psql(&request.source, "drop publication runsheet_XXXXXXXX"),
            ]
        }
        _ => Vec::new(),
    })
}
