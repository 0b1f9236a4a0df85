//! The stand-in for Neon beside a lab: it comes with `--neon`, and goes without a trace however it went.

use rustix::process::{Pid, Signal, kill_process};

use super::lives;
use crate::support::{Database, Lab, wait_until};

/// Processes that have an argument below a folder.
fn running_below(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(folder)).collect()
}

#[test]
fn a_stand_in_comes_up_with_the_lab_serves_a_database_and_leaves_nothing_behind_however_it_ends() {
    let lab = Lab::new();
    let up = lab.run(&["up", "--small", "--neon"]).with_code(0).saying("stand-in for Neon: at work");
    for name in [
        "NEON_API_BASE",
        "NEON_API_KEY",
        "NEON_PROJECT",
        "LAB_NEON_URL",
        "GITHUB_API_BASE",
        "GITHUB_REPO",
        "GITHUB_TOKEN",
    ] {
        assert!(up.out.contains(&format!("export {name}=")), "{name} is not in {}", up.out);
    }
    let status = lab.status();
    let servers = status["source"]["data"].as_str().expect("a folder").trim_end_matches("source").to_owned();
    let count = |status: &serde_json::Value| {
        let url = status["neon"]["url"].as_str().expect("a URL").to_owned();
        Database { name: "app".into(), url }.sql("select count(*) from customers")
    };
    let pid =
        |status: &serde_json::Value| i32::try_from(status["neon"]["pid"].as_i64().expect("a pid")).expect("a pid");
    assert_eq!(count(&status), "500");
    lab.run(&["up", "--neon"]).with_code(0);
    assert_eq!(pid(&lab.status()), pid(&status), "it is the same one");

    let kill = |pid: i32| {
        kill_process(Pid::from_raw(pid).expect("a pid"), Signal::KILL).expect("a kill");
        wait_until("it is gone", || !lives(pid));
    };
    kill(pid(&status));
    assert!(lab.status()["neon"].is_null());
    lab.run(&["up"]).with_code(0).saying("stand-in for Neon: none");
    lab.run(&["up", "--neon"]).with_code(0).saying("stand-in for Neon: at work");
    assert_eq!(count(&lab.status()), "500", "a new one, with a new project");
    assert_ne!(lab.status()["neon"]["project"], status["neon"]["project"]);
    let again = pid(&lab.status());
    kill(again);
    lab.run(&["down"]).with_code(0);
    wait_until("nothing runs any more", || running_below(&servers).is_empty());
    assert!(!std::path::Path::new(&servers).exists(), "and its files are gone");
    assert!(!lab.file("").exists());
}
