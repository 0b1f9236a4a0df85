//! What of a source is on its disk, which is all that its change stream gives. A transaction that committed lazily
//! (`synchronous_commit = off`) can be seen by others before it is there.

use crate::effects::postgres::connect::{Session, column};
use crate::model::fault::Fault;

/// A commit that waits for the disk brings everything before it there. It is let through where all else is read only.
const FLUSH: &str = "BEGIN READ WRITE; SET LOCAL synchronous_commit = on; \
                     SELECT pg_logical_emit_message(true, 'runsheet', ''); COMMIT";

const POSITION: &str = "select (pg_current_wal_flush_lsn() - '0/0')::int8";

/// Brings everything that is committed to the server's disk.
pub async fn flush(session: &Session, what: &str) -> Result<(), Fault> {
    session.batch(FLUSH, what).await
}

/// Does so, and answers the position behind it.
pub async fn flushed(session: &Session, what: &str) -> Result<u64, Fault> {
    flush(session, what).await?;
    let rows = session.ask(POSITION, &[], what).await?;
    rows.first().map_or(Ok(0), |row| Ok(column::<i64>(row, 0)?.cast_unsigned()))
}
