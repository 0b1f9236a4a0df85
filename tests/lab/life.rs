//! Up, again, half-way, down.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::{data, lives, pid};
use crate::support::{Lab, Said, wait_until};
use runsheet::lab::programs::Programs;

/// Rows of the four big tables of a small lab.
const SMALL: &str = "200|100|2400|1000";

const COUNTS: &str = "select (select count(*) from users), (select count(*) from test_cycles), \
                      (select count(*) from issues), (select count(*) from issue_payouts)";

#[test]
fn a_lab_comes_up_in_an_empty_folder_says_so_again_and_goes_without_a_trace() {
    let lab = Lab::new();
    lab.run(&["status"]).with_code(1).saying("there is no lab in").saying("next: runsheet lab up");
    assert_eq!(lab.run(&["status", "--json"]).with_code(1).json()["verdict"], "failed");
    assert!(!lab.path().join(".runsheet").exists(), "looking makes nothing");
    let up = lab.run(&["up", "--small"]).with_code(0).saying("✓ rows").saying("next: psql \"$LAB_SOURCE_URL\"");
    let lines: Vec<&str> = up.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", up.out);
    assert!(lines[0].starts_with("export LAB_SOURCE_URL=postgresql://app:"), "{}", up.out);
    assert!(lines[1].starts_with("export LAB_SCRATCH_URL=postgresql://lab:"), "{}", up.out);
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&lab.file("")), mode(&lab.file("lab.json"))), (0o700, 0o600));

    let mut shell = Command::new("bash");
    shell.args(["-c", r#"eval "$("$0" lab up)" && psql -XAtq "$LAB_SOURCE_URL" -c "$1" && echo "$LAB_SCRATCH_URL""#]);
    shell.args([env!("CARGO_BIN_EXE_runsheet"), COUNTS]).current_dir(lab.path());
    let again = Said::from(shell.output().expect("bash runs")).with_code(0);
    assert_eq!(again.out, format!("{SMALL}\n{}\n", lines[1].trim_start_matches("export LAB_SCRATCH_URL=")));
    assert!(!again.err.contains("✓"), "nothing was made a second time: {}", again.err);
    lab.run(&["up", "--rows", "5000"]).with_code(2).saying("has 4000 rows, not 5000").saying("next: runsheet lab down");
    lab.run(&["up", "--rows", "5"]).with_code(2).saying("1000 to 1000000000 rows");

    let status = lab.status();
    assert_eq!(status["state"], "up");
    assert_eq!(status["writer"]["running"], false);
    let of_role = "select rolsuper, rolcreatedb, pg_get_userbyid(datdba) from pg_roles, pg_database \
                   where rolname = current_user and datname = current_database()";
    assert_eq!(lab.app().sql(of_role), "f|f|app");
    assert_eq!(lab.scratch().sql(of_role), "t|t|lab");
    lab.scratch().sql("create database made_here");
    for database in [lab.app(), lab.scratch()] {
        assert_eq!(database.sql("select current_setting('wal_level'), inet_server_addr()"), "logical|127.0.0.1");
    }
    let systems = [lab.app(), lab.scratch()].map(|it| it.sql("select system_identifier from pg_control_system()"));
    assert_ne!(systems[0], systems[1], "they are no copies of each other");

    let servers = ["source", "scratch"].map(|server| data(&status, server));
    let pids = servers.clone().map(|data| pid(&data));
    lab.run(&["down"]).with_code(0).saying("is stopped and removed");
    assert!(!pids.into_iter().any(lives), "both servers are gone");
    assert!(!servers[0].parent().expect("a folder").exists(), "and their files");
    assert!(!lab.file("").exists(), "and the lab's folder");
    lab.run(&["down"]).with_code(0).saying("there is no lab in");
    assert_eq!(lab.run(&["down", "--json"]).with_code(0).json()["removed"], false);
}

#[test]
fn a_lab_whose_making_or_removal_was_killed_is_made_anew_by_the_next_up() {
    let lab = Lab::new();
    let book = lab.file("lab.json");
    let servers = || -> Option<std::path::PathBuf> {
        let book: serde_json::Value = serde_json::from_slice(&std::fs::read(&book).ok()?).ok()?;
        Some(book["servers"].as_str()?.into())
    };
    let mut left = Vec::new();
    // What is waited for, before the kill: the book, files half made, a server, tables to which rows are added.
    for sign in ["", "source/PG_VERSION", "source/postmaster.pid", "source/base/16385"] {
        let mut up = lab.command(&["up", "--small"]).spawn().expect("the program runs");
        wait_until(sign, || servers().is_some_and(|servers| !left.contains(&servers) && servers.join(sign).exists()));
        kill_process(Pid::from_child(&up), Signal::KILL).expect("a kill");
        up.wait().expect("it ends");
        left.push(servers().expect("the book stays"));
        let status = lab.run(&["status"]).with_code(1);
        assert!(status.err.contains("not made to its end"), "killed at {sign:?} in time: {}", status.err);
        assert_eq!(status.out, "", "no URLs of a lab that is not whole");
    }
    lab.run(&["up", "--small"]).with_code(0).saying("beginning anew");
    assert_eq!(lab.app().sql(COUNTS), SMALL);
    assert!(left.iter().all(|servers| !servers.exists()), "what was begun before is gone: {left:?}");

    let source = data(&lab.status(), "source");
    let server = pid(&source);
    let mut down = lab.command(&["down"]).spawn().expect("the program runs");
    wait_until("the server is gone", || !lives(server));
    down.kill().expect("a kill");
    down.wait().expect("it ends");
    lab.run(&["up", "--small"]).with_code(0);
    assert_eq!(lab.app().sql(COUNTS), SMALL);
    assert!(!source.exists(), "what was left of the first is gone");
}

#[test]
fn a_lab_that_stopped_is_started_again_with_all_that_is_in_it() {
    let lab = Lab::small();
    let before = lab.status();
    let kill = |server: &str, signal: Signal| {
        let server = pid(&data(&before, server));
        kill_process(Pid::from_raw(server).expect("a pid"), signal).expect("a signal");
        wait_until("the server is gone", || !lives(server));
    };
    kill("scratch", Signal::QUIT);
    lab.run(&["status"]).with_code(1).saying("a server of the lab does not run").saying("next: runsheet lab up");
    let again = lab.run(&["up"]).with_code(0);
    assert!(!again.err.contains("✓"), "nothing is made: {}", again.err);
    assert_eq!(lab.status()["scratch"]["url"], before["scratch"]["url"], "it has its old port");
    // A port that was taken meanwhile is left to whom has it.
    kill("source", Signal::KILL);
    let port = u16::try_from(before["source"]["port"].as_u64().expect("a port")).expect("a port");
    // What the killed server had begun may hold it a moment longer.
    let mut taken = None;
    wait_until("the port is free", || {
        taken = std::net::TcpListener::bind(("127.0.0.1", port)).ok();
        taken.is_some()
    });
    lab.run(&["up"]).with_code(0);
    assert_ne!(lab.status()["source"]["port"], before["source"]["port"]);
    assert_eq!(lab.app().sql(COUNTS), SMALL);
}

#[test]
fn a_machine_without_the_server_is_told_what_to_install() {
    let empty = tempfile::tempdir().expect("a folder");
    let fault = Programs::find(empty.path().as_os_str(), empty.path()).expect_err("nothing is there");
    assert_eq!(fault.code, "lab.programs");
    assert!(fault.message.contains("initdb, postgres, psql"), "{fault}");
    assert!(fault.hint.expect("a hint").contains("apt-get install postgresql"));
    // Of several versions side by side the newest is taken that has them all.
    for (version, programs) in [("9", 4), ("14", 4), ("16", 3)] {
        let folder = empty.path().join(version).join("bin");
        std::fs::create_dir_all(&folder).expect("a folder");
        for name in ["initdb", "pg_waldump", "psql", "postgres"].into_iter().take(programs) {
            std::fs::write(folder.join(name), "").expect("a file");
        }
    }
    let found = Programs::find("".as_ref(), empty.path()).expect("one has them all");
    assert_eq!(found.path("initdb"), empty.path().join("14/bin/initdb"));
}
