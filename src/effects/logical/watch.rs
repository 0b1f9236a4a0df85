//! `logical::watch` and `logical::changed_since`: a second slot that remembers which rows change, and the schema as it was.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio_postgres::types::{ToSql, Type};

use super::changed::Changed;
use super::gather::{self, Stream};
use super::place::{self, Place};
use super::{Logical, disk, publish};
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::measure;
use crate::effects::postgres::{application_name, quote};
use crate::effects::{Done, Ledger, Ticket};
use crate::model::digest;
use crate::model::fault::Fault;
use crate::model::lsn;
use crate::model::measured::ObjectMeasure;
use crate::model::request::Request;
use crate::model::request::logical::{LogicalChangedSince, LogicalGather, LogicalWatch};

const WORD: &str = LogicalWatch::WORD;

/// What changes without anybody changing the schema: this program's own things, and settings, which a freeze changes.
const BESIDE: [&str; 4] = ["publication", "subscription", "large objects", "database setting"];

/// `logical::watch`.
pub async fn perform(
    logical: &Logical<'_>,
    request: &LogicalWatch,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let session = logical.postgres.session(&request.source, &application_name(ticket)).await?;
    session.require_writable()?;
    let place = place::find(&session, request.schema.as_deref(), ticket).await?;
    let name = gather::slot(&place, place.outgoing(&session, request.back)?);
    if let Some(made) = answer(&session, &place, &name).await? {
        ledger.intent(json!({ "schema": place.schema }))?;
        return Ok(Done { value: made, rows: None });
    }
    ledger.started(session.holds())?;
    ledger.intent(json!({ "schema": place.schema }))?;
    // One whose position was never noted says nothing.
    super::remove::slot(&session, &name).await?;
    // The schema first: what changes between the two is then told rather than missed.
    let signature = signature(&session).await?;
    let objects = objects(logical, &request.source, &place).await?;
    remember(&session, &place, &signature, &objects).await?;
    publish::make_slot(&session, &name).await?;
    let at = place::slot(&session, &name).await?.unwrap_or_default();
    let noted = format!(
        "BEGIN READ WRITE; DELETE FROM {0} WHERE kind = 'slot'; INSERT INTO {0} VALUES ('slot', {1}, {2}); COMMIT",
        watched(&place),
        quote::literal(&name),
        quote::literal(&at)
    );
    session.batch(&noted, WORD).await?;
    super::changed::forget(logical, name.trim_end_matches("_w"));
    let made = answer(&session, &place, &name).await?;
    logical.postgres.give_back(session);
    let value = made.ok_or_else(|| Fault::retryable("logical.gone", "the slot that was just made is gone"))?;
    Ok(Done { value, rows: None })
}

/// What an attempt came to; the slot of one that was cut off before its position was noted is dropped.
pub async fn look(logical: &Logical<'_>, request: &LogicalWatch, ticket: &Ticket) -> Result<Option<Value>, Fault> {
    let session = logical.postgres.session(&request.source, &application_name(ticket)).await?;
    let place = place::find(&session, request.schema.as_deref(), ticket).await?;
    let name = gather::slot(&place, place.outgoing(&session, request.back)?);
    let made = answer(&session, &place, &name).await?;
    if made.is_none() && place::slot(&session, &name).await?.is_some() {
        super::remove::slot(&session, &name).await?;
    }
    Ok(made)
}

async fn answer(session: &Session, place: &Place, name: &str) -> Result<Option<Value>, Fault> {
    let there = "select to_regclass($1) is not null";
    let rows = session.ask(there, &[(&watched(place), Type::TEXT)], WORD).await?;
    if !rows.first().map_or(Ok(false), |row| column(row, 0))? || place::slot(session, name).await?.is_none() {
        return Ok(None);
    }
    let asked = format!(
        "select kind, definition from {} where kind = 'signature' or kind = 'slot' and name = $1",
        watched(place)
    );
    let mut noted: BTreeMap<String, String> = BTreeMap::new();
    for row in session.ask(&asked, &[(&name, Type::TEXT)], WORD).await? {
        noted.insert(column(&row, 0)?, column(&row, 1)?);
    }
    let Some(at) = noted.get("slot") else { return Ok(None) };
    Ok(Some(json!({ "slot": name, "lsn": at, "schema_digest": digest_of(session, place).await? })))
}

async fn digest_of(session: &Session, place: &Place) -> Result<String, Fault> {
    Ok(digest::of_value(&json!(recorded(session, place).await?))[..16].to_owned())
}

fn watched(place: &Place) -> String {
    quote::qualified(&place.schema, "watched")
}

/// See `signature.sql`.
async fn signature(session: &Session) -> Result<String, Fault> {
    let rows = session.ask(include_str!("signature.sql"), &[], WORD).await?;
    rows.first().map_or(Ok(String::new()), |row| column(row, 0))
}

/// Everything that has a definition, by kind and name, with a digest of the definition.
async fn objects(logical: &Logical<'_>, source: &str, place: &Place) -> Result<BTreeMap<String, String>, Fault> {
    let measured = measure::without_rows(logical.postgres, source).await?;
    let ours = |it: &ObjectMeasure| BESIDE.contains(&it.kind.as_str()) || it.name.contains(&place.schema);
    let listed = measured.objects.into_iter().filter(|it| !ours(it));
    let mut objects = BTreeMap::new();
    for it in listed {
        let definition = digest::of_bytes(it.definition.as_bytes())[..16].to_owned();
        objects.insert(format!("{} {}", it.kind, it.name), definition);
    }
    Ok(objects)
}

async fn remember(
    session: &Session,
    place: &Place,
    signature: &str,
    objects: &BTreeMap<String, String>,
) -> Result<(), Fault> {
    let table = watched(place);
    let sql = format!(
        "BEGIN READ WRITE; SET LOCAL synchronous_commit = on; DROP TABLE IF EXISTS {table}; \
         CREATE TABLE {table} (kind text NOT NULL, name text NOT NULL, definition text NOT NULL); \
         INSERT INTO {table} VALUES ('signature', '', {})",
        quote::literal(signature)
    );
    session.batch(&sql, WORD).await?;
    let (names, definitions): (Vec<&String>, Vec<&String>) = objects.iter().unzip();
    let given: [(&(dyn ToSql + Sync), Type); 2] = [(&names, Type::TEXT_ARRAY), (&definitions, Type::TEXT_ARRAY)];
    let filled = format!("insert into {table} select 'object', * from unnest($1::text[], $2::text[])");
    session.ask(&filled, &given, WORD).await?;
    session.batch("COMMIT", WORD).await
}

async fn recorded(session: &Session, place: &Place) -> Result<BTreeMap<String, String>, Fault> {
    let asked = format!("select name, definition from {} where kind = 'object'", watched(place));
    let mut recorded = BTreeMap::new();
    for row in session.ask(&asked, &[], WORD).await? {
        recorded.insert(column(&row, 0)?, column(&row, 1)?);
    }
    Ok(recorded)
}

/// What of the schema is not as it was when it was watched first, by name.
pub async fn redefined(
    logical: &Logical<'_>,
    session: &Session,
    source: &str,
    place: &Place,
) -> Result<Vec<String>, Fault> {
    let asked = format!("select definition from {} where kind = 'signature'", watched(place));
    let rows = session.ask(&asked, &[], WORD).await?;
    let then: String = rows.first().map_or(Ok(String::new()), |row| column(row, 0))?;
    if then == signature(session).await? {
        return Ok(Vec::new());
    }
    let (then, now) = (recorded(session, place).await?, objects(logical, source, place).await?);
    let mut names: Vec<String> = Vec::new();
    for (name, definition) in &then {
        match now.get(name) {
            None => names.push(format!("{name} (gone)")),
            Some(other) if other != definition => names.push(format!("{name} (changed)")),
            Some(_) => {}
        }
    }
    names.extend(now.keys().filter(|name| !then.contains_key(*name)).map(|name| format!("{name} (new)")));
    names.sort();
    Ok(names)
}

/// `logical::gather`: reads the stream so far, so that little is left to read when it matters.
pub async fn gather(
    logical: &Logical<'_>,
    request: &LogicalGather,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let session = logical.postgres.session(&request.source, &application_name(ticket)).await?;
    session.require_writable()?;
    let place = place::find(&session, request.schema.as_deref(), ticket).await?;
    let stream = Stream::open(&session, &place, place.outgoing(&session, request.back)?).await?;
    ledger.started(session.holds())?;
    ledger.intent(json!({ "schema": place.schema }))?;
    let mut changed = stream.known(logical).await?;
    let upto = disk::flushed(&session, LogicalGather::WORD).await?;
    stream.gather(logical, &mut changed, upto).await?;
    let value = json!({ "lsn": lsn::text(upto), "changed": changed.keys(), "tables": changed.tables.len() });
    logical.postgres.give_back(session);
    Ok(Done { value, rows: None })
}

/// `logical::changed_since`: how many changes of rows were committed behind a position, and what of the schema changed.
pub async fn changed_since(
    logical: &Logical<'_>,
    request: &LogicalChangedSince,
    ticket: &Ticket,
) -> Result<Done, Fault> {
    let session = logical.postgres.session(&request.source, &application_name(ticket)).await?;
    let place = place::find(&session, request.schema.as_deref(), ticket).await?;
    let stream = Stream::open(&session, &place, place.outgoing(&session, request.back)?).await?;
    let known = stream.known(logical).await?;
    let since = match &request.lsn {
        Some(text) => lsn::read(text).ok_or_else(|| {
            Fault::fatal("logical.lsn", format!("`{text}` is no position of the WAL"))
                .hinted("give `lsn` as another word answered it")
        })?,
        None => 0,
    };
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    // What was read already is known by parts; one that ends behind the position counts as a whole.
    let parts = known.counted.iter().filter(|(end, _)| *end > since).map(|(_, counted)| counted.clone());
    let upto = disk::flushed(&session, LogicalChangedSince::WORD).await?;
    let rest = stream.since(&mut Changed::default(), upto, since).await?.counted;
    for (table, count) in parts.chain([rest]).flatten() {
        *counted.entry(table).or_default() += count;
    }
    let ddl = redefined(logical, &session, &request.source, &place).await?;
    logical.postgres.give_back(session);
    let changes: u64 = counted.values().sum();
    let tables: Vec<&String> = counted.keys().collect();
    Ok(Done { value: json!({ "changes": changes, "tables": tables, "ddl": ddl }), rows: Some(changes) })
}
