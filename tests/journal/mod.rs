//! The journal: what every store does, what the SQLite file survives, and what the audit finds.

mod audit;
mod contract;
mod durability;
mod export;
mod lease;
pub mod samples;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// This test binary again, as a process of its own that performs one ignored test in `folder`.
fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("RUNSHEET_TEST_CHILD", folder).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// The folder given to [`child`]; `None` when the test was started by hand.
fn child_folder() -> Option<PathBuf> {
    std::env::var_os("RUNSHEET_TEST_CHILD").map(PathBuf::from)
}
