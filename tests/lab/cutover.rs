//! The world of a cutover: an application that writes through a pooler, and what is known of its writes afterwards.

use crate::support::{Cutover, Database, wait_until};

#[test]
fn every_acknowledged_write_is_there_once_whatever_is_killed_and_one_that_is_not_is_named() {
    let world = Cutover::plain();
    assert_eq!(world.managed().sql("select count(*) from pg_class where relnamespace = 'public'::regnamespace"), "0");
    world.writes(50);
    for what in ["pooler", "source", "app"] {
        world.kill(what);
        world.revive();
        world.lab().run(&["app", "start"]).with_code(0);
        world.writes(50);
        let found = world.check("source", None);
        assert_eq!(found["pass"], true, "after {what}: {found}");
    }
    world.lab().run(&["app", "stop"]).with_code(0);
    world.lab().run(&["app", "stop"]).with_code(0).saying("stopped");
    let written = world.acknowledged();
    let source = world.source();
    for kind in ["insert", "update", "delete"] {
        assert_ne!(source.sql(&format!("select count(*) from issue_payouts where note like 'app % {kind} %'")), "0");
    }

    // One of each kind of trouble.
    let notes = "(select note from issue_payouts where note like 'app % insert %' order by id";
    source.sql(&format!("create table elsewhere as select * from issue_payouts where note in {notes} limit 1)"));
    source.sql(&format!("delete from issue_payouts where note in {notes} limit 1)"));
    source.sql(&format!(
        "insert into issue_payouts (issue_id, user_id, amount, note) select issue_id, user_id, amount, note \
         from issue_payouts where note in {notes} limit 2)"
    ));
    source.sql("update issues set details = '{\"n\": 99}' where title = (select max(title) from issues where title like 'app %')");
    let found = world.check("source", None);
    assert_eq!(found["acknowledged"], written);
    assert_eq!(found["pass"], false);
    assert_eq!((&found["lost"]["count"], &found["doubled"]["count"]), (&1.into(), &2.into()), "{found}");
    assert!(found["torn"]["count"].as_u64() >= Some(1), "an issue that nobody changed: {found}");
    world.managed().sql("create table issues (title text, details jsonb)");
    world.managed().sql("create table issue_payouts (note text)");
    let lost = source.sql("select note from elsewhere");
    world.managed().sql(&format!("insert into issue_payouts values ('{lost}')"));
    let found = world.check("source", Some("managed"));
    assert_eq!((&found["lost"]["count"], &found["wrong_side"]["count"]), (&0.into(), &1.into()), "{found}");
    world.run(&["lab", "app", "check", "--other", "managed"]).with_code(3).saying("on the wrong side: 1");
}

#[test]
fn the_time_in_which_writes_were_held_is_known_and_a_pooler_that_was_pointed_elsewhere_stays_so() {
    let world = Cutover::small();
    world.writes(50);
    world.pooler("pause app");
    std::thread::sleep(std::time::Duration::from_millis(400));
    world.pooler("resume app");
    world.writes(50);
    let gap = world.check("source", None)["gap"].clone();
    let frozen = gap["frozen"].as_f64().expect("seconds");
    assert!((0.35..3.0).contains(&frozen), "{gap}");

    // As a cutover does: the ini names another server, and the pooler reads it again.
    let status = world.status();
    let config = status["pooler"]["config"].as_str().expect("a path");
    let text = std::fs::read_to_string(config).expect("the ini");
    let port = world.lab().status()["scratch"]["port"].to_string();
    let line = text.lines().find(|line| line.starts_with("app =")).expect("its line");
    let moved = text.replace(line, &format!("app = host=127.0.0.1 port={port} dbname=managed"));
    std::fs::write(config, moved).expect("the ini");
    world.pooler("reload");
    let name = |database: &Database| database.sql("select current_database()");
    wait_until("the pooler leads elsewhere", || name(&world.pooled()) == "managed");
    world.kill("pooler");
    world.revive();
    assert_eq!(name(&world.pooled()), "managed");
    world.lab().run(&["up", "--cutover"]).with_code(0);
    assert_eq!(name(&world.pooled()), "managed", "what is up stays as it is");

    let (folder, servers) = (world.lab().file(""), std::path::PathBuf::from(config));
    let app = status["app"]["pid"].as_u64().expect("a process");
    world.lab().run(&["down"]).with_code(0);
    assert!(!folder.exists() && !servers.exists());
    assert!(!super::lives(i32::try_from(app).expect("a pid")));
}
