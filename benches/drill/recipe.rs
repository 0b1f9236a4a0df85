//! What people do without Runsheet: the recipe of a handbook, and proof by hand.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::lab::Lab;

/// The tables that the recipe counts: the biggest.
const TABLES: [&str; 4] = ["users", "test_cycles", "issues", "issue_payouts"];

/// `pg_dump -Fc`, `pg_restore`, `count(*)` of four tables on both sides; seconds.
pub fn drill(lab: &Lab) -> f64 {
    let begun = Instant::now();
    restore(lab);
    count(lab);
    let took = begun.elapsed().as_secs_f64();
    drop_copy(lab);
    took
}

/// Leaves a copy of the source in the database `copy`, as the recipe makes it.
pub fn copy(lab: &Lab) {
    restore(lab);
}

/// The counts alone; seconds.
pub fn counts(lab: &Lab) -> f64 {
    let begun = Instant::now();
    count(lab);
    begun.elapsed().as_secs_f64()
}

/// The sum of the hashes of the rows of every table, two sessions a side, both sides at once; seconds.
pub fn contents(lab: &Lab) -> f64 {
    let tables = psql(
        lab.source(),
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind in ('r', 'm') and c.relispopulated and n.nspname not in ('pg_catalog', 'information_schema')
          order by pg_relation_size(c.oid) desc",
    );
    // Names hold what they like, also newlines.
    let tables: Vec<&str> = tables.split('\0').filter(|table| !table.is_empty()).collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for url in [lab.source(), lab.copy()] {
            // Every other table by size, so that both sessions of a side have about as much to do.
            for session in 0..2 {
                let mine: String = tables
                    .iter()
                    .skip(session)
                    .step_by(2)
                    .map(|table| format!("select sum(hashtextextended(t::text, 0)), count(*) from only {table} t;"))
                    .collect();
                scope.spawn(move || psql(url, &mine));
            }
        }
    });
    begun.elapsed().as_secs_f64()
}

fn restore(lab: &Lab) {
    let dump: PathBuf = lab.path().join("recipe.dump");
    drop_copy(lab);
    psql(lab.scratch(), "create database copy template template0");
    tool(
        "pg_dump",
        &["--format=custom", "--no-owner", "--no-privileges", "--file", &dump.to_string_lossy(), lab.source()],
    );
    tool("pg_restore", &["--no-owner", "--no-privileges", "--dbname", lab.copy(), &dump.to_string_lossy()]);
    std::fs::remove_file(dump).expect("the dump is removed");
}

fn drop_copy(lab: &Lab) {
    psql(lab.scratch(), "drop database if exists copy with (force)");
}

fn count(lab: &Lab) {
    for url in [lab.source(), lab.copy()] {
        for table in TABLES {
            psql(url, &format!("select count(*) from {table}"));
        }
    }
}

/// What psql answers.
pub fn psql(url: &str, sql: &str) -> String {
    tool("psql", &["-X", "-q", "-A", "-t", "-0", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql])
}

fn tool(name: &str, args: &[&str]) -> String {
    let output = Command::new(name).args(args).stdin(Stdio::null()).output().expect("it starts");
    assert!(output.status.success(), "{name} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
