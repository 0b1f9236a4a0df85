//! PostgreSQL's programs beside the database: on a host that one logs in at, in what plays a container there.

use std::os::unix::fs::PermissionsExt;

use super::{empty, full, runbook};
use crate::program::project::Project;
use crate::support::cluster::PASSWORD;
use crate::support::{Cluster, Database, Sshd, docker, wait_until};

/// A project whose source is dumped by programs beside it, through a login at `droplet`.
fn project(source: &Database, sshd: &Sshd, tools: &str, password: &str) -> Project {
    let project = Project::on(source);
    let port = Cluster::shared().port;
    let toml = format!(
        "[ssh]\nconfig = \"{}\"\n[targets.source]\nurl = \"{}\"\ntools_ssh = \"droplet\"\ntools = {tools}\n\
         tools_url = \"postgresql://postgres:{password}@127.0.0.1:{port}/{}\"\n[targets.target]\nurl = \"{}\"\n",
        sshd.config().display(),
        source.url,
        source.name,
        empty("tools").url
    );
    project.file("runsheet.toml", &toml);
    project
}

const STEPS: &str = r#"
    step("claim", || pg::control(params.target, #{ empty: true })).cleanup(|| pg::drop_control(params.target, #{ contents: true }));
    step("dump", || pg::dump(params.source, #{ count: true })).cleanup(|made| pg::drop_dump(made));
    step("restore", || pg::restore(params.target, done.dump));
    step("verify", || check::same_rows(done.dump, params.target));
    step("schema", || pg::copy_schema(params.source, params.target));
    step("proof", || check::same_objects(params.source, params.target, #{ accept: ["sequence", "materialised view", "large objects"] }));
"#;

#[test]
fn a_dump_made_in_a_container_on_another_host_streams_here_and_its_password_is_seen_by_nobody() {
    let (sshd, source) = (Sshd::start(), full("tools"));
    let folder = tempfile::tempdir().expect("a folder");
    let tools = format!("[\"{}\", \"exec\", \"-i\", \"pg\"]", docker(folder.path()));
    let project = project(&source, &sshd, &tools, PASSWORD);
    runbook(&project, "beside", STEPS);
    let doctor = project.run(&["doctor"]).with_code(0);
    assert!(doctor.out.contains("it is dumped on droplet by `"), "{}", doctor.out);
    let plan = project.run(&["plan", "beside"]).with_code(0);
    assert!(plan.out.contains("on droplet by `"), "{}", plan.out);
    let said = project.run(&["run", "beside"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let seen = std::fs::read_to_string(folder.path().join("seen")).expect("what was seen");
    assert!(seen.contains("--snapshot=") && seen.contains("--schema-only"), "{seen}");
    assert!(!seen.contains(PASSWORD), "{seen}");
    wait_until("no ssh is left", || sshd.clients().is_empty());
}

#[test]
fn what_is_wrong_with_programs_elsewhere_is_named() {
    let (sshd, source) = (Sshd::start(), full("tools_wrong"));
    let folder = tempfile::tempdir().expect("a folder");
    let docker = docker(folder.path());
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).expect("a folder");
    for (tools, password, old, wanted) in [
        (format!("[\"{docker}\", \"exec\", \"-i\", \"other\"]"), PASSWORD, false, "Error: No such container"),
        ("[\"/nowhere/docker\"]".to_owned(), PASSWORD, false, "/nowhere/docker"),
        (
            format!("[\"{docker}\", \"exec\", \"-i\", \"pg\"]"),
            "wrong-password",
            false,
            "password authentication failed",
        ),
        (format!("[\"{docker}\", \"exec\", \"-i\", \"pg\"]"), PASSWORD, true, "is older than the server"),
    ] {
        if old {
            let path = inside.join("pg_dump");
            std::fs::write(&path, "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n").expect("a script");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it can be run");
        }
        let project = project(&source, &sshd, &tools, password);
        runbook(&project, "wrong", "step(\"dump\", || pg::dump(params.source, #{ compress: \"none\" }));");
        let said = project.run(&["run", "wrong"]).with_code(1);
        assert!(said.err.contains(wanted), "{wanted}: {}", said.err);
        assert!(!said.err.contains(password), "{}", said.err);
    }
}

#[test]
fn a_dump_whose_engine_was_killed_leaves_no_session_and_no_file_and_is_made_again() {
    let (sshd, source) = (Sshd::start(), full("tools_killed"));
    let folder = tempfile::tempdir().expect("a folder");
    let project =
        project(&source, &sshd, &format!("[\"{}\", \"exec\", \"-i\", \"pg\"]", docker(folder.path())), PASSWORD);
    runbook(&project, "killed", STEPS);
    // Nobody reads the table until it is let go.
    let mut lock = source.psql("begin; lock table shop.orders; select pg_sleep(600)").spawn().expect("psql runs");
    let locked = "select count(*) from pg_locks where relation = 'shop.orders'::regclass and granted and mode = 'AccessExclusiveLock'";
    wait_until("the table is locked", || source.sql(locked) != "0");
    let mut child = project.command(&["run", "killed"]).stderr(std::process::Stdio::null()).spawn().expect("it starts");
    // Others' databases of this server have sessions of runs too.
    let ours = "from pg_stat_activity where datname = current_database() and application_name like 'runsheet killed%'";
    let dumping = format!("select count(*) {ours} and query ilike 'lock table%shop.orders%'");
    wait_until("the dump waits", || source.sql(&dumping) != "0");
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    source.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query like '%pg_sleep(600)%' and pid <> pg_backend_pid()");
    lock.wait().expect("it ends");
    let said = project.run(&["resume", "killed-1"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    wait_until("no session is left", || source.sql(&format!("select count(*) {ours}")) == "0");
}
