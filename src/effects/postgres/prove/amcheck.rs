//! Whether the files of tables and indexes are sound, by the server's own extension `amcheck`.

use super::super::Postgres;
use super::super::connect::{Session, column};
use super::super::measure::{SETTINGS, end, read_only};
use super::super::quote;
use super::findings::Findings;
use crate::model::fault::Fault;
use crate::model::request::proving::{Amcheck, Comparison};

const WHAT: &str = "check::amcheck";

/// Every index and every table, whether amcheck knows its kind, and whether it is one of the server's own.
const LIST: &str = "
select c.oid, format('%I.%I', n.nspname, c.relname), c.relkind = 'i', a.amname::text, coalesce(i.indisvalid, true),
       n.nspname = 'pg_catalog'
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_am a on a.oid = c.relam
  left join pg_catalog.pg_index i on i.indexrelid = c.oid
 where c.relkind in ('r', 'm', 't', 'i') and c.relpersistence = 'p'
 order by pg_relation_size(c.oid) desc";

/// Checks everything. A database that a run made is checked more deeply, under locks that keep writers out, and gets the
/// extension for the length of the check if it lacks it.
pub async fn check(postgres: &Postgres, request: &Amcheck) -> Result<Comparison, Fault> {
    let target = &request.target;
    let session = read_only(postgres, target).await?;
    let made_by_a_run = session.made.is_some();
    let mut findings = Findings::new(&request.accept);
    let mut schema = extension(&session).await?;
    if schema.is_none() && made_by_a_run && !session.standby {
        // Taken back with the transaction: what is proved must not be changed by proving it.
        session.batch(&format!("ROLLBACK; BEGIN; {SETTINGS}"), WHAT).await?;
        schema = match session.batch("CREATE EXTENSION amcheck SCHEMA public", WHAT).await {
            Ok(()) => extension(&session).await?,
            Err(_) => None,
        };
    }
    let mut checked = 0;
    if let Some(schema) = schema {
        checked = relations(&session, &schema, made_by_a_run, &mut findings).await?;
    } else {
        findings.gap("extension", "amcheck", format!("it is not installed in {target}"));
    }
    end(postgres, session).await;
    let compared = format!("{checked} tables and indexes checked in {target}");
    let comparison = Comparison { compared: checked, left: target.clone(), ..Comparison::default() };
    Ok(findings.conclude(&compared, comparison))
}

/// The schema that holds the extension.
async fn extension(session: &Session) -> Result<Option<String>, Fault> {
    let sql =
        "select n.nspname::text from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
                where e.extname = 'amcheck'";
    session.ask(sql, &[], WHAT).await?.first().map(|row| column(row, 0)).transpose()
}

async fn relations(session: &Session, schema: &str, deep: bool, findings: &mut Findings<'_>) -> Result<u64, Fault> {
    let (schema, mut checked) = (quote::name(schema), 0);
    for row in session.ask(LIST, &[], WHAT).await? {
        let (oid, name, index): (u32, String, bool) = (column(&row, 0)?, column(&row, 1)?, column(&row, 2)?);
        let (method, valid, system): (String, bool, bool) = (column(&row, 3)?, column(&row, 4)?, column(&row, 5)?);
        let sql = match (index, method.as_str()) {
            (true, "btree") if !valid => {
                findings.differs("index", &name, "it is invalid");
                continue;
            }
            (true, "btree") if deep && !system => {
                format!("select null::text from (select {schema}.bt_index_parent_check({oid}, true)) x")
            }
            (true, "btree") => format!("select null::text from (select {schema}.bt_index_check({oid}, true)) x"),
            (false, "heap") => format!("select msg from {schema}.verify_heapam({oid}, check_toast := true) limit 1"),
            (true, _) => {
                findings.gap(&format!("{method} index"), &name, "amcheck does not know this kind");
                continue;
            }
            (false, _) => {
                findings.gap("table", &name, format!("amcheck does not know its access method {method}"));
                continue;
            }
        };
        checked += 1;
        session.batch("SAVEPOINT one", WHAT).await?;
        let kind = if index { "index" } else { "table" };
        match session.ask(&sql, &[], WHAT).await {
            Ok(rows) => {
                if let Some(said) = rows.first().map(|row| column::<Option<String>>(row, 0)).transpose()?.flatten() {
                    findings.differs(kind, &name, said);
                }
                session.batch("RELEASE one", WHAT).await?;
            }
            Err(fault) => {
                session.batch("ROLLBACK TO one", WHAT).await?;
                // Class XX is the server saying that its own data are broken.
                if fault.code.starts_with("sql.XX") {
                    findings.differs(kind, &name, fault.message);
                } else {
                    checked -= 1;
                    findings.gap(kind, &name, fault.message);
                }
            }
        }
    }
    Ok(checked)
}
