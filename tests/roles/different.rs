//! Two roles are equal, or each difference is named with what mends it.

use super::world::{Pair, server};

/// What makes two equal roles differ, and the sentence that is said of it.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "revoke insert on shop.orders from TWIN",
        "ONE has INSERT on table shop.orders, TWIN has not; mend it by: grant INSERT on table shop.orders to TWIN",
    ),
    (
        "grant delete on shop.orders to TWIN with grant option",
        "TWIN has DELETE on table shop.orders (with grant option), ONE has not; mend it by: grant DELETE on table shop.orders to ONE with grant option",
    ),
    (
        "revoke update (email) on shop.orders from TWIN",
        "ONE has UPDATE (email) on table shop.orders, TWIN has not; mend it by: grant UPDATE (email) on table shop.orders to TWIN",
    ),
    (
        "revoke grant option for usage on sequence shop.numbers from TWIN",
        "USAGE on sequence shop.numbers: ONE has it with grant option, TWIN has it without grant option; mend it by: grant USAGE on sequence shop.numbers to TWIN with grant option",
    ),
    (
        "revoke grant option for usage on sequence shop.numbers from ONE",
        "USAGE on sequence shop.numbers: ONE has it without grant option, TWIN has it with grant option; mend it by: revoke grant option for USAGE on sequence shop.numbers from TWIN",
    ),
    (
        "revoke execute on function shop.total(integer) from TWIN",
        "ONE has EXECUTE on routine shop.total(integer), TWIN has not; mend it by: grant EXECUTE on routine shop.total(integer) to TWIN",
    ),
    (
        "revoke usage on schema shop from TWIN",
        "ONE has USAGE on schema shop, TWIN has not; mend it by: grant USAGE on schema shop to TWIN",
    ),
    (
        "revoke usage on type shop.mood from TWIN",
        "ONE has USAGE on type shop.mood, TWIN has not; mend it by: grant USAGE on type shop.mood to TWIN",
    ),
    (
        "revoke usage on language sql from TWIN",
        "ONE has USAGE on language sql, TWIN has not; mend it by: grant USAGE on language sql to TWIN",
    ),
    (
        "revoke usage on foreign data wrapper far from TWIN",
        "ONE has USAGE on foreign data wrapper far, TWIN has not; mend it by: grant USAGE on foreign data wrapper far to TWIN",
    ),
    (
        "revoke usage on foreign server there from TWIN",
        "ONE has USAGE on foreign server there, TWIN has not; mend it by: grant USAGE on foreign server there to TWIN",
    ),
    (
        "revoke select on large object 4711 from TWIN",
        "ONE has SELECT on large object 4711, TWIN has not; mend it by: grant SELECT on large object 4711 to TWIN",
    ),
    (
        "revoke create on database DATABASE from TWIN",
        "ONE has CREATE on database DATABASE, TWIN has not; mend it by: grant CREATE on database DATABASE to TWIN",
    ),
    (
        "grant create on tablespace pg_default to TWIN",
        "TWIN has CREATE on tablespace pg_default, ONE has not; mend it by: grant CREATE on tablespace pg_default to ONE",
    ),
    (
        "revoke set on parameter DATABASE.colour from TWIN",
        "ONE has SET on parameter DATABASE.colour, TWIN has not; mend it by: grant SET on parameter DATABASE.colour to TWIN",
    ),
    (
        "alter default privileges for role OWNER in schema shop revoke select on tables from TWIN",
        "ONE has by default SELECT on new tables of OWNER in schema shop, TWIN has not; mend it by: alter default privileges for role OWNER in schema shop grant SELECT on tables to TWIN",
    ),
    (
        "alter default privileges for role TWIN revoke select on tables from ONE",
        "ONE has a default by which its new tables give SELECT to the other one, TWIN has not; mend it by: alter default privileges for role TWIN grant SELECT on tables to ONE",
    ),
    (
        "alter default privileges for role TWIN grant execute on functions to public",
        "TWIN has a default by which its new functions give EXECUTE to public, ONE has not; mend it by: alter default privileges for role ONE grant EXECUTE on functions to public",
    ),
    (
        "alter policy theirs on shop.orders to ONE",
        "ONE has a place in policy theirs of table shop.orders, TWIN has not; mend it by: alter policy theirs on shop.orders to ONE, TWIN",
    ),
    (
        "create policy named on shop.orders using (current_user = 'ONE')",
        "ONE has a mention in the expression of policy named of table shop.orders, TWIN has not",
    ),
    (
        "drop user mapping for TWIN server there",
        "ONE has a user mapping for foreign server there, TWIN has not; mend it by: create user mapping for TWIN server there options (…)",
    ),
    ("revoke OWNER from TWIN", "ONE has membership in OWNER"),
    ("revoke admin option for pg_monitor from TWIN", "membership in pg_monitor: ONE has"),
    ("revoke admin option for pg_monitor from ONE", "membership in pg_monitor: ONE has"),
    (
        "alter role TWIN connection limit 3",
        "connection limit: ONE has 9, TWIN has 3; mend it by: alter role TWIN connection limit 9",
    ),
    ("alter role TWIN valid until 'infinity'", "valid until: ONE has 2031-01-01 00:00:00+00, TWIN has infinity"),
    ("alter role TWIN bypassrls", "bypassrls: ONE has no, TWIN has yes; mend it by: alter role TWIN nobypassrls"),
    ("alter role TWIN noinherit", "inherit: ONE has yes, TWIN has no; mend it by: alter role TWIN inherit"),
    ("alter role TWIN createdb", "createdb: ONE has no, TWIN has yes; mend it by: alter role TWIN nocreatedb"),
    (
        "alter role TWIN set search_path = public",
        "setting search_path: ONE has shop, public, TWIN has public; mend it by: alter role TWIN set search_path = shop, public",
    ),
    (
        "alter role TWIN in database DATABASE reset work_mem",
        "ONE has setting work_mem in database DATABASE (8MB), TWIN has not; mend it by: alter role TWIN in database DATABASE set work_mem = '8MB'",
    ),
    (
        "alter role TWIN set shop.token = 'an0ther-value'",
        "setting shop.token: ONE has a value that is not shown, TWIN has a value that is not shown; mend it by: alter role TWIN set shop.token = …",
    ),
];

#[test]
fn two_equal_roles_have_no_difference_and_each_difference_is_named_and_mended_by_what_is_said() {
    let pair = Pair::new();
    assert_eq!(pair.ask("differences"), Vec::<String>::new());
    let known = |change: &str| pair.has_parameters() || !change.contains("on parameter");
    for (change, sentence) in DIFFERENCES.iter().filter(|(change, _)| known(change)) {
        pair.sql(change);
        let said = pair.ask("differences");
        assert!(said.len() == 1 && said[0].starts_with(sentence), "{change}: {said:#?}");
        let mend = said[0].split_once("; mend it by: ").map(|(_, mend)| mend);
        match mend {
            Some(mend) if !mend.contains('…') => drop(pair.sql(mend)),
            Some(mend) if mend.starts_with("create user mapping") => {
                drop(pair.sql("create user mapping for TWIN server there"));
            }
            Some(_) => drop(pair.sql("alter role TWIN set shop.token = 'h1dden-value'")),
            None => drop(pair.sql("drop policy named on shop.orders")),
        }
        assert_eq!(pair.ask("differences"), Vec::<String>::new(), "after what mends: {change}");
    }
    for secret in ["h1dden", "an0ther", "m4pped"] {
        for file in ["journal.db", "journal.db-wal"] {
            let bytes = std::fs::read(pair.project.path().join(".runsheet").join(file)).unwrap_or_default();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is in {file}");
        }
    }
}

#[test]
fn a_role_that_is_not_there_is_named_and_what_other_databases_granted_is_counted() {
    let pair = Pair::new();
    let elsewhere = server().database("elsewhere");
    elsewhere.sql(&pair.named("create table kept (id integer); grant select on kept to ONE, TWIN"));
    assert_eq!(pair.ask("differences"), Vec::<String>::new());
    elsewhere.sql(&pair.named("create table more (id integer); grant select on more to TWIN"));
    let said = pair.ask("differences");
    let expected = format!(
        "database {0}: ONE was granted something on 1 objects there, TWIN on 2; from here they cannot be compared: compare them through a target that leads to {0}",
        elsewhere.name
    );
    assert_eq!(said, [expected]);

    assert_eq!(
        pair.ask_with(&pair.project, "differences", &["twin=nobody_at_all"]),
        ["there is no role nobody_at_all"]
    );
    assert_eq!(pair.ask_with(&pair.project, "about", &["one=nobody_at_all"]), ["null"]);
    let about: serde_json::Value = serde_json::from_str(&pair.ask("about")[0]).expect("a map");
    for (key, value) in
        [("exists", true), ("login", true), ("superuser", false), ("bypassrls", false), ("inherit", true)]
    {
        assert_eq!(about[key], value, "{key}: {about}");
    }
    assert_eq!(about["connection_limit"], 9);
    assert_eq!(about["memberships"].as_array().map(Vec::len), Some(2), "{about}");
    let token = serde_json::json!({ "database": "", "name": "shop.token", "value": "(not read)" });
    assert!(about["settings"].as_array().is_some_and(|all| all.contains(&token)), "{about}");
}

#[test]
fn whatever_one_of_them_owns_is_named_in_whichever_database_it_is() {
    let pair = Pair::new();
    assert_eq!(pair.ask("owned"), Vec::<String>::new());
    let elsewhere = server().database("owned");
    elsewhere.sql(&pair.named("create table theirs (id integer); alter table theirs owner to ONE"));
    pair.sql("create schema own authorization ONE; create table own.thing (id integer primary key, told text); alter table own.thing owner to ONE; grant select on own.thing to OWNER");
    pair.sql("create database DATABASE_theirs owner ONE");
    let mine = [
        "database DATABASE_theirs".to_owned(),
        "schema own".to_owned(),
        "table own.thing".to_owned(),
        format!("1 object in database {}", elsewhere.name),
    ];
    assert_eq!(pair.ask("owned"), mine);
    assert_eq!(pair.ask("differences"), Vec::<String>::new(), "what follows from ownership is no grant");
}
