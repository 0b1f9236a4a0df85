//! Who belongs to a supervised session, and how all of it is ended without ever hitting a stranger.

use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// Between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(2);

/// How long after SIGKILL a process may take to go.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// A session as it is written down before its first command begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Process id of the supervisor, which is the number of the session.
    pub session: u32,
    /// When the supervisor started, in clock ticks since boot.
    pub start: u64,
    /// Which boot of which machine.
    pub boot: String,
    /// In which container: process ids mean nothing outside.
    pub namespace: String,
    /// Name of the host, for messages.
    pub host: String,
}

/// Where a recorded session stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine, in this container, since the last boot.
    Here,
    /// On this machine before it was started anew: all of it is gone.
    EarlierBoot,
    /// Somewhere that cannot be looked at from here.
    Elsewhere,
}

/// A process as the kernel shows it.
struct Process {
    pid: u32,
    session: u32,
    start: u64,
    zombie: bool,
}

impl Session {
    /// The session that the process `pid` of this host leads or will lead.
    pub fn of(pid: u32) -> std::io::Result<Self> {
        let start = process(pid).ok_or_else(|| std::io::Error::other("the supervisor ended at once"))?.start;
        Ok(Self { session: pid, start, boot: boot()?, namespace: namespace()?, host: host() })
    }

    /// Where it is, seen from here.
    pub fn place(&self) -> std::io::Result<Place> {
        Ok(match (boot()? == self.boot, self.host == host()) {
            (true, _) if namespace()? == self.namespace => Place::Here,
            (false, true) => Place::EarlierBoot,
            _ => Place::Elsewhere,
        })
    }

    /// Ends everything in the session, the supervisor included, and waits until it is gone.
    /// Answers the process ids that could not be ended. Blocks for [`GRACE`] and five seconds at most.
    pub fn end(&self) -> Vec<u32> {
        match process(self.session) {
            // The number belongs to another process by now, so nothing of the session is left: a number is not given
            // out again while a session uses it.
            Some(leader) if leader.start != self.start => return Vec::new(),
            Some(leader) if !leader.zombie => {
                // First the supervisor, or it would report an end that nobody asked for.
                signal(&leader, Signal::KILL);
            }
            _ => {}
        }
        end(|candidate| candidate.session == self.session && candidate.start >= self.start)
    }

    /// Ends everything in the session but the supervisor itself, which is the caller.
    pub fn end_all_but_leader(session: u32) -> Vec<u32> {
        end(|candidate| candidate.session == session && candidate.pid != session)
    }
}

fn end(belongs: impl Fn(&Process) -> bool) -> Vec<u32> {
    let began = Instant::now();
    let mut told = Vec::new();
    loop {
        let left = members(&belongs);
        if left.is_empty() || began.elapsed() > GRACE + LAST_WAIT {
            return left.into_iter().map(|process| process.pid).collect();
        }
        for process in left {
            if began.elapsed() > GRACE {
                signal(&process, Signal::KILL);
            } else if !told.contains(&process.pid) {
                told.push(process.pid);
                signal(&process, Signal::TERM);
                // A stopped process acts on SIGTERM only when it goes on.
                signal(&process, Signal::CONT);
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Signals exactly this process: the handle pins it, and what it is, is read again behind the handle.
fn signal(known: &Process, signal: Signal) {
    let Some(pid) = i32::try_from(known.pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if process(known.pid).is_some_and(|now| now.start == known.start && now.session == known.session) {
        // Refused for a process of another user: it then stays among what is left.
        let _ = pidfd_send_signal(handle, signal);
    }
}

/// Living processes that belong; those that died and were not collected by their parent do no harm.
fn members(belongs: &impl Fn(&Process) -> bool) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(process)
        .filter(|process| !process.zombie && belongs(process))
        .collect()
}

fn process(pid: u32) -> Option<Process> {
    let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    // The name in parentheses may itself hold blanks and parentheses; the fields count from behind it.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    Some(Process {
        pid,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        session: fields.get(3)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

fn boot() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn namespace() -> std::io::Result<String> {
    Ok(std::fs::read_link("/proc/self/ns/pid")?.to_string_lossy().into_owned())
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
