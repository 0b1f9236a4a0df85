//! A PgBouncer in transaction mode before a server, with the service's settings.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use super::template::SUPERUSER;
use super::{Ground, copy};
use crate::effects::loopback::free_port;
use crate::effects::programs;
use crate::lab::failed;
use crate::model::fault::Fault;

/// Where Debian keeps it, off the path of many.
const SYSTEM: &str = "/usr/sbin";
/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A pooler; dropping it ends it.
pub struct Pooler {
    child: Child,
    port: u16,
}

impl Pooler {
    /// Starts one before the server on a port.
    pub async fn start(ground: &Ground, folder: &Path, server: u16) -> Result<Self, Fault> {
        let port = free_port()?;
        let config = folder.join("pgbouncer.ini");
        copy::write(ground, &folder.join("users.txt"), &format!("\"{SUPERUSER}\" \"{}\"\n", ground.superuser)).await?;
        copy::write(ground, &config, &settings(folder, server, port)).await?;
        let mut command = ground.user.command(program(&ground.path)?);
        command.arg("-q").arg(&config).stderr(Stdio::null());
        let child = tokio::process::Command::from(command).spawn();
        let mut pooler = Self { child: child.map_err(|error| failed("PgBouncer cannot be started", &error))?, port };
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if !pooler.alive() || begun.elapsed() > PATIENCE {
                let said = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
                return Err(Fault::fatal("lab.pooler", "PgBouncer did not start").detailed(said.trim().to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(pooler)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // The number is its own: nobody has collected it yet.
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// It asks the server for the roles, so that it knows every one and its password of this moment.
fn settings(folder: &Path, server: u16, port: u16) -> String {
    let folder = folder.display();
    format!(
        "[databases]\n* = host=127.0.0.1 port={server} auth_user={SUPERUSER}\n[pgbouncer]\n\
         listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         pool_mode = transaction\nmax_client_conn = 10000\ndefault_pool_size = 93\nquery_wait_timeout = 120\n\
         auth_type = scram-sha-256\nauth_file = {folder}/users.txt\nignore_startup_parameters = extra_float_digits\n\
         logfile = {folder}/log\npidfile = {folder}/pid\nverbose = 0\n"
    )
}

/// Where the program is.
pub fn program(path: &OsStr) -> Result<PathBuf, Fault> {
    let on_path = programs::folders(path, Path::new(programs::VERSIONS));
    let mut all = on_path.chain([PathBuf::from(SYSTEM)]).map(|folder| folder.join("pgbouncer"));
    all.find(|path| path.is_file()).ok_or_else(|| {
        Fault::fatal("lab.programs", "PgBouncer, which pools connections, is not on the path")
            .hinted("install it: `apt-get install pgbouncer`; direct hosts work without it")
    })
}
