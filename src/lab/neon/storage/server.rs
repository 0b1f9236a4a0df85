//! A server on a data folder, as a child of this process.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use super::Ground;
use crate::effects::loopback::free_port;
use crate::lab::failed;
use crate::model::fault::Fault;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// A server that was started here.
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts one, with these settings beside those of the folder, and waits until it takes connections; where it is to
    /// recover, until it takes those that only read.
    pub async fn start(ground: &Ground, data: &Path, log: &Path, settings: &[String]) -> Result<Self, Fault> {
        loop {
            let port = free_port()?;
            let said_before = std::fs::metadata(log).map_or(0, |log| log.len());
            let mut server = Self { child: spawn(ground, data, log, port, settings)?, port };
            if server.ready(data).await? {
                return Ok(server);
            }
            let said = std::fs::read(log).unwrap_or_default();
            let said = said.get(usize::try_from(said_before).unwrap_or_default()..).unwrap_or_default();
            let said = String::from_utf8_lossy(said).trim().to_owned();
            // Somebody took the port between our look and the server's.
            if !said.contains("Address already in use") {
                return Err(Fault::fatal("lab.start", "a server of the stand-in did not start").detailed(said));
            }
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether it runs and goes on doing so; one that is about to end is waited for.
    pub async fn serves(&mut self, data: &Path) -> bool {
        if self.alive() && state(data).is_some_and(|(_, state)| state == "ready") {
            return true;
        }
        let _ = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        false
    }

    /// Stops it: sessions end with `57P01`, and all is written down.
    pub async fn stop(mut self) -> Result<(), Fault> {
        self.signal(Signal::INT);
        if tokio::time::timeout(PATIENCE, self.child.wait()).await.is_err() {
            self.signal(Signal::QUIT);
            let _ = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        }
        Ok(())
    }

    /// Whether it came up; false if it ended.
    async fn ready(&mut self, data: &Path) -> Result<bool, Fault> {
        let begun = Instant::now();
        loop {
            // The file may be an earlier server's, who was killed.
            if state(data).is_some_and(|(pid, state)| Some(pid) == self.child.id() && state == "ready") {
                return Ok(true);
            }
            if !self.alive() {
                return Ok(false);
            }
            if begun.elapsed() > PATIENCE {
                return Err(Fault::fatal("lab.start", "a server of the stand-in did not get ready"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn signal(&self, signal: Signal) {
        // The number is its own: nobody has collected it yet.
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::QUIT);
        let begun = Instant::now();
        while self.alive() && begun.elapsed() < PATIENCE {
            std::thread::sleep(LOOK);
        }
    }
}

/// Who serves a data folder and how far he is, as he says there himself.
fn state(data: &Path) -> Option<(u32, String)> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let line = |number: usize| text.lines().nth(number).map(str::trim);
    Some((line(0)?.parse().ok()?, line(7)?.to_owned()))
}

fn spawn(ground: &Ground, data: &Path, log: &Path, port: u16, settings: &[String]) -> Result<Child, Fault> {
    // The log is opened by whom the server runs as, since the folder is his.
    let mut command = ground.user.command("sh");
    command.args(["-c", r#"exec "$@" 2>>"$0""#]).arg(log).arg(ground.programs.path("postgres"));
    command.arg("-D").arg(data).arg("-c").arg(format!("port={port}"));
    for setting in settings {
        command.arg("-c").arg(setting);
    }
    command.stderr(Stdio::null());
    tokio::process::Command::from(command).spawn().map_err(|error| failed("a server cannot be started", &error))
}
