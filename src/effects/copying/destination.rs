//! Where copies may go: a database that this run made on a server, or a configured one that it claimed because it was empty.
//! Both are begun anew after any mishap.

use super::{Copying, tools};
use crate::effects::Ticket;
use crate::effects::postgres::connect::Session;
use crate::effects::postgres::made::{self, Found};
use crate::effects::postgres::{control, inside, scratch};
use crate::model::fault::Fault;
use crate::model::target;

/// A database that may be filled.
pub struct Destination<'a> {
    /// Its name, as a target.
    pub name: &'a str,
    /// Its name on its server.
    pub database: String,
    /// A session to its server; to the database itself where it was claimed.
    pub session: Session,
    room: Room,
}

enum Room {
    /// Made by the run, and put anew in its place.
    Made(Box<Found>),
    /// Claimed by the run, and emptied but for these.
    Claimed(Vec<String>),
}

impl<'a> Destination<'a> {
    /// The database of that name, if this run may fill it.
    ///
    /// Faults: `target.not-made`, `scratch.not-ours`, `scratch.gone`, `control.not-ours`, `control.not-claimed`.
    pub async fn open(copying: &Copying<'_>, name: &'a str, ticket: &Ticket, word: &str) -> Result<Self, Fault> {
        // Called like the program's own sessions, with which it is ended when it outlives this process.
        let application = tools::application(ticket);
        let Some((server, database)) = target::made(name).filter(|_| target::made_branch(name).is_none()) else {
            let session = copying.postgres.session(name, &application).await?;
            return Self::claimed(name, session, ticket).await.map_err(|fault| match fault.code.as_str() {
                "control.none" => {
                    let message = format!("`{name}` is not a database that a run made, nor one that this run claimed");
                    Fault::fatal("target.not-made", message).hinted(
                        "give what pg::scratch answered, or claim an empty one: pg::control(target, #{ empty: true })",
                    )
                }
                _ => fault,
            });
        };
        let session = copying.postgres.session(server, &application).await?;
        session.require_writable()?;
        let found = made::find_either(&session, database, word).await?.ok_or_else(|| made::gone(database))?;
        scratch::require_ours(&found, ticket)?;
        let marked = found.stamp.as_ref().is_some_and(|stamp| stamp.control);
        if marked && found.open && found.name == database {
            let within = copying.postgres.session(name, &application).await?;
            if control::require_claimed(&within, ticket).await.is_ok() {
                copying.postgres.give_back(session);
                return Self::claimed(name, within, ticket).await;
            }
            copying.postgres.give_back(within);
        }
        Ok(Self { name, database: database.to_owned(), session, room: Room::Made(Box::new(found)) })
    }

    async fn claimed(name: &'a str, session: Session, ticket: &Ticket) -> Result<Self, Fault> {
        session.require_writable()?;
        let stamp = control::require_claimed(&session, ticket).await?;
        let apart = control::apart(&stamp, &control::name(&ticket.origin));
        let database = session.moment.identity.database.clone();
        Ok(Self { name, database, session, room: Room::Claimed(apart) })
    }

    /// Whether it is a configured one that outlives the copy.
    pub fn stays(&self) -> bool {
        matches!(self.room, Room::Claimed(_)) && target::made(self.name).is_none()
    }

    /// Empties it of what an earlier attempt left, and has it known as being filled.
    pub async fn begin_anew(&self, copying: &Copying<'_>, word: &str) -> Result<(), Fault> {
        match &self.room {
            Room::Claimed(apart) => inside::empty(&self.session, apart, word).await.map(drop),
            Room::Made(found) => {
                let stamp = found.stamp.clone();
                let mut stamp = stamp.ok_or_else(|| Fault::fatal("scratch.not-ours", "it carries no stamp"))?;
                if stamp.filled || found.name != self.database || !found.open {
                    stamp.filled = false;
                    copying.postgres.close_idle(self.name);
                    made::empty(&self.session, &self.database, &stamp, word).await?;
                }
                stamp.filled = true;
                made::mark(&self.session, &self.database, &stamp, word).await
            }
        }
    }
}
