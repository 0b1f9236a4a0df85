//! Every path by which an application logs in: a standby, and TLS with an authority of our own.

use super::pair::{FIRST, Pair, as_login};
use crate::support::{Cluster, Database};

#[test]
fn a_standby_is_waited_for_and_one_that_stands_still_stops_the_run_before_anybody_is_told() {
    let primary = Cluster::start(&["fsync=off", "wal_level=replica", "max_wal_senders=5"]);
    let database = primary.database("paths");
    let roles = Pair::of(&database);
    let standby = primary.standby();
    let today = as_login(&database.url, &roles[0], FIRST);
    let there = |url: &str| url.replace(&format!(":{}/", primary.port), &format!(":{}/", standby.port));
    let more = format!("[targets.reader]\nurl = '{}'\n", there(&database.url));
    let pair = Pair::new(roles.clone(), &database.url, &today, "", &more);
    let readers = "replicas=[\"reader\"]";

    let reader = Database { name: "reader".into(), url: there(&today) };
    let mut session = reader.psql("select pg_sleep(600)");
    session.env("PGAPPNAME", "reports").stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let session = session.spawn().expect("psql runs");
    let there_now = Database { name: "reader".into(), url: there(&database.url) };
    let count = "select count(*) from pg_stat_activity where application_name = 'reports'";
    crate::support::wait_until("the session is there", || there_now.sql(count) == "1");
    pair.rotate(&[readers, "sessions=fail"]).with_code(3).saying("1 of reports from 127.0.0.1").saying("reader");
    there_now.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'reports'");
    drop(session.wait_with_output());
    let said = pair.run(&["resume"]).with_code(0);
    for words in ["the new login", "is let in on reader", "is refused on reader"] {
        let journal = pair.run(&["report", "credential-rotation-1"]).with_code(0).out;
        assert!(said.err.contains(words) || journal.contains(words), "{words}: {}", said.err);
    }
    assert!(reader.try_sql("select 1").is_err(), "dead there too");
    let new = Database { name: "reader".into(), url: there(&pair.today().url) };
    assert_eq!(new.sql("select current_user"), roles[1]);

    there_now.sql("select pg_wal_replay_pause()");
    let before = pair.today().url;
    let said = pair.rotate(&[readers]).with_code(3);
    assert!(said.err.contains("reader"), "{}", said.err);
    assert_eq!(pair.today().url, before, "nobody was told");
    there_now.sql("select pg_wal_replay_resume()");
    pair.run(&["resume"]).with_code(0);
    assert_eq!(pair.today().sql("select current_user"), roles[0]);
}
