//! The template: the cluster that every storage begins as, made once and cleanly stopped.
//!
//! Its application's role is no superuser but a member of `neon_superuser`, as on the service, so that a dump that asks for
//! more fails here too.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::server::Server;
use super::wal::{self, Log};
use super::{Ground, ask, copy};
use crate::model::fault::Fault;

/// The role that may do everything, which no client of the service has.
pub const SUPERUSER: &str = "cloud_admin";
/// The application's role, which owns [`APP`].
pub const OWNER: &str = "app_owner";
/// The application's database.
pub const APP: &str = "app";

/// As on the service at its smallest size, where it differs from PostgreSQL's defaults; the rest makes it small, and keeps
/// the whole log where it is written: files of it are neither removed nor used again.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 104
superuser_reserved_connections = 7
idle_in_transaction_session_timeout = '5min'
restart_after_crash = off
fsync = off
full_page_writes = off
timezone = 'GMT'
log_timezone = 'GMT'
wal_level = logical
wal_keep_size = '1TB'
wal_recycle = off
min_wal_size = '2MB'
max_wal_size = '256MB'
checkpoint_timeout = '1h'
shared_buffers = '8MB'
huge_pages = off
log_line_prefix = '%m [%p] %q%u@%d %a '
";

/// What forks share rather than copy: the database that takes no connections, and so is never written. That of the other
/// template is: the vacuum that runs by itself goes there.
const SHARED: &str = "template.shared";

/// Roles and the database. Attributes are not inherited, so the application's role has them itself, as on the service.
const ROLES: [&str; 4] = [
    "create role neon_superuser nologin createdb createrole bypassrls replication",
    "grant pg_read_all_data, pg_write_all_data, pg_monitor to neon_superuser with admin option",
    "create role app_owner login createdb createrole bypassrls replication in role neon_superuser",
    "create database app owner app_owner",
];

const SHOP: &str = include_str!("shop.sql");

/// The cluster.
pub struct Template {
    data: PathBuf,
    /// A copy that is ready to be taken: most of the time that a fork takes is the copying of a thousand files.
    spare: Mutex<Option<PathBuf>>,
    spares: AtomicU64,
    /// Where its log ends.
    pub end: u64,
}

impl Template {
    /// Makes it.
    pub async fn make(ground: &Ground) -> Result<Self, Fault> {
        let data = ground.folder.join("template");
        initdb(ground, &data).await?;
        let log = ground.folder.join("template.log");
        // What is loaded is no history.
        let server = Server::start(ground, &data, &log, &["wal_keep_size=0".to_owned()]).await?;
        let session = ask::superuser(ground, server.port(), "postgres").await?;
        for statement in ROLES {
            session.rows(statement).await?;
        }
        session.rows(&format!("alter role {OWNER} password '{}'", ground.owner)).await?;
        ask::login(server.port(), APP, OWNER, &ground.owner).await?.rows(SHOP).await?;
        let app = ask::superuser(ground, server.port(), APP).await?;
        for statement in ["vacuum (freeze, analyze)", "checkpoint"] {
            app.rows(statement).await?;
        }
        let at = session.rows("select pg_current_wal_lsn()").await?;
        let at = at.first().and_then(|row| wal::parse(row.first()?.as_deref()?)).unwrap_or_default();
        let templates = session.rows("select oid from pg_database where not datallowconn").await?;
        drop((app, session));
        server.stop().await?;
        for oid in templates.into_iter().flatten().flatten() {
            copy::share(ground, &data.join("base").join(oid), &ground.folder.join(SHARED)).await?;
        }
        let end = Log { ground, folder: data.join("pg_wal"), timeline: 1 }.end(at).await?;
        Ok(Self { data, spare: Mutex::default(), spares: AtomicU64::new(1), end })
    }

    /// Puts a copy where nothing is; with `recover`, a server on it recovers.
    pub async fn copy(self: &Arc<Self>, ground: &Arc<Ground>, to: &Path, recover: bool) -> Result<(), Fault> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        match spare {
            Some(spare) => copy::rename(ground, &spare, to, recover).await,
            None => copy::data_folder(ground, &self.data, to, recover).await,
        }
    }

    /// Makes a copy for the next one who needs it, in the background.
    pub fn make_spare(self: &Arc<Self>, ground: &Arc<Ground>) {
        let (template, ground) = (Arc::clone(self), Arc::clone(ground));
        tokio::spawn(async move {
            let number = template.spares.fetch_add(1, Ordering::Relaxed);
            let spare = ground.folder.join(format!("template.spare-{number}"));
            if copy::data_folder(&ground, &template.data, &spare, false).await.is_ok() {
                let replaced = template.spare.lock().unwrap_or_else(PoisonError::into_inner).replace(spare);
                let _ = replaced.map(std::fs::remove_dir_all);
            }
        });
    }
}

async fn initdb(ground: &Ground, data: &Path) -> Result<(), Fault> {
    let password = ground.folder.join("template.password");
    copy::write(ground, &password, &ground.superuser).await?;
    let mut initdb = ground.user.command(ground.programs.path("initdb"));
    initdb.arg("-D").arg(data).args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"]);
    initdb.arg(format!("--wal-segsize={}", wal::SEGMENT >> 20)).arg(format!("--username={SUPERUSER}"));
    initdb.arg(format!("--pwfile={}", password.display()));
    copy::run(initdb, "the template cannot be made").await?;
    copy::write(ground, &data.join("postgresql.conf"), SETTINGS).await
}
