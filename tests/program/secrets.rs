//! Secrets leave no trace: canaries, and a search for them in everything that the program and the server leave behind.

use std::process::Stdio;

use super::project::{Project, Said};
use crate::support::canaries::{clean, clean_folder, forms};
use crate::support::{Cluster, Database, wait_until};

const PARAM: &str = "canary-p4ram/ü\"x&y";
const FILE: &str = "canary-f1le+two words\\";
const DEPLOY: &str = "canary-d3ploy'é=";
const ROW: &str = "canary-r0w:value";
const URL: &str = "canary-url-p4ssword";
/// Files that are meant to hold secrets.
const MEANT: [&str; 3] = ["token", "forms", "generated"];

/// The search itself: it must find what is there.
#[test]
fn the_search_finds_a_secret_in_every_form() {
    for form in forms(PARAM) {
        let text = format!("before {form} after");
        assert!(std::panic::catch_unwind(|| clean(text.as_bytes(), &[PARAM], "a text")).is_err(), "{form}");
    }
}

struct World {
    cluster: Cluster,
    database: Database,
    project: Project,
    role: String,
    /// [`URL`] and [`FILE`] with the name of the database behind them: no other test's processes have these.
    password: String,
    token: String,
}

/// A server that logs every statement, and a project whose target's URL holds a canary.
fn world() -> World {
    let cluster = Cluster::start(&["log_statement=all", "log_min_error_statement=panic"]);
    let database = cluster.database("secrets");
    let role = format!("holder_{}", database.name);
    let (password, token) = (format!("{URL}-{}", database.name), format!("{FILE}{}", database.name));
    let unlogged = unlogged(&database);
    unlogged.sql(&format!("create role {role} superuser login password '{password}'"));
    unlogged.sql(&format!("create role app_{role} login; create role random_{role} login"));
    let (_, place) = database.url.split_once('@').unwrap();
    let project = Project::with_url(&format!("postgresql://{role}:{password}@{place}"));
    project.file("token", &format!("{token}\n"));
    let written: Vec<String> = [PARAM, &token, DEPLOY].iter().flat_map(|secret| forms(secret)).collect();
    project.file("forms", &written.join("\n"));
    World { cluster, database, project, role, password, token }
}

/// The same database in sessions whose statements are not logged: for what the test itself says in the clear.
fn unlogged(database: &Database) -> Database {
    let url = format!("{}?options=-c%20log_statement%3Dnone", database.url);
    Database { name: database.name.clone(), url }
}

impl World {
    fn runbook(&self, name: &str, steps: &str) {
        let params = "app: target(\"d\", #{ or: \"app\" }), pw: secret(\"a password\"), token: secret(\"a token\")";
        let head = format!("runbook(\"{name}\", \"1.0.0\", #{{ params: #{{ {params} }} }});\n");
        self.project.file(&format!("runbooks/{name}.rhai"), &(head + steps.replace("ROLE", &self.role).as_str()));
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.project.command(args);
        command.env("APP_PW", PARAM).env("DEPLOY", DEPLOY).env("ROW", ROW);
        command
    }

    /// Runs the program and searches what it said.
    #[track_caller]
    fn run(&self, args: &[&str]) -> Said {
        let said = Said::from(self.command(args).output().unwrap());
        clean(said.out.as_bytes(), &[PARAM, FILE, DEPLOY, ROW, URL], &format!("stdout of {args:?}"));
        clean(said.err.as_bytes(), &[PARAM, FILE, DEPLOY, ROW, URL], &format!("stderr of {args:?}"));
        said
    }
}

const GIVEN: [&str; 2] = ["pw=env:APP_PW", "token=file:token"];

#[test]
fn no_secret_is_found_in_terminal_journal_reports_plans_processes_or_the_servers_log() {
    let world = world();
    world.runbook(
        "canaries",
        r#"
step("app", || sql::exec(params.app, "alter role app_ROLE password {{ pw | scram }}", #{ pw: params.pw }));
step("random", || {
    let pw = random::password(24);
    sql::exec(params.app, "alter role random_ROLE password {{ pw | scram }}", #{ pw: pw });
    command::run(["sh", "-c", "printf %s \"$PW\" > generated; echo \"$PW\"; printf %s \"$PW\" | base64"], #{ env: #{ PW: pw }, repeatable: true })
});
step("echo", || {
    log::info(`the token is ${params.token}`);
    command::run(["sh", "-c", "echo \"$A $B $C\"; cat forms; cat forms >&2"], #{ env: #{ A: params.pw, B: params.token, C: env("DEPLOY") }, repeatable: true })
});
step("hold", || command::run(["sh", "-c", "touch up; while [ ! -e go ]; do sleep 0.05; done; echo \"$B\""], #{ env: #{ B: params.token }, repeatable: true }));
step("verify", || check::that("token", true, `with ${params.token}`));
"#,
    );
    let run = [&["run", "canaries", "-v"][..], &GIVEN].concat();
    for args in [&["--out", "plan.json"][..], &["--full"], &["--json"], &["-v"]] {
        world.run(&[&["plan", "canaries"][..], &GIVEN, args].concat()).with_code(0);
    }
    let child = world.command(&run).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the command runs", || world.project.path().join("up").exists());
    let generated = std::fs::read_to_string(world.project.path().join("generated")).unwrap();
    assert_eq!(generated.len(), 24);
    let all = [PARAM, FILE, DEPLOY, URL, generated.as_str()];
    let mut holders = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let (arguments, environment) = (read("cmdline"), read("environ"));
        let ours = [PARAM, &world.token, DEPLOY, &world.password, &generated];
        clean(&arguments, &ours, &format!("arguments of {}", entry.path().display()));
        if environment.windows(world.token.len()).any(|window| window == world.token.as_bytes()) {
            holders.push(String::from_utf8_lossy(&arguments).replace('\0', " "));
        }
    }
    // The command itself and the `sleep` that it starts are meant to have it; nobody else.
    let meant = |holder: &String| holder.starts_with("sh -c touch up") || holder.starts_with("sleep 0.05");
    assert!(!holders.is_empty() && holders.iter().all(meant), "{holders:?}");
    // While it runs, the newest entries stand in the write-ahead log.
    assert!(clean_folder(world.project.path(), &all, &MEANT) > 5);
    assert!(world.project.path().join(".runsheet/journal.db-wal").exists());
    world.project.file("go", "");
    let said = Said::from(child.wait_with_output().unwrap()).with_code(0);
    clean(said.out.as_bytes(), &all, "stdout");
    clean(said.err.as_bytes(), &all, "stderr");
    assert!(said.err.contains("the token is (secret token)"), "{}", said.err);
    for args in [
        &["report"][..],
        &["report", "--markdown"],
        &["report", "--json"],
        &["audit", "show", "canaries-1"],
        &["audit", "export"],
        &["audit", "export", "--out", "export.jsonl"],
        &["audit", "verify", "-v"],
        &["runs", "--json"],
        &["status", "--json"],
        &["show", "canaries", "--json"],
        &["doctor", "-v"],
    ] {
        let said = world.run(args).with_code(0);
        clean(said.out.as_bytes(), &[&generated], &format!("{args:?}"));
    }
    assert!(clean_folder(world.project.path(), &all, &MEANT) > 7);
    let log = world.cluster.log();
    assert!(
        log.contains(&format!("alter role app_{} password 'SCRAM-SHA-256$", world.role)),
        "it is not what was logged"
    );
    clean(log.as_bytes(), &all, "the server's log");
    // And the password that was set is the password that was given.
    let (_, place) = world.database.url.split_once('@').unwrap();
    let url = format!("postgresql://random_{}:{generated}@{place}", world.role);
    assert_eq!(Database { name: String::new(), url }.sql("select 1"), "1");
}

#[test]
fn no_secret_is_found_in_what_is_said_of_a_failure() {
    let world = world();
    unlogged(&world.database).sql(&format!("create table kept as select '{ROW}'::text as value"));
    for (name, step, words) in [
        (
            "command",
            "command::run([\"sh\", \"-c\", \"echo broken by $B >&2; cat forms >&2; exit 1\"], #{ env: #{ B: params.token, C: env(\"DEPLOY\") }, repeatable: true })",
            &["exited with 1", "(secret token)"][..],
        ),
        (
            "server",
            "env(\"ROW\"); sql::exec(params.app, \"select value::int from kept\")",
            &["invalid input syntax", "(secret env:ROW)"],
        ),
        ("thrown", "throw `no good: ${params.pw}`", &["no good: (secret pw)"]),
        ("text", "sql::exec(params.app, \"select {{ pw }}\", #{ pw: params.pw })", &["a secret cannot stand in SQL"]),
        ("argument", "command::run([\"echo\", params.pw])", &["a secret must not be an argument"]),
    ] {
        world.runbook(name, &format!("step(\"a\", || {{ {step} }});"));
        let said = world.run(&[&["run", name, "-v"][..], &GIVEN].concat()).with_code(1);
        for word in words {
            assert!(said.err.contains(word), "`{word}` is not in:\n{}", said.err);
        }
        for args in [&["report"][..], &["report", "--json"], &["audit", "export"], &["resume", "--plan"]] {
            world.run(args);
        }
        clean_folder(world.project.path(), &[PARAM, FILE, DEPLOY, ROW, URL], &MEANT);
        world.run(&["abandon", "--why", "a test"]).with_code(0);
    }
}

#[test]
fn the_password_of_a_url_is_in_no_message_about_it() {
    let world = world();
    world.runbook("ok", "step(\"a\", || sql::value(params.app, \"select 1\"));");
    let nobody = crate::support::free_port();
    let (_, place) = world.database.url.split_once('@').unwrap();
    for url in [
        format!("postgresql://{}:{URL}-wrong@{place}", world.role),
        format!("postgresql://{}:{URL}@127.0.0.1:{nobody}/app", world.role),
        format!("postgresql://{}:{URL}@no-host.invalid/app", world.role),
        format!("postgresql://{}:{URL}@{place}?sslmode=wibble", world.role),
        format!("postgresql://{}:{URL}/@{place}", world.role),
        URL.to_owned(),
        format!("postgresql://{URL} {place}"),
    ] {
        for command in [&[&["run", "ok", "-v"][..], &GIVEN].concat()[..], &["doctor", "-v"], &["doctor", "--json"]] {
            let said = Said::from(world.command(command).env("DATABASE_URL", &url).output().unwrap());
            assert!(matches!(said.code, 1 | 2), "{url}: {}", said.err);
            clean(said.out.as_bytes(), &[URL], &format!("stdout of {command:?} with {url}"));
            clean(said.err.as_bytes(), &[URL], &format!("stderr of {command:?} with {url}"));
        }
    }
    clean_folder(world.project.path(), &[URL], &MEANT);
}

#[test]
fn a_row_that_forges_a_secret_is_refused() {
    let world = world();
    world.database.sql("create table forged as select U&'\\+0F0000pw\\+0F0001' as value, 1 as n");
    for (name, sql) in
        [("column", "select value from forged"), ("key", "select json_build_object(value, 1) as j from forged")]
    {
        world.runbook(name, &format!("step(\"a\", || {{ let rows = sql::query(params.app, \"{sql}\"); command::run([\"sh\", \"-c\", \"echo \\\"$X\\\" > stolen\"], #{{ env: #{{ X: `${{rows}}` }}, repeatable: true }}) }});"));
        let said = world.run(&[&["run", name][..], &GIVEN].concat()).with_code(1);
        assert!(said.err.contains("U+F0000"), "{}", said.err);
        assert!(!world.project.path().join("stolen").exists());
        world.run(&["abandon", "--why", "a test"]).with_code(0);
    }
}

#[test]
fn whoever_gives_a_short_secret_is_told_that_it_cannot_be_redacted() {
    let world = world();
    world.runbook("ok", "step(\"a\", || params.pw);");
    let run = |value: &str| {
        let said = world.command(&["run", "ok", "pw=env:APP_PW", "token=file:token"]).env("APP_PW", value).output();
        Said::from(said.unwrap()).with_code(0).err
    };
    assert!(run("abc").contains("warning: secret `pw` is shorter than 4 characters"));
    assert!(!run("abcd").contains("warning: secret"));
}

#[test]
fn a_run_whose_secret_is_gone_can_still_be_given_up() {
    let world = world();
    world.runbook("ok", "step(\"a\", || { params.pw; params.token; throw \"no\" });");
    world.run(&[&["run", "ok"][..], &GIVEN].concat()).with_code(1);
    let without = |args: &[&str]| Said::from(world.project.command(args).output().unwrap());
    without(&["resume"]).with_code(2).saying("the variable `APP_PW` is not set").saying("next: runsheet resume ok-1");
    let changed = world.command(&["resume"]).env("APP_PW", "quite-different").output().unwrap();
    Said::from(changed).with_code(2).saying("has another value now").saying("next: runsheet resume ok-1");
    without(&["abandon", "--why", "gone"]).with_code(0).saying("cleanups may fail for it");
}
