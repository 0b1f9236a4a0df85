//! `runsheet lab`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::super::Global;
use super::super::config;
use super::super::error::CliError;
use super::super::out::{Out, quoted};
use super::super::session::whereabouts;
use super::super::show::{Terminal, count};
use crate::effects::local::SystemClock;
use crate::lab::{self, Condition, Lab, Place, Server, Wish};
use crate::model::fault::Fault;
use crate::model::figures::size;
use crate::model::secret::Vault;
use crate::model::verdict::Verdict;

/// A world to rehearse in: two PostgreSQL servers of its own, one with an application's database
///
/// They listen on loopback alone, and everything lies in the state folder (in `.runsheet` here where there is no project).
/// `source` has a database with users, test cycles, issues and payouts, and dozens of awkward tables; `scratch` is for copies.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Bring the lab up, or start again what stopped; prints its URLs for `eval "$(runsheet lab up)"`
    ///
    /// LAB_SOURCE_URL is the application's own role, which owns its database and is no superuser. LAB_SCRATCH_URL is a
    /// superuser, who may make databases and any extension in them. The same number of rows gives the same contents on
    /// every machine, but for `created_at` and `updated_at` of the issues, which are counted back from the time of `up`.
    Up {
        /// Rows in all, about (default: 2000000)
        #[arg(long, value_name = "N")]
        rows: Option<u64>,
        /// A few thousand rows, for tests
        #[arg(long, conflicts_with = "rows")]
        small: bool,
        /// Count recent rows back from this time, such as 2026-01-31T12:00:00Z (default: now)
        #[arg(long, value_name = "TIME")]
        at: Option<DateTime<Utc>>,
        /// Start a process that keeps inserting, and writes down each row that the server acknowledged
        #[arg(long)]
        writer: bool,
        /// Start a stand-in for Neon (and for GitHub's pull requests) on loopback
        ///
        /// Its knobs lie below `/lab` on the same port: `POST /lab/projects` makes another project, `POST
        /// /lab/projects/P/chaos` has it misbehave. It keeps its projects in memory.
        #[arg(long)]
        neon: bool,
        /// Keep the source's history: a base backup, taken when the lab is made, and an archive of its WAL
        #[arg(long)]
        pitr: bool,
    },
    /// Stop the lab and remove what it made, and nothing else
    Down,
    /// Print the URLs, and what runs; exit 1 when the lab is not up
    Status,
    /// What the writer's process does.
    #[command(name = lab::writer::ARGUMENT, hide = true)]
    Write { folder: PathBuf },
    /// What the stand-in's process does.
    #[command(name = lab::neon::daemon::ARGUMENT, hide = true)]
    Neon {
        folder: PathBuf,
        /// Whether it ends with its standard input.
        #[arg(long)]
        attached: bool,
    },
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        if let What::Write { folder } = &self.what {
            lab::writer::run(folder, &path())?;
            return Ok(Verdict::Pass);
        }
        if let What::Neon { folder, attached } = self.what {
            let clock = Arc::new(SystemClock);
            lab::neon::daemon::run(lab::neon::daemon::Options { folder, attached, path: path(), clock })?;
            return Ok(Verdict::Pass);
        }
        let folder = folder(global, matches!(self.what, What::Up { .. }))?;
        let program = std::env::current_exe()
            .map_err(|error| CliError::refused(format!("this program's own path is unknown: {error}")))?;
        let place = Place {
            folder,
            elsewhere: PathBuf::from("/var/tmp"),
            path: path(),
            program,
            sink: Arc::new(Terminal::new(out, Arc::new(Vault::default()))),
            clock: Arc::new(SystemClock),
        };
        match self.what {
            What::Up { rows, small, at, writer, neon, pitr } => {
                let rows = if small { Some(lab::SMALL_ROWS) } else { rows };
                let lab = lab::up(&place, &Wish { rows, at, writer, neon, pitr }).map_err(refused)?;
                print(out, &lab);
                if !out.json {
                    // What is carried along belongs behind the command, not behind the quotation mark.
                    let again = format!("eval \"$({})\"", out.carried("runsheet lab status"));
                    let next = if std::io::stdout().is_terminal() { again } else { "psql \"$LAB_SOURCE_URL\"".into() };
                    out.talk(&format!("{} {next}", out.paint("1", "next:")));
                }
                Ok(Verdict::Pass)
            }
            What::Down => down(out, &place),
            What::Status => status(out, &place),
            What::Write { .. } | What::Neon { .. } => Ok(Verdict::Pass),
        }
    }
}

/// The lab's folder. Its parent, the state folder, is made only where the lab is brought up.
fn folder(global: &Global, make: bool) -> Result<PathBuf, CliError> {
    let (options, cwd) = whereabouts(global)?;
    let state = config::state_anywhere(&options, &cwd)?;
    if make {
        config::state::open(&state, &SystemClock)?;
    }
    // Servers are found again by the path of their files, so it must always be the same one.
    Ok(state.canonicalize().unwrap_or(state).join("lab"))
}

fn path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

fn down(out: &Out, place: &Place) -> Result<Verdict, CliError> {
    let removed = lab::down(place).map_err(refused)?;
    let folder = place.folder.display().to_string();
    if out.json {
        out.json(&json!({ "folder": folder, "removed": removed.found, "left": removed.left }));
        return Ok(Verdict::Pass);
    }
    out.talk(&match removed.found {
        true => format!("the lab in {folder} is stopped and removed"),
        false => format!("there is no lab in {folder}"),
    });
    for left in removed.left {
        out.talk(&format!("left where it is, since it was not made by the lab: {}", left.display()));
    }
    Ok(Verdict::Pass)
}

fn status(out: &Out, place: &Place) -> Result<Verdict, CliError> {
    let not_up = |message: String| CliError::new(Verdict::Failed, message).next("runsheet lab up");
    let lab = lab::status(place).map_err(refused)?;
    let lab = lab.ok_or_else(|| not_up(format!("there is no lab in {}", place.folder.display())))?;
    print(out, &lab);
    match lab.state {
        Condition::Up => Ok(Verdict::Pass),
        Condition::Stopped => Err(not_up("a server of the lab does not run".into())),
        Condition::Unfinished => Err(not_up("the lab was not made to its end, or is being made just now".into())),
    }
}

/// The URLs for a shell, the rest for a person.
fn print(out: &Out, lab: &Lab) {
    if out.json {
        out.json(lab);
        return;
    }
    for (name, server) in [("source", &lab.source), ("scratch", &lab.scratch)] {
        out.talk(&format!("{name}: {}", described(server)));
    }
    let at = lab.at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    out.talk(&format!("rows: about {}, the newest as of {at}", lab.rows));
    let logged = count(lab.writer.rows, "row");
    match lab.writer.pid {
        Some(pid) => out.talk(&format!("writer: at work (process {pid}), {logged} in {}", lab.writer.log)),
        None if lab.writer.rows > 0 => out.talk(&format!("writer: none at work, {logged} in {}", lab.writer.log)),
        None => out.talk("writer: none"),
    }
    match &lab.neon {
        Some(neon) => out.talk(&format!("stand-in for Neon: at work (process {}), {}", neon.pid, neon.api_base)),
        None => out.talk("stand-in for Neon: none"),
    }
    if lab.state == Condition::Up {
        out.data(&format!("export LAB_SOURCE_URL={}", quoted(&lab.source.url)));
        out.data(&format!("export LAB_SCRATCH_URL={}", quoted(&lab.scratch.url)));
        if let Some(recovery) = &lab.recovery {
            out.data(&format!("export LAB_RECOVERY_BASE={}", quoted(&recovery.base)));
            out.data(&format!("export LAB_RECOVERY_COMMAND={}", quoted(&recovery.restore_command)));
        }
    }
    if let Some(neon) = &lab.neon {
        for (name, value) in [
            ("NEON_API_BASE", &neon.api_base),
            ("NEON_API_KEY", &neon.api_key),
            ("NEON_PROJECT", &neon.project),
            ("LAB_NEON_URL", &neon.url),
            ("GITHUB_API_BASE", &neon.github_api_base),
            ("GITHUB_REPO", &neon.github_repo),
            ("GITHUB_TOKEN", &neon.github_token),
        ] {
            out.data(&format!("export {name}={}", quoted(value)));
        }
    }
}

fn described(server: &Server) -> String {
    let Server { version, port, bytes, .. } = server;
    let runs = if server.running { "runs" } else { "does not run" };
    format!("PostgreSQL {version} on 127.0.0.1:{port} {runs}, {} in {}", size(*bytes), server.data)
}

/// A lab that could not be made is not a refusal, unless nothing was begun.
fn refused(fault: Fault) -> CliError {
    let (verdict, next) = match fault.code.as_str() {
        "lab.busy" => (Verdict::Locked, "runsheet lab status"),
        "lab.other" => (Verdict::Refused, "runsheet lab down"),
        "lab.start" => (Verdict::Failed, "runsheet lab down"),
        "lab.options" => (Verdict::Refused, "runsheet lab up --help"),
        "lab.programs" | "lab.user" | "lab.folder" => (Verdict::Refused, "runsheet lab status"),
        _ => (Verdict::Failed, "runsheet lab up"),
    };
    CliError { verdict, ..CliError::from(fault).next(next) }
}
