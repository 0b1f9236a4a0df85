//! A PgBouncer in transaction mode before a cluster.

use std::process::{Child, Stdio};

use tempfile::TempDir;

use super::cluster::{Cluster, PASSWORD};
use super::{free_port, unprivileged, wait_until};

/// A pooler; dropping it, or the death of this process, ends it.
pub struct PgBouncer {
    port: u16,
    pooler: Child,
    _watchdog: Child,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts one in transaction mode. `ignored` are startup parameters that it swallows rather than refuses.
    pub fn start(cluster: &Cluster, ignored: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("runsheet-pooler-").tempdir_in("/tmp").expect("a folder");
        unprivileged::give(folder.path());
        let port = free_port();
        let users = folder.path().join("users.txt");
        std::fs::write(&users, format!("\"postgres\" \"{PASSWORD}\"\n")).expect("the user list");
        let config = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\npool_mode = transaction\nauth_type = scram-sha-256\nauth_file = {}\n\
             ignore_startup_parameters = extra_float_digits{}{ignored}\nlogfile =\npidfile =\n",
            cluster.port,
            users.display(),
            if ignored.is_empty() { "" } else { "," }
        );
        std::fs::write(&config, text).expect("the configuration");
        let mut command = unprivileged::command("pgbouncer");
        command.env("PATH", "/usr/sbin:/usr/bin:/bin:/usr/local/bin:/usr/local/sbin");
        command.arg("-q").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let pooler = command.spawn().expect("pgbouncer starts");
        let mut watchdog = unprivileged::command("sh");
        watchdog.args(["-c", "cat >/dev/null; kill -QUIT \"$0\"", &pooler.id().to_string()]);
        let watchdog = watchdog.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("sh runs");
        wait_until("the pooler listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { port, pooler, _watchdog: watchdog, _folder: folder }
    }

    /// The superuser's URL of a database through the pooler.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{}/{database}?pgbouncer=true", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.pooler.kill();
        let _ = self.pooler.wait();
    }
}
