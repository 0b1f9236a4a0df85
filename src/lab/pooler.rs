//! A PgBouncer in transaction mode before the source, as people run one themselves: an ini and a list of users that can be
//! written anew, and an administrator who has both reloaded. Both worlds that stand beside a lab have it.

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::book::Book;
use super::load::APP;
use super::neon::storage::pooler::program;
use super::user::ServerUser;
use super::{Place, failed, processes, rotation};
use crate::effects::files;
use crate::effects::loopback::free_port;
use crate::model::fault::Fault;

/// Folder of its files beside the servers'.
pub const FOLDER: &str = "pooler";
/// What it says, in the lab's folder.
pub const LOG: &str = "pooler.log";
/// The role that may command it.
const ADMIN: &str = "pooler";
/// How long it may take to listen, or to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Where it listens, and where its servers did when it was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Where it listens; 0 until it does.
    #[serde(rename = "pooler_port")]
    pub pooler: u16,
    /// Where the source listened.
    #[serde(rename = "source_port")]
    pub source: u16,
    /// Where the scratch server listened.
    #[serde(rename = "scratch_port")]
    pub scratch: u16,
}

/// What people and tests need to know of it.
#[derive(Clone, Debug, Serialize)]
pub struct Pooler {
    /// Its process, if it runs.
    pub pid: Option<i32>,
    /// Where it listens on loopback.
    pub port: u16,
    /// Its admin console, for the role that may command it.
    pub admin_url: String,
    /// Its ini.
    pub config: String,
    /// The list of users that it lets in.
    pub auth_file: String,
    /// The name under which the application asks it for its database.
    pub database: String,
}

/// Describes it.
pub fn describe(book: &Book, port: u16) -> Pooler {
    Pooler {
        pid: pid(book),
        port,
        admin_url: book.url_at(port, ADMIN, "pgbouncer"),
        config: config(book).display().to_string(),
        auth_file: auth_file(book).display().to_string(),
        database: APP.to_owned(),
    }
}

/// Its list of users.
fn auth_file(book: &Book) -> PathBuf {
    book.servers.join(FOLDER).join("users.txt")
}

/// Its configuration.
fn config(book: &Book) -> PathBuf {
    book.servers.join(FOLDER).join("pgbouncer.ini")
}

/// Its process.
fn pid(book: &Book) -> Option<i32> {
    let config = config(book);
    processes::all(|line| is(line, &config)).first().copied()
}

/// Starts it before the source, if the lab has one that does not run. The ini stays as somebody left it.
pub fn start(place: &Place, user: &ServerUser, book: &mut Book) -> Result<(), Fault> {
    let Some(mut ports) = book.pooler() else { return Ok(()) };
    let told = Ports { source: book.source_port, scratch: book.scratch_port, ..ports };
    let config = config(book);
    if !config.exists() {
        let folder = book.servers.join(FOLDER);
        let cannot = |error: std::io::Error| failed(format_args!("{} cannot be made", folder.display()), &error);
        DirBuilder::new().mode(0o700).recursive(true).create(&folder).map_err(cannot)?;
        user.give(&folder)?;
        write(user, &auth_file(book), 0o600, &users(book))?;
        ports = Ports { pooler: free_port()?, ..told };
        write(user, &config, 0o644, &settings(&folder, ports))?;
    } else if ports != told {
        moved(user, &config, ports, told)?;
        // One that runs reads it again.
        processes::all(|line| is(line, &config))
            .into_iter()
            .for_each(|pid| processes::signal(pid, Signal::HUP, |line| is(line, &config)));
        ports = told;
    }
    book.set_pooler(ports);
    book.write(&place.folder)?;
    if pid(book).is_some() {
        return Ok(());
    }
    let log = place.folder.join(LOG);
    let said = File::options().create(true).append(true).mode(0o600).open(&log);
    let said = said.map_err(|error| failed(format_args!("{} cannot be written", log.display()), &error))?;
    let mut command = user.command(program(&place.path)?);
    command.arg(&config).stderr(Stdio::from(said));
    let mut child = command.spawn().map_err(|error| failed("PgBouncer cannot be started", &error))?;
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", ports.pooler)).is_err() {
        if child.try_wait().is_ok_and(|status| status.is_some()) || begun.elapsed() > PATIENCE {
            return Err(
                Fault::fatal("lab.pooler", "PgBouncer did not start").hinted(format!("its log is {}", log.display()))
            );
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Ends it, and waits until it is gone.
pub fn stop(book: &Book) -> Result<(), Fault> {
    let config = config(book);
    let begun = Instant::now();
    loop {
        let left = processes::all(|line| is(line, &config));
        if left.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(Fault::fatal("lab.pooler", format!("PgBouncer does not end: processes {left:?}"))
                .hinted("end it by hand, then try again"));
        }
        let signal = if begun.elapsed() > PATIENCE / 2 { Signal::KILL } else { Signal::TERM };
        left.into_iter().for_each(|pid| processes::signal(pid, signal, |line| is(line, &config)));
        std::thread::sleep(LOOK);
    }
}

fn is(line: &[u8], config: &Path) -> bool {
    let mut words = line.split(|byte| *byte == 0);
    processes::is_program(words.next().unwrap_or_default(), "pgbouncer")
        && words.next() == Some(config.as_os_str().as_encoded_bytes())
}

/// A server that found its port taken listens on another one by now: every line goes where its server went.
fn moved(user: &ServerUser, config: &Path, before: Ports, now: Ports) -> Result<(), Fault> {
    let cannot = |error: std::io::Error| failed(format_args!("{} cannot be changed", config.display()), &error);
    let text = std::fs::read_to_string(config).map_err(cannot)?;
    let ports = [(before.source, now.source), (before.scratch, now.scratch)];
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let moved = ports.iter().find(|(old, _)| word.trim_end() == format!("port={old}"));
        moved.map_or(word.to_owned(), |(old, new)| word.replace(&format!("port={old}"), &format!("port={new}")))
    });
    files::write_whole(config, words.collect::<String>().as_bytes()).map_err(cannot)?;
    std::fs::set_permissions(config, std::fs::Permissions::from_mode(0o644)).map_err(cannot)?;
    user.give(config)
}

fn write(user: &ServerUser, path: &Path, mode: u32, text: &str) -> Result<(), Fault> {
    let cannot = |error: std::io::Error| failed(format_args!("{} cannot be written", path.display()), &error);
    let _ = std::fs::remove_file(path);
    let mut file = File::options().write(true).create_new(true).mode(mode).open(path).map_err(cannot)?;
    file.write_all(text.as_bytes()).map_err(cannot)?;
    // Whatever the mask of this process is: a new ini is written by whoever runs a cutover, and read by the pooler.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(cannot)?;
    user.give(path)
}

/// The application's login, and the administrator's. A verifier lets the pooler pass a client's proof on to the server.
fn users(book: &Book) -> String {
    let (role, secret) = book.rotation.as_ref().map_or((APP, &book.password), |plan| (rotation::FIRST, &plan.verifier));
    format!("\"{role}\" \"{secret}\"\n\"{ADMIN}\" \"{}\"\n", book.password)
}

fn settings(folder: &Path, ports: Ports) -> String {
    let (folder, Ports { pooler, source, .. }) = (folder.display(), ports);
    format!(
        "[databases]\n{APP} = host=127.0.0.1 port={source} dbname={APP}\n\n[pgbouncer]\n\
         listen_addr = 127.0.0.1\nlisten_port = {pooler}\nunix_socket_dir =\n\
         pool_mode = transaction\nmax_client_conn = 1000\ndefault_pool_size = 20\n\
         auth_type = scram-sha-256\nauth_file = {folder}/users.txt\nadmin_users = {ADMIN}\n\
         ignore_startup_parameters = extra_float_digits\nserver_login_retry = 1\n"
    )
}
