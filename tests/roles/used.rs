//! Who uses a role now, and when it was last rotated.

use super::world::{Pair, project};
use crate::support::wait_until;

#[test]
fn whoever_uses_a_role_now_is_counted_once_whichever_way_the_server_is_reached() {
    let pair = Pair::new();
    let app = pair.login(&pair.one, "a");
    let project = project(&[("app", &pair.database.url), ("again", &pair.database.url), ("login", &app)]);
    assert_eq!(pair.ask_with(&project, "count", &["other=again"]), ["0"]);
    // Runsheet's own sessions of the role do not count.
    assert_eq!(pair.ask_with(&project, "count", &["at=login", "other=login"]), ["0"]);
    let client = crate::support::Database { name: String::new(), url: format!("{app}?application_name=checkout") };
    let mut clients: Vec<_> = (0..2).map(|_| client.psql("select pg_sleep(100)").spawn().expect("psql runs")).collect();
    wait_until("two are connected", || {
        pair.sql("select count(*) from pg_stat_activity where usename = 'ONE' and query like '%pg_sleep%'") == "2"
    });
    assert_eq!(pair.ask_with(&project, "count", &["other=again"]), ["2"]);
    let rows = pair.ask_with(&project, "sessions", &["other=again"]);
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row: serde_json::Value = serde_json::from_str(&rows[0]).expect("a map");
    assert_eq!((&row["target"], &row["application_name"]), (&"app".into(), &"checkout".into()), "{row}");
    assert_eq!((&row["client_addr"], &row["count"]), (&"127.0.0.1".into(), &2.into()), "{row}");
    assert!(row["oldest"].is_string() && row["server"].is_null(), "{row}");
    for client in &mut clients {
        client.kill().expect("psql ends");
        client.wait().expect("psql ended");
    }
    pair.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ONE'");
}

#[test]
fn a_rotation_is_remembered_after_what_others_wrote_and_the_next_one_takes_its_place() {
    let pair = Pair::new();
    let comment = "select shobj_description('ONE'::regrole, 'pg_authid')";
    assert_eq!(pair.ask("rotated"), ["null"]);
    assert_eq!(pair.ask_with(&pair.project, "mark", &["when=2030-01-01T00:00:00Z"]), ["2030-01-01T00:00:00Z"]);
    assert_eq!(pair.sql(comment), "[rotated by runsheet rotation-1 at 2030-01-01T00:00:00Z]");
    pair.sql("comment on role ONE is 'the shop''s \"login\"; ask Ada\n[since 2019]'");
    assert_eq!(pair.ask("rotated"), ["null"]);
    for at in ["2030-02-01T00:00:00Z", "2030-03-01T00:00:00.5Z"] {
        assert_eq!(pair.ask_with(&pair.project, "mark", &[&format!("when={at}")]), [at]);
        let expected = format!("the shop's \"login\"; ask Ada\n[since 2019] [rotated by runsheet rotation-1 at {at}]");
        assert_eq!(pair.sql(comment), expected);
    }
    let (one, twin) = (format!("one={}", pair.one), format!("twin={}", pair.twin));
    let plan =
        pair.project.run(&["plan", "look", "ask=mark", "when=2031-01-01T00:00:00Z", &one, &twin, "-v"]).with_code(0);
    assert!(plan.out.contains("known after"), "{}", plan.out);
}
