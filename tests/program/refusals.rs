//! Bad input of every kind: one clear message, the next command as the last line, the right exit code, nothing changed.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::project::{Project, Said};
use crate::support::{Cluster, Database, PgBouncer, wait_until};

/// A project on a database with an empty table `users`.
fn world() -> (Database, Project) {
    let database = Cluster::shared().database("refusals");
    database.sql("create table users (name text); create sequence counted");
    let project = Project::on(&database);
    (database, project)
}

/// What every refusal has: an error, the words that are looked for, `next:` as the last line, and no escape codes.
#[track_caller]
fn refused(said: &Said, code: i32, words: &[&str], next: &str) {
    let Said { out, err, .. } = said;
    assert_eq!(said.code, code, "{out}\n{err}");
    for word in words {
        assert!(err.contains(word), "`{word}` is not in:\n{err}");
    }
    assert_eq!(err.trim_end().lines().last(), Some(format!("next: {next}").as_str()), "{err}");
    assert!(!err.contains('\u{1b}') && !err.contains("panicked"), "{err}");
    assert!(err.len() < 8000, "{} bytes of talk", err.len());
}

/// A project in which nothing was begun and nothing was changed.
#[track_caller]
fn untouched(database: &Database, project: &Project) {
    assert_eq!(project.run(&["runs", "--json"]).with_code(0).out.trim(), "[]");
    assert_eq!(database.sql("select count(*) from users"), "0");
}

#[test]
fn a_runbook_with_a_mistake_is_refused_before_anything_is_begun_with_the_place_of_the_mistake() {
    let (database, project) = world();
    project.file("templates/inside.sql", "insert into users values ('{{ name }}');\n");
    project.file("templates/commit.sql", "insert into users values ('a');\nCOMMIT;\n");
    project.file("templates/needs.sql", "insert into users values ({{ nome }});\n");
    for (name, step, words) in [
        ("syntax", "let x = ;", &["runbooks/syntax.rhai:2:29", "Unexpected ';'"][..]),
        ("param", "sql::value(params.ap, \"select 1\")", &["no parameter `ap`, did you mean `app`"]),
        ("stepname", "done.bfore", &["no step `bfore`, did you mean `before`"]),
        (
            "word",
            "sql::exce(params.app, \"select 1\")",
            &["no word `sql::exce`, did you mean `sql::exec`", "runbooks/word.rhai:2:"],
        ),
        ("arguments", "sql::exec(params.app)", &["`sql::exec` is not called with 1 arguments"]),
        ("keyword", "let default = 1; default", &["`default` is a keyword", "written `or: …`"]),
        ("missing", "sql::exec(params.app, template(\"nope.sql\"))", &["`templates/nope.sql` cannot be read"]),
        ("inside", "sql::exec(params.app, template(\"inside.sql\"), #{ name: 1 })", &["templates/inside.sql:1:28"]),
        ("needs", "sql::exec(params.app, template(\"needs.sql\"), #{ name: 1 })", &["needs `nome`", "mean `name`"]),
        (
            "commit",
            "sql::exec(params.app, template(\"commit.sql\"))",
            &["templates/commit.sql:2:1", "transaction control"],
        ),
        ("begin", "sql::exec(params.app, \"begin; delete from users\")", &["`BEGIN` is transaction control"]),
        ("joined", "sql::exec(params.app, \"delete from \" + \"users\")", &["must not be joined"]),
    ] {
        project.runbook(name, &format!("step(\"before\", || {{ {step} }}); step(\"after\", || 1);"));
        for command in ["run", "plan"] {
            refused(&project.run(&[command, name]), 2, words, &format!("runsheet lint {name}"));
        }
    }
    untouched(&database, &project);
}

#[test]
fn a_file_that_is_no_runbook_is_refused_in_few_words() {
    let (database, project) = world();
    let garbage: Vec<u8> = (0..=255).rev().collect();
    std::fs::write(project.file("runbooks/binary.rhai", ""), garbage).unwrap();
    project.file("runbooks/empty.rhai", "");
    project.file("runbooks/huge.rhai", &"x".repeat(3_000_000));
    std::fs::create_dir(project.path().join("runbooks/folder.rhai")).unwrap();
    for (name, word) in [
        ("binary", "not UTF-8"),
        ("empty", "declares no runbook"),
        ("huge", "runbooks/huge.rhai:1:1"),
        ("folder", "it is a folder"),
    ] {
        for command in ["run", "plan", "show"] {
            refused(&project.run(&[command, name]), 2, &[word], &format!("runsheet lint {name}"));
        }
    }
    untouched(&database, &project);
}

#[test]
fn a_name_that_does_not_exist_is_answered_with_the_list_of_those_that_do() {
    let (database, project) = world();
    project.runbook("ok", "step(\"a\", || 1);");
    for (command, words, next) in [
        (&["run", "okk"][..], &["no runbook `okk`", "did you mean `ok`"][..], "runsheet list"),
        (&["words", "sql::exce"], &["no word `sql::exce`", "did you mean `sql::exec`"], "runsheet words"),
        (&["report", "ok-1"], &["no run `ok-1`"], "runsheet runs"),
        (&["resume"], &["no run is unfinished"], "runsheet runs"),
        (&["audit", "verify", "nope"], &["nope"], "runsheet runs"),
        (&["eject", "nope"], &["no runbook `nope` is built in"], "runsheet list"),
        (&["runz"], &["unrecognized subcommand 'runz'", "'runs'"], "runsheet --help"),
        (&["run", "ok", "--if-locked", "never"], &["must be fail, skip, or wait=TIME"], "runsheet run --help"),
        (&["run", "ok", "--wibble"], &["'--wibble'"], "runsheet run --help"),
        (&["run", "ok", "--plan", "none.json"], &["none.json cannot be read"], "runsheet plan ok --out none.json"),
        (&["status", "--max-age", "soon"], &["--max-age"], "runsheet status --help"),
        (&["new", "Bad Name"], &["`Bad Name` is not a name for a runbook"], "runsheet new vacuum-big-tables"),
    ] {
        refused(&project.run(command), 2, words, next);
    }
    untouched(&database, &project);
}

#[test]
fn parameters_that_are_wrong_are_refused_and_a_secret_is_never_repeated() {
    let (database, project) = world();
    let params = "app: target(\"d\", #{ or: \"app\" }), n: integer(\"a number\"), pw: secret(\"a password\")";
    let head = format!("runbook(\"given\", \"1.0.0\", #{{ params: #{{ {params} }} }});\n");
    project.file("runbooks/given.rhai", &(head + "step(\"a\", || { params.pw; params.app; params.n });"));
    let pw = "pw=env:DATABASE_URL";
    for (given, word) in [
        (&["n=1", "n=2", pw][..], "`n` is given twice"),
        (&["n=1", "m=2", pw], "no parameter `m`"),
        (&["n=one", pw], "not a whole number"),
        (&[pw], "`n` is missing"),
        (&["n", pw, "n=1"], "`n` is not `name=value`"),
        (&["n=1"], "`pw` is missing: give pw=env:VAR or pw=file:PATH"),
        (&["n=1", "pw=hunter2-canary"], "everyone on this machine can read a command line"),
        (&["n=1", "pw=env:NOPE"], "the variable `NOPE` is not set"),
        (&["n=1", "pw=file:nope"], "the file `nope` cannot be read"),
        (&["n=1", pw, "app=nope"], "no target `nope`"),
    ] {
        let said = project.run(&[&["run", "given"], given].concat());
        refused(&said, 2, &[word], "runsheet show given");
        assert!(!said.err.contains("canary"), "{}", said.err);
    }
    untouched(&database, &project);
}

#[test]
fn sql_in_a_parameter_is_inserted_as_it_is() {
    let (database, project) = world();
    let head =
        "runbook(\"bobby\", \"1.0.0\", #{ params: #{ app: target(\"d\", #{ or: \"app\" }), name: text(\"n\") } });\n";
    let step = "step(\"a\", || sql::exec(params.app, \"insert into users values ({{ name }})\", #{ name: params.name }, #{ rows: 1 }));";
    project.file("runbooks/bobby.rhai", &format!("{head}{step}"));
    let names =
        ["'; drop table users; --", "\\'; drop table users; --", "$$; COMMIT; --", "{{ name }}", "a\u{301}\n\t\"x\""];
    for name in names {
        project.run(&["run", "bobby", &format!("name={name}")]).with_code(0);
    }
    for name in names {
        let quoted = format!("select count(*) from users where name = U&'{}'", escaped(name));
        assert_eq!(database.sql(&quoted), "1", "{name}");
    }
}

/// Text for a `U&'…'` literal, every character escaped.
fn escaped(text: &str) -> String {
    text.chars().map(|c| format!("\\+{:06x}", u32::from(c))).collect()
}

#[test]
fn a_query_with_a_side_effect_fails_without_it_and_the_run_can_be_given_up() {
    let (database, project) = world();
    database.sql("select nextval('counted')");
    project.runbook("effect", "step(\"a\", || sql::query(params.app, \"select nextval('counted')\"));");
    let said = project.run(&["run", "effect"]);
    refused(
        &said,
        1,
        &["`pg_catalog.nextval` is a function that may change something", "runbooks/effect.rhai:2:", "new version"],
        "runsheet abandon effect-1 --why \"mistake in the runbook\"",
    );
    assert_eq!(said.err.matches("help: sql::admin").count(), 1, "{}", said.err);
    assert_eq!(database.sql("select last_value from counted"), "1");
    project.run(&["abandon", "effect-1", "--why", "mistake in the runbook"]).with_code(0);
}

#[test]
fn a_project_file_that_cannot_be_used_is_refused() {
    let (database, project) = world();
    project.runbook("ok", "step(\"a\", || sql::value(params.app, \"select 1\"));");
    let file = project.path().join("runsheet.toml");
    let good = std::fs::read(&file).unwrap();
    let huge = format!("a = \"{}\"", "x".repeat(3_000_000));
    for (text, word) in [
        (&b"targets.app = = 3"[..], "runsheet.toml:1:15"),
        (b"[targets.app]\nurll = \"x\"", "did you mean `url`"),
        (b"\xff\xfe\x00\x01", "not UTF-8"),
        (huge.as_bytes(), "unknown key `a`"),
        (b"[targets.app]\nurl = 3", "runsheet.toml:2:7"),
    ] {
        std::fs::write(&file, text).unwrap();
        refused(&project.run(&["run", "ok"]), 2, &[word], "runsheet doctor");
    }
    for text in ["[targets.app]\nurl = \"garbage\"", "[targets.app]\nurl = \"${NOPE}\""] {
        std::fs::write(&file, text).unwrap();
        refused(&project.run(&["run", "ok"]), 2, &["targets.app.url"], "runsheet doctor");
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    refused(&project.run(&["run", "ok"]), 2, &["it is a folder"], "runsheet doctor");
    std::fs::remove_dir(&file).unwrap();
    refused(&project.run(&["run", "ok"]), 2, &["no `runsheet.toml`"], "runsheet init");
    let elsewhere = project.run(&["run", "ok", "--project", "no where"]);
    refused(&elsewhere, 2, &["no `runsheet.toml`"], "runsheet init --project 'no where'");
    std::fs::write(&file, good).unwrap();
    untouched(&database, &project);
}

#[test]
fn a_file_that_is_no_journal_is_refused_and_left_as_it_is() {
    let (_, project) = world();
    project.runbook("ok", "step(\"a\", || sql::value(params.app, \"select 1\"));");
    project.run(&["run", "ok"]).with_code(0);
    let file = project.path().join(".runsheet/journal.db");
    for name in ["journal.db-wal", "journal.db-shm"] {
        let _ = std::fs::remove_file(project.path().join(".runsheet").join(name));
    }
    for garbage in [vec![0xa5; 5000], "x".repeat(3_000_000).into_bytes()] {
        std::fs::write(&file, &garbage).unwrap();
        for command in [&["run", "ok"][..], &["runs"], &["status"], &["resume"], &["audit", "verify"]] {
            let words = ["it is not a journal", "put a good copy of the file back"];
            refused(&project.run(command), 2, &words, "runsheet audit verify");
        }
        assert!(std::fs::read(&file).unwrap() == garbage, "the file was written to");
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    refused(&project.run(&["run", "ok"]), 2, &["journal.db", "cannot be used"], "runsheet doctor");
}

#[test]
fn a_disk_that_fills_up_at_any_place_loses_and_doubles_nothing() {
    let (database, project) = world();
    project.runbook(
        "fill",
        r#"step("a", || { for n in range(0, 20) { sql::exec(params.app, "insert into users values ({{ n }})", #{ n: n }, #{ rows: 1 }); } });"#,
    );
    // A file may not grow beyond so many blocks of 512 bytes: the same refusal of a write as on a full disk.
    let (mut refusals, mut failures) = (0, 0);
    for blocks in (8..).step_by(40) {
        let mut limited = project.command(&[]);
        let arguments = ["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$1\" run fill", &blocks.to_string()];
        let program = limited.get_program().to_owned();
        let mut shell = std::process::Command::new("sh");
        shell.args(arguments).arg(&program).current_dir(project.path()).stdin(Stdio::null());
        shell.env_clear().envs(limited.get_envs().filter_map(|(name, value)| Some((name, value?))));
        limited = shell;
        let said = Said::from(limited.output().expect("it runs"));
        let state = project.run(&["runs", "--json", "-n", "1"]).with_code(0).json()[0]["state"].clone();
        match said.code {
            0 => break,
            1 => {
                failures += 1;
                assert!(
                    said.err.contains("journal") && said.err.contains("next: runsheet resume fill-"),
                    "{}",
                    said.err
                );
            }
            _ => {
                refusals += 1;
                refused(&said, 2, &["journal.db", "cannot be used"], "runsheet doctor");
            }
        }
        assert!(blocks < 4000, "it never has room enough: {}", said.err);
        if state.is_null() || state == "done" {
            assert_eq!(database.sql("select count(*) from users"), "0");
            continue;
        }
        project.run(&["resume"]).with_code(0);
        assert_eq!(database.sql("select count(*), count(distinct name) from users"), "20|20");
        project.run(&["audit", "verify"]).with_code(0);
        database.sql("truncate users");
    }
    assert!(refusals > 0 && failures > 0, "{refusals} refused at the start, {failures} failed on the way");
}

#[test]
fn a_server_that_cannot_be_used_is_refused_before_anything_is_begun() {
    let (database, project) = world();
    project.runbook("ok", "step(\"a\", || sql::exec(params.app, \"insert into users values ('x')\"));");
    let nobody = crate::support::free_port();
    let url = |from: &str, to: &str| database.url.replace(from, to);
    let password = database.url.split([':', '@']).nth(2).expect("a password");
    for (url, word) in [
        (format!("postgresql://postgres:x@127.0.0.1:{nobody}/app"), "Connection refused"),
        (url(&format!(":{password}@"), ":wrong-canary@"), "password authentication failed"),
        (url("postgres:", "somebody:"), "password authentication failed for user \"somebody\""),
        (url(&database.name, "nowhere"), "database \"nowhere\" does not exist"),
    ] {
        let said = project.run_with("DATABASE_URL", &url, &["run", "ok"]);
        refused(&said, 2, &["connecting to app", word], "runsheet doctor");
        assert!(!said.err.contains("canary") && !said.err.contains(password), "{}", said.err);
        let said = project.run_with("DATABASE_URL", &url, &["doctor"]);
        refused(&said, 1, &["cannot be used: app"], "runsheet doctor");
        assert!(said.out.contains(word), "{}", said.out);
    }
    untouched(&database, &project);
}

#[test]
fn a_server_that_never_answers_is_given_up_in_good_time() {
    let (_, project) = world();
    project.runbook("ok", "step(\"a\", || sql::value(params.app, \"select 1\"));");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgresql://postgres:x@{}/app", silent.local_addr().unwrap());
    let begun = Instant::now();
    let said = project.run_with("DATABASE_URL", &url, &["run", "ok"]);
    refused(&said, 2, &["no answer within"], "runsheet doctor");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn a_server_that_vanishes_between_steps_fails_the_run_which_resumes_when_it_is_back() {
    let cluster = Cluster::start(&[]);
    let database = cluster.database("vanishing");
    database.sql("create table users (name text)");
    let project = Project::on(&database);
    project.runbook(
        "vanish",
        r#"step("one", || sql::exec(params.app, "insert into users values ('one')", #{}, #{ rows: 1 }));
step("pause", || command::run(["sh", "-c", "touch up; while [ ! -e go ]; do sleep 0.05; done"], #{ repeatable: true }).code);
step("two", || sql::exec(params.app, "insert into users values ('two')", #{}, #{ rows: 1 }));"#,
    );
    let child = project.command(&["run", "vanish"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    wait_until("the pause", || project.path().join("up").exists());
    cluster.stop_immediate();
    project.file("go", "");
    let said = Said::from(child.wait_with_output().unwrap());
    refused(&said, 1, &["Connection refused", "vanish-1 failed"], "runsheet resume vanish-1");
    cluster.start_again();
    project.run(&["resume"]).with_code(0);
    assert_eq!(database.sql("select string_agg(name, ',' order by name) from users"), "one,two");
}

#[test]
fn a_role_without_the_privilege_fails_with_the_servers_own_words() {
    let (database, project) = world();
    let role = format!("nothing_{}", database.name);
    database.sql(&format!("create role {role} login password 'of-nobody'"));
    project.runbook("ok", "step(\"a\", || sql::exec(params.app, \"insert into users values ('x')\"));");
    let (_, place) = database.url.split_once('@').unwrap();
    let url = format!("postgresql://{role}:of-nobody@{place}");
    let said = project.run_with("DATABASE_URL", &url, &["run", "ok"]);
    refused(&said, 1, &["permission denied for table users"], "runsheet resume ok-1");
    assert_eq!(database.sql("select count(*) from users"), "0");
    project.run(&["resume"]).with_code(0);
    assert_eq!(database.sql("select count(*) from users"), "1");
}

#[test]
fn a_change_through_a_pooler_is_refused_and_goes_through_the_direct_url() {
    let (database, project) = world();
    let pooler = PgBouncer::start(Cluster::shared(), "options");
    project.runbook("look", "step(\"a\", || sql::value(params.app, \"select 1\"));");
    project.runbook("change", "step(\"a\", || sql::exec(params.app, \"insert into users values ('x')\"));");
    let url = pooler.url(&database.name);
    project.run_with("DATABASE_URL", &url, &["run", "look"]).with_code(0);
    let said = project.run_with("DATABASE_URL", &url, &["run", "change"]);
    refused(&said, 1, &["reached through a pooler", "set `direct_url` of target `app`"], "runsheet resume change-1");
    assert_eq!(database.sql("select count(*) from users"), "0");
    project.file(
        "runsheet.toml",
        "[targets.app]\nurl = \"${DATABASE_URL}\"\ndirect_url = \"${DIRECT}\"\nlabel = \"app\"\n",
    );
    let resumed = project.command(&["resume"]).env("DATABASE_URL", &url).env("DIRECT", &database.url).output().unwrap();
    Said::from(resumed).with_code(0);
    assert_eq!(database.sql("select count(*) from users"), "1");
}

#[test]
fn guard_rails_of_targets_and_environments_refuse_before_anything_is_begun() {
    let (database, project) = world();
    project.runbook("ok", "step(\"a\", || sql::exec(params.app, \"insert into users values ('x')\"));");
    let target = "[targets.app]\nurl = \"${DATABASE_URL}\"\nlabel = \"app\"\n";
    project.file("runsheet.toml", &format!("{target}identity = {{ system = \"1\", database = \"app\" }}\n"));
    let words = ["is not the configured database", "expected `app` of system 1", &database.name];
    refused(&project.run(&["run", "ok"]), 2, &words, "runsheet doctor");
    let environments = "[env.staging.targets.app]\nlabel = \"staging\"\n";
    project.file("runsheet.toml", &format!("{target}protected = true\n{environments}"));
    let said = project.run(&["run", "ok", "app=app"]);
    refused(&said, 2, &["protected", "no environment was named with -e"], "runsheet run ok app=app -e staging");
    let said = project.run_with("ENVIRONMENT", "staging", &["run", "ok"]);
    refused(&said, 2, &["no environment was named with -e"], "runsheet run ok -e staging");
    let said = project.run(&["run", "ok", "-e", "stagin"]);
    refused(&said, 2, &["`stagin` (from -e) is not declared", "did you mean `staging`"], "runsheet doctor -e staging");
    let said = project.run(&["run", "okk", "-e", "staging"]);
    refused(&said, 2, &["no runbook `okk`"], "runsheet list -e staging");
    untouched(&database, &project);
    project.run(&["run", "ok", "-e", "staging"]).with_code(0);
}

#[test]
fn a_run_is_not_gone_on_with_in_another_environment() {
    let (_, project) = world();
    project.runbook("ask", "step(\"a\", || flow::approve(\"sure?\"));");
    let said = project.run(&["run", "ask", "-e", "staging"]);
    refused(&said, 5, &["waiting"], "runsheet approve ask-1 -e staging");
    let said = project.run(&["resume", "-e", "production"]);
    refused(&said, 2, &["was started in environment staging"], "runsheet resume ask-1 -e staging");
    refused(&project.run(&["resume"]), 2, &["and this is none"], "runsheet resume ask-1 -e staging");
}

#[test]
fn one_version_is_one_text() {
    let (_, project) = world();
    project.runbook("ok", "step(\"a\", || 1);");
    project.run(&["run", "ok"]).with_code(0);
    project.runbook("ok", "step(\"a\", || 2);");
    refused(&project.run(&["run", "ok"]), 2, &["ran before as ok-1 with another text"], "runsheet lint ok");
}

#[test]
fn checks_end_with_three_and_four_and_a_drifted_plan_with_eight() {
    let (database, project) = world();
    project.runbook("fail", "step(\"a\", || check::that(\"all there\", false, \"no\"));");
    refused(&project.run(&["run", "fail"]), 3, &["FAIL all there"], "runsheet report fail-1");
    project.runbook("dim", "step(\"a\", || check::that(\"all there\", (), \"who knows\"));");
    refused(&project.run(&["run", "dim"]), 4, &["could not verify all there"], "runsheet report dim-1");
    project.runbook("planned", "step(\"a\", || sql::exec(params.app, \"insert into users values ('x')\"));");
    project.run(&["plan", "planned", "--out", "my plan.json"]).with_code(0);
    database.sql("alter table users add column more int");
    let said = project.run(&["run", "planned", "--plan", "my plan.json"]);
    refused(&said, 8, &["the world is not what the plan saw"], "runsheet plan planned --out 'my plan.json'");
    assert_eq!(database.sql("select count(*) from users"), "0");
}

#[test]
fn a_refusal_is_one_json_object_where_json_was_asked_for() {
    let (_, project) = world();
    project.runbook("ok", "step(\"a\", || 1);");
    for (command, next) in [
        (&["run", "ok", "m=1", "--json"][..], "runsheet show ok"),
        (&["run", "okk", "--json", "-e", "x"], "runsheet list -e x"),
        (&["resume", "--json"], "runsheet runs"),
        (&["run", "--json"], "runsheet run --help"),
        (&["report", "ok-9", "--json"], "runsheet runs"),
    ] {
        let said = project.run(command);
        refused(&said, 2, &["error: "], next);
        let object = said.json();
        assert_eq!((&object["verdict"], &object["next"]), (&"refused".into(), &next.into()), "{object}");
        assert!(object["run"].is_null() && object["why"].as_str().is_some_and(|why| why.len() > 10), "{object}");
    }
    let closed = project.run(&["run", "ok", "--json", "--state", "my state"]).with_code(0).json();
    assert_eq!((&closed["run"], &closed["next"]), (&"ok-1".into(), &serde_json::Value::Null));
}

/// A run that holds its lock until the file `go` is there.
fn holding(project: &Project) -> std::process::Child {
    let _ = std::fs::remove_file(project.path().join("up"));
    let child = project.command(&["run", "hold"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    wait_until("the run holds its lock", || project.path().join("up").exists());
    child
}

#[test]
fn cron_skips_waits_or_fails_while_another_run_works_and_is_told_how_old_it_is() {
    let (_, project) = world();
    let head =
        "runbook(\"hold\", \"1.0.0\", #{ params: #{ app: target(\"d\", #{ or: \"app\" }) }, lock: [\"app\"] });\n";
    let step = r#"step("a", || { sql::value(params.app, "select 1"); command::run(["sh", "-c", "touch up; while [ ! -e go ]; do sleep 0.05; done"], #{ repeatable: true }).code });"#;
    project.file("runbooks/hold.rhai", &format!("{head}{step}"));
    let first = holding(&project);
    let said = project.run(&["run", "hold"]);
    refused(
        &said,
        7,
        &["run hold-1 of `hold` is at work and keeps the lock", "started ", " ago", "if it hangs"],
        "runsheet status",
    );
    let said = project.run(&["run", "hold", "--if-locked", "skip"]);
    refused(&said, 7, &["skipped: "], "runsheet status");
    let begun = Instant::now();
    let said = project.run(&["run", "hold", "--if-locked", "wait=1s"]);
    refused(&said, 7, &["waiting: run hold-1", "keeps the lock"], "runsheet status");
    assert!(begun.elapsed() >= Duration::from_secs(1), "it did not wait");
    let second = project.command(&["run", "hold", "--if-locked", "wait=1m"]).stderr(Stdio::piped()).spawn().unwrap();
    project.file("go", "");
    Said::from(first.wait_with_output().unwrap()).with_code(0);
    Said::from(second.wait_with_output().unwrap()).with_code(0);
    project.run(&["status", "--max-age", "1d"]).with_code(0);
    let said = project.run(&["status", "--max-age", "1d", "--quiet"]).with_code(0);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""), "cron sends a mail for every word");
    refused(&project.run(&["status", "--max-age", "0s", "--quiet"]), 1, &["no pass within 0s"], "runsheet run hold");
    let said = project.run(&["status", "--max-age", "0s"]);
    refused(&said, 1, &["no pass within 0s of: hold"], "runsheet run hold");
    let said = project.run(&["status", "other", "--max-age", "1d"]);
    refused(&said, 1, &["no pass within 1d of: other"], "runsheet run other");
}

#[test]
fn nobody_is_asked_anything_without_a_terminal() {
    let (_, project) = world();
    project.runbook("ask", "step(\"a\", || flow::approve(\"Really?\"));");
    let said = project.run(&["run", "ask"]);
    refused(&said, 5, &["Really?"], "runsheet approve ask-1");
    assert!(!said.err.contains("[yes/no/later]"), "{}", said.err);
}

#[test]
fn a_closed_pipe_ends_the_printing_and_nothing_else() {
    let (_, project) = world();
    project.runbook("ok", "step(\"a\", || 1);");
    project.run(&["run", "ok"]).with_code(0);
    for command in
        [&["runs"][..], &["words"], &["audit", "show", "ok-1"], &["completions", "bash"], &["audit", "export"]]
    {
        let mut child = project.command(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        child.wait().unwrap();
        assert!(!err.contains("panicked"), "{command:?}: {err}");
    }
}

#[test]
fn who_ran_it_is_known_without_variables_of_a_login() {
    let (_, project) = world();
    project.runbook("ok", "step(\"a\", || 1);");
    let said: Said = project.command(&["run", "ok"]).env_remove("USER").output().unwrap().into();
    said.with_code(0);
    let login = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
    let row = &project.run(&["runs", "--json"]).json()[0];
    assert_eq!(row["by"]["user"], String::from_utf8(login).unwrap().trim());
}
