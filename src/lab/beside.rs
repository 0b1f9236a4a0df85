//! A process beside a lab, which is this program again: started where it is not at work, told to stop by SIGTERM, found again by
//! the lock that it holds.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::book::{Book, write_whole};
use super::lock::Lock;
use super::{Place, failed, writer};
use crate::effects::process::Session;
use crate::model::fault::Fault;

/// How long it may take to get to work.
const STARTING: Duration = Duration::from_secs(10);
/// How long it may take to end what is under way when it was told to stop.
const ENDING: Duration = Duration::from_secs(6);
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(10);
/// Between its own looks whether the lab is still there.
const LAB: Duration = Duration::from_millis(500);

/// A kind of such a process, of which a lab has one at most.
pub struct Beside {
    /// What it is called.
    pub name: &'static str,
    /// The code of its faults.
    pub code: &'static str,
    /// The hidden argument of `runsheet lab` that makes this program the process.
    pub argument: &'static str,
    /// The file that says which process it is, as a session that can be ended.
    pub record: &'static str,
    /// The lock that it holds while it lives.
    pub lock: &'static str,
}

impl Beside {
    /// Starts it, if it is not at work.
    pub fn start(&self, place: &Place) -> Result<(), Fault> {
        let folder = &place.folder;
        if self.at_work(folder).is_some() {
            return Ok(());
        }
        let mut command = Command::new(&place.program);
        command.args([&OsString::from("lab"), &OsString::from(self.argument), folder.as_os_str()]);
        command.env_clear().env("PATH", &place.path).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| self.cannot(&error))?;
        let begun = Instant::now();
        while self.at_work(folder).is_none() {
            // One that found another at work has ended, and that other one will show itself.
            let ended = child.try_wait().is_ok_and(|status| status.is_some_and(|status| !status.success()));
            if ended || begun.elapsed() > STARTING {
                return Err(Fault::fatal(self.code, format!("{} did not get to work", self.name)));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Stops it, if it is at work: what is under way is brought to its end, if that comes soon.
    pub fn stop(&self, folder: &Path) -> Result<(), Fault> {
        let begun = Instant::now();
        let mut told = None;
        while Lock::is_held(&folder.join(self.lock)) {
            if let Some(session) = self.at_work(folder) {
                if begun.elapsed() > ENDING {
                    session.end();
                } else if told != Some(session.session) {
                    terminate(&session);
                    told = Some(session.session);
                }
            }
            if begun.elapsed() > STARTING * 2 {
                return Err(Fault::fatal(self.code, format!("{} does not end", self.name))
                    .hinted("end it by hand, then try again"));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The one that is at work.
    pub fn at_work(&self, folder: &Path) -> Option<Session> {
        // Its number alone proves nothing: only a living one holds the lock.
        if !Lock::is_held(&folder.join(self.lock)) {
            return None;
        }
        let session: Session = serde_json::from_slice(&std::fs::read(folder.join(self.record)).ok()?).ok()?;
        // The record of one that was killed lies there until the next one has written its own.
        (Session::of(session.session).ok()? == session).then_some(session)
    }

    /// Makes this process the one: away from the terminal and from whoever started it, so that all of it can be ended as one.
    /// `None` if another one is at work.
    pub fn begin(&self, folder: &Path) -> Result<Option<Lock>, Fault> {
        rustix::process::setsid()
            .map_err(|error| failed(format_args!("{} cannot lead a session", self.name), &error.into()))?;
        writer::only_one(&folder.join(self.lock))
    }

    /// Says that this process is at work.
    pub fn show(&self, folder: &Path) -> Result<(), Fault> {
        let session = Session::of(std::process::id()).map_err(|error| self.cannot(&error))?;
        write_whole(&folder.join(self.record), &session)
    }

    /// What to say when something that it needs is not to be had.
    pub fn cannot(&self, error: &std::io::Error) -> Fault {
        failed(format_args!("{} cannot be started", self.name), error)
    }
}

/// Waits until the lab of a book is gone.
pub async fn over(folder: &Path, book: &Book) {
    while matches!(Book::read(folder), Ok(Some(now)) if now.id == book.id) {
        tokio::time::sleep(LAB).await;
    }
}

fn terminate(session: &Session) {
    let pid = i32::try_from(session.session).ok().and_then(Pid::from_raw);
    let Some(handle) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else { return };
    if Session::of(session.session).is_ok_and(|now| now == *session) {
        let _ = pidfd_send_signal(handle, Signal::TERM);
    }
}
