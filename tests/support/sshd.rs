//! A real sshd on loopback, which lets the user of the tests in by a key of its own, and the ssh configuration that finds it
//! as `droplet`.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{free_port, wait_until};

/// A daemon with its folder; dropping it, or the death of this process, ends it.
pub struct Sshd {
    folder: TempDir,
    daemon: Child,
    _watchdog: Child,
}

impl Sshd {
    /// Starts one.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts one with these lines of configuration before its own.
    pub fn with(lines: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("runsheet-sshd-").tempdir_in("/tmp").expect("a folder");
        let port = free_port();
        let path = |name: &str| folder.path().join(name);
        for key in ["host_key", "key", "stranger"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path(key)).status();
            assert!(made.expect("ssh-keygen runs").success());
        }
        std::fs::copy(path("key.pub"), path("authorized_keys")).expect("the authorized key");
        let host_key = std::fs::read_to_string(path("host_key.pub")).expect("the host key");
        std::fs::write(path("known_hosts"), format!("[127.0.0.1]:{port} {host_key}")).expect("the known hosts");
        let text = format!(
            "{}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nUsePAM no\nStrictModes no\n\
             PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\n\
             MaxSessions 100\nLogLevel VERBOSE\n",
            lines.join("\n"),
            path("host_key").display(),
            path("authorized_keys").display(),
        );
        std::fs::write(path("sshd_config"), text).expect("the configuration");
        let client = |hosts: &Path, key: &str| {
            format!(
                "Host droplet\n  HostName 127.0.0.1\nHost *\n  Port {port}\n  User {}\n  UserKnownHostsFile {}\n  \
                 GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  IdentityFile {}\n  IdentitiesOnly yes\n  IdentityAgent none\n",
                user(),
                hosts.display(),
                path(key).display()
            )
        };
        std::fs::write(path("ssh_config"), client(&path("known_hosts"), "key")).expect("a file");
        std::fs::write(path("no_host_config"), client(Path::new("/dev/null"), "key")).expect("a file");
        std::fs::write(path("no_key_config"), client(&path("known_hosts"), "stranger")).expect("a file");
        let daemon = daemon(folder.path(), port);
        let watchdog = watchdog(&daemon);
        Self { daemon, _watchdog: watchdog, folder }
    }

    /// The configuration for ssh that logs in at `droplet`.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("ssh_config")
    }

    /// One that has never seen its host key.
    pub fn config_without_host_key(&self) -> PathBuf {
        self.folder.path().join("no_host_config")
    }

    /// One with a key that it does not know.
    pub fn config_with_another_key(&self) -> PathBuf {
        self.folder.path().join("no_key_config")
    }

    /// Cuts every connection, as a broken network does; new ones are taken.
    pub fn cut_connections(&self) {
        for pid in self.connections() {
            kill(pid, Signal::KILL);
        }
    }

    /// Processes of ssh, anywhere on this machine, that use a configuration of this daemon's.
    pub fn clients(&self) -> Vec<i32> {
        let folder = self.folder.path().display().to_string();
        processes(|words| words[0].ends_with("ssh") && words.iter().any(|word| word.starts_with(&folder)))
    }

    /// What was said of connections.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The daemon's own children, one a connection.
    fn connections(&self) -> Vec<i32> {
        let parent = self.daemon.id();
        let path = format!("/proc/{parent}/task/{parent}/children");
        let children = std::fs::read_to_string(path).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.cut_connections();
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// A program that plays `docker`: it writes down what stood on the command line and in the environment, and runs what stands
/// behind `exec -i pg` with nothing of our environment.
pub fn docker(folder: &Path) -> String {
    let path = folder.join("docker");
    let script = format!(
        "#!/bin/bash\nprintf '%s\\n' \"$@\" >> {0}/seen; env >> {0}/seen\n[ \"$1 $2 $3\" = 'exec -i pg' ] || {{ echo 'Error: No such container' >&2; exit 1; }}\n\
         shift 3\nexec env -i PATH=\"{0}/inside:/usr/bin:/bin\" \"$@\"\n",
        folder.display()
    );
    std::fs::write(&path, script).expect("a script");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it can be run");
    path.display().to_string()
}

fn daemon(folder: &Path, port: u16) -> Child {
    if rustix::process::geteuid().is_root() {
        // Where sshd as root gives up its rights; Debian makes it when the service starts.
        std::fs::create_dir_all("/run/sshd").expect("a folder");
    }
    let mut command = Command::new("/usr/sbin/sshd");
    command.env_clear().current_dir("/").process_group(0).args(["-D", "-f"]).arg(folder.join("sshd_config"));
    command.arg("-E").arg(folder.join("log")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let daemon = command.spawn().expect("sshd starts: is openssh-server installed?");
    wait_until("sshd listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    daemon
}

/// A shell that reads from a pipe whose other end dies with this process, however it dies, and then ends the daemon.
fn watchdog(daemon: &Child) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", "cat >/dev/null; kill -TERM \"-$0\"", &daemon.id().to_string()]).process_group(0);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("sh runs")
}

fn user() -> String {
    let said = Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

/// Processes by their words.
fn processes(wanted: impl Fn(&[String]) -> bool) -> Vec<i32> {
    let pids = std::fs::read_dir("/proc").expect("/proc").flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<String> = String::from_utf8_lossy(&words).split('\0').map(str::to_owned).collect();
            !words[0].is_empty() && wanted(&words)
        })
        .collect()
}

fn kill(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}
