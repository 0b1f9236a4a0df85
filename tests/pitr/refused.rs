//! What cannot end well is refused early, with what can be done instead.

use super::world::World;

const NOTES: &str =
    "create table notes (id int primary key, note text); insert into notes values (1, 'one'), (2, 'two')";
const GOOD: &str = "predicate=select count(*) = 2 from notes";

#[test]
fn a_time_without_a_zone_is_refused_before_anything_begins() {
    let world = World::with(NOTES);
    world.restore(&["at=2026-03-01T02:00:00"]).with_code(2).saying("a time with its zone");
    world.restore(&[GOOD, "from=2026-03-01 02:00"]).with_code(2).saying("a time with its zone");
    world.restore(&["at=0/xyz"]).with_code(2);
    world.restore(&["at=name:"]).with_code(2);
    assert!(!world.path().join(".runsheet/recovered").exists());
}

#[test]
fn moments_that_cannot_be_reached_are_refused_with_the_interval_that_can() {
    let world = World::with(NOTES);
    let before = world.restore(&["at=2001-01-01T00:00:00Z"]).with_code(3);
    assert!(
        before.err.contains("at is not before the window") && before.err.contains("can be brought back"),
        "{}",
        before.err
    );
    let future = world.restore(&["at=2101-01-01T00:00:00+01:00"]).with_code(3);
    assert!(future.err.contains("at is not in the future"), "{}", future.err);
    assert!(future.err.contains("days") && future.err.contains("from now"), "{}", future.err);
    world.restore(&[GOOD, "from=2001-01-01T00:00:00Z"]).with_code(3).saying("from is not before the window");
    world.restore(&[GOOD, "to=2101-01-01T00:00:00Z"]).with_code(3).saying("to is not in the future");
    world.restore(&[GOOD, "from=0/3000060"]).with_code(3).saying("a search goes from one time to another");
    world.restore(&[]).with_code(3).saying("give `at`, or a `predicate`");
    world.restore(&[GOOD, "mode=rewind"]).with_code(3).saying("recovery.signal");
    world.nothing_is_left();
}

#[test]
fn where_nothing_is_wrong_nothing_is_searched() {
    let world = World::with(NOTES);
    world.restore(&[GOOD]).with_code(3).saying("predicate: there is something to repair");
    let broken = world.restore(&["predicate=select count(*) = 2 from nots"]).with_code(1);
    assert!(broken.err.contains("relation \"nots\" does not exist"), "{}", broken.err);
    let number = world.restore(&["predicate=select count(*) from notes"]).with_code(1);
    assert!(number.err.contains("answered 2 and not true or false"), "{}", number.err);
    world.restore(&["predicate=select null::boolean"]).with_code(1).saying("not true or false");
    assert_eq!(world.intents("pitr-restore-1", "pg::recover"), 0);
    world.nothing_is_left();
}

#[test]
fn tables_that_cannot_take_rows_back_are_refused_by_name() {
    let world = World::with(
        "create table keyless (note text);
         create table watched (id int primary key);
         create function told() returns trigger language plpgsql as $$ begin return new; end $$;
         create trigger shout after insert on watched for each row execute function told();
         insert into keyless values ('x'); insert into watched values (1)",
    );
    let at = format!("at={}", world.second());
    world.app.sql("delete from keyless; delete from watched; create table later (id int primary key)");
    let bad = "absent=select not exists (select from watched)";
    let refused = |table: &str, why: &str| {
        world.restore(&[&at, bad, &format!("tables={table}")]).with_code(3).saying(why);
    };
    refused("keyless", "neither a primary key nor a unique index");
    refused("watched", "shout");
    refused("later", "later: a table in the copy");
    refused("nowhere", "nowhere: a table in the live database");
    world.restore(&[&at, bad, "tables=watched", "triggers=fire"]).with_code(5);
    world.approved().with_code(0);
    assert_eq!(world.app.sql("select id from watched"), "1");
    world.nothing_is_left();
}

#[test]
fn what_was_planned_is_what_is_done_and_nothing_is_made_by_planning() {
    let world = World::with(NOTES);
    let from = world.second();
    world.app.sql("delete from notes where id = 2");
    let to = world.second();
    let (from, to) = (format!("from={from}"), format!("to={to}"));
    let args = ["pitr-restore", "source=app", GOOD, &from, &to, "tables=notes"];
    let before = world.app.dump();
    let plan = world.project.run(&[&["plan"], args.as_slice(), &["--out", "plan.json"]].concat()).with_code(0);
    assert!(plan.out.contains("would copy") && plan.out.contains("POINT OF NO RETURN"), "{}", plan.out);
    assert_eq!(world.app.dump(), before);
    world.nothing_is_left();
    world.project.run(&["run", "pitr-restore", "--plan", "plan.json"]).with_code(5);
    world.approved().with_code(0);
    assert_eq!(world.app.sql("select count(*) from notes"), "2");
}
