//! What a read may call: inside READ ONLY a function can still end sessions, make slots and switch WAL.

use std::collections::BTreeSet;

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::connect::{Session, column};
use super::faults::{self, Stage};
use super::lexer;
use crate::model::Value;
use crate::model::fault::Fault;

/// Words that begin a statement which reads.
const READING: [&str; 6] = ["select", "with", "values", "table", "show", "explain"];

/// Volatile functions of `pg_catalog` that only look.
const LOOKING: &[&str] = &[
    "clock_timestamp",
    "timeofday",
    "random",
    "gen_random_uuid",
    "pg_is_in_recovery",
    "pg_is_wal_replay_paused",
    "pg_get_wal_replay_pause_state",
    "pg_current_wal_lsn",
    "pg_current_wal_insert_lsn",
    "pg_current_wal_flush_lsn",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
    "pg_last_committed_xact",
    "pg_xact_status",
    "txid_status",
    "pg_xact_commit_timestamp",
    "pg_xact_commit_timestamp_origin",
    "pg_database_size",
    "pg_tablespace_size",
    "pg_relation_size",
    "pg_table_size",
    "pg_indexes_size",
    "pg_total_relation_size",
    "pg_relation_filenode",
    "pg_blocking_pids",
    "pg_safe_snapshot_blocking_pids",
    "pg_lock_status",
    "pg_prepared_xact",
    "pg_prepared_statement",
    "pg_cursor",
    "pg_notification_queue_usage",
    "pg_sequence_last_value",
    "pg_show_all_settings",
    "pg_show_all_file_settings",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_config",
    "pg_control_system",
    "pg_control_checkpoint",
    "pg_control_recovery",
    "pg_control_init",
    "pg_ls_waldir",
    "pg_ls_logdir",
    "pg_ls_tmpdir",
    "pg_ls_archive_statusdir",
    "pg_show_replication_origin_status",
    "pg_get_replication_slots",
    "pg_stat_get_archiver",
    "pg_stat_get_wal",
    "pg_stat_get_slru",
    "pg_stat_get_wal_senders",
    "pg_stat_get_wal_receiver",
    "pg_stat_get_recovery_prefetch",
    "pg_stat_get_replication_slot",
    "pg_stat_get_progress_info",
    "pg_get_shmem_allocations",
    "pg_get_backend_memory_contexts",
    "pg_timezone_names",
    "pg_timezone_abbrevs",
    "pg_collation_actual_version",
    "pg_database_collation_actual_version",
    "pg_stats_ext_mcvlist_items",
    "pg_mcv_list_items",
];

const VOLATILE: &str = "
select distinct n.nspname::text, p.proname::text
  from unnest($1::text[], $2::text[]) as asked(schema, name)
  join pg_catalog.pg_proc p on p.proname = asked.name::name
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
 where p.provolatile = 'v'
   and (n.nspname = asked.schema or asked.schema = '' and pg_catalog.pg_function_is_visible(p.oid))
   and not (n.nspname = 'pg_catalog' and p.proname = any($3::text[]))
 order by 1, 2 limit 1";

/// Refuses a statement that could change anything although its transaction is read only.
pub async fn refuse_side_effects(session: &Session, sql: &str) -> Result<(), Fault> {
    let word = lexer::first_word(sql);
    let explains = word == "explain";
    let runs_it = explains
        && lexer::tokens(sql)
            .iter()
            .any(|token| matches!(token, lexer::Token::Name { text, .. } if text.starts_with("analy")));
    if !READING.contains(&word.as_str()) || runs_it {
        let shown = if runs_it { "EXPLAIN ANALYZE".to_owned() } else { word.to_uppercase() };
        return Err(Fault::fatal("sql.side-effect", format!("sql::query only reads, and `{shown}` is not a read"))
            .hinted("use sql::exec for changes of rows and schema, sql::admin for what refuses a transaction"));
    }
    let mut called: BTreeSet<(String, String)> = lexer::calls(sql).into_iter().collect();
    if !explains && word != "show" {
        // The server's own view of the statement shows what stands behind views and other spellings.
        let plan = session.ask(&format!("EXPLAIN (VERBOSE, FORMAT JSON) {sql}"), &[], "sql::query").await?;
        for row in &plan {
            gather(&column::<Value>(row, 0)?, &mut called);
        }
    }
    if called.is_empty() {
        return Ok(());
    }
    let (schemas, names): (Vec<String>, Vec<String>) = called.into_iter().unzip();
    let refused = volatile(session, &schemas, &names).await?;
    let Some(row) = refused.first() else { return Ok(()) };
    let (schema, name): (String, String) = (column(row, 0)?, column(row, 1)?);
    let own = "use sql::exec or sql::admin for it; if it only reads, declare it STABLE";
    Err(Fault::fatal(
        "sql.side-effect",
        format!("sql::query only reads, and `{schema}.{name}` is a function that may change something"),
    )
    .hinted(if schema == "pg_catalog" { "sql::admin is the word for it" } else { own }))
}

/// The first of these functions that is volatile and none of those that only look. A pooler gives sessions away, and so
/// cannot keep a statement.
async fn volatile(session: &Session, schemas: &[String], names: &[String]) -> Result<Vec<Row>, Fault> {
    let list = Type::TEXT_ARRAY;
    if session.pooled.is_some() {
        let params: [(&(dyn ToSql + Sync), Type); 3] =
            [(&schemas, list.clone()), (&names, list.clone()), (&LOOKING, list)];
        return session.ask(VOLATILE, &params, "sql::query").await;
    }
    let answer = async {
        let lists = [list.clone(), list.clone(), list.clone()];
        let prepare = || session.client.prepare_typed(VOLATILE, &lists);
        let statement = session.before_reads.get_or_try_init(prepare).await?;
        session.client.query(statement, &[&schemas, &names, &LOOKING]).await
    };
    answer.await.map_err(|error| faults::of(&error, Stage::Harmless, &session.what("sql::query")))
}

/// Calls inside of the expressions of a plan.
fn gather(plan: &Value, called: &mut BTreeSet<(String, String)>) {
    match plan {
        Value::String(text) => called.extend(lexer::calls(text)),
        Value::Array(items) => items.iter().for_each(|item| gather(item, called)),
        Value::Object(map) => map.values().for_each(|item| gather(item, called)),
        _ => {}
    }
}
