//! The process that the stand-in lives in: started beside a lab, or by a test that it ends with.
//!
//! Whatever it starts has an argument below its data folder, and by that is found and ended also when it was killed itself.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::paper::Paper;
use super::plane::{Backing, Ground, Plane};
use super::{making, serve};
use crate::effects::process::Session;
use crate::lab::beside;
use crate::lab::book::{Book, write_whole};
use crate::lab::lock::Lock;
use crate::lab::platforms::{self, Platforms};
use crate::lab::{Neon, Place, failed, processes, rotation, writer};
use crate::model::clock::SharedClock;
use crate::model::fault::Fault;

/// The hidden argument of `runsheet lab` that makes this program the stand-in.
pub const ARGUMENT: &str = "__neon";
/// The repository that its GitHub knows from the beginning.
const REPO: (&str, &str) = ("acme", "shop");
/// The token that is good for it.
const TOKEN: &str = "ghp_lab";

/// Its process and what it serves.
const RECORD: &str = "neon.json";
/// The lock that it holds while it lives.
const LOCK: &str = "neon.lock";
/// Files of it in the lab's folder.
pub const FILES: [&str; 3] = [RECORD, "neon.json.new", LOCK];
/// How long it may take to get to work or to end.
const STARTING: Duration = Duration::from_secs(60);
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// What it writes down of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its process, as a session that can be ended.
    pub session: Session,
    /// Where it serves on loopback.
    pub port: u16,
    /// Its first project, as it was made: id, key, URIs.
    pub project: Value,
    /// Entries of `[[consumers]]` for the platforms that it plays beside.
    #[serde(default)]
    pub consumers: String,
}

/// Where it runs.
pub struct Options {
    /// Where its record and lock lie.
    pub folder: PathBuf,
    /// Whether it ends with its standard input, rather than with a lab.
    pub attached: bool,
    /// Where programs are looked for first, as in `PATH`.
    pub path: std::ffi::OsString,
    /// Time and randomness.
    pub clock: SharedClock,
}

/// Folders of its data, each process its own: what a killed one left is removed beside the next one's.
pub const DATA: &str = "neon-";

/// Starts the stand-in of a lab, if none is at work.
pub fn start(place: &Place, book: &Book) -> Result<(), Fault> {
    if at_work(&place.folder).is_some() {
        return Ok(());
    }
    // One that was killed has left its record, and what it had started.
    stop(place, book)?;
    let mut command = Command::new(&place.program);
    command.args(["lab", ARGUMENT]).arg(&place.folder).env_clear().env("PATH", &place.path).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed("the stand-in cannot be started", &error))?;
    let begun = Instant::now();
    while at_work(&place.folder).is_none() {
        let ended = child.try_wait().is_ok_and(|status| status.is_some());
        if ended || begun.elapsed() > STARTING {
            return Err(Fault::fatal("lab.neon", "the stand-in for Neon did not get to work"));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Ends the stand-in with everything that it started, whether it lives or was killed.
pub fn stop(place: &Place, book: &Book) -> Result<(), Fault> {
    let begun = Instant::now();
    while Lock::is_held(&place.folder.join(LOCK)) {
        if let Some(record) = at_work(&place.folder) {
            record.session.end();
        }
        if begun.elapsed() > STARTING {
            return Err(
                Fault::fatal("lab.neon", "the stand-in for Neon does not end").hinted("end it by hand, then try again")
            );
        }
        std::thread::sleep(LOOK);
    }
    let left = end_below(&book.servers);
    if !left.is_empty() {
        return Err(Fault::fatal("lab.neon", format!("processes {left:?} of the stand-in for Neon do not end"))
            .hinted("end them by hand, then try again"));
    }
    let _ = std::fs::remove_file(place.folder.join(RECORD));
    Ok(())
}

/// The stand-in that is at work.
pub fn at_work(folder: &Path) -> Option<Record> {
    // Its number alone proves nothing: only a living one holds the lock.
    if !Lock::is_held(&folder.join(LOCK)) {
        return None;
    }
    serde_json::from_slice(&std::fs::read(folder.join(RECORD)).ok()?).ok()
}

/// What a shell or `runsheet.toml` needs to know of it.
pub fn described(record: &Record) -> Neon {
    let text = |name: &str| record.project[name].as_str().unwrap_or_default().to_owned();
    Neon {
        pid: record.session.session,
        api_base: format!("http://127.0.0.1:{}{}", record.port, serve::API),
        api_key: text("key"),
        project: text("id"),
        url: text("uri"),
        github_api_base: format!("http://127.0.0.1:{}/github", record.port),
        github_repo: format!("{}/{}", REPO.0, REPO.1),
        github_token: TOKEN.to_owned(),
        consumers: record.consumers.clone(),
    }
}

/// What the process does, until the lab is gone, or its standard input has ended.
pub fn run(options: Options) -> Result<(), Fault> {
    let book = if options.attached { None } else { Book::read(&options.folder)? };
    if !options.attached && book.is_none() {
        return Ok(());
    }
    // Away from the terminal and its Ctrl-C; and all of it can be ended as one.
    rustix::process::setsid().map_err(|error| failed("the stand-in cannot lead a session", &error.into()))?;
    let Some(_lock) = writer::only_one(&options.folder.join(LOCK))? else { return Ok(()) };
    let session =
        Session::of(std::process::id()).map_err(|error| failed("the stand-in does not find itself", &error))?;
    let parent = book.as_ref().map_or(&options.folder, |book| &book.servers);
    let data = parent.join(format!("{DATA}{}", session.session));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| failed("the stand-in cannot be started", &error))?;
    let served = runtime.block_on(serve_until_over(&options, session, book.as_ref(), &data));
    runtime.shutdown_background();
    Session::end_all_but_leader(std::process::id());
    end_below(parent);
    let _ = std::fs::remove_dir_all(&data);
    if options.attached {
        FILES.iter().for_each(|name| drop(std::fs::remove_file(options.folder.join(name))));
        let _ = std::fs::remove_dir(&options.folder);
    }
    served
}

async fn serve_until_over(options: &Options, session: Session, book: Option<&Book>, data: &Path) -> Result<(), Fault> {
    let cannot = |error: &std::io::Error| failed("the stand-in cannot serve", error);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(|error| cannot(&error))?;
    let port = listener.local_addr().map_err(|error| cannot(&error))?.port();
    let paper = Arc::new(Paper(Arc::clone(&options.clock)));
    let paper = Backing { storages: Arc::clone(&paper) as _, proxies: paper, password: None };
    let ground = Ground { folder: data.to_path_buf(), path: options.path.clone() };
    let plane = Arc::new(Plane::new(Arc::clone(&options.clock), paper, ground));
    let wish = serde_json::from_value(json!({ "databases": !options.attached }));
    let project = making::make_project(&plane, wish.unwrap_or_default()).await;
    let project = project.map_err(|refusal| Fault::fatal("lab.neon", refusal.message))?;
    plane.hub.know(REPO.0, REPO.1);
    let platforms = Arc::new(Platforms::new(Arc::clone(&options.clock)));
    let consumers = platforms::first(&platforms, port, rotation::today(&options.folder).as_ref());
    write_whole(&options.folder.join(RECORD), &Record { session, port, project, consumers })?;
    tokio::select! {
        served = axum::serve(listener, serve::router(plane, platforms)) => served.map_err(|error| cannot(&error)),
        () = over(options, book) => Ok(()),
    }
}

/// Waits for the end of the lab, or of whoever holds the other end of the standard input.
async fn over(options: &Options, book: Option<&Book>) {
    let Some(book) = book else {
        let ended = tokio::task::spawn_blocking(|| {
            let mut nothing = [0; 64];
            while std::io::stdin().read(&mut nothing).is_ok_and(|read| read > 0) {}
        });
        let _ = ended.await;
        return;
    };
    beside::over(&options.folder, book).await;
}

/// Ends every process that has an argument below a data folder in this folder; answers those that did not end.
fn end_below(folder: &Path) -> Vec<i32> {
    let begun = Instant::now();
    loop {
        let left = below(folder);
        if left.is_empty() || begun.elapsed() > Duration::from_secs(10) {
            return left;
        }
        let signal = if begun.elapsed() < Duration::from_secs(2) { Signal::QUIT } else { Signal::KILL };
        for pid in left {
            processes::signal(pid, signal, |line| is_below(line, folder));
        }
        std::thread::sleep(LOOK);
    }
}

fn below(folder: &Path) -> Vec<i32> {
    processes::all(|line| is_below(line, folder))
}

fn is_below(line: &[u8], folder: &Path) -> bool {
    let folder = [folder.as_os_str().as_encoded_bytes(), b"/", DATA.as_bytes()].concat();
    let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
    // Only what it starts itself: an editor that has one of its files open is none of its business.
    ["postgres", "pgbouncer", "initdb", "pg_basebackup", "pg_dump", "psql"]
        .iter()
        .any(|name| processes::is_program(program, name))
        && line.split(|byte| *byte == 0).skip(1).any(|argument| argument.starts_with(&folder))
}
