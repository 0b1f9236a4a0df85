//! The proxy of the tests that has a server refuse a statement, or lose its answer: what psql and a driver see of it.

use std::io::Write;
use std::process::Stdio;

use tokio_postgres::{Client, NoTls};

use crate::support::{Cluster, Database, Refusing, Said};

const NEEDLE: &str = "SCRAM-SHA-256$";

/// A role, a statement that gives it a verifier, and one that asks whether it has a password.
fn role(database: &Database) -> (String, String, String) {
    let role = format!("role_{}", database.name);
    let key = format!("{}=", "A".repeat(43));
    let alter = format!("alter role {role} password '{NEEDLE}4096:c2FsdHNhbHRzYWx0c2FsdA==${key}:{key}'");
    let has = format!("select rolpassword is not null from pg_authid where rolname = '{role}'");
    database.sql(&format!("create role {role}"));
    (role, alter, has)
}

/// Each statement in a message of its own, whatever becomes of the others.
fn script(database: &Database, statements: &[&str]) -> Said {
    let mut psql = database.psql("\\set VERBOSITY verbose");
    psql.args(["-v", "ON_ERROR_STOP=0", "-f", "-"]);
    let mut psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("psql");
    let text = format!("{};\n", statements.join(";\n"));
    psql.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("a script");
    psql.wait_with_output().expect("psql ends").into()
}

/// What prepares and executes, as psql does not.
async fn driver(database: &Database) -> Client {
    let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_refused_as_by_a_server_and_everything_else_is_let_through() {
    let database = Cluster::shared().database("refusing");
    let (role, alter, has) = role(&database);
    let proxy = Refusing::before(&database, NEEDLE, "22023", "it's 100% plain passwords here");
    let through = proxy.database();
    assert_ne!(through.url, database.url);
    assert_eq!(through.sql("select current_database()"), database.name);
    let said =
        script(&through, &[&alter, "select 'goes on'", "begin", &alter, "select 1", "rollback", "select 'so too'"]);
    assert!(said.err.contains("ERROR:  22023: it's 100% plain passwords here"), "{}", said.err);
    assert!(said.err.contains("25P02"), "the transaction is lost: {}", said.err);
    assert_eq!(said.out, "goes on\nso too\n");
    // In one message with others, those before it are undone with it.
    through.try_sql(&format!("begin; create table t (); {alter}; commit")).expect_err("it is refused");
    assert_eq!(database.sql("select to_regclass('t') is null"), "t");

    let client = driver(&through).await;
    let refused = client.execute(&alter, &[]).await.expect_err("it is refused");
    assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("22023"));
    let row = client.query_one("select $1::text", &[&"goes on"]).await.expect("a row");
    assert_eq!(row.get::<_, &str>(0), "goes on");
    assert_eq!((database.sql(&has).as_str(), proxy.caught()), ("f", 4));
    through.sql(&format!("alter role {role} password 'plain'"));
    assert_eq!(database.sql(&has), "t");
    database.sql(&format!("drop role {role}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_lost_once_the_change_is_made_and_only_so_often() {
    let database = Cluster::shared().database("losing");
    let (role, alter, has) = role(&database);
    let forget = format!("alter role {role} password null");
    let proxy = Refusing::losing(&database, NEEDLE, 3);
    let through = proxy.database();
    let lost = through.try_sql(&alter).expect_err("there is no answer");
    assert!(lost.contains("server closed the connection unexpectedly"), "{lost}");
    assert_eq!(database.sql(&has), "t", "it is done all the same");

    database.sql(&forget);
    let said = script(&through, &["select 'one'", "begin", &alter, "select 'two'", "commit", "select 'three'"]);
    assert_eq!((said.out.as_str(), database.sql(&has).as_str()), ("one\ntwo\n", "t"), "{}", said.err);

    database.sql(&forget);
    let client = driver(&through).await;
    let lost = client.execute(&alter, &[]).await.expect_err("there is no answer");
    assert!(lost.as_db_error().is_none() && client.is_closed(), "{lost}");
    assert_eq!((database.sql(&has).as_str(), proxy.caught()), ("t", 3));
    through.sql(&alter);
    assert_eq!(proxy.caught(), 3, "from here on it is told");
    database.sql(&format!("drop role {role}"));
}
