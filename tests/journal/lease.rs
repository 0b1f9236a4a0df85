//! Locks die with their process, and name it while it lives.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use runsheet::journal::lease::LockDir;
use runsheet::model::ids::RunId;

use super::child;

fn run() -> RunId {
    "cutover-7".parse().unwrap()
}

#[test]
fn a_held_run_is_refused_and_its_holder_named() {
    let folder = tempfile::tempdir().unwrap();
    let locks = LockDir::new(folder.path()).unwrap();
    assert!(!locks.is_alive(&run()).unwrap());
    let lock = locks.try_run(&run()).unwrap().expect("free");
    assert_eq!(lock.run(), &run());
    assert!(locks.is_alive(&run()).unwrap());
    assert!(locks.try_run(&run()).unwrap().is_none());
    let holder = locks.run_holder(&run()).unwrap();
    assert_eq!((holder.pid, holder.work.clone()), (std::process::id(), run().to_string()));
    assert!(holder.to_string().starts_with(&format!("cutover-7 (process {} on ", std::process::id())));
    drop(lock);
    assert!(!locks.is_alive(&run()).unwrap());
    assert!(locks.try_run(&run()).unwrap().is_some());
}

#[test]
fn any_key_is_a_safe_file_name_and_keys_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let locks = LockDir::new(folder.path()).unwrap();
    let long = "x".repeat(5000);
    let keys = ["7412/16384", "7412/16385", "7412_16384", "../../etc/passwd", "", "a\0b\n", "ü", long.as_str()];
    let held: Vec<_> = keys.iter().map(|key| locks.try_target(key, run().as_str()).unwrap().expect("free")).collect();
    assert_eq!(held.iter().map(|lock| lock.identity()).collect::<Vec<_>>(), keys);
    assert_eq!(std::fs::read_dir(folder.path().join("locks")).unwrap().count(), keys.len());
    assert_eq!(locks.target_holder("7412/16384").unwrap().work, run().as_str());
    drop(held);
    assert_eq!(std::fs::read_dir(folder.path().join("locks")).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_killed_holder_leaves_the_lock_free() {
    let folder = tempfile::tempdir().unwrap();
    let locks = LockDir::new(folder.path()).unwrap();
    let mut holder = child("journal::lease::child_that_holds", folder.path()).spawn().unwrap();
    let mut said = String::new();
    let mut output = BufReader::new(holder.stdout.take().unwrap());
    while !said.contains("held") {
        said.clear();
        assert!(output.read_line(&mut said).unwrap() > 0, "the child ended early");
    }
    assert!(locks.is_alive(&run()).unwrap());
    assert!(locks.try_run(&run()).unwrap().is_none());
    assert!(locks.try_target("7412/16384", run().as_str()).unwrap().is_none());
    assert_eq!(locks.run_holder(&run()).unwrap().pid, holder.id());
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(!locks.is_alive(&run()).unwrap());
    assert_eq!(locks.run_holder(&run()).unwrap().pid, holder.id(), "who it was is still known");
    assert!(locks.try_run(&run()).unwrap().is_some());
    assert!(locks.try_target("7412/16384", run().as_str()).unwrap().is_some());
}

#[test]
#[ignore = "the process that another test kills"]
fn child_that_holds() {
    let Some(folder) = super::child_folder() else { return };
    let locks = LockDir::new(&folder).unwrap();
    let _run = locks.try_run(&run()).unwrap().unwrap();
    let _target = locks.try_target("7412/16384", run().as_str()).unwrap().unwrap();
    println!("\nheld");
    loop {
        std::thread::park();
    }
}

#[test]
fn a_child_process_does_not_inherit_a_lock() {
    let folder = tempfile::tempdir().unwrap();
    let locks = LockDir::new(folder.path()).unwrap();
    let lock = locks.try_run(&run()).unwrap().unwrap();
    let mut sleeper = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
    drop(lock);
    let free = locks.try_run(&run()).unwrap().is_some();
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert!(free);
}

#[test]
fn asking_whether_a_run_is_alive_never_refuses_it() {
    let folder = tempfile::tempdir().unwrap();
    let locks = LockDir::new(folder.path()).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                locks.is_alive(&run()).unwrap();
            }
        });
        for round in 0..300 {
            assert!(locks.try_run(&run()).unwrap().is_some(), "round {round}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn of_many_who_ask_at_once_one_gets_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let locks = LockDir::new(folder.path()).unwrap();
    let inside = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    if let Some(lock) = locks.try_run(&run()).unwrap() {
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(lock);
                    }
                }
            });
        }
    });
}
