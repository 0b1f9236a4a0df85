//! Where sequences stand.

use std::fmt::Write as _;

use super::super::connect::{Session, column};
use super::super::quote;
use super::{WHAT, snapshot};
use crate::model::fault::Fault;
use crate::model::measured::SequenceMeasure;

/// Sequences that the role may read, but for those of runs; the others are named among the objects.
const LIST: &str = r#"
select n.nspname::text, c.relname::text, s.seqincrement
  from pg_catalog.pg_sequence s
  join pg_catalog.pg_class c on c.oid = s.seqrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema')
   and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
   and not (c.relpersistence = 'u' and pg_is_in_recovery())
   and not (starts_with(n.nspname, 'runsheet_') and coalesce(starts_with(obj_description(n.oid, 'pg_namespace'), '{"runsheet":'), false))
 order by 1, 2"#;

/// Reads all sequences.
pub async fn read(session: &Session) -> Result<Vec<SequenceMeasure>, Fault> {
    let mut found = Vec::new();
    for row in session.ask(LIST, &[], WHAT).await? {
        found.push(SequenceMeasure {
            schema: column(&row, 0)?,
            name: column(&row, 1)?,
            last_value: 0,
            is_called: false,
            increment: column(&row, 2)?,
        });
    }
    for chunk in found.chunks_mut(100) {
        let mut sql = String::new();
        for (index, sequence) in chunk.iter().enumerate() {
            let separator = if index == 0 { "" } else { " union all " };
            let name = quote::qualified(&sequence.schema, &sequence.name);
            let _ = write!(sql, "{separator}select {index}, last_value, is_called from {name}");
        }
        for row in snapshot::ask(session, &sql).await? {
            let index: i32 = column(&row, 0)?;
            if let Some(sequence) = usize::try_from(index).ok().and_then(|index| chunk.get_mut(index)) {
                sequence.last_value = column(&row, 1)?;
                sequence.is_called = column(&row, 2)?;
            }
        }
    }
    Ok(found)
}
