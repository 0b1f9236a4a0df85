//! A copy that is made while its source goes on: what stood still must be equal, what moved must lie in between.

use runsheet::model::request::proving::{Comparison, SameRows, Side};

use super::harness::{ask, copy, differs, effects, passes, rows_request, twins};
use crate::support::Database;

const TABLES: &str = "create table quiet as select i as id from generate_series(1, 50) i;
    create table busy as select i as id from generate_series(1, 100) i";

/// Compares `copy` with what `source` was before, and is now.
async fn compare(before: &Database, source: &Database, copy: &Database, tolerance: f64) -> Comparison {
    let world = runsheet::effects::Effects::new(crate::support::world([
        crate::support::target("left", &before.url),
        crate::support::target("right", &copy.url),
        crate::support::target("after", &source.url),
    ]));
    let request = SameRows { after: Some(Side::Target("after".into())), tolerance, ..rows_request() };
    ask(&world, &request).await.expect("it is compared")
}

#[tokio::test]
async fn a_table_that_moved_meanwhile_may_lie_between_and_one_that_stood_still_must_be_equal() {
    let (source, before) = twins("after", TABLES);
    source.sql("insert into busy values (101), (102)");
    let (made, still) = (copy(&source), copy(&before));
    source.sql("insert into busy values (103), (104)");
    passes(&compare(&before, &source, &made, 0.0).await);
    // It may be as it was before, or after, but not lose what was there all the time.
    passes(&compare(&before, &source, &still, 0.0).await);
    made.sql("delete from busy where id < 4");
    differs(&compare(&before, &source, &made, 0.0).await, "public.busy", "99 on the right");
    passes(&compare(&before, &source, &made, 0.1).await);
    made.sql("update quiet set id = 0 where id = 7");
    differs(&compare(&before, &source, &made, 0.1).await, "public.quiet", "contents differ");
}

#[tokio::test]
async fn a_table_that_stood_still_has_no_tolerance() {
    let (left, right) = twins("after_strict", TABLES);
    right.sql("delete from quiet where id = 1");
    let request = SameRows { after: Some(Side::Target("left".into())), tolerance: 0.5, ..rows_request() };
    let compared = ask(&effects(&left, &right), &request).await.expect("it is compared");
    differs(&compared, "public.quiet", "49 on the right");
}
