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
use super::lab_rotation;
use crate::effects::local::SystemClock;
use crate::lab::cutover::{Checked, Cutover};
use crate::lab::{self, Condition, Lab, Place, Server, Traffic, Wish};
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
        /// Start a stand-in for Neon, GitHub's pull requests, Railway and Hyperdrive on loopback
        ///
        /// Its knobs lie below `/lab` on the same port: `POST /lab/projects` makes another project, `POST
        /// /lab/projects/P/chaos` has it misbehave. Those of the platforms lie below `/platforms`. It keeps everything in memory.
        #[arg(long)]
        neon: bool,
        /// Keep the source's history: a base backup, taken when the lab is made, and an archive of its WAL
        #[arg(long)]
        pitr: bool,
        /// The application's own tables, without the awkward ones: nothing in it stands in the way of a cutover
        #[arg(long)]
        plain: bool,
        /// Make it the world of a cutover: a PgBouncer before the source, an empty database `managed` on the scratch server,
        /// and an application that writes through the pooler
        ///
        /// Its role `app` is then a superuser on both servers, as the owner of a self-managed database often is.
        #[arg(long, group = "world")]
        cutover: bool,
        /// Make it the world of a credential rotation: login roles `app_a`, in use, and `app_b`, idle, a PgBouncer before the
        /// source, and a client that reads the application's env files and logs in anew all the while
        ///
        /// The source logs every statement.
        #[arg(long, group = "world")]
        rotation: bool,
        /// Transactions a second of the application (default: 200), or logins of the client (default: 5)
        #[arg(long, value_name = "N", requires = "world")]
        rate: Option<u32>,
        /// Connections of the application (default: 4)
        #[arg(long, value_name = "N", requires = "cutover")]
        connections: Option<u32>,
    },
    /// The application of `lab up --cutover`
    #[command(subcommand)]
    App(App),
    /// Stop the lab and remove what it made, and nothing else
    Down,
    /// Print the URLs, and what runs; exit 1 when the lab is not up
    Status,
    /// Print a `runsheet.toml` for the world of `lab up --cutover` or `--rotation`
    Toml,
    /// Print the `.env` that belongs to the `runsheet.toml` of `lab up --rotation`: the application's login of today
    Env,
    /// What the writer's process does.
    #[command(name = lab::writer::ARGUMENT, hide = true)]
    Write { folder: PathBuf },
    /// What the application's process does.
    #[command(name = lab::cutover::app::PROCESS.argument, hide = true)]
    Application { folder: PathBuf },
    /// What the process of the rotation's client does.
    #[command(name = lab::rotation::client::PROCESS.argument, hide = true)]
    Client { folder: PathBuf },
    /// What the stand-in's process does.
    #[command(name = lab::neon::daemon::ARGUMENT, hide = true)]
    Neon {
        folder: PathBuf,
        /// Whether it ends with its standard input.
        #[arg(long)]
        attached: bool,
    },
}

#[derive(clap::Subcommand)]
enum App {
    /// Start it, if it is not at work; it reads its `app.env` anew
    Start,
    /// Stop it, if it is at work, between two transactions
    Stop,
    /// Whether each write that was acknowledged is there exactly once; exit 3 when not
    ///
    /// A write whose connection was lost while COMMIT was under way counts as unknown, neither lost nor doubled.
    Check {
        /// Where it must be: `source`, `managed`, or a URL
        #[arg(long, visible_alias = "url", value_name = "WHERE", default_value = "source")]
        on: String,
        /// Where it must not be alone: what is only there is on the wrong side
        #[arg(long, value_name = "WHERE")]
        other: Option<String>,
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
        if let What::Application { folder } = &self.what {
            lab::cutover::app::run(folder, Arc::new(SystemClock))?;
            return Ok(Verdict::Pass);
        }
        if let What::Client { folder } = &self.what {
            lab::rotation::client::run(folder, Arc::new(SystemClock))?;
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
            What::Up { rows, small, at, writer, neon, pitr, plain, cutover, rotation, rate, connections } => {
                let rows = if small { Some(lab::SMALL_ROWS) } else { rows };
                let traffic = Traffic { rate, connections };
                let (cutover, rotation) = (cutover.then_some(traffic), rotation.then_some(traffic));
                let wish = Wish { rows, at, writer, neon, pitr, plain, cutover, rotation };
                let lab = lab::up(&place, &wish).map_err(refused)?;
                print(out, &lab);
                if !out.json {
                    // What is carried along belongs behind the command, not behind the quotation mark.
                    let again = format!("eval \"$({})\"", out.carried("runsheet lab status"));
                    let toml = || format!("{} > runsheet.toml", out.carried("runsheet lab toml"));
                    let next = if lab.rotation.is_some() {
                        format!("{} && {} > .env", toml(), out.carried("runsheet lab env"))
                    } else if lab.cutover.is_some() {
                        toml()
                    } else if std::io::stdout().is_terminal() {
                        again
                    } else {
                        "psql \"$LAB_SOURCE_URL\"".into()
                    };
                    out.talk(&format!("{} {next}", out.paint("1", "next:")));
                }
                Ok(Verdict::Pass)
            }
            What::Down => down(out, &place),
            What::Status => status(out, &place),
            What::App(what) => app(out, &place, what),
            What::Toml => {
                let rotation = lab::status(&place).map_err(refused)?.and_then(|lab| lab.rotation);
                let toml = rotation.map_or_else(|| cutover(&place).map(|it| it.toml), |it| Ok(it.toml))?;
                out.data(toml.trim_end());
                Ok(Verdict::Pass)
            }
            What::Env => {
                out.data(lab_rotation::of(lab::status(&place).map_err(refused)?)?.env.trim_end());
                Ok(Verdict::Pass)
            }
            What::Write { .. } | What::Application { .. } | What::Client { .. } | What::Neon { .. } => {
                Ok(Verdict::Pass)
            }
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

fn app(out: &Out, place: &Place, what: App) -> Result<Verdict, CliError> {
    match what {
        App::Start => lab::cutover::app::start(place).map_err(refused)?,
        App::Stop => lab::cutover::app::PROCESS.stop(&place.folder).map_err(refused)?,
        App::Check { on, other } => return check(out, place, &on, other.as_deref()),
    }
    let (done, running) = if matches!(what, App::Start) { ("at work", true) } else { ("stopped", false) };
    if out.json {
        out.json(&json!({ "running": running }));
    } else {
        out.talk(&format!("the application is {done}"));
    }
    Ok(Verdict::Pass)
}

/// The world of a cutover, if the lab has it.
fn cutover(place: &Place) -> Result<Cutover, CliError> {
    let lab = lab::status(place).map_err(refused)?;
    lab.and_then(|lab| lab.cutover)
        .ok_or_else(|| CliError::refused("this lab has no application".to_owned()).next("runsheet lab up --cutover"))
}

fn check(out: &Out, place: &Place, on: &str, other: Option<&str>) -> Result<Verdict, CliError> {
    let cutover = cutover(place)?;
    let url = |place: &str| match place {
        "source" => Ok(cutover.source_url.clone()),
        "managed" => Ok(cutover.managed_url.clone()),
        url if url.contains("://") => Ok(url.to_owned()),
        other => Err(CliError::refused(format!("{other} is neither `source`, nor `managed`, nor a URL"))),
    };
    let other = other.map(url).transpose()?;
    let checked = lab::cutover::check(&place.folder, &url(on)?, other.as_deref()).map_err(refused)?;
    if out.json {
        out.json(&checked);
    } else {
        tell(out, &checked);
    }
    Ok(if checked.pass { Verdict::Pass } else { Verdict::Fail })
}

fn tell(out: &Out, checked: &Checked) {
    let Checked { acknowledged, unknown, unknown_there, .. } = checked;
    out.talk(&format!("acknowledged: {acknowledged}; unknown: {unknown}, of which {unknown_there} are there"));
    for (name, found) in [
        ("lost", &checked.lost),
        ("doubled", &checked.doubled),
        ("on the wrong side", &checked.wrong_side),
        ("torn", &checked.torn),
        ("refused, and there", &checked.refused_there),
    ] {
        let names = if found.names.is_empty() { String::new() } else { format!(": {}", found.names.join(", ")) };
        out.talk(&format!("{name}: {}{names}", found.count));
    }
    if let Some(gap) = &checked.gap {
        let (seconds, frozen, refused) = (gap.seconds, gap.frozen, gap.refused);
        out.talk(&format!(
            "longest time without a write: {seconds:.3} s, of which {frozen:.3} s refused or held; {refused} refused"
        ));
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
        Some(neon) => {
            out.talk(&format!("stand-in for Neon: at work (process {}), {}", neon.pid, neon.api_base));
            out.talk("it plays Railway and Hyperdrive too: `runsheet lab status --json`, below `neon.consumers`");
        }
        None => out.talk("stand-in for Neon: none"),
    }
    if let Some(cutover) = &lab.cutover {
        let (app, pooler) = (&cutover.app, &cutover.pooler);
        let runs = |runs| if runs { "at work" } else { "not at work" };
        let written = count(u64::try_from(app.acknowledged).unwrap_or(u64::MAX), "transaction");
        out.talk(&format!("pooler: {} on 127.0.0.1:{}, {}", runs(pooler.pid.is_some()), pooler.port, pooler.config));
        out.talk(&format!("application: {}, {} a second, {written} in {}", runs(app.pid.is_some()), app.rate, app.log));
        out.talk("its project: `runsheet lab toml > runsheet.toml`");
    }
    if let Some(rotation) = &lab.rotation {
        lab_rotation::talk(out, rotation);
    }
    if lab.state == Condition::Up {
        out.data(&format!("export LAB_SOURCE_URL={}", quoted(&lab.source.url)));
        out.data(&format!("export LAB_SCRATCH_URL={}", quoted(&lab.scratch.url)));
        if let Some(cutover) = &lab.cutover {
            out.data(&format!("export LAB_POOLED_URL={}", quoted(&cutover.pooled_url)));
            out.data(&format!("export LAB_MANAGED_URL={}", quoted(&cutover.managed_url)));
            out.data(&format!("export LAB_POOLER_ADMIN_URL={}", quoted(&cutover.pooler.admin_url)));
        }
        if let Some(rotation) = &lab.rotation {
            lab_rotation::exports(out, rotation);
        }
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
