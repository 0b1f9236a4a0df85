//! The live strategy as people run it: an application writes all the time, and every write that was acknowledged to it is
//! where it belongs afterwards.

use super::moving::Moving;
use crate::support::wait_until;

#[test]
fn a_live_cutover_moves_an_application_that_writes_and_goes_back_and_forth_without_losing_a_row() {
    let moving = Moving::new();
    let said = moving.cutover(&[]).with_code(0);
    moving.served();
    moving.all_on("managed");
    let refused = moving.world.source().try_sql("insert into users (email, name) values ('late@example.org', 'late')");
    assert!(refused.is_err_and(|said| said.contains("read-only")), "{}", said.out);

    // Back again, with what the new side took meanwhile.
    let back = moving.world.run(&["run", "cutover-rollback", "approve=true"]).with_code(0);
    assert!(!back.err.contains("is lost"), "the run that goes back keeps its locks: {}", back.err);
    moving.served();
    moving.all_on("source");
}

#[test]
fn finalizing_closes_the_way_back_and_leaves_nothing_behind() {
    let moving = Moving::new();
    moving.cutover(&[]).with_code(0);
    moving.served();
    // The way back is no leftover that anybody should clear away, and one who is too early has done no harm.
    moving.cutover(&[]).with_code(1).saying("cutover-1 has moved old to new already");
    moving.world.run(&["run", "cutover-finalize", "after=1d"]).with_code(3);
    moving.served();
    moving.all_on("managed");
    moving.world.run(&["run", "cutover-finalize"]).with_code(0);
    assert_eq!(moving.left(), "");
    moving.all_on("managed");
}

#[test]
fn a_rehearsal_prints_the_window_and_leaves_nothing() {
    let moving = Moving::new();
    for strategy in ["strategy=live", "strategy=dump"] {
        let said = moving.cutover(&[strategy, "rehearse=true"]).with_code(0);
        assert!(said.err.contains("the window to expect"), "{}", said.err);
        assert_eq!(moving.left(), "", "{strategy}");
    }
    moving.served();
    assert_eq!(moving.new_side().sql("select count(*) from pg_tables where schemaname = 'public'"), "0");
}

#[test]
fn a_row_that_is_lost_on_the_way_is_named_and_the_application_writes_on() {
    let moving = Moving::new();
    let run = moving.world.run(&["run", "cutover"]).with_code(5);
    assert!(run.err.contains("approve"), "{}", run.err);
    // Between the comparison and the freeze somebody takes a row away on the new side, and changes one.
    moving.new_side().sql("delete from issue_payouts where id = 3; update users set name = 'else' where id = 5");
    moving.world.run(&["approve", "cutover-1"]).with_code(0);
    let before = moving.world.acknowledged();
    let said = moving.world.run(&["resume", "cutover-1"]).with_code(3);
    wait_until("the application writes again", || moving.world.acknowledged() > before + 5);
    said.saying("issue_payouts: ").saying("writes go on");
    let status = moving.world.run(&["status"]);
    assert!(status.out.contains("gate `contents at the freeze` failed"), "{}", status.out);
    moving.world.run(&["abandon", "cutover-1", "--why", "a row is lost"]).with_code(0);
    assert_eq!(moving.left(), "");
    assert_eq!(moving.new_side().sql("select count(*) from pg_tables where schemaname = 'public'"), "0");
    moving.all_on_source_alone();
}
