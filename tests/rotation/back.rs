//! The way back: what a rotation has done is taken back with the same care, or given up on in words that say what is left.

use super::{RUN, Stayer, add, consumer, run, state, url, write};
use crate::support::rotation::Rotation;
use crate::support::{Said, wait_until};

/// The program, killed at this write to its journal.
fn killed(world: &Rotation, at: usize, args: &[&str]) -> Said {
    world.command(args).env("RUNSHEET_CRASH", format!("after:{at}")).output().expect("the program runs").into()
}

/// Of [`state`], what is to be the same after a way back, however it is quoted.
fn told(world: &Rotation) -> String {
    ["users.txt", ".env", "web.env", "worker.env"].map(|name| world.file(name)).join("\n").replace('\'', "")
}

/// A run that stops at a consumer.
fn stopped(world: &Rotation, args: &[&str]) {
    run(world, args).with_code(1).saying("not told of ");
}

#[test]
fn taken_back_everybody_holds_the_old_login_and_the_new_one_is_closed_only_once_nobody_uses_it() {
    let world = Rotation::up(&[]);
    let before = told(&world);
    add(&world, &consumer("mail", "mailed"));
    stopped(&world, &[]);
    assert!(world.file(".env").contains("//app_b:"), "the project's own login has moved");
    world.run(&["undo"]).with_code(1).saying("mail: ");
    write(&world, "mailed", "");

    // Somebody has taken the new login, and would be cut off.
    let mut stayer = Stayer::new(&world, &{
        let there = url(&world, "worker.env", "DIRECT_DATABASE_URL").url;
        assert!(there.contains("//app_a:"), "led back: {there}");
        world.admin().sql("alter role app_b password 'known'");
        let place = there.split_once('@').expect("a URL").1;
        crate::support::Database { name: "app".to_owned(), url: format!("postgresql://app_b:known@{place}") }
    });
    world.run(&["resume"]).with_code(5).saying("The new login app_b is still used: 1 of stayer from 127.0.0.1");
    assert!(!stayer.ended());
    world.run(&["approve"]).with_code(0);
    world.run(&["resume"]).with_code(0).saying("the new login app_b is refused directly");
    assert!(stayer.ended());
    assert_eq!(told(&world), before);
    assert_eq!(
        world.admin().sql("select rolcanlogin, rolpassword is null from pg_authid where rolname = 'app_b'"),
        "f|t"
    );
    world.attempts_more(5);
    assert_eq!(world.last_role(), "app_a");
    assert_eq!(world.logins().1, Vec::<String>::new());

    // Led back to a login that somebody closed meanwhile, everybody would be locked out.
    std::fs::remove_file(world.lab().path().join("mailed")).expect("a file");
    stopped(&world, &[]);
    world.admin().sql("alter role app_a nologin");
    world.run(&["undo"]).with_code(3).saying("nobody was led back to it").saying("the new login app_b is open");
    assert!(world.file("web.env").contains("//app_b:"));
    world.admin().sql("alter role app_a login");
    write(&world, "mailed", "");
    world.run(&["resume"]).with_code(0);
    assert_eq!(told(&world), before);
    run(&world, &[]).with_code(4);
    assert_eq!(world.current(), "app_b");
    assert_eq!(world.logins().1, Vec::<String>::new());
}

#[test]
fn killed_anywhere_before_the_old_one_is_closed_a_rotation_can_be_taken_back() {
    let world = Rotation::up(&[]);
    let before = told(&world);
    let every = std::env::var("RUNSHEET_EVERY").ok().and_then(|every| every.parse().ok()).unwrap_or(45);
    let mut at = every;
    loop {
        let said = killed(&world, at, &RUN);
        if said.code != -1 {
            said.with_code(0);
            break;
        }
        let undone = world.run(&["undo"]);
        if undone.code == 2 && undone.err.contains("point of no return") {
            undone.saying("next: runsheet resume");
            world.run(&["resume"]).with_code(0);
            break;
        }
        // A run that has changed nothing yet may be over.
        assert!([0, 2].contains(&undone.code), "killed after {at}: {}", undone.err);
        assert_eq!(told(&world), before, "killed after {at}: {}", undone.err);
        assert_eq!(
            world.admin().sql("select rolcanlogin from pg_roles where rolname = 'app_b'"),
            "f",
            "killed after {at}"
        );
        at += every;
    }
    assert_eq!(world.current(), "app_b");
    world.attempts_more(5);
    assert_eq!(world.logins().1, Vec::<String>::new());
}

#[test]
fn past_the_close_there_is_no_way_back_and_it_says_what_there_is() {
    let world = Rotation::up(&[]);
    // What the application may do ends with the old login.
    let probe = "probe=select 1 / count(*) from pg_roles where rolname = 'app_a' and rolcanlogin";
    run(&world, &[probe]).with_code(3).saying("the old one is closed: give the new one back what it lacks");
    let said = world.run(&["undo"]).with_code(2);
    said.saying("point of no return").saying("only another rotation goes back");
    world.run(&["abandon", "credential-rotation-1", "--why", "a test"]).with_code(0);
    run(&world, &[]).with_code(0);
    assert_eq!(world.current(), "app_a");
    wait_until("it is back", || world.last_role() == "app_a");
    assert_eq!(world.logins().1, Vec::<String>::new());
}

#[test]
fn given_up_it_says_what_is_left_and_everybody_is_let_in() {
    let world = Rotation::up(&[]);
    add(&world, &consumer("mail", "mailed"));
    stopped(&world, &[]);
    let said = world.run(&["abandon", "credential-rotation-1", "--why", "a test"]).with_code(0);
    said.saying("app_a and app_b").saying("both may log in, and consumers may hold either");
    world.attempts_more(5);
    assert_eq!(world.logins().1, Vec::<String>::new());
    write(&world, "mailed", "");
    // Both ways of the pooler may still have a connection of the login that is idle now.
    world.pooler("reconnect");
    wait_until("nobody uses the old one", || {
        world.admin().sql("select count(*) from pg_stat_activity where usename = 'app_a'") == "0"
    });
    run(&world, &[]).with_code(4);
    let open = "select string_agg(rolname, ',' order by rolname) from pg_roles where rolname ~ '^app_' and rolcanlogin";
    assert_eq!(world.admin().sql(open), "app_a");
    assert_eq!(world.logins().1, Vec::<String>::new());
}

#[test]
fn one_role_alone_goes_there_and_back_and_the_pooler_with_it() {
    let world = Rotation::up(&[]);
    world.kill("client");
    let single = ["strategy=single", "twin="];
    // Killed where the server has the new password and the pooler has not.
    let mut at = 70;
    while !state(&world).contains("rotated") {
        let verifier = world.admin().sql("select rolpassword from pg_authid where rolname = 'app_a'");
        let list = world.file("users.txt");
        killed(&world, at, &[&RUN[..], &single].concat()).with_code(-1);
        let changed = verifier != world.admin().sql("select rolpassword from pg_authid where rolname = 'app_a'");
        let same_list = list == world.file("users.txt");
        let undone = world.run(&["undo"]);
        assert!([0, 2].contains(&undone.code), "killed after {at}: {}", undone.err);
        for variable in ["DATABASE_URL", "DIRECT_DATABASE_URL"] {
            assert_eq!(url(&world, "worker.env", variable).sql("select current_user"), "app_a", "killed after {at}");
        }
        if changed && same_list {
            break;
        }
        at += 2;
    }
    run(&world, &single).with_code(0).saying("the old login app_a is refused through the pooler");
    for variable in ["DATABASE_URL", "DIRECT_DATABASE_URL"] {
        assert_eq!(url(&world, "worker.env", variable).sql("select current_user"), "app_a");
    }
}
