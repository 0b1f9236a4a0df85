//! The program, run with nothing of the surroundings, and what it took.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often a process is asked for its peak memory. The figure only grows, so that the last answer is its peak but
/// for what it takes in its last instants.
const LOOK: Duration = Duration::from_millis(2);

/// How a process went.
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// From before its start to after its end, in seconds.
    pub took: f64,
    /// Its largest resident set, in MB of 10^6 bytes.
    pub peak_mb: f64,
}

/// The program with these arguments in `folder`.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runsheet"));
    command.args(args).current_dir(folder).env_clear().stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder).env("USER", "bench");
    command
}

/// Runs it to its end; what it says goes to the file `stderr` in `folder`.
pub fn measure(command: &mut Command, folder: &Path) -> Ran {
    let stderr = std::fs::File::create(folder.join("stderr")).expect("a file");
    command.stdout(Stdio::null()).stderr(stderr);
    let begun = Instant::now();
    let mut child = command.spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let (ended, end) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let mut peak_kib = 0.0;
        while end.recv_timeout(LOOK) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            peak_kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(peak_kib);
        }
        peak_kib
    });
    let code = child.wait().expect("it ends").code().unwrap_or(-1);
    let took = begun.elapsed().as_secs_f64();
    drop(ended);
    let peak_kib: f64 = watch.join().expect("the watch");
    Ran { code, took, peak_mb: peak_kib * 1024.0 / 1e6 }
}
