//! `pg::analyze`: what the planner knows of tables that came by a copy, which brings none of it along.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::try_join_all;
use serde_json::json;

use super::{Copying, tools};
use crate::effects::postgres::connect::column;
use crate::effects::postgres::stamp::IS_STAMPED;
use crate::effects::{Done, Ledger, Ticket};
use crate::model::event::Event;
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::copying::PgAnalyze;

/// Looks at every table once.
pub async fn perform(
    copying: &Copying<'_>,
    request: &PgAnalyze,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let session = copying.postgres.session(&request.target, &tools::application(ticket)).await?;
    session.require_writable()?;
    ledger.started(session.holds())?;
    ledger.intent(serde_json::Value::Null)?;
    copying.postgres.give_back(session);
    let tables = tables(copying, &request.target, request.jobs, ticket).await?;
    Ok(Done { value: json!({ "tables": tables }), rows: None })
}

/// Analyzes every table that the role may, so many at once, the biggest first; answers how many.
pub async fn tables(copying: &Copying<'_>, target: &str, jobs: u64, ticket: &Ticket) -> Result<usize, Fault> {
    let (word, application) = (PgAnalyze::WORD, tools::application(ticket));
    let session = copying.postgres.session(target, &application).await?;
    // Of a partitioned table too: nobody else ever looks at that.
    let asked = format!(
        "select format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where c.relkind in ('r', 'p', 'm') and c.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema')
            and n.nspname !~ '^pg_' and not {IS_STAMPED} and pg_has_role(c.relowner, 'usage')
          order by c.relpages desc, 1"
    );
    let rows = session.ask(&asked, &[], word).await?;
    copying.postgres.give_back(session);
    let tables: Vec<String> = rows.iter().map(|row| column(row, 0)).collect::<Result<_, Fault>>()?;
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = async || {
        let session = copying.postgres.session(target, &application).await?;
        while let Some(table) = tables.get(next.fetch_add(1, Ordering::Relaxed)) {
            session.batch(&format!("ANALYZE {table}"), word).await?;
            let now = done.fetch_add(1, Ordering::Relaxed) as u64 + 1;
            let what = format!("analyzing {target}; tables");
            copying.world.sink.event(Event::Progress { what, done: now, of: Some(tables.len() as u64) });
        }
        copying.postgres.give_back(session);
        Ok::<_, Fault>(())
    };
    let jobs = usize::try_from(jobs).unwrap_or(1).clamp(1, tables.len().max(1));
    try_join_all((0..jobs).map(|_| work())).await?;
    Ok(tables.len())
}
