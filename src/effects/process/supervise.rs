//! The supervisor: what this program does when it is started with the hidden argument.
//!
//! It speaks with the engine over its standard input, a socket; its other streams are the command's. A line from the
//! engine is an [`Order`], a line to it a [`Report`]. Nothing secret is in its arguments or its environment.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, set_child_subreaper, setsid, wait, waitid};
use serde::{Deserialize, Serialize};

use super::session::Session;

/// What the engine says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// First: what is to be run.
    Prepare(Launch),
    /// Run it.
    Go,
    /// End it. The end of the socket says the same.
    End,
}

/// What is to be run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Launch {
    /// Program and arguments.
    pub run: Vec<String>,
    /// Working directory.
    pub cwd: PathBuf,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// What it reads, and then the end; nothing without it.
    #[serde(default)]
    pub input: Option<String>,
    /// A new file for what it writes, nobody else's to read, instead of our own output.
    #[serde(default)]
    pub output: Option<PathBuf>,
}

/// What the supervisor says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// It leads a session of its own now, and waits for [`Order::Go`].
    Ready,
    /// The command could not begin.
    Failed {
        /// Whether a file is missing: the program, its interpreter or the working directory.
        missing: bool,
        /// The system's words.
        why: String,
    },
    /// The command ended, and so did everything it started and left behind in its session.
    Ended {
        /// Exit code; `None` if a signal ended it.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// Processes that could not be ended.
        left: Vec<u32>,
    },
}

/// Supervises one command. Answers the process's exit code, which nobody reads.
pub fn main() -> ExitCode {
    match supervise() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn supervise() -> std::io::Result<()> {
    // Away from the terminal and its Ctrl-C: when to stop is the engine's to say.
    let session = setsid()?;
    // Orphans come to us and not to a first process that may not collect them.
    set_child_subreaper(Some(session))?;
    let mut engine = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut orders = BufReader::new(engine.try_clone()?).lines();
    let mut next = move || -> std::io::Result<Order> {
        let line = orders.next().ok_or(ErrorKind::UnexpectedEof)??;
        serde_json::from_str(&line).map_err(std::io::Error::other)
    };
    let Order::Prepare(launch) = next()? else { return Err(ErrorKind::InvalidData.into()) };
    report(&mut engine, &Report::Ready)?;
    let Order::Go = next()? else { return Ok(()) };

    let (program, args) = launch.run.split_first().ok_or(ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(args).current_dir(&launch.cwd).env_clear().envs(&launch.env).process_group(0);
    command.stdin(if launch.input.is_some() { Stdio::piped() } else { Stdio::null() });
    let output = launch.output.as_ref().map(|path| File::options().write(true).create_new(true).mode(0o600).open(path));
    let spawned = output.transpose().and_then(|output| {
        if let Some(output) = output {
            command.stdout(output);
        }
        command.spawn()
    });
    drop(command);
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            let missing = error.kind() == ErrorKind::NotFound;
            return report(&mut engine, &Report::Failed { missing, why: error.to_string() });
        }
    };
    if let (Some(input), Some(mut pipe)) = (launch.input, child.stdin.take()) {
        // One that does not read to the end says itself what is wrong with it.
        std::thread::spawn(move || pipe.write_all(input.as_bytes()));
    }
    let session = u32::try_from(session.as_raw_nonzero().get()).unwrap_or_default();
    std::thread::spawn(move || {
        // An order to end, the end of the socket, garbage: all the same.
        let _ = next();
        Session::end_all_but_leader(session);
    });
    // Waited for without being collected, so that its number stays taken until the session is empty.
    let status = waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    let left = Session::end_all_but_leader(session);
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    let (code, signal) = status.map_or((None, None), |status| (status.exit_status(), status.terminating_signal()));
    report(&mut engine, &Report::Ended { code, signal, left })
}

fn report(engine: &mut UnixStream, report: &Report) -> std::io::Result<()> {
    let mut line = serde_json::to_string(report)?;
    line.push('\n');
    engine.write_all(line.as_bytes())
}
