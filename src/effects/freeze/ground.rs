//! What a freeze needs inside the database, and how it is asked. Every step is one transaction sent as one message, so that
//! a process that stops in the middle leaves no lock behind.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::effects::Ticket;
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::faults::{self, Stage};
use crate::effects::postgres::made::PREFIX;
use crate::effects::postgres::stamp::Stamp;
use crate::effects::postgres::{control, quote};
use crate::model::Value;
use crate::model::fault::{Fault, FaultClass};

const SQL: &str = include_str!("ground.sql");

/// The table and the functions, as statements for the control schema.
pub fn sql(schema: &str) -> String {
    SQL.replace("CONTROL", &quote::name(schema))
}

/// The control schema that a word means: the one it names, or the run's own.
pub async fn schema(session: &Session, given: Option<&str>, ticket: &Ticket) -> Result<String, Fault> {
    let Some(given) = given else { return control::require_ours(session, ticket).await };
    let ask = "select obj_description(oid, 'pg_namespace') from pg_catalog.pg_namespace where nspname = $1";
    let rows = session.ask(ask, &[(&given, Type::TEXT)], "freeze").await?;
    let stamp = rows.first().map(|row| column(row, 0)).transpose()?.and_then(|comment| Stamp::read(comment));
    if given.starts_with(PREFIX) && stamp.is_some_and(|stamp| stamp.control) {
        return Ok(given.to_owned());
    }
    Err(Fault::fatal("freeze.schema", format!("`{given}` on {} is no run's control schema", session.target))
        .hinted("give what pg::control answered as `schema`"))
}

/// Calls one of the functions in a transaction of its own. `None` when it answered nothing.
pub async fn call(client: &Client, schema: &str, call: &str) -> Result<Option<Value>, tokio_postgres::Error> {
    // Explicitly: the very default that is set here, and any other, must not stand in its way.
    let text = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = on; SET LOCAL TimeZone = 'UTC'; SELECT {}.{call}; COMMIT",
        quote::name(schema)
    );
    single(client, &text).await
}

/// The first value that a text of statements answers, as JSON.
pub async fn single(client: &Client, text: &str) -> Result<Option<Value>, tokio_postgres::Error> {
    let answered = client.simple_query(text).await?;
    Ok(answered.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            row.get(0).map(|cell| serde_json::from_str(cell).unwrap_or_else(|_| cell.into()))
        }
        _ => None,
    }))
}

/// The same for a session of the engine. A session on which it failed is not to be used again.
pub async fn ask(session: &Session, schema: &str, asked: &str, stage: Stage, word: &str) -> Result<Value, Fault> {
    match call(&session.client, schema, asked).await {
        Ok(answer) => Ok(answer.unwrap_or_default()),
        Err(error) => Err(faults::of(&error, stage, &session.what(word))),
    }
}

/// The newest row, if there ever was a freeze.
pub async fn newest(client: &Client, schema: &str) -> Result<Option<Value>, tokio_postgres::Error> {
    let schema_text = quote::literal(&format!("{}.freeze", quote::name(schema)));
    if single(client, &format!("SELECT to_regclass({schema_text}) IS NOT NULL")).await? != Some("t".into()) {
        return Ok(None);
    }
    let text = format!(
        "SET TimeZone = 'UTC'; SELECT to_jsonb(f) || jsonb_build_object('left', extract(epoch from deadline - clock_timestamp()))
           FROM {}.freeze f ORDER BY guarded_at DESC LIMIT 1",
        quote::name(schema)
    );
    single(client, &text).await
}

/// The newest row for a word of the engine.
pub async fn row(session: &Session, schema: &str, word: &str) -> Result<Option<Value>, Fault> {
    newest(&session.client, schema).await.map_err(|error| faults::of(&error, Stage::Harmless, &session.what(word)))
}

/// The newest row, or that there is none.
pub async fn require_row(session: &Session, schema: &str, word: &str) -> Result<Value, Fault> {
    row(session, schema, word).await?.ok_or_else(|| {
        Fault::fatal("freeze.none", format!("{}: nothing was ever frozen there by this run", session.what(word)))
            .hinted("freeze::guard begins a freeze; a freeze of another run is named by `schema`")
    })
}

/// A text of a row.
pub fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}

/// What a check of the server found broken, as a fault.
pub fn broken(found: &Value, target: &str) -> Fault {
    let names = || {
        let names = found["names"].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.collect::<Vec<_>>().join(", ")
    };
    match text(found, "reason") {
        "prepared" => Fault::fatal(
            "freeze.prepared",
            format!("prepared transactions on {target} could be committed whatever is frozen: {}", names()),
        )
        .hinted("commit or roll them back by whoever prepared them, then begin anew"),
        "loose" => Fault::fatal(
            "freeze.broken",
            format!("new sessions on {target} could write again: the read-only setting is gone for {}", names()),
        )
        .hinted("somebody changed it by ALTER DATABASE or ALTER ROLE while everything was frozen"),
        "strangers" => Fault::fatal(
            "freeze.broken",
            format!("somebody is at work on {target} in spite of the freeze: {}", who(&found["who"])),
        )
        .hinted("end those sessions, or name applications that only read in `allow`"),
        _ => {
            let state = match text(found, "state") {
                "lifted" => format!("writes on {target} were released: {}", text(found, "why")),
                "opened" => format!("{target} was opened again"),
                "" => format!("there is no freeze on {target}"),
                state => format!("its deadline {} has passed ({state})", text(found, "deadline")),
            };
            Fault::fatal("freeze.broken", format!("the freeze of {target} does not hold: {state}"))
                .hinted("nothing is lost: the source is in use again; resume the run to freeze anew")
        }
    }
}

/// Sessions, as people look for them.
pub fn who(sessions: &Value) -> String {
    let one = |session: &Value| {
        let application = match text(session, "application") {
            "" => "a session",
            name => name,
        };
        let mut what = Vec::new();
        if session["writing"] == true {
            what.push("writing");
        }
        if session["early"] == true {
            what.push("from before the freeze");
        }
        format!(
            "{application} ({} from {}, pid {}, {})",
            text(session, "role"),
            text(session, "address"),
            session["pid"],
            what.join(" and ")
        )
    };
    let all: Vec<String> = sessions.as_array().into_iter().flatten().map(one).collect();
    if all.len() > 8 { format!("{}; and {} more", all[..8].join("; "), all.len() - 8) } else { all.join("; ") }
}

/// A fault of a statement that no repetition mends unless the server says so.
pub fn harmless(error: &tokio_postgres::Error, what: &str) -> Fault {
    let fault = faults::of(error, Stage::Harmless, what);
    if error.code().is_some_and(|code| code.code() == "RS001") {
        let names = error.as_db_error().map(|said| said.message().to_owned()).unwrap_or_default();
        return Fault::new(
            FaultClass::Fatal,
            "freeze.roles",
            format!("{what}: these roles have a read-only setting of their own that may not be changed: {names}"),
        )
        .hinted("freeze as a superuser, or as a role that may alter them (CREATEROLE, from PostgreSQL 16 on with ADMIN OPTION)");
    }
    fault
}
