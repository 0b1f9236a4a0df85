//! A PgBouncer in transaction mode before the source, as people run one themselves: an ini that can be written anew, and an
//! administrator who has it reloaded.

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{ADMIN, Plan};
use crate::effects::files;
use crate::effects::loopback::free_port;
use crate::lab::book::Book;
use crate::lab::load::APP;
use crate::lab::neon::storage::pooler::program;
use crate::lab::user::ServerUser;
use crate::lab::{Place, failed, processes};
use crate::model::fault::Fault;

/// Folder of its files beside the servers'.
pub const FOLDER: &str = "pooler";
/// How long it may take to listen, or to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Its configuration.
pub fn config(book: &Book) -> PathBuf {
    book.servers.join(FOLDER).join("pgbouncer.ini")
}

/// Its process.
pub fn pid(book: &Book) -> Option<i32> {
    let config = config(book);
    processes::all(|line| is(line, &config)).first().copied()
}

/// Starts it before the source, if the lab has one that does not run. The ini stays as somebody left it.
pub fn start(place: &Place, user: &ServerUser, book: &mut Book) -> Result<(), Fault> {
    let Some(mut plan) = book.cutover.clone() else { return Ok(()) };
    let config = config(book);
    if !config.exists() {
        let folder = book.servers.join(FOLDER);
        let cannot = |error: std::io::Error| failed(format_args!("{} cannot be made", folder.display()), &error);
        DirBuilder::new().mode(0o700).recursive(true).create(&folder).map_err(cannot)?;
        user.give(&folder)?;
        let password = &book.password;
        let users = format!("\"{APP}\" \"{password}\"\n\"{ADMIN}\" \"{password}\"\n");
        write(user, &folder.join("users.txt"), 0o600, &users)?;
        plan.pooler_port = free_port()?;
        write(user, &config, 0o644, &settings(&folder, book.source_port, plan.pooler_port))?;
    } else if (plan.source_port, plan.scratch_port) != (book.source_port, book.scratch_port) {
        moved(user, &config, &plan, book)?;
    }
    (plan.source_port, plan.scratch_port) = (book.source_port, book.scratch_port);
    let port = plan.pooler_port;
    book.cutover = Some(plan);
    book.write(&place.folder)?;
    if pid(book).is_some() {
        return Ok(());
    }
    let log = place.folder.join("pooler.log");
    let said = File::options().create(true).append(true).mode(0o600).open(&log);
    let said = said.map_err(|error| failed(format_args!("{} cannot be written", log.display()), &error))?;
    let mut command = user.command(program(&place.path)?);
    command.arg(&config).stderr(Stdio::from(said));
    let mut child = command.spawn().map_err(|error| failed("PgBouncer cannot be started", &error))?;
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
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
fn moved(user: &ServerUser, config: &Path, plan: &Plan, book: &Book) -> Result<(), Fault> {
    let cannot = |error: std::io::Error| failed(format_args!("{} cannot be changed", config.display()), &error);
    let text = std::fs::read_to_string(config).map_err(cannot)?;
    let ports = [(plan.source_port, book.source_port), (plan.scratch_port, book.scratch_port)];
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

fn settings(folder: &Path, server: u16, port: u16) -> String {
    let folder = folder.display();
    format!(
        "[databases]\n{APP} = host=127.0.0.1 port={server} dbname={APP}\n\n[pgbouncer]\n\
         listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         pool_mode = transaction\nmax_client_conn = 1000\ndefault_pool_size = 20\n\
         auth_type = scram-sha-256\nauth_file = {folder}/users.txt\nadmin_users = {ADMIN}\n\
         ignore_startup_parameters = extra_float_digits\nserver_login_retry = 1\n"
    )
}
