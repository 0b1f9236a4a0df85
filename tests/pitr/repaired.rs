//! What was lost comes back exactly, and nothing else is touched.

use super::world::World;

/// Keys of several columns, identities, generated columns, references in both directions of the names, names that need
/// quotation marks, values of every awkward kind.
const AWKWARD: &str = r#"
create schema "Odd.Schema";
create type "Odd.Schema"."mood ""x""" as enum ('sad', 'o''k');
create table zparents (id bigint generated always as identity primary key, name text not null, shout text generated always as (upper(name)) stored, boss bigint references zparents);
create table "Odd.Schema"."kids; drop" (
    "a b" int, parent bigint not null references zparents, doc json, mood "Odd.Schema"."mood ""x""", at timestamptz, price numeric,
    bits bytea, tags text[], place point, "select" text default 'x', primary key (parent, "a b"));
insert into zparents (name, boss) select 'parent ' || n, nullif(n / 2, 0) from generate_series(1, 40) n;
insert into "Odd.Schema"."kids; drop"
select n, 1 + n % 40, '{"n": 1,  "n": 2}', 'o''k', '2026-01-01 00:00:00.123456+02', n * 1.100, '\x00ff', array['a,b', null, '"'], point(n, 0.1), E'tab\tline\n\\N'
  from generate_series(1, 200) n;"#;

const KIDS: &str = r#""Odd.Schema"."kids; drop""#;

fn contents(world: &World) -> String {
    let of = |table: &str| {
        world.app.sql(&format!("select count(*), md5(string_agg(t::text, '|' order by t::text)) from {table} t"))
    };
    format!("{} {}", of("zparents"), of(KIDS))
}

#[test]
fn deleted_and_changed_rows_come_back_exactly_with_their_identities_and_references() {
    let world = World::with(AWKWARD);
    let before = contents(&world);
    let from = world.second();
    world.app.sql(&format!(
        "begin; delete from {KIDS} where parent > 20; update zparents set boss = null where boss > 20; delete from zparents where id > 20;
         update {KIDS} set price = 0, doc = '{{}}', \"select\" = null where \"a b\" % 7 = 0; commit"
    ));
    let to = world.second();
    assert_ne!(contents(&world), before);
    let tables = format!("tables={KIDS},public.zparents");
    let good = "predicate=select count(*) = 40 from zparents";
    let said =
        world.restore(&[good, &format!("from={from}"), &format!("to={to}"), &tables, "rows=changed"]).with_code(5);
    assert!(said.err.contains("public.zparents: insert 20"), "{}", said.err);
    assert_ne!(contents(&world), before, "nothing is changed before it is approved");
    world.approved().with_code(0);
    assert_eq!(contents(&world), before);
    world.nothing_is_left();
    world.app.sql("insert into zparents (name) values ('new')");
}

#[test]
fn rows_that_are_only_missing_are_inserted_and_later_work_is_kept() {
    let world = World::with(
        "create table notes (id serial primary key, note text); insert into notes (note) select 'note ' || n from generate_series(1, 10) n",
    );
    let at = world.second();
    world.app.sql("delete from notes where id between 3 and 5; update notes set note = 'better' where id = 1; insert into notes (note) values ('later')");
    let said = world.restore(&[
        &format!("at={at}"),
        "present=select exists (select from notes where id = 4)",
        "tables=notes",
        "only=id > 3",
    ]);
    let said = said.with_code(5);
    assert!(said.err.contains("notes: insert 2"), "{}", said.err);
    world.approved().with_code(0);
    assert_eq!(world.app.sql("select string_agg(id::text, ',' order by id) from notes"), "1,2,4,5,6,7,8,9,10,11");
    assert_eq!(world.app.sql("select note from notes where id in (1, 11) order by id"), "better\nlater");
    world.nothing_is_left();
}

#[test]
fn what_changed_since_it_was_approved_stops_it_and_nothing_is_done() {
    let world = World::with(
        "create table notes (id int primary key, note text); insert into notes select n, 'note' from generate_series(1, 10) n",
    );
    let at = world.second();
    world.app.sql("delete from notes where id > 8");
    let present = "present=select exists (select from notes where id = 9)";
    world.restore(&[&format!("at={at}"), present, "tables=notes"]).with_code(5);
    world.app.sql("delete from notes where id = 1");
    let stopped = world.approved().with_code(1);
    assert!(stopped.err.contains('3') && stopped.err.contains("row"), "{}", stopped.err);
    assert_eq!(world.app.sql("select count(*) from notes"), "7");
    world.nothing_is_left();
}

#[test]
fn a_copy_without_anything_to_compare_it_by_is_not_called_good() {
    let world = World::with("create table notes (id int primary key)");
    let at = world.second();
    world.restore(&[&format!("at={at}")]).with_code(4).saying("two-sided assertion");
    world.restore(&[&format!("at={at}"), "accept=two-sided assertion"]).with_code(0);
    world.nothing_is_left();
}
