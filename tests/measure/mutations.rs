//! Every change of contents that a bad copy could show is found, and its table named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use runsheet::effects::postgres::Postgres;
use runsheet::effects::postgres::measure::{How, measure};

use super::harness::{differs, passes, rows, twins};
use crate::support::{Cluster, target, world};

/// One table of everything that is easily mistaken; three rows of which two are twins.
const TABLE: &str = "
create type mood as enum ('sad', 'ok', 'glad');
create domain positive as int check (value > 0);
create type pair as (a int, b text);
create table things (
    id bigint, small smallint, whole int, wide bigint, amount numeric, ratio float8, single float4, flag boolean,
    day date, at timestamp, moment timestamptz, hours time, span interval, name text, code varchar(20), padded char(6),
    other text, bytes bytea, doc jsonb, raw json, ref uuid, mood mood, age positive, pair pair, list int[], words text[],
    area int4range, price money, mail name, letter \"char\", net inet, bits bit varying);
insert into things select i, i, i, i * 4294967297, 1.5 + i, i / 7.0, i / 7.0, i % 2 = 0,
    date '2026-01-01' + i, timestamp '2026-01-01' + i * interval '1 s', timestamptz '2026-01-01' + i * interval '1 s', '10:00',
    i * interval '1 day', 'name ' || i, 'code' || i, 'p' || i, 'other ' || i, decode('00ff0' || i, 'hex'),
    jsonb_build_object('a', i, 'b', '1.0'::numeric), '{\"a\": 1}', md5(i::text)::uuid, 'ok', i, row(i, 'x')::pair,
    array[i, null], array['a', 'b'], int4range(i, i + 5), i::text::money, 'm', 'x', '10.0.0.1', '101'
  from generate_series(1, 3) i;
insert into things select * from things where id = 3;
create table other (id int primary key, name text);
insert into other select i, 'row ' || i from generate_series(1, 100) i;
";

/// What is done to the right side, what it is, and what is said of it.
const MUTATIONS: &[(&str, &str)] = &[
    ("update things set id = id + 1 where id = 2", "the last digit of a number"),
    ("update things set small = small + 1 where id = 2", "a small number"),
    ("update things set whole = -whole where id = 2", "a sign"),
    ("update things set wide = 0 where id = 1", "a number whose halves are equal, for zero"),
    ("update things set wide = ~wide where id = 1", "a number for its complement"),
    ("update things set amount = 3.50 where id = 2", "3.5 for 3.50"),
    ("update things set amount = 'NaN' where id = 2", "not a number"),
    ("update things set ratio = '0' where id = 1", "a float"),
    ("update things set ratio = ratio + 1e-15 where id = 2", "the last digit of a float"),
    ("update things set single = 0.28571433 where id = 2", "the last digit of a short float"),
    ("update things set flag = null where id = 1", "null for false"),
    ("update things set flag = not flag where id = 1", "true for false"),
    ("update things set day = day + 1 where id = 1", "a day"),
    ("update things set at = at + interval '1 us' where id = 1", "a microsecond"),
    ("update things set at = at + interval '4294967295 us' where id = 1", "a moment whose halves cancel out"),
    ("update things set at = 'infinity' where id = 1", "the end of time"),
    ("update things set moment = moment + interval '1 us' where id = 1", "a microsecond with zone"),
    ("update things set moment = null where id = 1", "no moment"),
    ("update things set hours = '10:00:00.000001' where id = 1", "a time"),
    ("update things set span = '24 hours' where id = 1", "24 hours for a day"),
    ("update things set name = '' where id = 1", "an empty string"),
    ("update things set name = null where id = 1", "a null for a string"),
    ("update things set name = name || ' ' where id = 1", "a blank behind"),
    ("update things set name = upper(name) where id = 1", "capitals"),
    ("update things set code = null where id = 1", "a null"),
    ("update things set padded = 'q' where id = 1", "padded text"),
    ("update things set bytes = set_byte(bytes, 0, 1) where id = 1", "one byte"),
    ("update things set bytes = '' where id = 1", "no bytes"),
    ("update things set doc = doc || '{\"c\": null}' where id = 1", "a key"),
    ("update things set doc = jsonb_set(doc, '{b}', '1.00') where id = 1", "1.0 for 1.00 inside of jsonb"),
    ("update things set raw = '{\"a\":1}' where id = 1", "blanks inside of json"),
    ("update things set ref = md5('z')::uuid where id = 1", "a uuid"),
    ("update things set mood = 'glad' where id = 1", "an enum label"),
    ("update things set age = 99 where id = 1", "a domain"),
    ("update things set pair = row(1, null) where id = 1", "a null inside of a composite"),
    ("update things set list = array[1] where id = 1", "a shorter array"),
    ("update things set list = '[0:1]={1,NULL}' where id = 1", "an array that begins elsewhere"),
    ("update things set words = array['a', null] where id = 1", "a null inside of an array"),
    ("update things set words = array['a,b'] where id = 1", "a comma inside of an array"),
    ("update things set area = '(1,6)' where id = 1", "a range"),
    ("update things set price = price + '0.01' where id = 1", "a cent"),
    ("update things set letter = 'X' where id = 1", "a letter"),
    ("update things set net = '10.0.0.1/24' where id = 1", "a netmask"),
    ("update things set bits = '1010' where id = 1", "a bit"),
    ("update things set whole = 5 - whole where id in (2, 3)", "two numbers swapped between rows"),
    (
        "update things t set name = o.name from things o where t.id in (1, 2) and o.id = 3 - t.id",
        "two texts swapped between rows",
    ),
    (
        "update things t set moment = o.moment from things o where t.id in (1, 2) and o.id = 3 - t.id",
        "two moments swapped between rows",
    ),
    ("update things set name = other, other = name where id = 1", "two texts swapped between columns"),
    ("update things set id = small + 1, small = id - 1 where id = 1", "numbers"),
    ("update things set whole = id, id = whole + 0, wide = small where id = 1", "a number in another column"),
    ("update things set name = null, other = '' where id = 1", "a null beside an empty string"),
    ("delete from things where id = 1", "a row less"),
    ("delete from things where ctid = (select max(ctid) from things)", "one of two twins"),
    ("insert into things (id) values (4)", "a row more"),
    ("insert into things select * from things where id = 1", "a row doubled"),
    (
        "delete from things where id = 1; insert into things select * from things where id = 2",
        "a row gone and another one doubled",
    ),
    ("delete from things", "an empty table"),
    ("truncate things; insert into things select null from generate_series(1, 4)", "nothing but nulls"),
    ("alter table things rename name to title", "a column of another name"),
    ("alter table things alter whole type bigint", "a column of another type"),
    ("alter table things drop name", "a column less"),
    ("drop table things", "a table less"),
];

#[tokio::test]
async fn every_change_of_contents_is_found_and_its_table_named() {
    let mut made = TABLE.to_owned();
    for number in 0..=MUTATIONS.len() {
        made.push_str(&format!(
            "create schema m{number}; create table m{number}.things (like things); insert into m{number}.things table things;"
        ));
    }
    let (left, right) = twins("mutations", &made);
    passes(&rows(&left, &right).await);
    let changes: Vec<String> =
        (0..).zip(MUTATIONS).map(|(number, (sql, _))| format!("set search_path = m{number}, public; {sql};")).collect();
    right.sql(&changes.concat());
    let compared = rows(&left, &right).await;
    let found: BTreeSet<&str> = compared.differences.iter().map(|it| it.name.as_str()).collect();
    let missed = (0..).zip(MUTATIONS).filter(|(number, _)| !found.contains(format!("m{number}.things").as_str()));
    let missed: Vec<_> = missed.map(|(_, (sql, what))| format!("{what}: {sql}")).collect();
    assert!(missed.is_empty(), "\n{}", missed.join("\n"));
    assert_eq!(found.len(), MUTATIONS.len(), "and nothing else differs");
}

/// Hashes of numbers whose digits are the same differ in few bits, which may cancel out in a sum.
#[tokio::test]
async fn magnitudes_moved_between_rows_are_found() {
    let tables =
        (1..40).map(|n| format!("create table t{n} as select unnest(array[{n}, 990000]::numeric[]) as amount;"));
    let (left, right) = twins("magnitudes", &tables.collect::<String>());
    let moved = (1..40).map(|n| format!("truncate t{n}; insert into t{n} values ({n}0000), (99);"));
    right.sql(&moved.collect::<String>());
    let compared = rows(&left, &right).await;
    assert_eq!(compared.differences.len(), 39, "{}", compared.detail);
}

/// Values of each type that are the easiest to confuse: null, and what hashes to nothing.
const CONFUSABLE: &[(&str, [&str; 4])] = &[
    ("int", ["null", "0", "1", "-1"]),
    ("bigint", ["null", "0", "1", "4294967297"]),
    ("boolean", ["null", "false", "true", "true"]),
    ("numeric", ["null", "0", "0.0", "10000"]),
    ("float8", ["null", "0", "'-0'", "1"]),
    ("float4", ["null", "0", "'-0'", "'nan'"]),
    ("timestamp", ["null", "'1970-01-01'", "'2000-01-01'", "'infinity'"]),
    ("timestamptz", ["null", "'1970-01-01+00'", "'2000-01-01+00'", "'-infinity'"]),
    ("date", ["null", "'1970-01-01'", "'2000-01-01'", "'infinity'"]),
    (
        "uuid",
        [
            "null",
            "'00000000-0000-0000-0000-000000000000'",
            "'00000000-0000-0000-0000-000000000001'",
            "gen_random_uuid()",
        ],
    ),
    ("text", ["null", "''", "' '", "'null'"]),
    ("bytea", ["null", "''", "'\\x00'", "'\\x0000'"]),
    ("jsonb", ["null", "'null'", "'{}'", "'\"\"'"]),
    ("int[]", ["null", "'{}'", "'{null}'", "'{0}'"]),
];

/// All rows of two columns and all pairs of such rows that can be made of a few values: no two of these tables hash alike.
#[tokio::test]
async fn no_two_small_tables_of_one_type_hash_alike() {
    let database = Cluster::shared().database("confusable");
    let mut made = String::new();
    let mut expected = 0;
    for (number, (kind, values)) in CONFUSABLE.iter().enumerate() {
        let distinct = values.iter().collect::<BTreeSet<_>>().len();
        let pairs: Vec<String> = (0..distinct * distinct)
            .map(|n| format!("({}::{kind}, {}::{kind})", values[n / distinct], values[n % distinct]))
            .collect();
        let singles = pairs.iter().map(|row| vec![row.clone()]);
        let doubles = (0..pairs.len()).flat_map(|a| (a..pairs.len()).map(move |b| (a, b)));
        let doubles = doubles
            .filter(|(a, b)| (a * 7 + b * 3) % 3 == 0 || a == b)
            .map(|(a, b)| vec![pairs[a].clone(), pairs[b].clone()]);
        for (table, rows) in singles.chain(doubles).enumerate() {
            made.push_str(&format!(
                "create table k{number}_{table} (a {kind}, b {kind}); insert into k{number}_{table} values {};",
                rows.join(",")
            ));
            expected += 1;
        }
    }
    for script in made.split_inclusive(";").collect::<Vec<_>>().chunks(800) {
        database.sql(&script.concat());
    }
    let postgres = Postgres::new(Arc::new(world([target("app", &database.url)])));
    let how = How { contents: true, connections: 2 };
    let measured = measure(&postgres, "app", &how).await.unwrap();
    assert_eq!(measured.tables.len(), expected);
    let mut seen: BTreeMap<(&str, u64, &str), &str> = BTreeMap::new();
    let mut alike = Vec::new();
    for table in &measured.tables {
        let (kind, _) = table.name.split_once('_').unwrap();
        let hash = table.hash.as_deref().unwrap();
        if let Some(other) = seen.insert((kind, table.rows, hash), &table.name) {
            let shown = |name| database.sql(&format!("select string_agg(t::text, ' ' order by t::text) from {name} t"));
            let (one, other) = (shown(other), shown(&table.name));
            if one != other {
                alike.push(format!("{}: {one} and {other}", CONFUSABLE[kind[1..].parse::<usize>().unwrap()].0));
            }
        }
    }
    assert!(alike.is_empty(), "{} pairs hash alike: {:#?}", alike.len(), &alike[..alike.len().min(20)]);
}

#[tokio::test]
async fn wide_tables_are_hashed_whole() {
    let wide = |columns: usize, kind: &str| {
        let names: Vec<String> = (0..columns).map(|n| format!("c{n} {kind}")).collect();
        format!("create table w{columns} ({}); insert into w{columns} (c0, c1) values ('1', '2');", names.join(", "))
    };
    let made = [wide(100, "numeric"), wide(101, "text"), wide(1500, "int")].concat();
    let (left, right) = twins("wide", &made);
    passes(&rows(&left, &right).await);
    right.sql("update w100 set c0 = '2', c1 = '1'; update w101 set c100 = ''; update w1500 set c1499 = 0");
    let compared = rows(&left, &right).await;
    let found: Vec<&str> = compared.differences.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(found, ["public.w100", "public.w101", "public.w1500"]);
}

#[tokio::test]
async fn figures_of_both_sides_are_told() {
    let (left, right) = twins("figures", TABLE);
    right.sql("delete from other where id = 7");
    differs(&rows(&left, &right).await, "public.other", "100 rows on the left, 99 on the right");
    right.sql("insert into other values (7, 'row 8')");
    differs(&rows(&left, &right).await, "public.other", "100 rows on both sides, but contents differ");
}
