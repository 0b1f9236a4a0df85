//! Processes of a lab, found among the machine's by their command line, which nobody else's has: numbers out of files may by
//! now belong to strangers.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The living processes whose command line is such a one.
pub fn all(is: impl Fn(&[u8]) -> bool) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| command_line(*pid).is_some_and(|line| is(&line))).collect()
}

/// Program and arguments of a living process, each ended by a zero byte.
pub fn command_line(pid: i32) -> Option<Vec<u8>> {
    std::fs::read(format!("/proc/{pid}/cmdline")).ok()
}

/// Whether the first word of a command line is this program, with a path or without.
pub fn is_program(word: &[u8], name: &str) -> bool {
    word.strip_suffix(name.as_bytes()).is_some_and(|path| path.is_empty() || path.ends_with(b"/"))
}

/// Signals exactly this process: the handle pins it, and what it is, is looked at again behind the handle.
pub fn signal(pid: i32, signal: Signal, is: impl Fn(&[u8]) -> bool) {
    let Some(handle) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else { return };
    if command_line(pid).is_some_and(|line| is(&line)) {
        let _ = pidfd_send_signal(handle, signal);
    }
}
