//! Everything in a database that is no row: views, functions, constraints and the like, each as a name and a definition.

use super::super::connect::{Session, column};
use super::WHAT;
use crate::model::fault::Fault;
use crate::model::measured::{Gap, ObjectMeasure};

/// Kinds of objects that are not taken down, and exist here.
const UNCOVERED: &str = "
select 'security label', format('%s %s', objtype, objname) from pg_catalog.pg_seclabels where objtype not in ('database', 'role')
union all select 'conversion', conname::text from pg_catalog.pg_conversion where oid >= 16384
union all select 'transform', trftype::regtype::text from pg_catalog.pg_transform t where oid >= 16384
union all select 'user mapping', format('%s on %s', usename, srvname) from pg_catalog.pg_user_mappings
union all select 'access method', amname::text from pg_catalog.pg_am where oid >= 16384
union all select 'text search parser', prsname::text from pg_catalog.pg_ts_parser where oid >= 16384
union all select 'text search template', tmplname::text from pg_catalog.pg_ts_template where oid >= 16384
union all select 'unreadable sequence', c.oid::regclass::text
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'S' and c.relpersistence <> 't'
   and not (has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'))";

/// Collations that order something here, with the version that was recorded and the one that the server's library has now.
/// C and POSIX, with whatever encoding, have none and need none.
const COLLATIONS: &str = "
select format('%I', c.collname), c.collversion, pg_catalog.pg_collation_actual_version(c.oid)
  from pg_catalog.pg_collation c
 where c.collprovider in ('c', 'i') and coalesce(c.collcollate, '') !~* '^(C|POSIX)([.]|$)'
   and c.oid in (select a.attcollation from pg_catalog.pg_attribute a where a.attrelid >= 16384)
union all ";

/// The database's own collation. Servers before 15 record no version of it.
const DATABASE: &str = "
select 'database default', datcollversion, pg_catalog.pg_database_collation_actual_version(oid)
  from pg_catalog.pg_database 
 where datname = current_database() and (datlocprovider <> 'c' or datcollate !~* '^(C|POSIX)([.]|$)')";
const OLD_DATABASE: &str = "
select 'database default', null, null
  from pg_catalog.pg_database where datname = current_database() and datcollate !~* '^(C|POSIX)([.]|$)'";

/// Reads all objects, by kind and name, and what of them cannot be verified.
pub async fn read(session: &Session, server: i32) -> Result<(Vec<ObjectMeasure>, Vec<Gap>), Fault> {
    let mut objects = Vec::new();
    for row in session.ask(include_str!("objects.sql"), &[], WHAT).await? {
        objects.push(ObjectMeasure { kind: column(&row, 0)?, name: column(&row, 1)?, definition: column(&row, 2)? });
    }
    let mut gaps = Vec::new();
    for row in session.ask(UNCOVERED, &[], WHAT).await? {
        gaps.push(Gap { kind: column(&row, 0)?, name: column(&row, 1)?, why: "it is not compared".to_owned() });
    }
    let database = if server >= 150_000 { DATABASE } else { OLD_DATABASE };
    for row in session.ask(&format!("{COLLATIONS}{database}"), &[], WHAT).await? {
        let (recorded, actual): (Option<String>, Option<String>) = (column(&row, 1)?, column(&row, 2)?);
        let why = match (recorded, actual) {
            (Some(recorded), Some(actual)) if recorded == actual => continue,
            (Some(recorded), Some(actual)) => {
                format!(
                    "indexes were built under version {recorded}, the library is {actual}: they may be out of order, REINDEX"
                )
            }
            _ => "the server does not say under which version indexes were built".to_owned(),
        };
        gaps.push(Gap { kind: "collation version".to_owned(), name: column(&row, 0)?, why });
    }
    Ok((objects, gaps))
}
