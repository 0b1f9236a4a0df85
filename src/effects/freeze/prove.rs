//! `freeze::prove`: a write that must fail, tried by a session that begins now; and `freeze::able`: whether a role may do
//! what a freeze needs.

use std::time::Duration;

use serde_json::json;
use tokio_postgres::types::Type;

use super::{Freezing, ground};
use crate::effects::postgres::application_name;
use crate::effects::postgres::connect::{self, Pin, column};
use crate::effects::{Done, Ticket};
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::freeze::{FreezeAble, FreezeProve};

/// How long the canary may take: one that waits at a pooler proves nothing.
const LIMIT: Duration = Duration::from_secs(3);

/// What a server says to a write in a transaction that only reads.
const READ_ONLY: &str = "25006";

/// Tries to write. It leaves nothing behind, whether it fails or not.
pub async fn perform(freezing: &Freezing<'_>, request: &FreezeProve, ticket: &Ticket) -> Result<Done, Fault> {
    let through = request.through.as_deref().unwrap_or(&request.source);
    let slow = || {
        Fault::fatal("freeze.canary", format!("the canary on {through} got no answer within {} s", LIMIT.as_secs()))
            .hinted("does it wait at the paused pooler? give that target a `direct_url`")
    };
    let name = application_name(ticket);
    let opening = connect::open(freezing.postgres, through, &name, Pin::Ignored);
    let session = tokio::time::timeout(LIMIT, opening).await.map_err(|_| slow())??;
    let source = freezing.postgres.identify(&request.source).await?;
    if !source.identity.same_database(&session.moment.identity) {
        let message = format!("{through} is another database than {}: its canary proves nothing", request.source);
        return Err(Fault::fatal("freeze.elsewhere", message).hinted("`through` names a target of the same database"));
    }
    // Refused before rights or names are looked at, where the session only reads; otherwise it is taken back.
    let trying = session.client.batch_execute("BEGIN; CREATE TEMPORARY TABLE runsheet_canary (); ROLLBACK");
    let tried = tokio::time::timeout(LIMIT, trying).await.map_err(|_| slow())?;
    let (refused, said) = match tried {
        Ok(()) => (false, "it was taken".to_owned()),
        Err(error) => match error.as_db_error() {
            Some(said) => (said.code().code() == READ_ONLY, said.message().to_owned()),
            None => return Err(ground::harmless(&error, &session.what(FreezeProve::WORD))),
        },
    };
    Ok(Done { value: json!({ "refused": refused, "said": said }), rows: None })
}

/// What a role lacks, and what stands in the way.
const LACKS: &str = "
select 'to own the database, for ALTER DATABASE … SET: alter database … owner to, or be a member of its owner'
 where not exists (select from pg_database d where d.datname = current_database() and pg_has_role(d.datdba, 'usage'))
union all
select 'pg_read_all_stats, to see who is connected: grant pg_monitor to it'
 where not pg_has_role('pg_read_all_stats', 'usage')
union all
select 'pg_signal_backend, to end sessions: grant pg_signal_backend to it'
 where not pg_has_role('pg_signal_backend', 'usage')
union all
select format('to alter role %I, which has a read-only setting of its own: CREATEROLE%s', r.rolname,
              case when current_setting('server_version_num')::int >= 160000 then ' and ADMIN OPTION on it' else '' end)
  from pg_roles r join pg_db_role_setting s on s.setrole = r.oid, unnest(s.setconfig) entry, pg_database d, pg_roles me
 where d.datname = current_database() and s.setdatabase in (0, d.oid) and r.rolcanlogin
   and has_database_privilege(r.oid, d.oid, 'connect') and me.rolname = current_user
   and entry like 'default_transaction_read_only=%' and not split_part(entry, '=', 2)::boolean
   and not me.rolsuper and r.rolname <> current_user
   and (r.rolsuper or not me.rolcreaterole
        or (current_setting('server_version_num')::int >= 160000 and not pg_has_role(r.oid, 'member with admin option')))
union all
select format('no prepared transactions: %s could be committed whatever is frozen', string_agg(quote_literal(gid), ', '))
  from pg_prepared_xacts where database = current_database() having count(*) > 0
union all
select 'the language plpgsql, which was dropped: create extension plpgsql'
 where not exists (select from pg_language where lanname = 'plpgsql')
union all
select format('to end sessions of superusers, which only a superuser may: %s is connected', string_agg(distinct a.usename::text, ', '))
  from pg_stat_activity a join pg_roles r on r.oid = a.usesysid, pg_roles me
 where a.datname = current_database() and r.rolsuper and me.rolname = current_user and not me.rolsuper
having count(*) > 0";

/// What a person should know although nothing is missing.
const NOTES: &str = "
select format('subscription %I applies changes here: it is not stopped by a freeze', subname)
  from pg_subscription where subenabled and subdbid = (select oid from pg_database where datname = current_database())";

/// Says what is missing, before anything is begun.
pub async fn able(freezing: &Freezing<'_>, request: &FreezeAble, ticket: &Ticket) -> Result<Done, Fault> {
    let word = FreezeAble::WORD;
    let session = freezing.postgres.session(&request.source, &application_name(ticket)).await?;
    session.require_writable()?;
    let list = async |sql: &str| -> Result<Vec<String>, Fault> {
        session.ask(sql, &[], word).await?.iter().map(|row| column(row, 0)).collect()
    };
    let missing = list(LACKS).await?;
    // Not everybody may look at subscriptions.
    let may = "select has_table_privilege('pg_subscription', 'select') or has_column_privilege('pg_subscription', 'subname', 'select')";
    let rows = session.ask(may, &[] as &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)], word).await?;
    let notes = if rows.first().map_or(Ok(false), |row| column(row, 0))? { list(NOTES).await? } else { Vec::new() };
    freezing.postgres.give_back(session);
    let value: Value = json!({ "able": missing.is_empty(), "missing": missing, "notes": notes });
    Ok(Done { value, rows: None })
}
