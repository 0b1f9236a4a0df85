//! The world of a credential rotation: a client that logs in anew all the while, and whose log tells whether it ever was refused.

use super::{data, lives, pid};
use crate::support::{Lab, Rotation, wait_until};

const NONE: Vec<String> = Vec::new();

/// Changes the login by hand, as a rotation does, but for what a rotation is careful about.
fn rotate(world: &Rotation) {
    world.admin().sql("alter role app_b login password 'by-hand'");
    let verifier = world.admin().sql("select rolpassword from pg_authid where rolname = 'app_b'");
    let status = world.status();
    let auth_file = status["pooler"]["auth_file"].as_str().expect("a path");
    let users = world.file("users.txt");
    std::fs::write(auth_file, format!("{users}\"app_b\" \"{verifier}\"\n")).expect("the users");
    world.pooler("reload");
    for name in ["web.env", "worker.env"] {
        let text = world.file(name);
        let before = text.split("//").nth(1).and_then(|rest| rest.split('@').next()).expect("a login");
        let path = world.lab().file(name);
        let draft = path.with_extension("draft");
        std::fs::write(&draft, text.replace(before, "app_b:by-hand")).expect("a draft");
        std::fs::rename(&draft, &path).expect("its place");
    }
}

#[test]
fn nobody_is_refused_while_nothing_happens_and_what_the_files_say_takes_effect_at_once() {
    let world = Rotation::up(&["--rate", "20"]);
    let admin = world.admin();
    let roles = "select string_agg(rolname || ' ' || rolcanlogin || ' ' || rolinherit || ' ' || (rolpassword is null) || ' ' || \
                 (select string_agg(roleid::regrole::text, ',') from pg_auth_members where member = r.oid), '; ' order by rolname) \
                 from pg_authid r where rolname like 'app\\__'";
    assert_eq!(admin.sql(roles), "app_a true true false app; app_b false true true app");
    let owned =
        "select count(*) from pg_shdepend where deptype = 'o' and refobjid in ('app_a'::regrole, 'app_b'::regrole)";
    assert_eq!(admin.sql(owned), "0");
    assert_eq!(admin.sql("select pg_get_userbyid(datdba) from pg_database where datname = 'app'"), "app");
    let verifier = admin.sql("select rolpassword from pg_authid where rolname = 'app_a'");
    assert!(world.file("users.txt").contains(&format!("\"app_a\" \"{verifier}\"\n")), "the server's own, byte by byte");
    assert!(world.file("pgbouncer.ini").contains("pool_mode = transaction"));
    assert_eq!(world.pooled().sql("select current_user"), "app_a");
    for secret in world.file("web.env").split(['/', ':', '@']).filter(|word| word.len() == 32) {
        assert!(!world.server_log().contains(secret), "the first password is nowhere in the server's log");
    }

    world.attempts_more(30);
    assert_eq!((world.logins().1, world.last_role().as_str(), world.current()), (NONE, "app_a", "app_a"));
    wait_until("every statement is logged", || world.server_log().contains("statement: insert into logins"));
    assert_eq!(
        admin.sql("select string_agg(distinct role || ' ' || path, ', ' order by role || ' ' || path) from logins"),
        "app_a direct, app_a pooled"
    );
    let seen = world.process_list();
    for what in ["lab __logins", "pgbouncer.ini", "-D "] {
        assert!(seen.iter().any(|it| it.line.contains(what)), "{what}: {seen:?}");
    }
    assert!(seen.iter().any(|it| it.line.contains("postgres: ") && it.line.contains("checkpointer")), "children too");
    assert!(!seen.iter().any(|it| it.pid == i32::try_from(std::process::id()).expect("a pid")), "and nobody else");
    assert!(seen.iter().any(|it| it.environment.contains("PATH=")), "{seen:?}");

    rotate(&world);
    wait_until("the client follows", || world.last_role() == "app_b");
    world.attempts_more(10);
    assert_eq!((world.logins().1, world.current()), (NONE, "app_b"));
    assert!(world.run(&["lab", "env"]).with_code(0).out.contains("app_b:by-hand"), "today's login");
    // What was changed stays so, and the client that is at work with it.
    let client = world.status()["client"]["pid"].clone();
    world
        .lab()
        .run(&["up", "--rotation"])
        .with_code(0)
        .saying("client: at work")
        .saying("0 failures, the last one as app_b");
    assert_eq!((world.status()["client"]["pid"].clone(), world.current()), (client, "app_b"));
    assert_eq!(world.status()["client"]["rate"], 20);
    world.lab().run(&["up", "--cutover"]).with_code(2).saying("has the world of a rotation");
}

#[test]
fn what_is_killed_shows_as_failures_is_started_again_and_goes_without_a_trace() {
    let world = Rotation::up(&["--rate", "20"]);
    assert!(world.run(&["doctor"]).with_code(0).out.contains("\napp: ok"), "its project works");
    world.attempts_more(5);
    assert_eq!(world.logins().1, NONE);
    for (what, path) in [("pooler", " pooled "), ("source", " direct ")] {
        let before = world.logins().1.len();
        world.kill(what);
        let failed = || world.logins().1.split_off(before);
        wait_until("logins fail", || failed().iter().any(|line| line.contains(path)));
        assert!(failed().iter().all(|line| line.contains(" app_a failed ")), "{:?}", failed());
        // A server whose port was taken meanwhile listens elsewhere, and everybody is led there.
        let port = u16::try_from(world.lab().status()["source"]["port"].as_u64().expect("a port")).expect("a port");
        let mut taken = None;
        wait_until("the port is free", || {
            taken = std::net::TcpListener::bind(("127.0.0.1", port)).ok();
            taken.is_some() || what != "source"
        });
        world.revive();
        drop(taken);
        assert_eq!(world.lab().status()["source"]["port"] == port, what != "source");
        // The pooler may go on refusing for a second after the server is back.
        wait_until("logins are let in", || {
            let failed = world.logins().1.len();
            world.attempts_more(6);
            world.logins().1.len() == failed
        });
    }
    world.run(&["lab", "status"]).with_code(0).saying("last failure: ");

    world.kill("client");
    wait_until("it is gone", || world.status()["client"]["pid"].is_null());
    world.revive();
    world.attempts_more(5);
    let status = world.lab().status();
    let client = i32::try_from(status["rotation"]["client"]["pid"].as_i64().expect("a process")).expect("a pid");
    let pooler = i32::try_from(status["rotation"]["pooler"]["pid"].as_i64().expect("a process")).expect("a pid");
    let source = data(&status, "source");
    let server = pid(&source);
    world.lab().run(&["down"]).with_code(0);
    assert!(![client, pooler, server].into_iter().any(lives), "everything has ended");
    assert!(!world.lab().file("").exists(), "the lab's folder is gone");
    assert!(!source.parent().expect("a folder").exists(), "and the servers' files");
}

#[test]
fn with_the_platforms_beside_it_both_hold_the_login_of_today() {
    let world = Rotation::up(&["--neon"]);
    let toml = world.file("runsheet.toml");
    let value = |key: &str| {
        let line = toml.lines().find(|line| line.starts_with(&format!("{key} = "))).expect("a line");
        line.split('"').nth(1).expect("a text").to_owned()
    };
    let base = world.lab().status()["neon"]["api_base"].as_str().expect("a url").replace("/api/v2", "");
    let asked = |path: &str| {
        let port = base.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        crate::support::neon::ask(port, "GET", path, &[], &serde_json::Value::Null).expect("an answer").with(200)
    };
    let railway = asked(&format!("/platforms/railway/{}", value("project")));
    assert_eq!(railway["services"]["web"]["DATABASE_URL"], world.status()["pooled_url"]);
    let hyperdrive = asked(&format!("/platforms/hyperdrive/{}", value("account")));
    let origin = hyperdrive["configs"][value("config")]["origin"].clone();
    assert_eq!((&origin["user"], &origin["database"]), (&"app_a".into(), &"app".into()));
    assert_eq!(origin["port"], world.lab().status()["source"]["port"]);
    assert!(world.file("worker.env").contains(origin["password"].as_str().expect("a password")));
    Lab::new().run(&["env"]).with_code(2).saying("no world of a rotation").saying("next: runsheet lab up --rotation");
    Lab::new().run(&["up", "--rotation", "--cutover"]).with_code(2);
}
