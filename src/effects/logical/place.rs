//! The control schema of a copy on one side, and the names that everything else is given after it.

use tokio_postgres::types::Type;

use crate::effects::Ticket;
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::stamp::Stamp;
use crate::effects::postgres::{control, quote};
use crate::model::fault::Fault;

/// Every control schema of a database, and what of a copy there is on this side.
const LISTED: &str = "
with subscriptions as (
    select subname::text from pg_catalog.pg_subscription
     where subdbid = (select oid from pg_catalog.pg_database where datname = current_database()))
select n.nspname::text, pg_catalog.obj_description(n.oid, 'pg_namespace'),
       coalesce(to_regclass(format('%I.heartbeat', n.nspname)), to_regclass(format('%I.heartbeat_back', n.nspname))) is not null,
       exists (select from pg_catalog.pg_publication where pubname = n.nspname),
       exists (select from pg_catalog.pg_publication where pubname = n.nspname || '_back'),
       exists (select from subscriptions where subname = n.nspname),
       exists (select from subscriptions where subname = n.nspname || '_back')
  from pg_catalog.pg_namespace n where n.nspname ~ '^runsheet_[0-9a-f]{8}$'";

/// Which of the two ways a stream of changes goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the old database to the new one.
    Forth,
    /// From the new one back to the old one.
    Back,
}

impl Way {
    /// The table of its heartbeats: each has its own, or they would run in circles.
    fn heartbeat(self) -> &'static str {
        match self {
            Self::Forth => "heartbeat",
            Self::Back => "heartbeat_back",
        }
    }
}

/// The control schema, on one side.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its name.
    pub schema: String,
    /// Who made it.
    pub stamp: Stamp,
    /// Which stream begins here, if one does.
    pub publishes: Option<Way>,
    /// Which stream ends here, if one does.
    pub subscribes: Option<Way>,
}

impl Place {
    /// What publication, slot and subscription of a stream are called.
    pub fn stream(&self, way: Way) -> String {
        match way {
            Way::Forth => self.schema.clone(),
            Way::Back => format!("{}_back", self.schema),
        }
    }

    /// The table of the heartbeats of a stream.
    pub fn heartbeat(&self, way: Way) -> String {
        quote::qualified(&self.schema, way.heartbeat())
    }

    /// The statement that makes it.
    pub fn make_heartbeat(&self, way: Way) -> String {
        format!(
            "CREATE TABLE IF NOT EXISTS {} (beat bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())",
            self.heartbeat(way)
        )
    }

    /// The stream that begins here; with `back`, it must be that one.
    pub fn outgoing(&self, session: &Session, back: bool) -> Result<Way, Fault> {
        self.publishes.filter(|way| !back || *way == Way::Back).ok_or_else(|| {
            Fault::fatal("logical.none", format!("nothing is published by `{}` in {}", self.schema, session.target))
                .hinted("logical::publish comes first")
        })
    }

    /// The stream that ends here; with `back`, it must be that one.
    pub fn incoming(&self, session: &Session, back: bool) -> Result<Way, Fault> {
        self.subscribes.filter(|way| !back || *way == Way::Back).ok_or_else(|| {
            Fault::fatal("logical.none", format!("{} follows nothing by `{}`", session.target, self.schema))
                .hinted("logical::subscribe comes first")
        })
    }

    /// Refuses what the run of this action did not make.
    pub fn require_ours(&self, session: &Session, ticket: &Ticket) -> Result<(), Fault> {
        if self.stamp.is_of(ticket) {
            return Ok(());
        }
        let message = format!("the schema `{}` in {} was made by {}", self.schema, session.target, self.stamp);
        Err(Fault::fatal("logical.not-ours", message).hinted("a run makes a live copy in its own schema: pg::control"))
    }
}

/// The name of the control schema of the run of this action.
pub fn own(ticket: &Ticket) -> Option<String> {
    (!ticket.origin.stamp.is_empty()).then(|| control::name(&ticket.origin))
}

/// The control schema that is meant: the one that is given, else this run's, else the only one with a copy.
pub async fn find(session: &Session, given: Option<&str>, ticket: &Ticket) -> Result<Place, Fault> {
    session.require_direct("replication knows no pooler")?;
    let mut found = list(session).await?;
    let wanted = given.map(str::to_owned).or_else(|| own(ticket));
    if let Some(at) = found.iter().position(|(place, _)| wanted.as_ref() == Some(&place.schema)) {
        return Ok(found.swap_remove(at).0);
    }
    let missing = |message: String| {
        Err(Fault::fatal("logical.schema", message)
            .hinted("pg::control(target) makes the schema that everything of a live copy is named after"))
    };
    if let Some(given) = given {
        return missing(format!("there is no schema `{given}` with a run's stamp in {}", session.target));
    }
    found.retain(|(_, heartbeat)| *heartbeat);
    match (found.pop(), found.is_empty()) {
        (Some((only, _)), true) => Ok(only),
        (None, _) => missing(format!("there is no control schema of this run in {}", session.target)),
        (Some(_), false) => Err(Fault::fatal(
            "logical.several",
            format!("there are several live copies in {}, and none of them is this run's", session.target),
        )
        .hinted("say which by #{ schema: \"runsheet_XXXXXXXX\" }")),
    }
}

/// Every control schema with a stamp, and whether it has the table of heartbeats.
pub async fn list(session: &Session) -> Result<Vec<(Place, bool)>, Fault> {
    let way = |forth: bool, back: bool| match (forth, back) {
        (true, _) => Some(Way::Forth),
        (false, true) => Some(Way::Back),
        _ => None,
    };
    let mut found = Vec::new();
    for row in session.ask(LISTED, &[], "looking for live copies").await? {
        let Some(stamp) = Stamp::read(column(&row, 1)?) else { continue };
        let place = Place {
            schema: column(&row, 0)?,
            stamp,
            publishes: way(column(&row, 3)?, column(&row, 4)?),
            subscribes: way(column(&row, 5)?, column(&row, 6)?),
        };
        found.push((place, column(&row, 2)?));
    }
    Ok(found)
}

/// Whether there is a replication slot of that name.
pub async fn slot(session: &Session, name: &str) -> Result<Option<String>, Fault> {
    let asked = "select confirmed_flush_lsn::text from pg_catalog.pg_replication_slots where slot_name = $1";
    let rows = session.ask(asked, &[(&name, Type::TEXT)], "looking for a slot").await?;
    rows.first().map(|row| Ok(column::<Option<String>>(row, 0)?.unwrap_or_default())).transpose()
}
