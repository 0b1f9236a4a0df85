//! Two databases of one server, compared as the words compare them.

use runsheet::effects::{Done, Effects};
use runsheet::model::action::Action;
use runsheet::model::fault::Fault;
use runsheet::model::request::Request;
use runsheet::model::request::proving::{Comparison, SameRows, Side};
use runsheet::model::verdict::CheckVerdict;

use crate::postgres::harness::perform;
use crate::support::{Cluster, Database, target, world};

/// A database with this in it, and an exact copy.
pub fn twins(name: &str, sql: &str) -> (Database, Database) {
    let left = Cluster::shared().database(name);
    left.sql(sql);
    let right = copy(&left);
    (left, right)
}

/// A copy of the files of a database: dropped columns and OIDs included.
pub fn copy(database: &Database) -> Database {
    let copy = Cluster::shared().database("copy");
    let postgres = Cluster::shared().open("postgres");
    postgres.sql(&format!("drop database {}", copy.name));
    postgres.sql(&format!("create database {} template {}", copy.name, database.name));
    copy
}

/// Effects with the targets `left` and `right`.
pub fn effects(left: &Database, right: &Database) -> Effects {
    Effects::new(world([target("left", &left.url), target("right", &right.url)]))
}

/// The comparison of rows of both targets, contents too.
pub fn rows_request() -> SameRows {
    SameRows {
        left: Side::Target("left".into()),
        right: Side::Target("right".into()),
        contents: true,
        after: None,
        tolerance: 0.0,
        connections: 2,
        accept: Vec::new(),
    }
}

pub async fn ask<R: Request>(effects: &Effects, request: &R) -> Result<Comparison, Fault> {
    let Done { value, .. } = perform(effects, &Action::read(R::WORD, request, R::WORD, Vec::new())).await?;
    Ok(serde_json::from_value(value).expect("a comparison"))
}

/// The comparison of rows and contents.
pub async fn rows(left: &Database, right: &Database) -> Comparison {
    ask(&effects(left, right), &rows_request()).await.expect("it is compared")
}

#[track_caller]
pub fn passes(comparison: &Comparison) {
    assert_eq!(comparison.verdict, CheckVerdict::Pass, "{comparison:#?}");
}

/// Makes sure that this and nothing else differs.
#[track_caller]
pub fn differs(comparison: &Comparison, name: &str, what: &str) {
    assert_eq!(comparison.verdict, CheckVerdict::Fail, "{name}: {comparison:#?}");
    let found: Vec<&str> = comparison.differences.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(found, [name], "{comparison:#?}");
    assert!(comparison.differences[0].what.contains(what), "{comparison:#?}");
    assert!(comparison.detail.contains(name), "{comparison:#?}");
}
