//! A PgBouncer before a cluster, in transaction mode unless a test wants another.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use tempfile::TempDir;

use super::cluster::{Cluster, Database, PASSWORD};
use super::{free_port, unprivileged, wait_until};

/// A pooler; dropping it, or the death of this process, ends it.
pub struct PgBouncer {
    port: u16,
    pooler: Child,
    _watchdog: Child,
    folder: TempDir,
}

impl PgBouncer {
    /// Starts one in transaction mode. `ignored` are startup parameters that it swallows rather than refuses.
    pub fn start(cluster: &Cluster, ignored: &str) -> Self {
        let ignored = if ignored.is_empty() { String::new() } else { format!(",{ignored}") };
        Self::configured(
            &format!("* = host=127.0.0.1 port={}\n", cluster.port),
            &format!("pool_mode = transaction\nignore_startup_parameters = extra_float_digits{ignored}\n"),
            &["postgres"],
        )
    }

    /// Starts one that leads clients of `app` to a database, for these roles of the one password.
    pub fn before(cluster: &Cluster, database: &Database, mode: &str, roles: &[&str]) -> Self {
        Self::configured(
            &format!("app = host=127.0.0.1 port={} dbname={}\n", cluster.port, database.name),
            &format!("pool_mode = {mode}\nignore_startup_parameters = extra_float_digits\n"),
            roles,
        )
    }

    /// Starts one with these lines below `[databases]` and these settings. Its console lets `admin` in.
    pub fn configured(databases: &str, settings: &str, roles: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("runsheet-pooler-").tempdir_in("/tmp").expect("a folder");
        unprivileged::give(folder.path());
        let port = free_port();
        let users = folder.path().join("users.txt");
        let known: String = roles.iter().chain(&["admin"]).map(|role| format!("\"{role}\" \"{PASSWORD}\"\n")).collect();
        std::fs::write(&users, known).expect("the user list");
        let config = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n{databases}[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\nadmin_users = admin\n{settings}logfile =\npidfile =\n",
            users.display(),
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
        Self { port, pooler, _watchdog: watchdog, folder }
    }

    /// The superuser's URL of a database through the pooler.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{}/{database}?pgbouncer=true", self.port)
    }

    /// `app` through the pooler, for psql.
    pub fn app(&self, role: &str) -> Database {
        let url = format!("postgresql://{role}:{PASSWORD}@127.0.0.1:{}/app", self.port);
        Database { name: "app".into(), url }
    }

    /// The URL of its console.
    pub fn admin_url(&self) -> String {
        format!("postgresql://admin:{PASSWORD}@127.0.0.1:{}/pgbouncer", self.port)
    }

    /// What the console answers, by psql.
    pub fn console(&self, command: &str) -> String {
        Database { name: "pgbouncer".into(), url: self.admin_url() }.sql(command)
    }

    /// Whether clients of a database wait.
    pub fn paused(&self, database: &str) -> bool {
        let rows = self.console("show databases");
        let row = rows.lines().find(|row| row.starts_with(&format!("{database}|"))).expect("its row");
        row.split('|').nth(11) == Some("1")
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("pgbouncer.ini")
    }

    /// Its user list.
    pub fn users(&self) -> PathBuf {
        self.folder.path().join("users.txt")
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.pooler.kill();
        let _ = self.pooler.wait();
    }
}
