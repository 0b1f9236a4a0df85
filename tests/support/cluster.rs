//! A PostgreSQL server of our own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use runsheet::effects::programs;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{free_port, unprivileged, wait_until};

/// The superuser's password.
pub const PASSWORD: &str = "sealed-world-password";

/// A server with its data folder. Dropping it stops the server and removes the folder; so does the death of this process.
pub struct Cluster {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    folder: TempDir,
    settings: Vec<String>,
    server: Mutex<Option<Child>>,
    _watchdog: Child,
}

/// A database of a cluster.
pub struct Database {
    /// Its name.
    pub name: String,
    /// The superuser's URL.
    pub url: String,
}

impl Cluster {
    /// The server that tests share which neither stop nor configure theirs.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&["fsync=off"]))
    }

    /// The server beside the shared one, on which copies of its databases are made.
    pub fn second() -> &'static Self {
        static SECOND: OnceLock<Cluster> = OnceLock::new();
        // Its busy autovacuum meets databases that are about to be dropped.
        SECOND.get_or_init(|| Self::start(&["fsync=off", "autovacuum_naptime=1s"]))
    }

    /// A new server with these settings (`name=value`) beside the small ones that all have.
    pub fn start(settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("runsheet-pg-").tempdir_in("/tmp").expect("a folder");
        unprivileged::give(folder.path());
        let password = folder.path().join("password");
        std::fs::write(&password, PASSWORD).expect("the password file");
        unprivileged::give(&password);
        let data = folder.path().join("data");
        let made = unprivileged::command(program("initdb"))
            .args(["--no-sync", "--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"])
            .arg(format!("--pwfile={}", password.display()))
            .arg(&data)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let watchdog = watchdog(&folder);
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let cluster = Self { port: free_port(), folder, settings, server: Mutex::new(None), _watchdog: watchdog };
        cluster.start_again();
        cluster
    }

    /// A standby that streams from this server and is asked as it is.
    pub fn standby(&self) -> Self {
        let folder = tempfile::Builder::new().prefix("runsheet-pg-").tempdir_in("/tmp").expect("a folder");
        unprivileged::give(folder.path());
        let data = folder.path().join("data");
        let copied = unprivileged::command(program("pg_basebackup"))
            .args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", &self.open("postgres").url])
            .arg("-D")
            .arg(&data)
            .output()
            .expect("pg_basebackup runs");
        assert!(copied.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&copied.stderr));
        let watchdog = watchdog(&folder);
        let (settings, server) = (self.settings.clone(), Mutex::new(None));
        let standby = Self { port: free_port(), folder, settings, server, _watchdog: watchdog };
        standby.start_again();
        wait_until("the standby follows", || {
            self.open("postgres").sql("select count(*) from pg_stat_replication where state = 'streaming'") != "0"
        });
        standby
    }

    /// Starts the server again after [`Self::stop_immediate`], on the same port, and waits until it takes connections.
    pub fn start_again(&self) {
        let log = std::fs::File::options().create(true).append(true).open(self.log_path()).expect("the log");
        let mut server = unprivileged::command(program("postgres"));
        server.arg("-D").arg(self.folder.path().join("data"));
        let own =
            ["listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=16MB", "max_connections=80"];
        for setting in own.into_iter().chain(self.settings.iter().map(String::as_str)) {
            server.args(["-c", setting]);
        }
        server.arg("-c").arg(format!("port={}", self.port));
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        *self.server.lock().expect("the server") = Some(server.spawn().expect("postgres starts"));
        let state = self.folder.path().join("data/postmaster.pid");
        let ready = || {
            std::fs::read_to_string(&state)
                .is_ok_and(|text| text.lines().nth(7).is_some_and(|it| it.starts_with("ready")))
        };
        wait_until("the server takes connections", ready);
    }

    /// Stops the server as a power loss would, but for what the operating system has taken: no checkpoint, no goodbye.
    pub fn stop_immediate(&self) {
        if let Some(mut server) = self.server.lock().expect("the server").take() {
            kill(server.id().cast_signed(), Signal::QUIT);
            server.wait().expect("the server ends");
        }
    }

    /// Stops the server the friendly way: sessions are ended, a checkpoint is made.
    pub fn stop(&self) {
        if let Some(mut server) = self.server.lock().expect("the server").take() {
            kill(server.id().cast_signed(), Signal::INT);
            server.wait().expect("the server ends");
        }
    }

    /// A copy of the files of a stopped server.
    pub fn copy(&self) -> PathBuf {
        let copy = self.folder.path().join("copy");
        copy_folder(&self.folder.path().join("data"), &copy);
        copy
    }

    /// Puts a copy in the place of the files of a stopped server.
    pub fn put_back(&self, copy: &std::path::Path) {
        let data = self.folder.path().join("data");
        std::fs::remove_dir_all(&data).expect("the files go");
        copy_folder(copy, &data);
    }

    /// Kills one server process with SIGKILL, after which the server restarts all of them and recovers.
    pub fn crash_backend(&self, pid: i32) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let parent = self.server.lock().expect("the server").as_ref().map(Child::id).expect("a running server");
        let ours = status.lines().any(|line| line == format!("PPid:\t{parent}"));
        assert!(ours, "pid {pid} is no process of this server");
        kill(pid, Signal::KILL);
    }

    /// Makes a database. The name is made unique, so that any test may choose any.
    pub fn database(&self, name: &str) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("{name}_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.open("postgres").sql(&format!("create database {name}"));
        self.open(&name)
    }

    /// A database that is there already.
    pub fn open(&self, name: &str) -> Database {
        let url = format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{}/{name}", self.port);
        Database { name: name.to_owned(), url }
    }

    /// Everything the server has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).expect("the log")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop_immediate();
    }
}

impl Database {
    /// Runs SQL by psql and answers its unaligned text; fails the test when the server refuses it.
    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Runs SQL by psql; the error is psql's.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let mut output = self.psql(sql).output().expect("psql runs");
        // A server that crashed a moment ago lets nobody in until it has recovered, and then has done nothing of this.
        wait_until("the server has recovered", || {
            let recovering = text(&output.stderr).contains("FATAL:  the database system is");
            if recovering {
                output = self.psql(sql).output().expect("psql runs");
            }
            !recovering
        });
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Everything in it, as pg_dump writes it.
    pub fn dump(&self) -> String {
        let output = unprivileged::command(program("pg_dump")).arg(&self.url).output().expect("pg_dump runs");
        assert!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
        // Newer ones fence the text with a key made anew each time.
        let text = String::from_utf8_lossy(&output.stdout);
        let fence = |line: &&str| line.starts_with("\\restrict") || line.starts_with("\\unrestrict");
        text.lines().filter(|line| !fence(line)).collect::<Vec<_>>().join("\n")
    }

    /// A file or folder that pg_dump makes of it with these arguments.
    pub fn dump_into(&self, path: &std::path::Path, args: &[&str]) {
        let mut dump = Command::new(program("pg_dump"));
        let output = dump.args(args).arg("-f").arg(path).arg(&self.url).output().expect("pg_dump runs");
        assert!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Restores a dump of this database into another one, which is empty.
    pub fn restored_into(&self, copy: &Self) {
        let mut dump = unprivileged::command(program("pg_dump"));
        let mut dump = dump.args(["-Fc", &self.url]).stdout(Stdio::piped()).spawn().expect("pg_dump runs");
        let mut restore = unprivileged::command(program("pg_restore"));
        restore.args(["--exit-on-error", "--no-owner", "-d", &copy.url]).stdin(dump.stdout.take().expect("a pipe"));
        let restored = restore.output().expect("pg_restore runs");
        assert!(restored.status.success(), "pg_restore: {}", String::from_utf8_lossy(&restored.stderr));
        assert!(dump.wait().expect("pg_dump ends").success());
    }

    /// The psql command itself, for what goes on in the background.
    pub fn psql(&self, sql: &str) -> Command {
        let mut psql = unprivileged::command(program("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.url]);
        psql
    }
}

/// A program of PostgreSQL: from `PG_BIN`, else the newest that is installed, else the path.
fn program(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("PG_BIN") {
        return PathBuf::from(folder).join(name);
    }
    let mut installed = programs::folders("".as_ref(), programs::VERSIONS.as_ref()).map(|folder| folder.join(name));
    installed.find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    let copied = unprivileged::command("cp").arg("-a").args([from, to]).status().expect("cp runs");
    assert!(copied.success(), "{} could not be copied", from.display());
}

fn kill(pid: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid).expect("a pid"), signal);
}

/// A shell that reads from a pipe whose other end dies with this process, however it dies, and then stops the server.
fn watchdog(folder: &TempDir) -> Child {
    let script = r#"cat >/dev/null
        pid=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
        n=0; while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done
        rm -rf "$0/data" "$0""#;
    let mut shell = unprivileged::command("sh");
    shell.arg("-c").arg(script).arg(folder.path());
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("sh runs")
}
