//! The lab, brought up, killed, and taken down as people do it.

mod contents;
mod cutover;
mod life;
mod neon;
mod refusing;
mod rotation;
mod strangers;
mod writer;

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folder of a server's files.
fn data(status: &Value, server: &str) -> PathBuf {
    PathBuf::from(status[server]["data"].as_str().expect("a folder"))
}

/// Process id of the server of these files.
fn pid(data: &Path) -> i32 {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).expect("postmaster.pid");
    text.lines().next().and_then(|line| line.trim().parse().ok()).expect("a pid")
}

/// Whether a process lives.
fn lives(pid: i32) -> bool {
    // One that nobody collected yet is dead, and has no command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}
