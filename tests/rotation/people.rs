//! What people do to a rotation while it runs: other operators, whoever stays logged in, and whoever has not the key.

use super::{Stayer, add, consumer, run, state, url, write};
use crate::support::rotation::Rotation;

const OPEN: &str =
    "select string_agg(rolname, ',' order by rolname) from pg_roles where rolname ~ '^app_' and rolcanlogin";

#[test]
fn the_old_login_is_not_closed_and_nobody_ended_once_somebody_has_spoilt_the_new_one() {
    let world = Rotation::up(&[]);
    let probe = "probe=select count(*) from logins,select count(*) from extra";
    world.admin().sql("create table extra (); grant select on extra to app_a, app_b");
    let mut stayer = Stayer::new(&world, &url(&world, ".env", "DIRECT_DATABASE_URL"));
    let asked = run(&world, &["sessions=ask", probe]).with_code(5);
    asked.saying("The old login app_a is still used: 1 of stayer from 127.0.0.1. End these sessions, and close it?");
    assert_eq!(world.current(), "app_b");
    run(&world, &[]).with_code(7).saying("credential-rotation-1");

    // A second operator takes a right away.
    world.admin().sql("revoke select on extra from app_b");
    world.run(&["approve"]).with_code(0);
    let said = world.run(&["resume"]).with_code(3);
    said.saying("it may not: select count(*) from extra: permission denied")
        .saying("somebody has changed it since it was published. Nothing was closed, and the old login app_a is open")
        .saying("undoing this run");
    assert!(!stayer.ended(), "whoever is still there is ended only once the new login is sure");
    world.admin().sql("grant select on extra to app_b");

    // And gives it another password, of which nobody knows.
    let verifier = world.admin().sql("select rolpassword from pg_authid where rolname = 'app_b'");
    world.kill("client");
    world.admin().sql("alter role app_b password 'by hand'");
    world.run(&["resume"]).with_code(3).saying("the new login app_b still is let in directly").saying("app_a is open");
    assert!(!stayer.ended());
    assert_eq!(world.admin().sql(OPEN), "app_a,app_b");
    world.admin().sql(&format!("alter role app_b password '{verifier}'"));
    world.revive();
    let said = world.run(&["resume"]);
    assert!([0, 3].contains(&said.code), "{}", said.err);
    assert!(stayer.ended());
    assert_eq!(world.admin().sql(OPEN), "app_b");
    assert_eq!(world.logins().1, Vec::<String>::new());
}

#[test]
fn whoever_stays_is_seen_by_an_administrator_who_may_see_little_and_is_ended_only_where_that_was_said() {
    let world = Rotation::up(&[]);
    world.admin().sql("create role ops login createrole password 'little'");
    let place = world.admin().url.split_once('@').expect("a URL").1.to_owned();
    add(&world, &format!("\n[targets.ops]\nurl = \"postgresql://ops:little@{place}\"\n"));
    let mut stayer = Stayer::new(&world, &url(&world, ".env", "DIRECT_DATABASE_URL"));
    let ops = ["target=ops", "sessions=fail"];
    let said = run(&world, &ops).with_code(3);
    said.saying("nobody uses the old login app_a").saying("give it to them, then resume").saying("1 of stayer from");
    assert_eq!(world.admin().sql(OPEN), "app_a,app_b");
    world.run(&["undo"]).with_code(0).saying("the new login app_b is refused directly");
    assert!(!stayer.ended());

    // A client of the pooler counts too.
    drop(stayer);
    stayer = Stayer::new(&world, &url(&world, ".env", "DATABASE_URL"));
    run(&world, &["sessions=fail"]).with_code(3).saying("nobody uses the old login app_a");
    assert!(!stayer.ended());
    world.run(&["undo"]).with_code(0);

    // And whoever uses the idle one.
    world.admin().sql("alter role app_b login password 'idle'");
    let idle = url(&world, ".env", "DIRECT_DATABASE_URL").url;
    let idle = crate::support::Database {
        name: "app".to_owned(),
        url: format!("postgresql://app_b:idle@{}", idle.split_once('@').expect("a URL").1),
    };
    drop(stayer);
    let other = Stayer::new(&world, &idle);
    run(&world, &[]).with_code(3).saying("nobody uses app_b").saying("is about to be replaced");
    drop(other);

    let mut stayer = Stayer::new(&world, &url(&world, ".env", "DIRECT_DATABASE_URL"));
    run(&world, &["sessions=end"]).with_code(0);
    assert!(stayer.ended());
    assert_eq!(world.admin().sql(OPEN), "app_b");
    assert_eq!(world.logins().1, Vec::<String>::new());
}

#[test]
fn without_its_key_a_rotation_goes_neither_on_nor_back_and_nothing_is_lost() {
    let world = Rotation::up(&[]);
    add(&world, &consumer("mail", "mailed"));
    run(&world, &[]).with_code(1).saying("mail: ");
    let before = state(&world);
    world.run(&["key", "new", "other.key"]).with_code(0);
    for (key, said) in [("", "there is no key to open it"), ("other.key", "for another key than this one")] {
        for word in ["resume", "undo"] {
            let mut command = world.command(&[word]);
            if key.is_empty() {
                command.env_remove("RUNSHEET_KEY_FILE");
            } else {
                command.env("RUNSHEET_KEY_FILE", world.lab().path().join(key));
            }
            let ended = crate::support::Said::from(command.output().expect("the program runs")).with_code(2);
            ended
                .saying(said)
                .saying("nothing was done, and nothing is lost")
                .saying(&format!("next: runsheet {word}"));
        }
    }
    assert_eq!(state(&world), before);
    write(&world, "mailed", "");
    world.run(&["resume"]).with_code(4);
    assert_eq!(world.admin().sql(OPEN), "app_b");
    assert_eq!(world.logins().1, Vec::<String>::new());
}
