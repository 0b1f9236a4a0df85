//! `pg::scratch` and `pg::drop_scratch`: databases that a run makes for itself, and only those ever dropped.

use serde_json::json;

use super::connect::Session;
use super::made::{self, Found, PREFIX};
use super::stamp::Stamp;
use super::{Postgres, application_name, backend, preview, quote, resolve as asking, sweep};
use crate::effects::{Done, Doubt, Ledger, Resolution, Ticket};
use crate::model::Value;
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::copying::{PgDropScratch, PgScratch, PgSweep};
use crate::model::target;
use crate::model::unknown;

/// The words performed here.
pub const WORDS: [&str; 3] = [PgScratch::WORD, PgDropScratch::WORD, PgSweep::WORD];

/// Longest part of a run's id in a name, so that the whole stays below the 63 bytes of a name, its successor's mark included.
const LONGEST_ID: usize = 40;

/// Performs one of [`WORDS`] once.
///
/// Faults: `scratch.same-server`, `scratch.not-ours`, `scratch.exists`, `target.not-made`.
pub async fn perform(
    postgres: &Postgres,
    action: &Action,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    match action.word.as_str() {
        PgScratch::WORD => scratch(postgres, &PgScratch::of(action)?, ticket, ledger).await,
        PgDropScratch::WORD => drop_scratch(postgres, &PgDropScratch::of(action)?, ticket, ledger).await,
        _ => sweep::perform(postgres, &PgSweep::of(action)?, ticket, ledger).await,
    }
}

/// What became of an attempt. A database that was begun and not finished is removed.
pub async fn resolve(
    postgres: &Postgres,
    action: &Action,
    ticket: &Ticket,
    doubt: &Doubt,
) -> Result<Resolution, Fault> {
    let Some(holds) = &doubt.holds else { return Ok(Resolution::NotDone) };
    let session = asking::reach(postgres, holds).await?;
    backend::end_with(&session, holds, std::time::Duration::ZERO).await?;
    if action.word != PgScratch::WORD || doubt.proof.is_none() {
        return Ok(Resolution::NotDone);
    }
    let name = name(ticket);
    match made::find(&session, &name, PgScratch::WORD).await? {
        None => Ok(Resolution::NotDone),
        Some(Found { open: true, stamp: Some(stamp), .. }) if stamp.is_of(ticket) => {
            Ok(Resolution::Done(made_on(target::base(&session.target), &name)))
        }
        // The name was free when the intent was written, and nobody else can have come by it.
        Some(Found { open: false, .. }) => {
            made::drop(&session, &name, PgScratch::WORD).await?;
            Ok(Resolution::NotDone)
        }
        Some(_) => Ok(Resolution::Unknown(format!(
            "there is a database `{name}` on {}, and it does not carry this run's stamp",
            session.target
        ))),
    }
}

/// Looks whether the database could be made, or lists what would be dropped.
pub async fn preview(postgres: &Postgres, action: &Action) -> Result<Previewed, Fault> {
    let by_hand = by_hand(action)?;
    let mut shown = Previewed { level: Level::Rendered, value: None, by_hand, notes: Vec::new() };
    if unknown::first_in(&action.request).is_some() {
        return Ok(shown);
    }
    match action.word.as_str() {
        PgScratch::WORD => {
            let request = PgScratch::of(action)?;
            let session = postgres.session(&request.server, "runsheet preview").await?;
            session.require_writable()?;
            require_apart(postgres, &session, &request).await?;
            let may = "select rolsuper or rolcreatedb from pg_roles where rolname = current_user";
            let rows = session.ask(may, &[], PgScratch::WORD).await?;
            if !rows.first().map_or(Ok(true), |row| super::connect::column(row, 0))? {
                let message = format!("the role of target `{}` may not create databases", request.server);
                return Err(Fault::fatal("scratch.right", message).hinted("alter role … createdb"));
            }
            postgres.give_back(session);
            shown.level = Level::Prepared;
        }
        PgSweep::WORD => {
            shown.notes = sweep::foresee(postgres, &PgSweep::of(action)?).await?;
            shown.level = Level::Read;
        }
        _ => {}
    }
    Ok(shown)
}

/// The action as lines for a shell. Nothing is contacted.
pub fn by_hand(action: &Action) -> Result<Vec<String>, Fault> {
    let line = |server: &str, sql: &str| format!("psql \"${}\" -X -c '{sql}'", preview::url_variable(server));
    Ok(match action.word.as_str() {
        PgScratch::WORD => {
            let request = PgScratch::of(action)?;
            vec![line(&request.server, &format!("create database {PREFIX}RUN_XXXXXXXX template template0"))]
        }
        PgDropScratch::WORD => {
            let made = unknown::readable(&PgDropScratch::of(action)?.made);
            let (server, database) = target::made(&made).unwrap_or((&made, &made));
            vec![line(server, &format!("drop database {} with (force)", quote::name(database)))]
        }
        _ => Vec::new(),
    })
}

async fn scratch(
    postgres: &Postgres,
    request: &PgScratch,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let word = PgScratch::WORD;
    let stamp = Stamp { keep: request.keep, ..Stamp::new(&postgres.world, ticket)? };
    let session = postgres.session(&request.server, &application_name(ticket)).await?;
    session.require_writable()?;
    require_apart(postgres, &session, request).await?;
    let settings = match &request.like {
        None => None,
        Some(like) => {
            let like = postgres.session(like, &application_name(ticket)).await?;
            let found = made::find(&like, &like.moment.identity.database, word).await?;
            postgres.give_back(like);
            found.map(|found| found.settings)
        }
    };
    let name = name(ticket);
    let left = made::find(&session, &name, word).await?;
    // What an earlier attempt of this very action left is begun anew; a stranger's is not touched.
    if left.as_ref().is_some_and(|found| !found.stamp.as_ref().is_some_and(|stamp| stamp.is_of(ticket))) {
        let message = format!("there is a database `{name}` on {} that this run did not make", request.server);
        return Err(Fault::fatal("scratch.exists", message).hinted("look who made it, and drop it by hand"));
    }
    ledger.started(session.holds())?;
    ledger.intent(json!({ "database": name }))?;
    if left.is_some() {
        made::drop(&session, &name, word).await?;
    }
    made::create(&session, &name, settings.as_ref(), &stamp, word).await?;
    postgres.give_back(session);
    Ok(made_on(&request.server, &name))
}

fn made_on(server: &str, name: &str) -> Done {
    Done { value: Value::String(format!("{server}:{name}")), rows: None }
}

/// The name of what this action makes: known before it is made, and again after a crash.
fn name(ticket: &Ticket) -> String {
    let run = ticket.run_name();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    // The end of the id has its number.
    let id: String = run.chars().map(plain).collect();
    let id = &id[id.len().saturating_sub(LONGEST_ID)..];
    format!("{PREFIX}{id}_{}", ticket.unique())
}

/// Refuses a server that also has what is to be kept apart from it.
async fn require_apart(postgres: &Postgres, session: &Session, request: &PgScratch) -> Result<(), Fault> {
    if request.same_server {
        return Ok(());
    }
    for other in &request.apart {
        let found = postgres.identify(other).await?.identity;
        if found.same_server(&session.moment.identity) {
            return Err(Fault::fatal(
                "scratch.same-server",
                format!(
                    "`{}` and `{other}` are one server (system {}, at {} and {})",
                    request.server, found.system, session.moment.identity.address, found.address
                ),
            )
            .hinted(format!(
                "a copy there takes disk, memory and locks from `{other}`; point `{}` at another server, or allow it: \
                 same_server=true on the restore drill's command line, #{{ same_server: true }} in a runbook",
                request.server
            )));
        }
    }
    Ok(())
}

async fn drop_scratch(
    postgres: &Postgres,
    request: &PgDropScratch,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let word = PgDropScratch::WORD;
    let (server, name) = parts(&request.made)?;
    let session = postgres.session(server, &application_name(ticket)).await?;
    session.require_writable()?;
    let found = made::find_either(&session, name, word).await?;
    if let Some(found) = &found {
        require_ours(found, ticket)?;
    }
    ledger.started(session.holds())?;
    ledger.intent(json!({ "database": name }))?;
    postgres.close_idle(&request.made);
    if found.is_some() {
        made::drop(&session, name, word).await?;
    }
    postgres.give_back(session);
    Ok(Done { value: json!({ "dropped": found.is_some() }), rows: None })
}

/// Server and database of what `pg::scratch` answered.
pub fn parts(made: &str) -> Result<(&str, &str), Fault> {
    target::made(made).ok_or_else(|| {
        Fault::fatal("target.not-made", format!("`{made}` is not a database that a run made"))
            .hinted("give what pg::scratch answered; nothing that is configured is ever emptied or dropped")
    })
}

/// Refuses a database that the run of this action did not make.
pub fn require_ours(found: &Found, ticket: &Ticket) -> Result<(), Fault> {
    let why = match &found.stamp {
        Some(stamp) if stamp.is_of(ticket) => return Ok(()),
        Some(stamp) => format!("`{}` was made by {stamp}, not by this run", found.name),
        None => format!("`{}` carries no stamp: no run made it", found.name),
    };
    Err(Fault::fatal("scratch.not-ours", why)
        .hinted("a run empties and drops only what it made itself; pg::sweep drops what finished runs left behind"))
}
