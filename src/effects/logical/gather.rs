//! Reading the change stream of slot W: which rows changed. What is read is written down before the slot moves on.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use tokio_postgres::types::{ToSql, Type};

use super::Logical;
use super::changed::{self, Book, Changed, Name};
use super::keyed::{self, Keyed};
use super::pgoutput::{self, Message, Relation};
use super::place::{self, Place, Way};
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::faults::{self, Stage};
use crate::model::fault::Fault;
use crate::model::lsn;

const WHAT: &str = "reading the change stream";

/// Changes after which the slot is moved on; a transaction is never cut.
const PAGE: i32 = 100_000;

/// Every change since the slot's position, up to one.
const PEEK: &str = "
select (lsn - '0/0')::int8, data
  from pg_catalog.pg_logical_slot_peek_binary_changes($1::name, $2::text::pg_lsn, $3, 'proto_version', '1', 'publication_names', $4)";

/// The name of slot W of a stream.
pub fn slot(place: &Place, way: Way) -> String {
    format!("{}_w", place.stream(way))
}

/// What was read of a part of the stream.
#[derive(Debug, Default)]
pub struct Read {
    /// Changes of rows, by table; those that another server sent do not count.
    pub counted: BTreeMap<String, u64>,
    /// The position behind the last transaction.
    last: Option<u64>,
    /// The position behind the last one that changed a table which is not ours.
    pub touched: Option<u64>,
    messages: i64,
}

/// The stream of a slot W that is being read.
pub struct Stream<'a> {
    /// The source.
    pub session: &'a Session,
    /// The control schema.
    pub place: &'a Place,
    /// Which stream.
    pub way: Way,
    /// The keys of its tables.
    pub keyed: Keyed,
}

impl<'a> Stream<'a> {
    /// Reads the keys of the tables.
    pub async fn open(session: &'a Session, place: &'a Place, way: Way) -> Result<Self, Fault> {
        Ok(Self { session, place, way, keyed: keyed::read(session, &place.stream(way)).await? })
    }

    /// What is known of earlier reads. It must reach to where the slot stands.
    pub async fn known(&self, logical: &Logical<'_>) -> Result<Changed, Fault> {
        let name = slot(self.place, self.way);
        let Some(at) = place::slot(self.session, &name).await? else {
            let message = format!("there is no slot `{name}` on {}", self.session.target);
            return Err(Fault::fatal("logical.unwatched", message).hinted("logical::watch comes first"));
        };
        let changed = changed::load(&changed::path(logical, &self.place.stream(self.way)))?;
        let began = self.began().await?;
        let at = lsn::read(&at).unwrap_or(0);
        if at > changed.upto.unwrap_or(0).max(began) {
            let message = format!("which rows changed up to {} is not known here any more", lsn::text(at));
            return Err(Fault::fatal("logical.keys", message)
                .hinted("the run went on on another host, or its state was removed: logical::remove, and copy again"));
        }
        Ok(changed)
    }

    async fn began(&self) -> Result<u64, Fault> {
        let asked = format!(
            "select definition from {} where kind = 'slot'",
            crate::effects::postgres::quote::qualified(&self.place.schema, "watched")
        );
        let rows = self.session.ask(&asked, &[], WHAT).await?;
        let text: Option<String> = rows.first().map(|row| column(row, 0)).transpose()?;
        Ok(text.and_then(|text| lsn::read(&text)).unwrap_or(u64::MAX))
    }

    /// Reads everything up to a position, writes it down, and moves the slot on.
    pub async fn gather(&self, logical: &Logical<'_>, changed: &mut Changed, upto: u64) -> Result<(), Fault> {
        let mut book = Book::open(&changed::path(logical, &self.place.stream(self.way)))?;
        loop {
            let read = self.page(changed, upto, PAGE, 0, Some(&mut book)).await?;
            let whole = read.messages < i64::from(PAGE);
            let reached = if whole { upto } else { read.last.unwrap_or(upto) };
            book.upto(reached, &read.counted)?;
            changed.upto = Some(reached);
            changed.counted.push((reached, read.counted));
            self.advance(reached).await?;
            if whole {
                return Ok(());
            }
        }
    }

    /// Reads everything up to a position, and leaves the slot where it is. What is committed up to `since` is not counted.
    pub async fn since(&self, changed: &mut Changed, upto: u64, since: u64) -> Result<Read, Fault> {
        self.page(changed, upto, i32::MAX, since, None).await
    }

    async fn advance(&self, to: u64) -> Result<(), Fault> {
        let name = slot(self.place, self.way);
        let at = lsn::text(to);
        let given: [(&(dyn ToSql + Sync), Type); 2] = [(&name, Type::TEXT), (&at, Type::TEXT)];
        let asked =
            "select pg_replication_slot_advance(slot_name, $2::text::pg_lsn) from pg_catalog.pg_replication_slots
                      where slot_name = $1 and confirmed_flush_lsn < $2::text::pg_lsn";
        self.session.ask(asked, &given, WHAT).await.map(|_| ())
    }

    async fn page(
        &self,
        changed: &mut Changed,
        upto: u64,
        most: i32,
        since: u64,
        mut book: Option<&mut Book>,
    ) -> Result<Read, Fault> {
        let (name, publication) = (slot(self.place, self.way), self.place.stream(self.way));
        let upto = lsn::text(upto);
        let given: Vec<(&(dyn ToSql + Sync), Type)> =
            vec![(&name, Type::TEXT), (&upto, Type::TEXT), (&most, Type::INT4), (&publication, Type::TEXT)];
        let failed = |error: tokio_postgres::Error| faults::of(&error, Stage::Harmless, &self.session.what(WHAT));
        let rows = self.session.client.query_typed_raw(PEEK, given).await.map_err(failed)?;
        tokio::pin!(rows);
        let mut reader = Reader {
            stream: self,
            since,
            relations: BTreeMap::new(),
            counts: true,
            touches: false,
            read: Read::default(),
        };
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            reader.take(changed, pgoutput::read(column(&row, 1)?)?, &mut book)?;
        }
        Ok(reader.read)
    }
}

struct Known {
    name: Name,
    full: String,
    /// Where the columns of its key stand.
    places: Option<Vec<usize>>,
}

struct Reader<'a> {
    stream: &'a Stream<'a>,
    relations: BTreeMap<u32, Known>,
    /// Behind which changes count.
    since: u64,
    /// Whether the transaction counts: it was made here, and behind that position.
    counts: bool,
    /// Whether it changed a table which is not ours.
    touches: bool,
    read: Read,
}

impl Reader<'_> {
    fn take(&mut self, changed: &mut Changed, message: Message, book: &mut Option<&mut Book>) -> Result<(), Fault> {
        self.read.messages += 1;
        match message {
            Message::Begin(commit) => (self.counts, self.touches) = (commit >= self.since, false),
            Message::Origin => self.counts = false,
            Message::Commit(end) => {
                self.read.last = Some(end);
                self.read.touched = self.touches.then_some(end).or(self.read.touched);
            }
            Message::Relation(relation) => self.meet(relation),
            Message::Insert(id, row) => self.note(id, &[(&row, None)], changed, book)?,
            Message::Update(id, Some(old), new) => self.note(id, &[(&old, None), (&new, Some(&old))], changed, book)?,
            Message::Update(id, None, new) => self.note(id, &[(&new, None)], changed, book)?,
            Message::Delete(id, old) => self.note(id, &[(&old, None)], changed, book)?,
            Message::Truncate(ids) => {
                for id in ids {
                    self.whole(id, "it was truncated", changed, book)?;
                }
            }
            Message::Other => {}
        }
        Ok(())
    }

    fn meet(&mut self, relation: Relation) {
        let name = (relation.schema.clone(), relation.name.clone());
        let key = self.stream.keyed.get(&name).map(Vec::as_slice).unwrap_or_default();
        let places = keyed::places(&relation, key);
        let full = format!("{}.{}", name.0, name.1);
        self.relations.insert(relation.id, Known { name, full, places });
    }

    /// The table of that number, unless it is one of ours.
    fn table(&mut self, id: u32) -> Result<Option<&Known>, Fault> {
        let known = self.relations.get(&id).ok_or_else(|| {
            Fault::fatal("logical.stream", format!("the change stream names a table {id} that it did not introduce"))
        })?;
        if known.name.0 == self.stream.place.schema {
            return Ok(None);
        }
        self.touches = true;
        if self.counts {
            *self.read.counted.entry(known.full.clone()).or_default() += 1;
        }
        Ok(Some(known))
    }

    fn note(
        &mut self,
        id: u32,
        rows: &[(&pgoutput::Row, Option<&pgoutput::Row>)],
        changed: &mut Changed,
        book: &mut Option<&mut Book>,
    ) -> Result<(), Fault> {
        let Some(known) = self.table(id)? else { return Ok(()) };
        let Some(places) = &known.places else {
            return self.mark(id, "its rows have no key", changed, book);
        };
        for (row, old) in rows {
            let Some(key) = keyed::of(row, *old, places) else {
                return self.mark(id, "the change stream does not say the whole key", changed, book);
            };
            if changed.add(&known.name, key.clone())
                && let Some(book) = book
            {
                book.key(&known.name, &key)?;
            }
        }
        Ok(())
    }

    fn whole(&mut self, id: u32, why: &str, changed: &mut Changed, book: &mut Option<&mut Book>) -> Result<(), Fault> {
        if self.table(id)?.is_none() {
            return Ok(());
        }
        self.mark(id, why, changed, book)
    }

    fn mark(&self, id: u32, why: &str, changed: &mut Changed, book: &mut Option<&mut Book>) -> Result<(), Fault> {
        let Some(known) = self.relations.get(&id) else { return Ok(()) };
        if changed.whole(&known.name, why)
            && let Some(book) = book
        {
            book.whole(&known.name, why)?;
        }
        Ok(())
    }
}
