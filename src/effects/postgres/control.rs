//! The one schema in which a run keeps what it makes inside a database: `pg::control`, `pg::release`, `pg::drop_control`.
//!
//! Its name follows from the run alone, so that it is the same on source and target and is known again after a crash; its
//! comment is the run's stamp. A database that held nothing else when the schema was made is *claimed*: the stamp says so,
//! and as long as it does the run may fill the database and empty it again. That ends with `pg::release`.

use serde_json::json;
use tokio_postgres::types::Type;

use super::connect::{Session, column};
use super::inside;
use super::made::PREFIX;
use super::stamp::Stamp;
use super::{Postgres, application_name, backend, preview as hand, quote, resolve as asking};
use crate::effects::{Done, Doubt, Ledger, Origin, Resolution, Ticket};
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::control::{PgControl, PgDropControl, PgRelease};
use crate::model::unknown;

/// The words performed here. Each is done again as a whole: what is there already is found by its stamp.
pub const WORDS: [&str; 3] = [PgControl::WORD, PgRelease::WORD, PgDropControl::WORD];

/// Hexadecimal digits of a run's stamp that are in the name.
const DIGITS: usize = 8;

/// What messages call a look at a schema's stamp.
const LOOKING: &str = "looking for the run's schema";

/// The name of a run's schema, and of whatever else it makes on a server.
pub fn name(origin: &Origin) -> String {
    format!("{PREFIX}{}", &origin.stamp[..origin.stamp.len().min(DIGITS)])
}

/// Refuses a database in which the run of this action has not made its schema; answers the schema's name.
///
/// Faults: `control.none`, `control.not-ours`.
pub async fn require_ours(session: &Session, ticket: &Ticket) -> Result<String, Fault> {
    own(session, ticket).await.map(|_| name(&ticket.origin))
}

/// Refuses a database whose contents are not this run's; answers the stamp that says they are.
///
/// Faults: those of [`require_ours`], `control.not-claimed`.
pub async fn require_claimed(session: &Session, ticket: &Ticket) -> Result<Stamp, Fault> {
    let stamp = own(session, ticket).await?;
    if stamp.empty {
        return Ok(stamp);
    }
    let message = format!("what is in `{}` is not this run's to fill or to empty", session.target);
    Err(Fault::fatal("control.not-claimed", message).hinted(
        "a run fills and empties a configured database only where its own pg::control(…, #{ empty: true }) found it \
         empty, and only until pg::release",
    ))
}

/// What stays when a claimed database is emptied.
pub fn apart(stamp: &Stamp, schema: &str) -> Vec<String> {
    stamp.kept.iter().cloned().chain([schema.to_owned()]).collect()
}

async fn own(session: &Session, ticket: &Ticket) -> Result<Stamp, Fault> {
    let schema = name(&ticket.origin);
    match stamp_of(session, &schema).await? {
        Some(Some(stamp)) if stamp.is_of(ticket) => Ok(stamp),
        Some(found) => Err(not_ours(session, &schema, found.as_ref())),
        None => Err(Fault::fatal("control.none", format!("`{}` has no schema `{schema}` of this run", session.target))
            .hinted("pg::control makes it")),
    }
}

fn not_ours(session: &Session, schema: &str, found: Option<&Stamp>) -> Fault {
    let whose = found.map_or_else(|| "it carries no stamp".to_owned(), |stamp| format!("it was made by {stamp}"));
    let message = format!("there is a schema `{schema}` on {} that this run did not make: {whose}", session.target);
    Fault::fatal("control.not-ours", message).hinted("look who made it, and drop it by hand")
}

/// The stamp of a schema, if there is one of that name.
async fn stamp_of(session: &Session, schema: &str) -> Result<Option<Option<Stamp>>, Fault> {
    let ask = "select obj_description(oid, 'pg_namespace') from pg_catalog.pg_namespace where nspname = $1";
    let rows = session.ask(ask, &[(&schema, Type::TEXT)], LOOKING).await?;
    rows.first().map(|row| Ok(Stamp::read(column(row, 0)?))).transpose()
}

/// Performs one of [`WORDS`] once.
///
/// Faults: `control.not-ours`, `control.not-empty`, `control.not-claimed`, `control.unfinished`, `control.replicated`,
/// `control.left`.
pub async fn perform(
    postgres: &Postgres,
    action: &Action,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    match action.word.as_str() {
        PgControl::WORD => make(postgres, &PgControl::of(action)?, ticket, ledger).await,
        PgRelease::WORD => release(postgres, &PgRelease::of(action)?, ticket, ledger).await,
        _ => drop(postgres, &PgDropControl::of(action)?, ticket, ledger).await,
    }
}

/// Ends what an attempt left at work; the word is then simply performed again.
pub async fn resolve(postgres: &Postgres, doubt: &Doubt) -> Result<Resolution, Fault> {
    if let Some(holds) = &doubt.holds {
        let session = asking::reach(postgres, holds).await?;
        backend::end_with(&session, holds, std::time::Duration::ZERO).await?;
    }
    Ok(Resolution::NotDone)
}

/// Looks whether the database is what the word needs.
pub async fn preview(postgres: &Postgres, action: &Action) -> Result<Previewed, Fault> {
    let mut shown = Previewed { level: Level::Rendered, value: None, by_hand: by_hand(action)?, notes: Vec::new() };
    if action.word == PgControl::WORD && unknown::first_in(&action.request).is_none() {
        let request = PgControl::of(action)?;
        let session = postgres.session(&request.target, "runsheet preview").await?;
        session.require_writable()?;
        if request.empty {
            let kept = require_empty(&session, &request, "").await?;
            shown.notes.push(format!("`{}` is empty: what comes into it will be the run's", request.target));
            if !kept.is_empty() {
                shown.notes.push(format!("what is there and stays: {}", kept.join(", ")));
            }
        }
        postgres.give_back(session);
        shown.level = Level::Prepared;
    }
    Ok(shown)
}

/// The action as lines for a shell. Nothing is contacted.
pub fn by_hand(action: &Action) -> Result<Vec<String>, Fault> {
    let line = |target: &str, sql: &str| format!("psql \"${}\" -X -c '{sql}'", hand::url_variable(target));
    Ok(match action.word.as_str() {
        PgControl::WORD => vec![line(&PgControl::of(action)?.target, &format!("create schema {PREFIX}XXXXXXXX"))],
        PgDropControl::WORD => {
            vec![line(&PgDropControl::of(action)?.target, &format!("drop schema {PREFIX}XXXXXXXX cascade"))]
        }
        _ => Vec::new(),
    })
}

async fn make(postgres: &Postgres, request: &PgControl, ticket: &Ticket, ledger: &dyn Ledger) -> Result<Done, Fault> {
    let word = PgControl::WORD;
    let mut stamp = Stamp { control: true, empty: request.empty, ..Stamp::new(&postgres.world, ticket)? };
    let session = postgres.session(&request.target, &application_name(ticket)).await?;
    session.require_writable()?;
    let schema = name(&ticket.origin);
    let done = |stamp: &Stamp| Done {
        value: json!({ "schema": schema, "empty": stamp.empty, "kept": stamp.kept }),
        rows: None,
    };
    let create = match stamp_of(&session, &schema).await? {
        // Made by an earlier attempt, or asked for twice.
        Some(Some(there)) if there.is_of(ticket) && (there.empty || !request.empty) => {
            ledger.intent(json!({ "schema": schema }))?;
            postgres.give_back(session);
            return Ok(done(&there));
        }
        Some(Some(there)) if there.is_of(ticket) => String::new(),
        Some(there) => return Err(not_ours(&session, &schema, there.as_ref())),
        None => format!("CREATE SCHEMA {}; ", quote::name(&schema)),
    };
    if request.empty {
        stamp.kept = require_empty(&session, request, &schema).await?;
    }
    ledger.started(session.holds())?;
    ledger.intent(json!({ "schema": schema }))?;
    let mut mark = comment(&schema, &stamp);
    if let Some(made) = session.made.as_ref().filter(|made| made.is_of(ticket)) {
        // So that it is known from outside that there is something in it to be kept.
        let made = Stamp { control: true, ..made.clone() };
        let database = quote::name(&session.moment.identity.database);
        mark.push_str(&format!("; COMMENT ON DATABASE {database} IS {}", quote::literal(&made.text())));
    }
    session.batch(&format!("BEGIN READ WRITE; {create}{mark}; COMMIT"), word).await.map_err(|fault| {
        match fault.code.as_str() {
            "sql.42501" => fault.hinted("the role needs CREATE on the database: grant create on database … to it"),
            _ => fault,
        }
    })?;
    postgres.give_back(session);
    Ok(done(&stamp))
}

/// Refuses a database that holds something; answers what is there all the same and stays.
async fn require_empty(session: &Session, request: &PgControl, schema: &str) -> Result<Vec<String>, Fault> {
    let word = PgControl::WORD;
    let mut kept = inside::provided(session, word).await?;
    kept.extend(request.accept.iter().filter(|name| !kept.contains(name)).cloned().collect::<Vec<_>>());
    let mut apart = kept.clone();
    apart.push(schema.to_owned());
    let found = inside::list(session, &apart, word).await?;
    if found.is_empty() {
        return Ok(kept);
    }
    let message = format!("`{}` is not empty: there is {}", request.target, inside::told(&found));
    Err(Fault::fatal("control.not-empty", message).hinted(
        "nothing that is there is ever overwritten: give an empty database, or name what the provider put there: \
         #{ accept: [\"name of the extension or schema\"] }",
    ))
}

fn comment(schema: &str, stamp: &Stamp) -> String {
    format!("COMMENT ON SCHEMA {} IS {}", quote::name(schema), quote::literal(&stamp.text()))
}

async fn release(
    postgres: &Postgres,
    request: &PgRelease,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let session = postgres.session(&request.target, &application_name(ticket)).await?;
    session.require_writable()?;
    let mut stamp = own(&session, ticket).await?;
    let released = std::mem::take(&mut stamp.empty);
    ledger.started(session.holds())?;
    ledger.intent(json!({ "schema": name(&ticket.origin) }))?;
    if released {
        let mark = comment(&name(&ticket.origin), &stamp);
        session.batch(&format!("BEGIN READ WRITE; {mark}; COMMIT"), PgRelease::WORD).await?;
    }
    postgres.give_back(session);
    Ok(Done { value: json!({ "released": released }), rows: None })
}

async fn drop(
    postgres: &Postgres,
    request: &PgDropControl,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let word = PgDropControl::WORD;
    let session = postgres.session(&request.target, &application_name(ticket)).await?;
    session.require_writable()?;
    let found: Vec<(String, Stamp)> = match &request.run {
        Some(run) => of_finished(postgres, &session, run).await?,
        None => match stamp_of(&session, &name(&ticket.origin)).await? {
            None => Vec::new(),
            Some(_) => vec![(name(&ticket.origin), own(&session, ticket).await?)],
        },
    };
    ledger.started(session.holds())?;
    ledger.intent(json!({ "schemas": found.iter().map(|(schema, _)| schema).collect::<Vec<_>>() }))?;
    let mut objects = 0;
    for (schema, stamp) in &found {
        // What was there before, or is used by others since, is not the run's to drop.
        if request.contents && stamp.empty {
            objects += inside::empty(&session, &apart(stamp, schema), word).await?;
        }
        // Last: as long as it is there, what is cut off is taken up again. A side that was left is read-only by default.
        let gone = format!("BEGIN READ WRITE; DROP SCHEMA IF EXISTS {} CASCADE; COMMIT", quote::name(schema));
        session.batch(&gone, word).await?;
    }
    postgres.give_back(session);
    Ok(Done { value: json!({ "dropped": !found.is_empty(), "objects": objects }), rows: None })
}

/// The schemas of another run of this project, which must be over.
pub async fn of_finished(postgres: &Postgres, session: &Session, run: &str) -> Result<Vec<(String, Stamp)>, Fault> {
    let listed = "select nspname::text, obj_description(oid, 'pg_namespace') from pg_catalog.pg_namespace
                   where starts_with(nspname, $1) order by 1";
    let mut found = Vec::new();
    for row in session.ask(listed, &[(&PREFIX, Type::TEXT)], LOOKING).await? {
        let Some(stamp) = Stamp::read(column(&row, 1)?).filter(|stamp| stamp.control && stamp.run == run) else {
            continue;
        };
        if let Some(why) = stamp.held(&*postgres.world.past) {
            let message = format!("the schema of run `{run}` on {} is still needed: {why}", session.target);
            return Err(Fault::fatal("control.unfinished", message).hinted("finish or abandon that run first"));
        }
        found.push((column(&row, 0)?, stamp));
    }
    Ok(found)
}
