//! What roles, servers and consumers do to a rotation: whatever it is, nobody is refused, nothing is closed before its time, and
//! the one who has to mend it reads what to do.

use serde_json::json;

use super::{add, consumer, lead, run, state, url, write};
use crate::support::neon::encoded;
use crate::support::refusing::Refusing;
use crate::support::rotation::Rotation;
use crate::support::{Database, Railway};

#[test]
fn what_stands_against_a_rotation_is_named_before_anything_is_changed() {
    let world = Rotation::up(&[]);
    add(&world, "\n[targets.other]\nurl = \"${OTHER_URL}\"\n");
    let other = |url: &str| write(&world, ".env", &format!("{}OTHER_URL='{url}'\n", world.file(".env")));
    let direct = url(&world, ".env", "DIRECT_DATABASE_URL").url;
    other(&direct.replace("@127.0.0.1:", "@db.example.com:").replace("/app", "/app?hostaddr=127.0.0.1"));
    let before = state(&world);
    for (made, args, said, unmade) in [
        (
            "grant select on users to app_a",
            vec![],
            "app_b has not; mend it by: grant SELECT on table public.users to app_b",
            "revoke select on users from app_a",
        ),
        (
            "create table stray (); alter table stray owner to app_b",
            vec![],
            "it owns table stray: let the role that both are members of own that, as in: reassign owned by app_b",
            "drop table stray",
        ),
        (
            "alter role app_b set search_path = elsewhere",
            vec![],
            "app_b has setting search_path (elsewhere)",
            "alter role app_b reset search_path",
        ),
        ("", vec!["target=app"], "app logs in as app_a, which is one of the two that are rotated", ""),
        ("", vec!["role=app_c", "twin=app_d"], "logs in as app_a, which is not app_c or app_d", ""),
        ("", vec!["twin=app_c"], "there is no role app_c", ""),
        ("", vec!["strategy=single"], "strategy=single has no other role", ""),
        ("", vec!["twin="], "needs the other login role of the pair", ""),
        ("", vec!["consumers=nobody"], "no [[consumers]] called nobody", ""),
        ("", vec!["consumers=pooler"], "nobody would be told", ""),
        ("", vec!["accept=nobody"], "no consumer called nobody", ""),
        ("", vec!["probe=select * from pg_authid"], "permission denied for table pg_authid; nothing was changed", ""),
        ("", vec!["app=other"], "server does not support TLS", ""),
    ] {
        world.admin().sql(made);
        let ended = run(&world, &args);
        assert!([1, 2, 3].contains(&ended.code), "{args:?}: {}", ended.err);
        ended.saying(said);
        world.admin().sql(unmade);
    }
    assert_eq!(state(&world), before);

    // Somebody gave the application another password, and this project does not know it.
    let known = world.file(".env");
    write(&world, ".env", &known.replace("//app_a:", "//app_a:0"));
    run(&world, &[]).with_code(2).saying("the password or the user name in the target's URL is wrong");
    write(&world, ".env", &known);

    // A consumer that holds something else is told by name, and overwritten only where that is said.
    std::fs::write(world.lab().path().join("stray.env"), "DATABASE_URL=postgresql://somebody@elsewhere/x\n")
        .expect("a file");
    add(
        &world,
        "\n[[consumers]]\nkind = \"env-file\"\nname = \"stray\"\npath = \"stray.env\"\nvariables = [\"DATABASE_URL\"]\n",
    );
    run(&world, &[]).with_code(1).saying("stray does not hold today's login").saying("accept=stray");
    assert_eq!(state(&world), before);
    assert_eq!(world.logins().1, Vec::<String>::new());
    // The check that found it is on record, and was known beforehand.
    run(&world, &["accept=stray"]).with_code(0);
    assert!(world.file("stray.env").contains("//app_b:"));
    assert_eq!(world.logins().1, Vec::<String>::new());
}

#[test]
fn a_server_that_takes_no_verifier_is_told_no_password_and_one_that_loses_its_answer_has_but_one() {
    let world = Rotation::up(&[]);
    let admin = world.admin();
    let refusing = Refusing::before(&admin, "SCRAM-SHA-256$", "22023", "only plain passwords");
    lead(&world, &admin, &refusing.database());
    let before = state(&world);
    let said = run(&world, &[]).with_code(1);
    said.saying("does not take the password of app_b as a SCRAM verifier").saying("It was not sent in the clear");
    assert_eq!(refusing.caught(), 1);
    assert_eq!(state(&world), before);
    // Nothing was changed, so the run is over.
    world.run(&["undo"]).with_code(2).saying("no run is unfinished");

    let losing = Refusing::losing(&admin, "alter role", 1);
    lead(&world, &refusing.database(), &losing.database());
    let said = run(&world, &[]);
    assert_eq!(losing.caught(), 1);
    if said.code != 0 {
        world.run(&["resume"]).with_code(0);
    }
    let log = world.server_log();
    let mut told: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("alter role \"app_b\" with login password"))
        .filter_map(|line| line.split("SCRAM-SHA-256$").nth(1))
        .collect();
    told.dedup();
    assert!(told.len() <= 1, "{told:?}");
    assert_eq!(world.current(), "app_b");
    world.attempts_more(5);
    assert_eq!(world.logins().1, Vec::<String>::new());
}

#[test]
fn a_consumer_that_refuses_or_serves_the_old_value_keeps_the_old_login_open() {
    let railway = Railway::new(&json!({ "web": { "PORT": "3000" } }));
    let world = Rotation::up(&[]);
    add(&world, &consumer("mail", "mailed"));
    add(&world, &railway.toml("shop", "service = \"web\"\nvariables = { DATABASE_URL = \"pooled\" }"));
    add(
        &world,
        "\n[[consumers]]\nkind = \"command\"\nname = \"liar\"\nrepeatable = true\nvariables = [\"DATABASE_URL\"]\n\
         run = [\"true\"]\nread_back = [\"test\", \"-e\", \"honest\"]\n",
    );
    railway.mishaps(&json!([["variableCollectionUpsert", "forgets"]]));
    let open = "select string_agg(rolname, ',' order by rolname) from pg_roles where rolname ~ '^app_' and rolcanlogin";
    let said = run(&world, &["accept=shop"]).with_code(1);
    said.saying("mail: `sh` exited with 1")
        .saying("liar: it took the change, and has something else all the same")
        .saying("shop: it took the change, and has something else all the same");
    assert_eq!(world.admin().sql(open), "app_a,app_b");
    for file in ["web.env", "worker.env", ".env"] {
        assert!(world.file(file).contains("//app_b:"), "{file} was told of it");
    }
    let told = world.file("web.env");
    world.run(&["resume"]).with_code(1).saying("mail: ").saying("liar: ");
    for mended in ["mailed", "honest"] {
        write(&world, mended, "");
    }
    // The platform has forgotten what it said that it took, and nobody can give it that but another run.
    let said = world.run(&["resume"]).with_code(1).saying("shop: it took the change");
    assert!(!said.err.contains("mail: ") && !said.err.contains("liar: "), "{}", said.err);
    assert_eq!(world.file("web.env"), told, "told once");
    assert_eq!(world.file("told.txt").matches("mail app@app_b").count(), 3);
    assert_eq!(world.admin().sql(open), "app_a,app_b");
    world.run(&["undo"]).with_code(0);
    assert_eq!(world.admin().sql(open), "app_a");
    run(&world, &["accept=shop"]).with_code(4);
    assert_eq!(world.admin().sql(open), "app_b");
    assert!(railway.state()["running"]["web"]["DATABASE_URL"].as_str().is_some_and(|url| url.contains("//app_b:")));
    world.attempts_more(5);
    assert_eq!(world.logins().1, Vec::<String>::new());
}

#[test]
fn names_and_passwords_may_have_every_odd_character() {
    const ODD: &str = "app \"x\" é@:/?#%";
    const PASSWORD: &str = "p \"w' é@:/?#%\\$&=";
    let world = Rotation::up(&[]);
    world.kill("client");
    let admin = world.admin();
    admin.sql(&format!("alter role app_b rename to \"{}\"", ODD.replace('"', "\"\"")));
    admin.sql(&format!("alter role app_a password '{}'", PASSWORD.replace('\'', "''")));
    let verifier = admin.sql("select rolpassword from pg_authid where rolname = 'app_a'");
    let list = world.file("users.txt");
    let line = list.lines().find(|line| line.starts_with("\"app_a\"")).expect("a line").to_owned();
    world.users(&list.replace(&line, &format!("\"app_a\" \"{verifier}\"")));
    for file in [".env".to_owned(), world.text("web"), world.text("worker")] {
        let path = world.lab().path().join(file);
        let text = std::fs::read_to_string(&path).expect("a file");
        let first =
            text.split("//app_a:").nth(1).and_then(|rest| rest.split('@').next()).expect("a password").to_owned();
        std::fs::write(&path, text.replace(&first, &encoded(PASSWORD))).expect("a file");
    }
    let twin = format!("twin={ODD}");
    for who in [ODD, "app_a"] {
        run(&world, &[&twin]).with_code(0).saying(&format!("the new login {who} alone is let in through the pooler"));
        for (file, variable) in [("web.env", "DATABASE_URL"), ("worker.env", "DIRECT_DATABASE_URL")] {
            let Database { name, url } = url(&world, file, variable);
            assert_eq!(Database { name, url }.sql("select current_user"), who);
        }
    }
}
