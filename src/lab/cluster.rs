//! One server: its files made, started, found again among the machine's processes, stopped.
//!
//! A server is known by its command line, `postgres -D FOLDER`, which nobody else's has: process ids out of files may by
//! now belong to strangers.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::programs::Programs;
use super::user::ServerUser;
use super::{failed, history, processes};
use crate::effects::loopback::free_port;
use crate::model::fault::Fault;

/// The role that may do everything.
pub const SUPERUSER: &str = "lab";

/// Enough for two million rows on a small machine; durable, so that a lab can be crashed; logical decoding for copies that follow,
/// in both directions.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 100
shared_buffers = 128MB
maintenance_work_mem = 128MB
work_mem = 16MB
wal_level = logical
max_replication_slots = 20
max_wal_senders = 20
max_worker_processes = 24
max_logical_replication_workers = 12
max_sync_workers_per_subscription = 4
max_wal_size = 2GB
checkpoint_timeout = 15min
log_line_prefix = '%m [%p] %q%u@%d %a '
";

/// How long a server may take to start; after a crash it first recovers.
const STARTING: Duration = Duration::from_secs(120);
/// How long a server may take to stop before it is killed.
const STOPPING: Duration = Duration::from_secs(30);
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(10);
/// What a server says that does not start because of what a killed one left behind: its process until somebody collects
/// it, its sessions until they notice.
const REMAINS: [&str; 2] = ["lock file \"postmaster.pid\" already exists", "pre-existing shared memory block"];
/// How long that may go on.
const REMAINING: Duration = Duration::from_secs(30);

/// A server's files and how to run it.
pub struct Cluster<'a> {
    /// `source` or `scratch`.
    pub name: &'static str,
    /// Its data folder.
    pub data: PathBuf,
    /// Where its WAL is archived, if it is.
    pub archive: Option<PathBuf>,
    /// Where it writes what it has to say.
    pub log: PathBuf,
    /// PostgreSQL's programs.
    pub programs: &'a Programs,
    /// Whom it runs as.
    pub user: &'a ServerUser,
}

impl Cluster<'_> {
    /// Makes the files, with one role, [`SUPERUSER`], whose password is in a file.
    pub fn make(&self, password: &Path) -> Result<(), Fault> {
        let made = self
            .user
            .command(self.programs.path("initdb"))
            // Two arguments and not `--pgdata=`: by them a server's folder is found again.
            .arg("-D")
            .arg(&self.data)
            .args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"])
            .arg(format!("--username={SUPERUSER}"))
            .arg(format!("--pwfile={}", password.display()))
            // Small segments: a history of seconds is not to cost 16 MB each time it is looked at.
            .args(self.archive.is_some().then_some("--wal-segsize=1"))
            .output()
            .map_err(|error| failed("initdb cannot be started", &error))?;
        if made.status.success() {
            return Ok(());
        }
        Err(Fault::fatal("lab.initdb", format!("the files of {} could not be made", self.name))
            .detailed(String::from_utf8_lossy(&made.stderr).trim().to_owned()))
    }

    /// Starts the server and waits until it takes connections. Answers its port: `wished` if that is free, or another.
    pub fn start(&self, wished: u16) -> Result<u16, Fault> {
        let mut port = if wished == 0 { free_port()? } else { wished };
        let begun = Instant::now();
        loop {
            self.configure(port)?;
            let read = std::fs::metadata(&self.log).map_or(0, |log| log.len());
            if self.started()? {
                return Ok(port);
            }
            let said = std::fs::read(&self.log).unwrap_or_default();
            let said =
                String::from_utf8_lossy(said.get(usize::try_from(read).unwrap_or_default()..).unwrap_or_default());
            if said.contains("Address already in use") {
                port = free_port()?;
            } else if !REMAINS.iter().any(|remains| said.contains(remains)) || begun.elapsed() > REMAINING {
                return Err(Fault::fatal("lab.start", format!("the server {} did not start", self.name))
                    .detailed(said.trim().to_owned())
                    .hinted(format!(
                        "its log is {}; if its files are damaged, take the lab down and bring it up anew",
                        self.log.display()
                    )));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The processes that serve or make these files.
    pub fn processes(&self) -> Vec<i32> {
        processes::all(|line| self.is(line))
    }

    /// Whether the server runs and takes connections.
    pub fn ready(&self) -> bool {
        self.says_ready().is_some_and(|pid| self.runs(pid))
    }

    /// Who says of himself, in the data folder, that he takes connections.
    fn says_ready(&self) -> Option<i32> {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let line = |number: usize| text.lines().nth(number).unwrap_or_default().trim();
        line(0).parse().ok().filter(|_| line(7) == "ready")
    }

    /// Stops the server as a power loss would, and waits until it is gone.
    pub fn stop(&self) -> Result<(), Fault> {
        let begun = Instant::now();
        let mut told: Vec<i32> = Vec::new();
        loop {
            let pids = self.processes();
            if pids.is_empty() {
                return Ok(());
            }
            for pid in &pids {
                let late = begun.elapsed() > STOPPING;
                if late || !told.contains(pid) {
                    self.signal(*pid, if late { Signal::KILL } else { Signal::QUIT });
                    told.push(*pid);
                }
            }
            if begun.elapsed() > STOPPING * 2 {
                return Err(Fault::fatal(
                    "lab.stop",
                    format!("the server {} does not stop: processes {pids:?}", self.name),
                )
                .hinted("stop them as the user they belong to, then try again"));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The whole configuration: what is not in it has PostgreSQL's own default, on every machine.
    fn configure(&self, port: u16) -> Result<(), Fault> {
        let cannot = |error: &std::io::Error| failed(format_args!("{} cannot be configured", self.name), error);
        // By the server's user itself, in a folder that this user could have put anything into.
        let mut tee = self.user.command("tee");
        let mut tee = tee
            .arg(self.data.join("postgresql.conf"))
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| cannot(&error))?;
        if let Some(mut stdin) = tee.stdin.take() {
            let archiving = self.archive.as_deref().map(history::settings).unwrap_or_default();
            let text = format!("{SETTINGS}{archiving}port = {port}\n");
            stdin.write_all(text.as_bytes()).map_err(|error| cannot(&error))?;
        }
        let ended = tee.wait().map_err(|error| cannot(&error))?;
        if ended.success() { Ok(()) } else { Err(cannot(&std::io::Error::other("tee failed"))) }
    }

    /// Starts the server; false if it ended before it was ready.
    fn started(&self) -> Result<bool, Fault> {
        let cannot = |error: &std::io::Error| failed(format_args!("the server {} cannot be started", self.name), error);
        let log = File::options().create(true).append(true).open(&self.log).map_err(|error| cannot(&error))?;
        let mut command = self.user.command(self.programs.path("postgres"));
        command.arg("-D").arg(&self.data).stderr(Stdio::from(OwnedFd::from(log)));
        let mut server: Child = command.spawn().map_err(|error| cannot(&error))?;
        let begun = Instant::now();
        while !self.ready() {
            if server.try_wait().map_err(|error| cannot(&error))?.is_some() {
                return Ok(false);
            }
            if begun.elapsed() > STARTING {
                return Err(Fault::fatal(
                    "lab.start",
                    format!("the server {} did not get ready within {} s", self.name, STARTING.as_secs()),
                )
                .hinted(format!("its log is {}", self.log.display())));
            }
            std::thread::sleep(LOOK);
        }
        Ok(true)
    }

    fn runs(&self, pid: i32) -> bool {
        processes::command_line(pid).is_some_and(|line| self.is(&line))
    }

    /// Whether a command line is one of this server's.
    fn is(&self, line: &[u8]) -> bool {
        let mut words = line.split(|byte| *byte == 0);
        let program = words.next().unwrap_or_default();
        (processes::is_program(program, "postgres") || processes::is_program(program, "initdb"))
            && words.next() == Some(b"-D")
            && words.next() == Some(self.data.as_os_str().as_encoded_bytes())
    }

    fn signal(&self, pid: i32, signal: Signal) {
        processes::signal(pid, signal, |line| self.is(line));
    }
}
