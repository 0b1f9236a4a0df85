//! What is in a lab: the same on every machine but for the one time that it is given, and awkward in every way it says.

use std::collections::BTreeMap;

use crate::support::{Database, Lab};

/// A query for each table that holds rows of its own: its name, its rows, and the sum of their hashes.
const SUMS: &str = "select format('select %L, count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) from only %I.%I t', \
    format('%I.%I', nspname, relname), nspname, relname) \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where relkind in ('r', 'm') and relispopulated and nspname !~ '^(pg_|information_schema)' order by 1 \\gexec";

fn sums(database: &Database) -> BTreeMap<String, String> {
    // By a file: psql takes its own commands only from there.
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), format!("set timezone = 'UTC';\n{SUMS}\n")).expect("the queries");
    let output = std::process::Command::new("psql")
        .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(file.path())
        .arg(&database.url)
        .output()
        .expect("psql runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(|line| line.split_once('|').unwrap_or((line, "")));
    lines.map(|(name, sum)| (name.to_owned(), sum.to_owned())).collect()
}

/// Everything but rows, as pg_dump writes it.
fn objects(database: &Database) -> String {
    let dump = database.dump();
    let mut rows = false;
    let objects = dump.lines().filter(|line| {
        let within = rows;
        rows = (within || line.starts_with("COPY ")) && *line != "\\.";
        !within
    });
    objects.collect::<Vec<_>>().join("\n")
}

#[test]
fn two_labs_have_equal_and_awkward_contents_but_for_the_time_they_were_given() {
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(Lab::small);
        let other = Lab::new();
        other.run(&["up", "--small", "--at", "2026-03-01T12:00:00Z"]).with_code(0);
        (one.join().expect("a lab"), other)
    });
    let (one, other) = (one.app(), other.app());
    let (of_one, of_other) = (sums(&one), sums(&other));
    assert!(of_one.len() > 40, "{of_one:?}");
    let different: Vec<&String> = of_one.keys().filter(|name| of_one.get(*name) != of_other.get(*name)).collect();
    assert_eq!(different, ["public.issues"]);
    assert_eq!(of_one.len(), of_other.len());
    let apart = |given: &str| {
        format!(
            "select sum(hashtextextended((id, cycle_id, reporter_id, state, severity, title, body, tags, details, \
             created_at - '{given}', updated_at - '{given}')::text, 0)) from issues"
        )
    };
    assert_eq!(one.sql(&apart("2026-01-31 12:00Z")), other.sql(&apart("2026-03-01 12:00Z")));
    assert_eq!(one.sql("select max(created_at) = '2026-01-31 11:59Z' from issues"), "t");
    assert_eq!(objects(&one), objects(&other));
    awkward(&one);
}

/// Makes sure that a lab has what a copy can lose.
fn awkward(app: &Database) {
    let all = |sql: &str| app.sql(&format!("select bool_and(holds) from ({sql}) as of (holds)"));
    for (what, sql) in [
        ("a partition of a partition", "select count(*) = 2 from pg_class where relkind = 'p'"),
        ("an empty leaf", "select count(*) = 0 from metering.readings_north_2026"),
        (
            "parents with rows",
            "select (select count(*) from odd.vehicles) > (select count(*) from only odd.vehicles) and exists (select from only odd.vehicles)",
        ),
        ("stored columns", "select count(*) >= 3 from pg_attribute where attgenerated = 's'"),
        ("both identities", "select count(distinct attidentity) = 3 from pg_attribute"),
        ("dropped columns", "select count(*) >= 3 from pg_attribute where attisdropped and attrelid >= 16384"),
        ("a table without columns", "select count(*) = 2 from odd.no_columns"),
        ("an unlogged table", "select count(*) = 1 from pg_class where relkind = 'r' and relpersistence = 'u'"),
        (
            "rows that occur twice",
            "select count(*) > (select count(*) from (select distinct kind, amount from odd.no_key) d) from odd.no_key",
        ),
        ("row security", "select count(*) = 1 from pg_class where relrowsecurity"),
        ("policies for everybody", "select bool_and(polroles = '{0}') and count(*) = 3 from pg_policy"),
        ("large objects", "select count(*) = 12 from pg_largeobject_metadata"),
        (
            "materialised views",
            "select count(*) filter (where relispopulated) = 2 and count(*) filter (where not relispopulated) = 1 from pg_class where relkind = 'm'",
        ),
        ("triggers in every state", "select count(distinct tgenabled) = 4 from pg_trigger where not tgisinternal"),
        ("an unproved constraint", "select count(*) = 1 from pg_constraint where not convalidated"),
        ("that a row breaks", "select count(*) = 1 from issues where length(title) > 200"),
        (
            "1.0 beside 1.00",
            "select count(distinct n::text) = 2 and count(distinct n) = 1 from odd.numbers where id in (1, 2)",
        ),
        (
            "null beside nothing",
            "select count(*) filter (where t = '') = 1 and count(*) filter (where t is null) = 1 from odd.texts",
        ),
        ("rows out of line", "select pg_relation_size(reltoastrelid) > 100000 from pg_class where relname = 'wide'"),
        ("names to quote", "select count(*) = 5 from pg_class where relkind = 'r' and relname !~ '^[a-z_0-9]+$'"),
        ("several schemas", "select count(*) = 5 from pg_namespace where nspname !~ '^(pg_|information_schema)'"),
        ("references in a circle", "select count(*) = 1 from pg_constraint where conname = 'departments_head'"),
    ] {
        assert_eq!(all(sql), "t", "{what}: {sql}");
    }
}
