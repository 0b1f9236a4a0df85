//! The writer: what stands in its log is in the database.

use std::collections::BTreeSet;

use rustix::process::{Pid, Signal, kill_process};

use super::{data, lives, pid};
use crate::support::{Lab, wait_until};

#[test]
fn what_the_writer_wrote_down_is_there_whatever_is_killed() {
    let lab = Lab::new();
    lab.run(&["up", "--small", "--writer"]).with_code(0).saying("writer: at work");
    let log = lab.file("writer.log");
    let rows = || std::fs::read_to_string(&log).unwrap_or_default().lines().count();
    let process = lab.status()["writer"]["pid"].as_u64();
    for crash in [Signal::QUIT, Signal::KILL] {
        let begun = rows();
        wait_until("a hundred rows more", || rows() > begun + 100);
        let server = pid(&data(&lab.status(), "source"));
        kill_process(Pid::from_raw(server).expect("a pid"), crash).expect("a signal");
        wait_until("the server is gone", || !lives(server));
        let stood = rows();
        lab.run(&["up", "--writer"]).with_code(0);
        wait_until("it writes again", || rows() > stood + 60);
    }
    assert_eq!(lab.status()["writer"]["pid"].as_u64(), process, "it is the same writer all the while");

    let text = std::fs::read_to_string(&log).expect("the log");
    let noted: Vec<String> = text.lines().map(str::to_owned).collect();
    let there: BTreeSet<String> = lab
        .app()
        .sql("select 'issues ' || id from issues union all select 'users ' || id from users")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(noted.iter().filter(|row| !there.contains(*row)).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(noted.iter().collect::<BTreeSet<_>>().len(), noted.len(), "no row twice");
    assert!(noted.iter().any(|row| row.starts_with("users ")), "now and then a user");

    let number = |pid: Option<u64>| pid.and_then(|pid| i32::try_from(pid).ok()).expect("a process");
    let killed = number(process);
    kill_process(Pid::from_raw(killed).expect("a pid"), Signal::KILL).expect("a kill");
    wait_until("it is gone", || lab.status()["writer"]["running"] == false);
    lab.run(&["up"]).with_code(0).saying("writer: none at work");
    lab.run(&["up", "--writer"]).with_code(0).saying("writer: at work");
    let writer = number(lab.status()["writer"]["pid"].as_u64());
    assert_ne!(writer, killed);
    lab.run(&["down"]).with_code(0);
    assert!(!lives(writer), "it ends with the lab");
}
