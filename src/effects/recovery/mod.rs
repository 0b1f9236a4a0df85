//! Earlier moments of a database, beside it: throw-away servers recovered from a base backup and archived WAL, and rows
//! taken from there.
//!
//! A server that was made lives on when the engine dies; the book in [`place`] names it before anything of it is there, so
//! that it is found again and ended, whatever is killed when.

mod base;
mod copy;
mod known;
mod label;
pub mod place;
mod recover;
mod rows;
mod server;
mod staging;
mod window;

pub use known::Reach;

use super::postgres::Postgres;
use super::{Done, Doubt, Ledger, Resolution, Ticket, World};
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::recovery::{
    PgCopyRows, PgDropRecovered, PgDropStaging, PgRecover, PgRecoveryWindow, PgStaging, PgSweepRecovered,
};
use crate::model::unknown;

/// The words performed here.
pub const WORDS: [&str; 7] = [
    PgRecoveryWindow::WORD,
    PgRecover::WORD,
    PgDropRecovered::WORD,
    PgSweepRecovered::WORD,
    PgStaging::WORD,
    PgDropStaging::WORD,
    PgCopyRows::WORD,
];

/// What recovering needs.
pub struct Recovering<'a> {
    /// The surroundings.
    pub world: &'a World,
    /// The targets.
    pub postgres: &'a Postgres,
    /// How far archives are known to be complete.
    pub reach: &'a Reach,
}

/// Performs one of [`WORDS`] once.
pub async fn perform(
    recovering: &Recovering<'_>,
    action: &Action,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    match action.word.as_str() {
        PgRecoveryWindow::WORD => window::perform(recovering, &PgRecoveryWindow::of(action)?).await,
        PgRecover::WORD => recover::perform(recovering, &PgRecover::of(action)?, ticket, ledger).await,
        PgDropRecovered::WORD => place::drop(recovering, &PgDropRecovered::of(action)?, ticket, ledger).await,
        PgSweepRecovered::WORD => place::sweep(recovering, &PgSweepRecovered::of(action)?, ticket, ledger).await,
        PgStaging::WORD => staging::perform(recovering, &PgStaging::of(action)?, ticket, ledger).await,
        PgDropStaging::WORD => staging::drop(recovering, &PgDropStaging::of(action)?, ticket, ledger).await,
        _ => rows::perform(recovering, &PgCopyRows::of(action)?, ticket, ledger).await,
    }
}

/// What became of an attempt, after ending what it left at work.
pub async fn resolve(
    recovering: &Recovering<'_>,
    action: &Action,
    ticket: &Ticket,
    doubt: &Doubt,
) -> Result<Resolution, Fault> {
    match action.word.as_str() {
        PgRecover::WORD => recover::resolve(recovering, ticket).await,
        PgStaging::WORD | PgDropStaging::WORD | PgCopyRows::WORD => {
            staging::resolve(recovering, action, ticket, doubt).await
        }
        _ => Ok(Resolution::NotDone),
    }
}

/// Looks at what can be looked at without recovering anything.
pub async fn preview(recovering: &Recovering<'_>, action: &Action) -> Result<Previewed, Fault> {
    let by_hand = by_hand(action).unwrap_or_default();
    let mut shown = Previewed { level: Level::Rendered, value: None, by_hand, notes: Vec::new() };
    if unknown::first_in(&action.request).is_some() {
        return Ok(shown);
    }
    match action.word.as_str() {
        PgRecoveryWindow::WORD => {
            let done = window::perform(recovering, &PgRecoveryWindow::of(action)?).await?;
            shown = Previewed { level: Level::Read, value: Some(done.value), ..shown };
        }
        PgRecover::WORD => {
            shown.notes = known::foresee(recovering, &PgRecover::of(action)?).await?;
            shown.level = Level::Prepared;
        }
        PgSweepRecovered::WORD => {
            shown.notes = place::foresee(recovering.world, &PgSweepRecovered::of(action)?)?;
            shown.level = Level::Read;
        }
        _ => {}
    }
    Ok(shown)
}

/// The action as lines for a shell. Nothing is contacted.
pub fn by_hand(action: &Action) -> Result<Vec<String>, Fault> {
    use super::postgres::preview::url_variable;
    Ok(match action.word.as_str() {
        PgRecover::WORD => {
            let request = PgRecover::of(action)?;
            vec![
                format!(
                    "cp -a BASE COPY && touch COPY/recovery.signal  # BASE: `base` of [targets.{}.recovery]",
                    request.target
                ),
                format!("postgres -D COPY -c recovery_target_action=pause …  # recovered to {}", request.moment),
            ]
        }
        PgStaging::WORD => {
            let request = PgStaging::of(action)?;
            vec![format!("psql \"${}\" -X -c 'create schema runsheet_XXXXXXXX'", url_variable(&request.target))]
        }
        PgCopyRows::WORD => {
            let request = PgCopyRows::of(action)?;
            let (from, to) = (url_variable(&request.from), url_variable(&request.to));
            vec![format!(
                "psql \"${from}\" -X -c '\\copy (select … from {}.{}) to stdout' | psql \"${to}\" -X -c '\\copy … from stdin'",
                unknown::readable(&request.schema),
                unknown::readable(&request.table)
            )]
        }
        _ => Vec::new(),
    })
}
