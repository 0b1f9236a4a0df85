//! The user list of a real PgBouncer: who is let in logs in at once, who is not does not, and nobody else notices.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use runsheet::model::preview::Level;
use runsheet::model::secret;
use serde_json::json;

use super::world::World;
use crate::freeze::pooler::Client;
use crate::program::project::Project;
use crate::support::{Cluster, PgBouncer, wait_until};

const OLD: &str = "the-old-password";
const NEW: &str = "the-new-password-ü";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_logs_in_with_its_new_password_once_it_is_admitted_and_not_before() {
    let world = World::start("admitted");
    let role = world.role("app");
    let (old, new) = (world.secret("old", OLD), world.secret("new", NEW));
    world.set_password(&role, "old").await;
    assert!(world.login(&role, OLD).is_err(), "the list does not know it");
    let admitted = world.perform(&world.admit(&role, &old)).await.expect("it is let in");
    assert_eq!(admitted.value, json!({ "user": role, "changed": true }));
    assert_eq!(world.login(&role, OLD).as_deref(), Ok(role.as_str()));

    // Somebody else is in the middle of something, and stays there.
    let _other = Client::named(&world.pooler.app("postgres"), "undisturbed", "begin; create table kept (i int);");
    let at_work = || {
        world.database.sql(
            "select coalesce(max(pid), 0) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'",
        )
    };
    wait_until("it is in a transaction", || at_work() != "0");
    let pid = at_work();

    world.set_password(&role, "new").await;
    assert!(world.login(&role, NEW).is_err(), "the pooler has the old one");
    assert_eq!(world.perform(&world.admits(&role, &new)).await.expect("a look").value, false);
    assert_eq!(world.perform(&world.admit(&role, &new)).await.expect("let in").value["changed"], true);
    assert_eq!(world.perform(&world.admits(&role, &new)).await.expect("a look").value, true);
    assert_eq!(world.perform(&world.admits(&role, &old)).await.expect("a look").value, false);
    assert_eq!(world.login(&role, NEW).as_deref(), Ok(role.as_str()));
    assert!(world.login(&role, OLD).is_err(), "and no more with the old one");
    // Connections to the server are made anew with the keys of who logged in last.
    world.pooler.console("reconnect app");
    assert_eq!(world.login(&role, NEW).as_deref(), Ok(role.as_str()));
    assert_eq!(at_work(), pid);

    let text = world.text();
    let again = world.perform(&world.admit(&role, &new)).await.expect("done again").value;
    assert_eq!((&again["changed"], world.text()), (&json!(false), text));
    // What lets it in is what the server has, to the byte, and no password is in the file.
    let set = world.database.sql(&format!("select rolpassword from pg_authid where rolname = '{role}'"));
    assert!(world.text().ends_with(&format!("\"{role}\" \"{set}\"\n")) && !world.text().contains(NEW));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_is_dismissed_cannot_log_in_and_its_clients_stay() {
    let world = World::start("dismissed");
    let role = world.role("leaver");
    let password = world.secret("pw", OLD);
    world.set_password(&role, "pw").await;
    let before = world.text();
    world.perform(&world.admit(&role, &password)).await.expect("it is let in");
    let mut stays = world.pooler.app(&role);
    stays.url = stays.url.replace(crate::support::cluster::PASSWORD, OLD);
    let _client = Client::named(&stays, "stays", "begin; select 1;");
    let stays = || {
        let sql =
            format!("select count(*) from pg_stat_activity where usename = '{role}' and state = 'idle in transaction'");
        world.database.sql(&sql) == "1"
    };
    wait_until("its client is in a transaction", stays);
    let gone = world.perform(&world.dismiss(&role)).await.expect("it is dismissed");
    assert_eq!(gone.value, json!({ "user": role, "removed": true }));
    assert_eq!(world.text(), before);
    assert!(world.login(&role, OLD).is_err());
    assert!(stays());
    assert_eq!(world.perform(&world.dismiss(&role)).await.expect("it is gone").value["removed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_pooler_needs_is_neither_locked_out_nor_hidden_from_it() {
    let database = Cluster::shared().database("needed");
    let databases =
        format!("app = host=127.0.0.1 port={} dbname={} user=forced\n", Cluster::shared().port, database.name);
    let settings = "pool_mode = transaction\nauth_user = asker\nstats_users = watcher, looker\n";
    let pooler = PgBouncer::configured(&databases, settings, &["forced", "asker", "looker", "postgres"]);
    let world = World::with(database, pooler);
    let before = world.text();
    for user in ["admin", "looker", "forced", "asker"] {
        let fault = world.perform(&world.dismiss(user)).await.expect_err("it is needed");
        assert_eq!(fault.code, "pgbouncer.in-use", "{user}: {fault}");
        assert_eq!(world.preview(&world.dismiss(user)).await.expect_err("foreseen").code, fault.code);
    }
    let password = world.secret("pw", OLD);
    for (user, why) in [("admin", "console"), ("forced", "`user=forced`"), ("asker", "auth_user")] {
        let fault = world.perform(&world.admit(user, &password)).await.expect_err("it needs the clear text");
        assert!(fault.code == "pgbouncer.in-use" && fault.message.contains(why), "{user}: {fault}");
    }
    assert_eq!(world.text(), before);
    world.perform(&world.admit("looker", &password)).await.expect("the pooler does not log in as that one");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_in_the_list_survives_with_its_owner_and_mode() {
    let world = World::start("survives");
    let role = world.role("odd");
    let password = world.secret("pw", NEW);
    world.set_password(&role, "pw").await;
    let (known, list) = (world.text(), world.list());
    let text = format!(
        "; let in by hand, \"do not touch\r\n\n{known}\t\"{role}\"   \"md5d8578edf8458ce06fbc5bb76a58c5ca4\"  ; since May\n;\"gone\" \"x\"\n\"o\"\"dd\" \"cl\"\"ear\"",
    );
    std::fs::write(&list, &text).expect("the list");
    std::fs::set_permissions(&list, std::fs::Permissions::from_mode(0o640)).expect("its mode");
    crate::support::unprivileged::give(&list);
    let about = std::fs::metadata(&list).expect("it is there");
    world.perform(&world.admit(&role, &password)).await.expect("it is let in");
    let set = world.database.sql(&format!("select rolpassword from pg_authid where rolname = '{role}'"));
    assert_eq!(world.text(), text.replace("md5d8578edf8458ce06fbc5bb76a58c5ca4", &set));
    let now = std::fs::metadata(&list).expect("it is there");
    assert_eq!((now.uid(), now.gid(), now.mode()), (about.uid(), about.gid(), about.mode()));
    assert_eq!(world.login(&role, NEW).as_deref(), Ok(role.as_str()), "the pooler can read it");
    world.perform(&world.dismiss(&role)).await.expect("it is dismissed");
    let left: Vec<&str> = text.split_inclusive('\n').filter(|line| !line.contains("since May")).collect();
    assert_eq!(world.text(), left.concat());
    let beside: Vec<_> = std::fs::read_dir(list.parent().expect("a folder")).expect("it").flatten().collect();
    assert_eq!(beside.len(), 2, "the list and the configuration, and no copy of either: {beside:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_missing_or_broken_is_explained_and_not_written() {
    let world = World::start("broken");
    let password = world.secret("pw", NEW);
    let elsewhere = world.list().with_file_name("userlist.txt").display().to_string();
    let mut admit = world.admit("someone", &password);
    admit.auth_file = elsewhere.clone();
    let fault = world.perform(&admit).await.expect_err("there is no such file");
    let hint = fault.hint.clone().unwrap_or_default();
    assert!(fault.code == "pgbouncer.file" && fault.message.contains(&elsewhere), "{fault}");
    assert!(hint.contains(&world.list().display().to_string()), "{hint}");
    // One that it does not read.
    std::fs::write(&elsewhere, "").expect("a file");
    let fault = world.perform(&admit).await.expect_err("the pooler reads another one");
    assert_eq!(fault.code, "pgbouncer.not-read", "{fault}");
    let text = format!("{}# a comment\n", world.text());
    std::fs::write(world.list(), &text).expect("the list");
    let fault = world.perform(&world.admit("someone", &password)).await.expect_err("it is broken");
    assert!(fault.code == "pgbouncer.user-list" && fault.message.contains("line 3"), "{fault}");
    assert_eq!(world.text(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_what_would_happen_and_changes_nothing() {
    let world = World::start("foreseen");
    let password = world.secret("pw", NEW);
    let about = || std::fs::metadata(world.list()).map(|about| (about.ino(), about.mtime_nsec())).expect("the list");
    let (text, before) = (world.text(), about());
    let admit = world.preview(&world.admit("someone", &password)).await.expect("it is foreseen");
    assert!(admit.level == Level::Prepared && admit.notes[0].contains("gets a line of its own"), "{admit:?}");
    let admit = world.preview(&world.admit("postgres", &password)).await.expect("it is foreseen");
    assert!(admit.notes[0].contains("gets another password"), "{admit:?}");
    assert!(admit.by_hand[0].contains("\"postgres\" \"SCRAM-SHA-256$…\""), "{admit:?}");
    let dismiss = world.preview(&world.dismiss("postgres")).await.expect("it is foreseen");
    assert!(dismiss.notes[0].contains("loses its line"), "{dismiss:?}");
    let admits = world.preview(&world.admits("postgres", &password)).await.expect("it is read");
    assert_eq!((admits.level, admits.value), (Level::Read, Some(json!(false))));
    assert_eq!((world.text(), about()), (text, before));
}

#[test]
fn no_verifier_is_found_in_journal_or_output_and_a_plain_password_is_refused() {
    let world = World::start("unseen");
    let project = Project::on(&world.database);
    let toml = std::fs::read_to_string(project.path().join("runsheet.toml")).expect("the configuration");
    project.file("runsheet.toml", &format!("{toml}\n[pgbouncer]\nadmin_url = \"{}\"\n", world.pooler.admin_url()));
    project.file("pw", NEW);
    let list = world.list().display().to_string();
    let runbook = |name: &str, password: &str, more: &str| {
        let head =
            format!("runbook(\"{name}\", \"1.0.0\", #{{ params: #{{ pw: secret(\"a password\") }}, lock: [] }});");
        let admit = format!("pgbouncer::admit(\"someone\", {password}, #{{ auth_file: \"{list}\" }});");
        project.file(&format!("runbooks/{name}.rhai"), &format!("{head}\nstep(\"admit\", || {{ {admit} {more} }});"));
    };
    runbook("plain", "\"in the clear\"", "");
    let said = project.run(&["run", "plain", "pw=file:pw"]);
    assert!(said.code == 1 && said.err.contains("`password` must be a secret"), "{}", said.err);
    project.run(&["abandon", "--why", "a test"]).with_code(0);
    let tell = format!("command::run([\"cat\", \"{list}\"], #{{ repeatable: true }})");
    runbook("hidden", "params.pw", &format!("{tell}; throw {tell}.stdout;"));
    runbook("foreseen", "params.pw", "");
    let mut said = vec![project.run(&["plan", "foreseen", "pw=file:pw", "--full"]).with_code(0)];
    said.push(project.run(&["run", "hidden", "pw=file:pw", "-v"]).with_code(1));
    let verifier = world.text().lines().last().and_then(|line| line.split('"').nth(3)).expect("it").to_owned();
    assert!(verifier.starts_with("SCRAM-SHA-256$"), "{verifier}");
    for args in [&["report"][..], &["report", "--json"], &["audit", "export"], &["status", "--json"]] {
        said.push(project.run(args));
    }
    assert!(said[1].err.contains("(secret verifier)"), "{}", said[1].err);
    for said in said {
        assert!(!format!("{}{}", said.out, said.err).contains(&verifier), "{}{}", said.out, said.err);
    }
    let mut folders = vec![project.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = std::fs::read(entry.path()).expect("a file");
            let found = bytes.windows(verifier.len()).any(|window| window == verifier.as_bytes());
            assert!(!found, "{}", entry.path().display());
        }
    }
    assert!(!secret::contains_handle(&world.text()));
}
