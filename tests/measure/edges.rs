//! Where a careless comparison would say *equal*: nothing to see, nothing to compare, one thing compared with itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use runsheet::effects::Effects;
use runsheet::effects::postgres::Postgres;
use runsheet::effects::postgres::measure::{Exported, How, file, measure};
use runsheet::model::request::proving::{Amcheck, Comparison, SameObjects, SameRows, SequencesAhead, Side};
use runsheet::model::verdict::CheckVerdict;

use super::harness::{ask, copy, differs, effects, passes, rows, rows_request, twins};
use crate::support::cluster::PASSWORD;
use crate::support::{Cluster, Database, PgBouncer, target, world};

#[track_caller]
fn unverified(comparison: &Comparison, name: &str) {
    assert_eq!(comparison.verdict, CheckVerdict::CouldNotVerify, "{comparison:#?}");
    let found: Vec<&str> = comparison.gaps.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(found, [name], "{comparison:#?}");
    assert!(comparison.detail.contains(name), "{comparison:#?}");
}

/// The same database, seen by a role that is no superuser.
fn as_role(database: &Database, role: &str, grants: &str) -> Database {
    let open = Cluster::shared();
    open.open("postgres").sql(&format!(
        "do $$ begin create role {role} login password '{PASSWORD}'; exception when duplicate_object then null; end $$;
         grant execute on function pg_control_system(), pg_control_checkpoint() to {role}"
    ));
    database
        .sql(&format!("grant execute on function pg_control_system(), pg_control_checkpoint() to {role}; {grants}"));
    Database {
        name: database.name.clone(),
        url: database.url.replace("postgres:", &format!("{role}:")).replacen(&format!("{role}://"), "postgresql://", 1),
    }
}

#[tokio::test]
async fn databases_that_are_really_empty_are_equal() {
    let (left, right) = twins("empty", "select 1");
    let compared = rows(&left, &right).await;
    passes(&compared);
    assert!(compared.detail.starts_with("0 of 0 tables equal"), "{}", compared.detail);
}

#[tokio::test]
async fn a_table_that_is_on_one_side_only_differs_even_without_rows() {
    let (left, right) = twins("one_sided", "create table a (x int)");
    left.sql("create table b (x int)");
    differs(&rows(&left, &right).await, "public.b", "0 rows on the left, missing on the right");
    differs(&rows(&right, &left).await, "public.b", "missing on the left, 0 rows on the right");
    let (left, right) = twins("emptied", "create table a (x int)");
    right.sql("drop table a");
    differs(&rows(&left, &right).await, "public.a", "missing on the right");
}

#[tokio::test]
async fn what_a_role_may_not_see_is_never_equal() {
    let (left, right) = twins(
        "hidden",
        "create table seen (a int); create table guarded (owner name); insert into guarded values ('x');
         alter table guarded enable row level security; create policy own on guarded using (owner = current_user)",
    );
    let role = "hidden_auditor";
    let left = as_role(&left, role, &format!("grant select on all tables in schema public to {role}"));
    let right = as_role(&right, role, &format!("grant select on all tables in schema public to {role}"));
    let compared = rows(&left, &right).await;
    unverified(&compared, "filtered table public.guarded");
    let tolerant = SameRows { accept: vec!["public.guarded".into()], ..rows_request() };
    passes(&ask(&effects(&left, &right), &tolerant).await.unwrap());

    let (left, right) =
        twins("unreadable", "create table seen (a int); create table shut (a int); create sequence closed");
    let (left, right) = (as_role(&left, role, &format!("grant select on seen to {role}")), as_role(&right, role, ""));
    let compared = rows(&left, &right).await;
    assert_eq!(compared.verdict, CheckVerdict::CouldNotVerify, "{compared:#?}");
    assert_eq!(compared.gaps.len(), 2, "{compared:#?}");
    let request = SequencesAhead { target: "left".into(), accept: Vec::new() };
    passes(&ask(&effects(&left, &right), &request).await.unwrap());
}

#[tokio::test]
async fn what_has_no_rows_here_is_named_as_a_gap() {
    let (left, right) = twins(
        "foreign",
        "create foreign data wrapper far; create server there foreign data wrapper far;
         create foreign table remote (a int) server there; create unlogged table swift as select 1 as a",
    );
    unverified(&rows(&left, &right).await, "foreign table public.remote");
    let tolerant = SameRows { accept: vec!["foreign table".into()], ..rows_request() };
    let effects = effects(&left, &right);
    passes(&ask(&effects, &tolerant).await.unwrap());
    right.sql("update swift set a = 2");
    differs(&ask(&effects, &tolerant).await.unwrap(), "public.swift", "contents differ");
}

#[tokio::test]
async fn what_is_filled_anew_or_belongs_to_an_extension_is_a_gap_when_it_differs() {
    let (left, right) = twins(
        "derived",
        "create table t as select 1 as a; create materialized view m as select a from t;
         create extension amcheck; create table own as select 1 as a; alter extension amcheck add table own",
    );
    let stale = copy(&left);
    passes(&rows(&left, &right).await);
    stale.sql("update t set a = 2; refresh materialized view m; update t set a = 1");
    unverified(&rows(&left, &stale).await, "materialised view public.m");
    right.sql("update own set a = 2");
    unverified(&rows(&left, &right).await, "table of an extension public.own");
}

#[tokio::test]
async fn parents_count_their_own_rows_only() {
    let (left, right) = twins(
        "families",
        "create table parent (a int); create table child () inherits (parent);
         insert into parent values (1); insert into child values (2);
         create table parted (a int) partition by range (a); create table leaf partition of parted for values from (0) to (9);
         insert into parted values (3)",
    );
    let compared = rows(&left, &right).await;
    passes(&compared);
    assert_eq!((compared.compared, compared.left_rows), (3, 3), "{compared:#?}");
    right.sql("with moved as (delete from only parent returning *) insert into child select * from moved");
    let compared = rows(&left, &right).await;
    let found: Vec<&str> = compared.differences.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(found, ["public.child", "public.parent"]);
}

#[tokio::test]
async fn a_database_is_not_compared_with_itself() {
    let (left, _) = twins("selfsame", "create table t (a int)");
    let fault = ask(&effects(&left, &left), &rows_request()).await.unwrap_err();
    assert_eq!(fault.code, "check.same-database");
}

#[tokio::test]
async fn a_pooler_is_refused() {
    let (left, right) = twins("pooled", "create table t (a int)");
    let pooler = PgBouncer::start(Cluster::shared(), "");
    let effects = Effects::new(world([target("left", &pooler.url(&left.name)), target("right", &right.url)]));
    let fault = ask(&effects, &rows_request()).await.unwrap_err();
    assert_eq!(fault.code, "target.pooled", "{fault}");
}

#[tokio::test]
async fn counts_alone_do_not_claim_more_than_counts() {
    let (left, right) = twins("counts", "create table t as select 1 as a");
    right.sql("update t set a = 2");
    let counting = SameRows { contents: false, ..rows_request() };
    let compared = ask(&effects(&left, &right), &counting).await.unwrap();
    passes(&compared);
    assert_eq!(compared.tables[0].verdict, "same count");
    assert!(compared.detail.contains("equal in rows,"), "{}", compared.detail);
}

#[tokio::test]
async fn a_snapshot_shows_the_same_however_much_is_written_meanwhile() {
    let database = Cluster::shared().database("busy");
    database.sql("create table t (id bigserial, at timestamptz default clock_timestamp()); insert into t select from generate_series(1, 5000)");
    let postgres = Arc::new(Postgres::new(Arc::new(world([target("app", &database.url)]))));
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (stop, mut psql) = (stop.clone(), database.psql("do $$ begin loop insert into t default values; update t set at = now() where id = 7; commit; end loop; end $$"));
        let mut child = psql.stderr(std::process::Stdio::null()).spawn().expect("psql runs");
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            child.kill().expect("psql is stopped");
            child.wait().expect("psql ends");
        })
    };
    let exported = Exported::take(&postgres, "app").await.unwrap();
    let how = How { contents: true, connections: 3 };
    let first = exported.measure(&postgres, &how).await.unwrap();
    crate::support::wait_until("rows are written", || {
        database.sql("select count(*) from t").parse::<u64>().unwrap() > first.rows() + 100
    });
    let second = exported.measure(&postgres, &How { connections: 2, ..how.clone() }).await.unwrap();
    assert!(second.sequences[0].last_value < i64::try_from(second.rows()).unwrap() + 100, "{:?}", second.sequences);
    let now = measure(&postgres, "app", &how).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    // Without its client it would go on for as long as the server runs.
    database.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query like 'do $$ begin loop%'");
    assert_eq!(first.tables, second.tables);
    assert!(now.rows() > first.rows());
    database.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'");
    let fault = exported.measure(&postgres, &how).await.unwrap_err();
    assert!(fault.hint.unwrap_or_default().contains("take a new snapshot"), "{}", fault.message);
}

#[tokio::test]
async fn what_no_snapshot_protects_from_is_noticed() {
    let database = Cluster::shared().database("replaced");
    database.sql(
        "create table cut as select 1 as a; create table kept as select 1 as a;
         create materialized view fresh as select a from kept",
    );
    let postgres = Postgres::new(Arc::new(world([target("app", &database.url)])));
    let exported = Exported::take(&postgres, "app").await.unwrap();
    database.sql("truncate cut; refresh materialized view fresh; alter table kept add b int");
    let measured = exported.measure(&postgres, &How { contents: false, connections: 1 }).await.unwrap();
    let found: Vec<&str> = measured.gaps.iter().map(|gap| gap.name.as_str()).collect();
    assert_eq!(found, ["public.cut", "public.fresh"]);
}

#[tokio::test]
async fn what_was_measured_earlier_is_compared_and_a_changed_file_refused() {
    let (left, right) = twins("earlier", "create table t as select 1 as a; create sequence s");
    let effects = effects(&left, &right);
    let postgres = Postgres::new(Arc::new(world([target("left", &left.url)])));
    let measured = measure(&postgres, "left", &How { contents: true, connections: 1 }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/measured.json");
    let digest = file::write(&path, &measured).unwrap();
    assert_eq!(file::read(&path, &digest).unwrap(), measured);
    let request = SameRows { left: Side::File { path: path.clone(), digest }, ..rows_request() };
    passes(&ask(&effects, &request).await.unwrap());
    right.sql("delete from t");
    let compared = ask(&effects, &request).await.unwrap();
    differs(&compared, "public.t", "1 row on the left, 0 on the right");
    assert!(compared.left.starts_with("earlier_"), "{}", compared.left);
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap().replace("\"rows\":1", "\"rows\":0")).unwrap();
    assert_eq!(ask(&effects, &request).await.unwrap_err().code, "measured.changed");
    let nothing = SameRows { left: Side::Nothing("nothing was counted".into()), ..rows_request() };
    let compared = ask(&effects, &nothing).await.unwrap();
    assert_eq!((compared.verdict, compared.detail.as_str()), (CheckVerdict::CouldNotVerify, "nothing was counted"));
}

#[tokio::test]
async fn files_of_tables_and_indexes_are_checked() {
    let database = Cluster::shared().database("files");
    database.sql("create table t (a int, words tsvector); insert into t select i, null from generate_series(1, 1000) i; create index on t (a)");
    let effects = Effects::new(world([target("app", &database.url)]));
    let request = Amcheck { target: "app".into(), accept: Vec::new() };
    unverified(&ask(&effects, &request).await.unwrap(), "extension amcheck");
    database.sql("create extension amcheck; create index on t using gin (words)");
    unverified(&ask(&effects, &request).await.unwrap(), "gin index public.t_words_idx");
    let request = Amcheck { accept: vec!["gin index".into()], ..request };
    let compared = ask(&effects, &request).await.unwrap();
    passes(&compared);
    assert!(compared.compared > 100, "{compared:#?}");
    // A row that no index knows, as a broken index shows itself.
    database.sql(
        "update pg_index set indisready = false, indislive = false where indexrelid = 't_a_idx'::regclass; commit;
         insert into t values (2000); update pg_index set indisready = true, indislive = true where indexrelid = 't_a_idx'::regclass",
    );
    differs(&ask(&effects, &request).await.unwrap(), "index public.t_a_idx", "heap tuple");
}

#[tokio::test]
async fn a_database_that_a_run_made_is_lent_the_extension_for_the_check() {
    let database = Cluster::shared().database("lent");
    database.sql(
        "create table t as select i as a from generate_series(1, 60) i; create index on t (a);
         create function slow(int) returns int immutable language plpgsql as $$ begin perform pg_sleep(0.02); return $1; end $$;
         create index on t (slow(a))",
    );
    // A check takes as long as it takes.
    database.sql(&format!("alter database {} set statement_timeout = '1s'", database.name));
    let stamp = r#"{"runsheet":"drill-1","stamp":"1f","host":"here","operator":"me","at":"2026-01-31T12:00:00Z"}"#;
    database.sql(&format!("comment on database {} is '{stamp}'", database.name));
    let effects = Effects::new(world([target("server", &Cluster::shared().open("postgres").url)]));
    let request = Amcheck { target: format!("server:{}", database.name), accept: Vec::new() };
    passes(&ask(&effects, &request).await.unwrap());
    assert_eq!(database.sql("select count(*) from pg_extension where extname = 'amcheck'"), "0");
    database.sql("update pg_index set indisvalid = false where indexrelid = 't_a_idx'::regclass");
    differs(&ask(&effects, &request).await.unwrap(), "index public.t_a_idx", "invalid");
}

#[tokio::test]
async fn a_collation_that_changed_under_its_indexes_is_named() {
    let (left, right) = twins(
        "collated",
        "create table t (a text collate \"de-x-icu\" primary key); insert into t values ('ä'), ('z')",
    );
    let request = SameObjects {
        left: Side::Target("left".into()),
        right: Side::Target("right".into()),
        grants: false,
        older: false,
        accept: Vec::new(),
    };
    let both = effects(&left, &right);
    passes(&ask(&both, &request).await.unwrap());
    passes(&ask(&both, &rows_request()).await.unwrap());
    right.sql("update pg_collation set collversion = '1.0' where collname = 'de-x-icu'");
    let compared = ask(&both, &request).await.unwrap();
    unverified(&compared, "collation version \"de-x-icu\"");
    assert!(compared.gaps[0].what.starts_with("on the right: indexes were built under version 1.0"), "{compared:#?}");
}
