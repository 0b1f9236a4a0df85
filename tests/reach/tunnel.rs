//! Servers behind a host that one logs in at: everything goes through a tunnel that stands as long as it is needed, and no
//! longer than the engine.

use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::{empty, full, runbook};
use crate::program::project::Project;
use crate::support::cluster::PASSWORD;
use crate::support::{Cluster, Database, Sshd, free_port, wait_until};

/// A project whose source is known by an address that only `droplet` knows.
fn project(source: &Database, target: &Database, config: &Path, to: &str) -> Project {
    let project = Project::on(source);
    let url = format!("postgresql://postgres:{PASSWORD}@database.internal:7411/{}", source.name);
    let toml = format!(
        "[ssh]\nconfig = \"{}\"\n[targets.source]\nurl = \"{url}\"\ntunnel = \"ssh://droplet/{to}\"\n[targets.target]\nurl = \"{}\"\n",
        config.display(),
        target.url
    );
    project.file("runsheet.toml", &toml);
    project
}

fn to_shared() -> String {
    format!("127.0.0.1:{}", Cluster::shared().port)
}

#[test]
fn sessions_and_programs_go_through_the_tunnel_and_nothing_of_it_is_left() {
    let (sshd, source, target) = (Sshd::start(), full("tunnel"), empty("tunnel"));
    let project = project(&source, &target, &sshd.config(), &to_shared());
    let doctor = project.run(&["doctor"]).with_code(0);
    let place = format!("{} via droplet", to_shared());
    assert!(doctor.out.contains(&format!("database {} at {place}", source.name)), "{}", doctor.out);
    assert!(!doctor.err.contains("not encrypted"), "{}", doctor.err);
    runbook(
        &project,
        "moved",
        r#"
        step("claim", || pg::control(params.target, #{ empty: true })).cleanup(|| pg::drop_control(params.target, #{ contents: true }));
        step("dump", || pg::dump(params.source, #{ count: true, jobs: 3 })).cleanup(|made| pg::drop_dump(made));
        step("restore", || pg::restore(params.target, done.dump));
        step("verify", || { check::same_rows(params.source, params.target); check::same_objects(params.source, params.target) });
        "#,
    );
    let said = project.run(&["run", "moved"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains(&place) || said.err.contains(&place), "{}{}", said.out, said.err);
    wait_until("no ssh is left", || sshd.clients().is_empty());
    assert_eq!(
        sshd.log().matches("Accepted publickey").count(),
        2,
        "one for doctor and one for the run: {}",
        sshd.log()
    );
}

#[test]
fn a_tunnel_that_broke_is_made_again_and_what_was_under_way_is_tried_again() {
    let (sshd, source) = (Sshd::start(), full("broken"));
    let project = project(&source, &empty("broken"), &sshd.config(), &to_shared());
    let cut = project.path().join("cut");
    runbook(
        &project,
        "broken",
        r#"
            step("before", || sql::value(params.source, "select count(*) from shop.orders"));
            step("cut", || command::run(["sh", "-c", "touch cut; while [ -e cut ]; do sleep 0.05; done"], #{ repeatable: true }));
            step("after", || sql::exec(params.source, "delete from shop.lines where id <= 10", #{}, #{ rows: 10 }));
            step("slow", || sql::value(params.source, "select count(*) from generate_series(1, 15000000) n where n % 7 = 3"));
            "#,
    );
    let child =
        project.command(&["run", "broken"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    wait_until("the run is between its steps", || cut.exists());
    sshd.cut_connections();
    std::fs::remove_file(&cut).expect("it goes on");
    let reading = "select count(*) from pg_stat_activity where datname = current_database() and query like '%15000000%' and application_name like 'runsheet broken%'";
    wait_until("the slow read is under way", || source.sql(reading) != "0");
    sshd.cut_connections();
    let ended = child.wait_with_output().expect("it ends");
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert_eq!(source.sql("select count(*) from shop.lines"), "40");
    wait_until("no ssh is left", || sshd.clients().is_empty());
}

#[test]
fn a_killed_engine_leaves_no_ssh_behind() {
    let (sshd, source) = (Sshd::start(), full("killed_tunnel"));
    let project = project(&source, &empty("killed_tunnel"), &sshd.config(), &to_shared());
    runbook(&project, "killed", r#"step("slow", || sql::admin(params.source, "select pg_sleep(600)"));"#);
    let mut child =
        project.command(&["run", "killed"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let reading = "select count(*) from pg_stat_activity where datname = current_database() and query like '%pg_sleep(600)%' and application_name like 'runsheet killed%'";
    wait_until("the read is under way", || source.sql(reading) != "0");
    assert_eq!(sshd.clients().len(), 1);
    kill_process(Pid::from_child(&child), Signal::KILL).expect("it is killed");
    child.wait().expect("it ends");
    wait_until("no ssh is left", || sshd.clients().is_empty());
}

#[test]
fn what_ssh_refuses_is_said_in_words_with_what_to_do() {
    let (sshd, source) = (Sshd::start(), full("refused_tunnel"));
    let forbidding = Sshd::with(&["AllowTcpForwarding no"]);
    let nobody = format!("127.0.0.1:{}", free_port());
    let silent = sshd.config_without_host_key();
    std::fs::write(&silent, std::fs::read_to_string(&silent).expect("it").replace("Port ", "Port 1\n  # "))
        .expect("a file");
    let unknown = Sshd::start();
    for (config, to, wanted) in [
        (
            unknown.config_without_host_key(),
            to_shared(),
            ["the host key of droplet is not known here", "compare its fingerprint"],
        ),
        (
            sshd.config_with_another_key(),
            to_shared(),
            ["droplet takes none of your keys", "ssh -o BatchMode=yes droplet"],
        ),
        (forbidding.config(), to_shared(), ["droplet forbids tunnels to 127.0.0.1:", "AllowTcpForwarding"]),
        (sshd.config(), nobody, ["droplet does not reach 127.0.0.1:", "is the database up"]),
        (silent, to_shared(), ["droplet cannot be reached by ssh", "Connection refused"]),
        (sshd.config().with_extension("gone"), to_shared(), ["ssh does not understand its configuration", "gone"]),
    ] {
        let project = project(&source, &source, &config, &to);
        let said = project.run(&["doctor"]).with_code(1);
        for part in wanted {
            assert!(said.out.contains(part), "{part}: {}{}", said.out, said.err);
        }
    }
}

#[test]
fn a_tunnel_is_read_with_care() {
    let database = Cluster::shared().database("read_tunnel");
    for (tunnel, why) in [
        ("droplet:22", "does not begin with `ssh://`"),
        ("ssh://droplet", "says nothing of the database"),
        ("ssh://droplet:x/db", "a port that is no number"),
        ("ssh://-oProxyCommand=x/db", "names no host to log in at"),
        ("ssh://me:secret@droplet/db", "a port that is no number"),
        ("ssh://droplet/", "names no host of the database"),
    ] {
        let project = Project::on(&database);
        project.file("runsheet.toml", &format!("[targets.app]\nurl = \"{}\"\ntunnel = \"{tunnel}\"\n", database.url));
        let said = project.run(&["doctor"]).with_code(1);
        assert!(said.out.contains(why), "{tunnel}: {}", said.out);
    }
}

#[test]
fn a_command_runs_on_another_host_by_the_projects_ssh_configuration() {
    let (sshd, source) = (Sshd::start(), full("quiesced"));
    let project = project(&source, &empty("quiesced"), &sshd.config(), &to_shared());
    runbook(
        &project,
        "quiesced",
        r#"
        step("quiesce", || command::run(["sh", "-c", "echo \"stopped for $1\"; env | grep -c SSH_CONNECTION", "sh", "a 'b'"],
            #{ ssh: "droplet", repeatable: true }));
        step("verify", || gate::that("it ran there", done.quiesce.stdout == "stopped for a 'b'\n1\n", done.quiesce.stdout));
        "#,
    );
    let said = project.run(&["run", "quiesced"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
}
