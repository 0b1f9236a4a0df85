//! What stands against a login that is to change the passwords of both.

use super::world::{Pair, project, server};
use crate::support::PgBouncer;

#[test]
fn an_administrator_needs_no_superuser_but_the_right_to_make_roles_a_login_of_its_own_and_no_pooler_between() {
    let pair = Pair::new();
    pair.sql("create role OWNER_admin login createrole password 'b'; create role OWNER_nobody login password 'c'");
    let admin = pair.login(&pair.named("OWNER_admin"), "b");
    let (nobody, one) = (pair.login(&pair.named("OWNER_nobody"), "c"), pair.login(&pair.one, "a"));
    let version: i32 = pair.sql("show server_version_num").parse().expect("a version");
    if version >= 160_000 {
        pair.sql("grant ONE, TWIN to OWNER_admin with admin option");
    }
    let project = project(&[("app", &pair.database.url), ("admin", &admin), ("nobody", &nobody), ("itself", &one)]);
    let verdict = |at: &str| pair.ask_with(&project, "admin", &[&format!("at={at}")]);
    assert_eq!(verdict("app"), Vec::<String>::new());
    assert_eq!(verdict("admin"), Vec::<String>::new());
    let against = verdict("nobody");
    assert!(against[0].starts_with("OWNER_nobody is neither superuser nor has CREATEROLE"), "{against:?}");
    let against = verdict("itself");
    assert!(against[0].starts_with("itself logs in as ONE, which is one of the two"), "{against:?}");
    pair.sql("alter role TWIN superuser");
    assert_eq!(verdict("admin"), ["TWIN is a superuser, whose password only a superuser may set"]);
    pair.sql("alter role TWIN nosuperuser");
    let against = pair.ask_with(&project, "admin", &["twin=nobody_at_all"]);
    assert_eq!(against, ["there is no role nobody_at_all on app"]);

    // Everything else is asked and done by it as well.
    for what in ["differences", "owned", "rotated", "about", "sessions"] {
        assert_eq!(pair.ask_with(&project, what, &["at=admin"]), pair.ask(what), "{what}");
    }
    assert_eq!(pair.ask_with(&project, "mark", &["at=admin", "when=2030-01-01T00:00:00Z"]), ["2030-01-01T00:00:00Z"]);
    pair.sql("revoke insert on shop.orders from TWIN; alter role TWIN set search_path = public");
    let said = pair.ask_with(&project, "differences", &["at=admin"]);
    assert_eq!(said.len(), 2, "{said:?}");
}

#[test]
fn an_administrator_behind_a_pooler_is_refused() {
    let pair = Pair::new();
    let pooler = PgBouncer::start(server(), "options");
    let project = project(&[("app", &pooler.url(&pair.database.name))]);
    let against = pair.ask_with(&project, "admin", &[]);
    assert!(against.len() == 1 && against[0].starts_with("a pooler answers at app"), "{against:?}");
}
