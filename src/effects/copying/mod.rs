//! Copies of whole databases by PostgreSQL's own programs: dumps, what others dumped, and restores.
//!
//! The programs run under the supervisor of all children; what a dump is made of lies in a folder of its attempt, so that
//! an attempt that was cut off is never mistaken for a finished one.

mod analyze;
mod artefact;
mod compression;
mod destination;
mod dump;
mod elsewhere;
mod fill;
mod folder;
mod judge;
mod listing;
mod progress;
mod restore;
mod sabotage;
mod schema;
mod tools;

use super::postgres::Postgres;
use super::{Done, Doubt, Ledger, Resolution, Ticket, World};
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::copying::{PgAnalyze, PgArtefact, PgCopySchema, PgDropDump, PgDump, PgRestore, PgSabotage};
use crate::model::unknown;

/// The words performed here.
pub const WORDS: [&str; 7] = [
    PgDump::WORD,
    PgRestore::WORD,
    PgArtefact::WORD,
    PgSabotage::WORD,
    PgDropDump::WORD,
    PgCopySchema::WORD,
    PgAnalyze::WORD,
];

/// What every copy needs.
pub struct Copying<'a> {
    /// The surroundings.
    pub world: &'a World,
    /// The targets.
    pub postgres: &'a Postgres,
}

/// Performs one of [`WORDS`] once.
pub async fn perform(
    copying: &Copying<'_>,
    action: &Action,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    match action.word.as_str() {
        PgDump::WORD => dump::perform(copying, &PgDump::of(action)?, ticket, ledger).await,
        PgRestore::WORD => restore::perform(copying, &PgRestore::of(action)?, ticket, ledger).await,
        PgCopySchema::WORD => schema::perform(copying, &PgCopySchema::of(action)?, ticket, ledger).await,
        PgAnalyze::WORD => analyze::perform(copying, &PgAnalyze::of(action)?, ticket, ledger).await,
        PgArtefact::WORD => artefact::perform(copying, &PgArtefact::of(action)?).await,
        PgSabotage::WORD => sabotage::perform(copying, &PgSabotage::of(action)?, ticket, ledger).await,
        _ => folder::perform(copying, &PgDropDump::of(action)?, ticket, ledger),
    }
}

/// Ends what is left of an attempt and removes what it wrote. All of these words are done again as a whole.
pub async fn resolve(
    copying: &Copying<'_>,
    action: &Action,
    ticket: &Ticket,
    doubt: &Doubt,
) -> Result<Resolution, Fault> {
    if let Some(holds) = doubt.holds.as_ref().filter(|holds| holds.get("process").is_some()) {
        tools::end(copying, holds).await?;
    }
    if [PgDump::WORD, PgSabotage::WORD, PgCopySchema::WORD].contains(&action.word.as_str()) {
        folder::clear(copying.world, ticket)?;
    }
    Ok(Resolution::NotDone)
}

/// Looks at what can be looked at without copying anything.
pub async fn preview(copying: &Copying<'_>, action: &Action) -> Result<Previewed, Fault> {
    let mut shown = Previewed {
        level: Level::Rendered,
        value: None,
        by_hand: by_hand(action).unwrap_or_default(),
        notes: Vec::new(),
    };
    if unknown::first_in(&action.request).is_some() {
        return Ok(shown);
    }
    match action.word.as_str() {
        PgDump::WORD => {
            shown.notes = dump::foresee(copying, &PgDump::of(action)?).await?;
            shown.level = Level::Prepared;
        }
        PgArtefact::WORD => {
            let (value, notes) = artefact::foresee(copying, &PgArtefact::of(action)?).await?;
            shown = Previewed { level: Level::Read, value, notes, ..shown };
        }
        _ => {}
    }
    Ok(shown)
}

/// The action as lines for a shell. Nothing is contacted.
pub fn by_hand(action: &Action) -> Result<Vec<String>, Fault> {
    use super::postgres::preview::url_variable;
    let quoted = |text: &str| {
        let text = unknown::readable(text);
        shlex::try_quote(&text).map(std::borrow::Cow::into_owned).unwrap_or_default()
    };
    Ok(match action.word.as_str() {
        PgDump::WORD => {
            let request = PgDump::of(action)?;
            let line = format!("pg_dump -Fd -j{} {} -f DUMP/data", request.jobs, dump::PLAIN.join(" "));
            vec![format!("{line} \"${}\"", url_variable(&request.target))]
        }
        PgRestore::WORD => {
            let request = PgRestore::of(action)?;
            let url = url_variable(&request.database);
            let line = format!("pg_restore -j{} {}", request.jobs, fill::PLAIN.join(" "));
            vec![format!("{line} -d \"${url}\" {}", quoted(&request.archive))]
        }
        PgCopySchema::WORD => {
            let request = PgCopySchema::of(action)?;
            let (from, to) = (url_variable(&request.source), url_variable(&request.target));
            vec![
                format!("pg_dump -Fc --schema-only {} -f SCHEMA \"${from}\"", dump::PLAIN.join(" ")),
                format!("pg_restore -j{} {} -d \"${to}\" SCHEMA", request.jobs, fill::PLAIN.join(" ")),
            ]
        }
        PgAnalyze::WORD => {
            let request = PgAnalyze::of(action)?;
            vec![format!("vacuumdb --analyze-only -j{} \"${}\"", request.jobs, url_variable(&request.target))]
        }
        PgArtefact::WORD => vec![format!("pg_restore --list {}", quoted(&PgArtefact::of(action)?.path))],
        PgDropDump::WORD => vec![format!("rm -r {}", quoted(&PgDropDump::of(action)?.path))],
        _ => Vec::new(),
    })
}
