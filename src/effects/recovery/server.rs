//! The recovered server itself: its settings, its start, what it says of itself, its end.
//!
//! It is known by its command line, `postgres -D FOLDER`, which nobody else's has: process ids out of files may by now
//! belong to strangers.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::base::{self, Base};
use super::copy;
use super::place::{Entry, broken};
use crate::model::fault::Fault;
use crate::model::request::recovery::Moment;
use crate::model::target::History;

/// It harms nobody, talks to nobody but loopback, and is thrown away: nothing of it need survive a power loss.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
ssl = off
hot_standby = on
archive_mode = off
primary_conninfo = ''
max_logical_replication_workers = 0
recovery_target_action = 'pause'
recovery_target_inclusive = on
restart_after_crash = off
fsync = off
shared_buffers = 128MB
huge_pages = off
logging_collector = off
log_destination = 'stderr'
log_timezone = 'UTC'
lc_messages = 'C'
";

/// Who may come in: everybody with their own password, from this machine.
const ADMITTED: &str = "host all all 127.0.0.1/32 scram-sha-256\n";

/// How long a server may take to stop before it is killed.
const STOPPING: Duration = Duration::from_secs(20);

/// How long its children may still add to its folder.
const ADDING: Duration = Duration::from_secs(10);

/// Between two looks at something that is waited for.
pub const LOOK: Duration = Duration::from_millis(10);

/// What a server is to be started with.
pub struct Plan<'a> {
    /// The server.
    pub entry: &'a Entry,
    /// What it is made of.
    pub base: &'a Base,
    /// The target's recovery table.
    pub history: &'a History,
    /// When it is to stand still.
    pub moment: &'a Moment,
    /// On which timeline that is; `None` for the newest there is.
    pub timeline: Option<u32>,
    /// Settings of the live server that a standby needs at least, and those that queries depend on.
    pub settings: &'a [(String, String)],
}

/// Text as a value in a configuration file.
fn value(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''").replace('\n', " "))
}

impl Plan<'_> {
    fn configuration(&self) -> String {
        let mut text = SETTINGS.to_owned();
        let mut set = |name: &str, given: &str| text.push_str(&format!("{name} = {}\n", value(given)));
        set("restore_command", &self.history.restore_command);
        set("shared_preload_libraries", self.history.preload.as_deref().unwrap_or_default());
        set("recovery_target_timeline", &self.timeline.map_or_else(|| "latest".to_owned(), |it| it.to_string()));
        match self.moment {
            Moment::At(time) => {
                // Abbreviations of zones, `Z` among them, are not known yet when a server reads its settings.
                let plain =
                    |time: chrono::DateTime<chrono::FixedOffset>| time.to_utc().format("%F %T%.f+00").to_string();
                let time = chrono::DateTime::parse_from_rfc3339(time).map_or_else(|_| time.clone(), plain);
                set("recovery_target_time", &time);
            }
            Moment::Lsn(lsn) => set("recovery_target_lsn", lsn),
            Moment::Name(name) => set("recovery_target_name", name),
        }
        for (name, least) in &self.base.least {
            let live = self.settings.iter().find(|(known, _)| known == name).and_then(|(_, text)| text.parse().ok());
            set(name, &live.unwrap_or(0).max(*least).to_string());
        }
        for (name, given) in self.settings.iter().filter(|(name, _)| !self.base.least.iter().any(|(it, _)| it == name))
        {
            set(name, given);
        }
        text
    }

    /// Writes the settings beside the data. Those that came with the backup are left out: they may archive, replicate or
    /// need what this machine does not have.
    pub fn configure(&self, port: u16) -> Result<(), Fault> {
        let folder = &self.entry.folder;
        let write = |path: &Path, text: &str| {
            let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
            made.and_then(|mut file| file.write_all(text.as_bytes()))
                .and_then(|()| copy::give(path, self.base.owner))
                .map_err(|error| broken(path, &error))
        };
        write(&folder.join("conf"), &format!("{}port = {port}\n", self.configuration()))?;
        write(&folder.join("hba"), ADMITTED)?;
        write(&folder.join("ident"), "")?;
        write(&self.entry.data().join("postgresql.auto.conf"), "")?;
        write(&self.entry.data().join("recovery.signal"), "")
    }

    /// Starts it, away from the terminal and from this program's own end. What it says goes into its log.
    pub fn start(&self) -> Result<Child, Fault> {
        let folder = &self.entry.folder;
        let log = folder.join("log");
        let opened = File::options().create(true).append(true).mode(0o600).open(&log);
        let opened = opened.map_err(|error| broken(&log, &error))?;
        let mut server = base::command(&self.base.bin.join("postgres"), self.base.owner);
        server.arg("-D").arg(self.entry.data());
        for (name, file) in [("config_file", "conf"), ("hba_file", "hba"), ("ident_file", "ident")] {
            server.arg("-c").arg(format!("{name}={}", folder.join(file).display()));
        }
        server.stderr(Stdio::from(OwnedFd::from(opened)));
        server.spawn().map_err(|error| Fault::fatal("recover.failed", format!("the server cannot be started: {error}")))
    }
}

/// What it has said so far.
pub fn log(entry: &Entry) -> String {
    std::fs::read(entry.folder.join("log"))
        .map_or_else(|_| String::new(), |text| String::from_utf8_lossy(&text).into_owned())
}

/// Whether it lets sessions in.
pub fn admits(entry: &Entry) -> bool {
    let text = std::fs::read_to_string(entry.data().join("postmaster.pid")).unwrap_or_default();
    text.lines().nth(7).is_some_and(|line| line.trim() == "ready")
}

/// Whether its process is there.
pub fn runs(entry: &Entry) -> bool {
    !processes(entry).is_empty()
}

fn processes(entry: &Entry) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|it| it.file_name().to_str()?.parse().ok()).filter(|pid| serves(entry, *pid)).collect()
}

fn serves(entry: &Entry, pid: i32) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let mut words = line.split(|byte| *byte == 0);
    words.next().is_some_and(|program| program == b"postgres" || program.ends_with(b"/postgres"))
        && words.next() == Some(b"-D")
        && words.next() == Some(entry.data().as_os_str().as_encoded_bytes())
}

/// Ends the server and removes its folder. Blocks until both are gone.
pub fn remove(entry: &Entry) -> Result<(), Fault> {
    end(entry)?;
    let begun = Instant::now();
    loop {
        match std::fs::remove_dir_all(&entry.folder) {
            Ok(()) => return Ok(()),
            Err(_) if !entry.folder.exists() => return Ok(()),
            // A child of a server that was ended just now may still add to it.
            Err(_) if begun.elapsed() < ADDING => std::thread::sleep(LOOK),
            Err(error) => return Err(broken(&entry.folder, &error)),
        }
    }
}

fn end(entry: &Entry) -> Result<(), Fault> {
    let begun = Instant::now();
    let mut told: Vec<i32> = Vec::new();
    loop {
        let pids = processes(entry);
        if pids.is_empty() {
            return Ok(());
        }
        for pid in &pids {
            let late = begun.elapsed() > STOPPING;
            if late || !told.contains(pid) {
                signal(entry, *pid, if late { Signal::KILL } else { Signal::QUIT });
                told.push(*pid);
            }
        }
        if begun.elapsed() > STOPPING * 2 {
            let message = format!("the recovered server {} does not stop: processes {pids:?}", entry.name);
            return Err(Fault::retryable("recover.stop", message).hinted("stop them as the user they belong to"));
        }
        std::thread::sleep(LOOK);
    }
}

/// Signals exactly this process: the handle pins it, and what it is, is looked at again behind the handle.
fn signal(entry: &Entry, pid: i32, signal: Signal) {
    let Some(handle) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else { return };
    if serves(entry, pid) {
        let _ = pidfd_send_signal(handle, signal);
    }
}
