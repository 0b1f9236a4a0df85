//! Proving that one database equals another, or is sound in itself: `pg::measure`, `check::same_rows` and its family.
//!
//! These read a lot and change nothing, so that a preview only says what they would do.

mod amcheck;
mod findings;
mod objects;
mod rows;
mod sequences;

use std::path::PathBuf;

use serde::Serialize;

use super::Postgres;
use super::measure::{self, How, file};
use crate::effects::{Done, Ticket};
use crate::model::action::Action;
use crate::model::digest;
use crate::model::fault::Fault;
use crate::model::measured::Measured;
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::proving::{Amcheck, Measure, SameObjects, SameRows, SequencesAhead, Side};
use crate::model::scan;

/// The words performed here. After a crash each is simply performed again.
pub const WORDS: [&str; 5] = [Measure::WORD, SameRows::WORD, SameObjects::WORD, SequencesAhead::WORD, Amcheck::WORD];

/// Performs one of [`WORDS`].
pub async fn perform(postgres: &Postgres, action: &Action, ticket: &Ticket) -> Result<Done, Fault> {
    let Done { value, rows } = prove(postgres, action, ticket).await?;
    // Names and definitions are text from outside.
    scan::refuse_handles_in(&value, "a name or a definition in the database")?;
    Ok(Done { value: postgres.world.vault.redact_value(value), rows })
}

async fn prove(postgres: &Postgres, action: &Action, ticket: &Ticket) -> Result<Done, Fault> {
    match action.word.as_str() {
        Measure::WORD => take(postgres, &Measure::of(action)?, ticket).await,
        SameRows::WORD => {
            let request = SameRows::of(action)?;
            let how = How { contents: request.contents, connections: request.connections };
            done(&match sides(postgres, &request.left, &request.right, Some(&how)).await? {
                Sides::Both(left, right) => {
                    let later = match &request.after {
                        None => None,
                        Some(after) => Some(side(postgres, after, Some(&how)).await?),
                    };
                    rows::compare(&request, &left, &right, later.as_ref())
                }
                Sides::Missing(why) => findings::nothing(&request.left, &request.right, &why),
            })
        }
        SameObjects::WORD => {
            let request = SameObjects::of(action)?;
            done(&match sides(postgres, &request.left, &request.right, None).await? {
                Sides::Both(left, right) => objects::compare(&request, &left, &right),
                Sides::Missing(why) => findings::nothing(&request.left, &request.right, &why),
            })
        }
        SequencesAhead::WORD => done(&sequences::ahead(postgres, &SequencesAhead::of(action)?).await?),
        _ => done(&amcheck::check(postgres, &Amcheck::of(action)?).await?),
    }
}

/// Says what one of [`WORDS`] would do. Nothing is contacted.
pub fn preview(action: &Action) -> Result<Previewed, Fault> {
    let rows = |contents: bool| if contents { "counts every table and hashes every row" } else { "counts every table" };
    let note = match action.word.as_str() {
        Measure::WORD => format!("{} at one snapshot", rows(Measure::of(action)?.contents)),
        SameRows::WORD => format!("{} of both sides", rows(SameRows::of(action)?.contents)),
        SameObjects::WORD => "reads the catalogs of both sides".to_owned(),
        SequencesAhead::WORD => "reads every sequence and the greatest value of its columns".to_owned(),
        _ => "reads every page of every table and B-tree index".to_owned(),
    };
    Ok(Previewed { level: Level::Rendered, value: None, by_hand: Vec::new(), notes: vec![note] })
}

/// What `pg::measure` answers, short enough for a journal.
#[derive(Serialize)]
struct Taken {
    measured: PathBuf,
    digest: String,
    tables: u64,
    rows: u64,
    at: String,
    database: String,
}

async fn take(postgres: &Postgres, request: &Measure, ticket: &Ticket) -> Result<Done, Fault> {
    let how = How { contents: request.contents, connections: request.connections };
    let measured = measure::measure(postgres, &request.target, &how).await?;
    let path = postgres.world.state.join("measured").join(file_name(ticket));
    let digest = file::write(&path, &measured)?;
    done(&Taken {
        measured: path,
        digest,
        tables: measured.tables.len() as u64,
        rows: measured.rows(),
        at: measured.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        database: measured.database,
    })
}

/// A file of its own for each attempt of each action; names of lanes may be anything.
fn file_name(ticket: &Ticket) -> String {
    let run = ticket.run_name();
    let key = ticket.key.to_string();
    let shown: String = key.chars().take(60).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{run}-{shown}-a{}-{}.json", ticket.attempt, &digest::of_bytes(key.as_bytes())[..8])
}

fn done(answer: &impl Serialize) -> Result<Done, Fault> {
    let value = serde_json::to_value(answer)
        .map_err(|error| Fault::fatal("result.shape", format!("the answer cannot be recorded: {error}")))?;
    Ok(Done { value, rows: None })
}

/// Both sides of a comparison, as far as there is something to compare.
enum Sides {
    Both(Box<Measured>, Box<Measured>),
    Missing(String),
}

/// Both sides, measured at the same time where they are targets; without `how`, everything but rows.
async fn sides(postgres: &Postgres, left: &Side, right: &Side, how: Option<&How>) -> Result<Sides, Fault> {
    for side in [left, right] {
        if let Side::Nothing(why) = side {
            return Ok(Sides::Missing(why.clone()));
        }
    }
    if let (Side::Target(left), Side::Target(right)) = (left, right) {
        let (one, other) = tokio::try_join!(postgres.identify(left), postgres.identify(right))?;
        // A physical copy has the same identity, but was not started at the same microsecond.
        if one.identity.same_database(&other.identity) && one.started == other.started {
            return Err(Fault::fatal(
                "check.same-database",
                format!(
                    "`{left}` and `{right}` are one and the same database: comparing it with itself proves nothing"
                ),
            )
            .hinted("compare with a copy, or with what pg::measure took of it earlier"));
        }
    }
    let (left, right) = tokio::try_join!(side(postgres, left, how), side(postgres, right, how))?;
    Ok(Sides::Both(Box::new(left), Box::new(right)))
}

async fn side(postgres: &Postgres, side: &Side, how: Option<&How>) -> Result<Measured, Fault> {
    match side {
        Side::Target(name) => match how {
            Some(how) => measure::measure(postgres, name, how).await,
            None => measure::without_rows(postgres, name).await,
        },
        Side::File { path, digest } => file::read(path, digest),
        Side::Nothing(why) => Err(Fault::fatal("check.side", why.clone())),
    }
}

/// What a side is called.
fn label(side: &Side, measured: &Measured) -> String {
    match side {
        Side::Target(name) => name.clone(),
        _ => format!("{} as of {}", measured.database, measured.at.format("%Y-%m-%d %H:%M:%S UTC")),
    }
}
