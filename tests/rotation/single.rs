//! A rotation of one role alone: refused for a moment, waited for, taken back, and never half of both.

use std::process::Stdio;

use chrono::{DateTime, Utc};

use crate::support::rotation::Rotation;
use crate::support::{Database, wait_until};

const ALONE: [&str; 4] = ["run", "credential-rotation", "strategy=single", "twin="];

fn direct(world: &Rotation) -> Database {
    let url = world.status()["direct_url"].as_str().expect("a url").to_owned();
    Database { name: "app".into(), url }
}

fn alone(world: &Rotation, more: &[&str]) -> crate::support::Said {
    world.run(&[&ALONE[..], more].concat())
}

/// From the first login that failed to the last one of these lines.
fn refused_for(lines: &[String]) -> chrono::TimeDelta {
    let at = |line: &String| line.split(' ').next().and_then(|at| at.parse::<DateTime<Utc>>().ok()).expect("a time");
    let (Some(first), Some(last)) = (lines.iter().map(at).min(), lines.iter().map(at).max()) else {
        return chrono::TimeDelta::zero();
    };
    last - first
}

/// Both ways work, for new connections of the pooler too.
#[track_caller]
fn both_work(world: &Rotation) {
    for database in [world.pooled(), direct(world)] {
        assert_eq!(database.sql("select current_user"), "app_a");
    }
    world.pooler("reconnect app");
    assert_eq!(world.pooled().sql("select current_user"), "app_a");
}

/// How many sessions [`held`] has left.
const HELD: &str = "select count(*) from pg_stat_activity where application_name = 'late'";

/// A session by today's login that goes on until it is ended.
fn held(world: &Rotation) -> std::process::Child {
    let mut psql = direct(world).psql("select pg_sleep(600)");
    psql.env("PGAPPNAME", "late").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let psql = psql.spawn().expect("psql runs");
    wait_until("the session is there", || world.admin().sql(HELD) == "1");
    psql
}

#[test]
fn one_role_alone_is_rotated_twice_and_its_old_password_is_dead_on_both_ways() {
    let world = Rotation::up(&["--rate", "20"]);
    world.pooler("set server_login_retry = 15");
    world.attempts_more(5);
    for _ in 0..2 {
        let before = world.logins().1.len();
        let old = [direct(&world), world.pooled()];
        let session = held(&world);
        alone(&world, &["grace=1s", "sessions=fail"]).with_code(3).saying("1 of late from 127.0.0.1");
        assert_eq!(world.admin().sql(HELD), "1", "nobody was thrown out");
        wait_until("a session that leaves is not waited for any more", || {
            world.admin().sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'late'");
            world.admin().sql(HELD) == "0"
        });
        drop(session.wait_with_output());
        let said = world.run(&["resume"]).with_code(0);
        for way in ["directly", "through the pooler"] {
            assert!(said.err.contains(&format!("the old login app_a is refused {way}")), "{}", said.err);
        }
        for old in old {
            assert!(old.try_sql("select 1").is_err(), "dead");
        }
        both_work(&world);
        let failed = world.logins().1.split_off(before);
        println!("refused {} times within {} ms", failed.len(), refused_for(&failed).num_milliseconds());
        let failures = world.logins().1.len();
        world.attempts_more(10);
        assert_eq!(world.logins().1.len(), failures, "nobody is refused afterwards");
    }
    let session = held(&world);
    alone(&world, &["grace=1s", "sessions=end"]).with_code(0);
    assert!(!session.wait_with_output().expect("psql ends").status.success(), "it was ended");
}

#[test]
fn taken_back_before_it_is_closed_the_old_password_works_again_on_both_ways() {
    let world = Rotation::up(&["--rate", "20"]);
    world.pooler("set server_login_retry = 15");
    let plain = || world.file("worker.env").replace('\'', "");
    let before = plain();
    let session = held(&world);
    let waiting = alone(&world, &["grace=1s"]).with_code(5);
    assert!(waiting.err.contains("1 of late"), "{}", waiting.err);
    assert_ne!(plain(), before);
    world.run(&["undo"]).with_code(0).saying("is let in through the pooler");
    assert_eq!(plain(), before);
    both_work(&world);
    world.admin().sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'late'");
    drop(session.wait_with_output());

    // The pooler could not be told: the server alone has the new one, and then the old one by another salt than at first.
    let list = world.status()["pooler"]["auth_file"].as_str().expect("a path").to_owned();
    let users = world.file("users.txt");
    let other = Database { name: "app".into(), url: world.status()["admin_url"].as_str().expect("a url").into() };
    let password = before.split([':', '@']).find(|word| word.len() == 32).expect("a password").to_owned();
    other.sql(&format!("set password_encryption = 'scram-sha-256'; alter role app_a password '{password}'"));
    let verifier = other.sql("select rolpassword from pg_authid where rolname = 'app_a'");
    let known = users.lines().map(|line| match line.starts_with("\"app_a\"") {
        true => format!("\"app_a\" \"{verifier}\"\n"),
        false => format!("{line}\n"),
    });
    let known: String = known.collect();
    world.users(&known);
    both_work(&world);
    // A list that the pooler could not be told by is found before anything is touched.
    std::fs::write(&list, format!("{known}broken\n")).expect("the users");
    alone(&world, &["grace=1s"]).with_code(1).saying("does not begin with a quote");
    std::fs::write(&list, &known).expect("the users");
    both_work(&world);
    let status = world.run(&["status"]).with_code(0);
    assert!(status.out.contains("no unfinished runs"), "{}", status.out);
}
