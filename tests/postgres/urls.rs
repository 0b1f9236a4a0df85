//! `url::with_login`: whatever a role and a password are made of, they arrive, and nothing else of a URL changes.

use proptest::prelude::*;
use runsheet::effects::postgres::url::with_login;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Places behind the login, and what is kept of them to the byte.
const PLACES: [&str; 10] = [
    "db.example/app",
    "db.example:5433/app?schema=a%20b&connect_timeout=9&pgbouncer=true",
    "[::1]:5432/app?options=-c%20search_path%3Da",
    "[2001:db8::1]/app",
    "one:5432,two:5433,three/app?target_session_attrs=read-write",
    "/app?host=/run/postgresql",
    "/app?host=%2Frun%2Fpostgresql&port=5433",
    "%2Frun%2Fpostgresql/app",
    "db.example/a%2Fb?sslmode=verify-full&sslrootcert=/etc/ca.pem&schema=",
    "db.example",
];

/// Logins before it, as they are written.
const BEFORE: [&str; 6] = ["", "u@", "u:@", "u:p@", "u%40corp:p%3A%2F%3F%40@", "u:p?a&user=x#y@"];

fn known(url: &str) -> Config {
    // Keys that PostgreSQL's clients do not know are the application's.
    let strip = ["schema", "pgbouncer", "sslrootcert", "sslmode"];
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let kept: Vec<&str> = query.split('&').filter(|it| !strip.contains(&it.split('=').next().unwrap_or(""))).collect();
    format!("{base}?{}", kept.join("&")).trim_end_matches('?').parse().unwrap_or_else(|error| panic!("{url}: {error}"))
}

proptest! {
    #[test]
    fn any_role_and_password_arrive_and_the_place_stays_to_the_byte(
        user in "[^\\x00]{1,20}", password in "[^\\x00]{0,40}", place in 0..PLACES.len(), before in 0..BEFORE.len(), short: bool,
    ) {
        let scheme = if short { "postgres" } else { "postgresql" };
        let (place, before) = (PLACES[place], BEFORE[before]);
        let url = with_login(&format!("{scheme}://{before}{place}"), Some(&user), &password);
        let (login, rest) = url.split_once('@').expect("a login");
        prop_assert_eq!(rest, place);
        prop_assert!(login.split_once("://").is_some_and(|(it, _)| it == scheme));
        let config = known(&url);
        prop_assert_eq!(config.get_user(), Some(user.as_str()));
        prop_assert_eq!(config.get_password(), Some(password.as_bytes()));
    }

    #[test]
    fn a_role_that_is_kept_is_the_one_that_was_there(
        user in "[^\\x00]{1,20}", password in "[^\\x00]{0,40}", in_query: bool,
    ) {
        let written: String = user.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let url = if in_query {
            format!("postgresql://db.example/app?a=1&user={written}&password=old&b=2")
        } else {
            format!("postgresql://{written}:old@db.example/app?a=1&b=2")
        };
        let new = with_login(&url, None, &password);
        prop_assert!(new.ends_with("@db.example/app?a=1&b=2"));
        let config: Config = new.replace("?a=1&b=2", "").parse().expect("a URL");
        prop_assert_eq!(config.get_user(), Some(user.as_str()));
        prop_assert_eq!(config.get_password(), Some(password.as_bytes()));
    }
}

#[test]
fn a_role_of_the_query_that_would_end_a_name_before_the_host_is_written_for_there() {
    let url = with_login("postgresql:///app?host=/run/pg&user=a:b/c&password=old", None, "new");
    let config: Config = url.parse().expect("a URL");
    assert_eq!((config.get_user(), config.get_password()), (Some("a:b/c"), Some(&b"new"[..])));
    assert_eq!(config.get_hosts(), [Host::Unix("/run/pg".into())]);
    assert!(url.ends_with("@/app?host=/run/pg"), "{url}");
}
