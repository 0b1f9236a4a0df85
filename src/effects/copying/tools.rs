//! PostgreSQL's own programs: found, their versions held against the servers', run under the supervisor, and ended with
//! their server sessions when they outlive the process that started them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_postgres::types::Type;

use super::progress::Progress;
use super::{Copying, elsewhere};
use crate::effects::postgres::connect::{self, Pin, Session, column};
use crate::effects::postgres::{application_name, libpq};
use crate::effects::process::{self, Finished, Launch, Prepared};
use crate::effects::programs::{self, VERSIONS};
use crate::effects::{Ledger, Ticket};
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::reach::Tools;
use crate::model::target::{self, Target};

/// How long a program may take for an answer about itself or a file's table of contents.
const ANSWER: Duration = Duration::from_secs(60);

/// How long server sessions may take to go after they were told to.
const ENDING: Duration = Duration::from_secs(30);

/// A program that is there.
#[derive(Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// `15.18`.
    pub version: String,
    /// `15`.
    pub major: u32,
    /// Where it runs, if not here.
    pub there: Option<Tools>,
}

/// Finds a program of at least major version `least`: on the path, else the newest that is installed. One of exactly
/// `preferred` comes first.
///
/// Faults: `tool.missing`, `tool.old`.
pub async fn find(copying: &Copying<'_>, name: &'static str, least: u32, preferred: u32) -> Result<Tool, Fault> {
    let mut found: Vec<Tool> = Vec::new();
    let path = search_path(copying);
    let folders = programs::folders(path.as_ref(), Path::new(VERSIONS));
    for path in folders.map(|folder| folder.join(name)).filter(|path| path.is_file()) {
        let Some(tool) = version(copying, name, path).await else { continue };
        if tool.major == preferred || (preferred == 0 && tool.major >= least) {
            return Ok(tool);
        }
        found.push(tool);
    }
    if let Some(tool) = found.iter().find(|tool| tool.major >= least) {
        return Ok(tool.clone());
    }
    Err(match found.iter().max_by_key(|tool| tool.major) {
        None => Fault::fatal("tool.missing", format!("there is no `{name}` on this machine, neither in PATH nor below {VERSIONS}"))
            .hinted(format!("install PostgreSQL's client programs of version {least} or newer: apt-get install postgresql-client-{least}")),
        Some(newest) => Fault::fatal(
            "tool.old",
            format!("`{name}` {} ({}) is older than the version {least} that is needed", newest.version, newest.path.display()),
        )
        .hinted(format!("a program may be newer than a server, never older: apt-get install postgresql-client-{least}")),
    })
}

/// What a program says of itself; nothing if it is none of PostgreSQL's.
async fn version(copying: &Copying<'_>, name: &'static str, path: PathBuf) -> Option<Tool> {
    let run = [path.display().to_string(), "--version".to_owned()];
    let text = answer(plain_environment(copying), &run).await.ok()?.ok()?;
    let (version, major) = version_in(&text)?;
    Some(Tool { name, path, version, major, there: None })
}

/// The version in what a program says of itself.
pub fn version_in(text: &str) -> Option<(String, u32)> {
    let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((version.to_owned(), digits.parse().ok()?))
}

/// The pg_dump for a target: where the target says, else one that is here.
pub async fn dumper(copying: &Copying<'_>, target: &str, least: u32, preferred: u32) -> Result<Tool, Fault> {
    match &copying.postgres.target(target).await?.tools {
        Some(there) => elsewhere::find(copying, there, "pg_dump", least).await,
        None => find(copying, "pg_dump", least, preferred).await,
    }
}

fn search_path(copying: &Copying<'_>) -> String {
    copying.world.environment.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin").to_owned()
}

/// What every program gets: words that can be told apart, times in UTC.
fn plain_environment(copying: &Copying<'_>) -> BTreeMap<String, String> {
    let home = copying.world.environment.get("HOME").map(|home| ("HOME".to_owned(), home.to_owned()));
    let own = [("LC_ALL", "C"), ("TZ", "UTC")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    own.into_iter().chain(home).chain([("PATH".to_owned(), search_path(copying))]).collect()
}

/// Asks a program something that contacts no server: what it wrote, or what it complained of.
pub async fn ask(copying: &Copying<'_>, tool: &Tool, args: &[&str]) -> Result<Result<String, String>, Fault> {
    let words = std::iter::once(tool.path.display().to_string()).chain(args.iter().map(|it| (*it).to_owned()));
    answer(plain_environment(copying), &words.collect::<Vec<_>>())
        .await
        .map_err(|error| Fault::fatal("tool.start", format!("`{}` could not be run: {error}", tool.path.display())))
}

/// Runs a program that is soon done: what it wrote, or what it complained of.
pub async fn answer(env: BTreeMap<String, String>, run: &[String]) -> std::io::Result<Result<String, String>> {
    let (program, args) = run.split_first().ok_or_else(|| std::io::Error::other("there is nothing to run"))?;
    let mut command = tokio::process::Command::new(program);
    command.args(args).env_clear().envs(env).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(ANSWER, command.output()).await;
    let output = output.map_err(|_| std::io::Error::other("it did not answer within a minute"))??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr).trim_end().to_owned()) })
}

/// A program about to work on a target.
pub struct Job<'a> {
    /// The program.
    pub tool: &'a Tool,
    /// The target, perhaps one that a run made.
    pub target: &'a str,
    /// Its arguments.
    pub args: Vec<String>,
    /// Settings of its server sessions.
    pub settings: &'a [(&'a str, &'a str)],
    /// A folder of ours.
    pub folder: &'a Path,
    /// Where it writes what it makes: an argument for one that runs here, its standard output for one that runs elsewhere.
    pub output: Option<&'a Path>,
}

/// Connection settings as `--dbname` takes them, whatever is in them.
pub fn conninfo(parts: &[(&str, String)]) -> String {
    let part =
        |(name, value): &(&str, String)| format!("{name}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"));
    parts.iter().map(part).collect::<Vec<_>>().join(" ")
}

/// A supervisor that waits to start the program, and what to write down of it.
pub struct Waiting {
    prepared: Prepared,
    /// For [`end`].
    pub holds: Value,
}

/// Gets a program ready. Nothing of it has begun when this returns, and what it holds is written down.
pub async fn prepare(
    copying: &Copying<'_>,
    job: Job<'_>,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Waiting, Fault> {
    let application = application(ticket);
    let target = copying.postgres.target(job.target).await?;
    let launch = match (&job.tool.there, job.output) {
        (Some(there), Some(output)) => {
            elsewhere::launch(copying, there, &target, job.tool.name, &job.args, &application, output)?
        }
        _ => here(copying, &job, &target, &application).await?,
    };
    let prepared = Prepared::start(&copying.world.program, launch).await.map_err(|error| {
        let message = format!("the supervisor of `{}` could not be started: {error}", job.tool.name);
        Fault::retryable("tool.start", message)
    })?;
    let holds = json!({
        "process": serde_json::to_value(&prepared.session).unwrap_or_default(),
        "target": job.target,
        "application": application,
    });
    ledger.started(holds.clone())?;
    Ok(Waiting { prepared, holds })
}

/// What runs the program on this machine.
async fn here(copying: &Copying<'_>, job: &Job<'_>, target: &Target, application: &str) -> Result<Launch, Fault> {
    let mut env = plain_environment(copying);
    let config = copying.postgres.config(target).await?;
    env.extend(libpq::environment(target, &config, job.tool.major, job.folder)?);
    env.insert("PGAPPNAME".to_owned(), application.to_owned());
    let options = env.entry("PGOPTIONS".to_owned()).or_default();
    for (name, value) in job.settings {
        options.push_str(&format!(" -c {name}={value}"));
    }
    let output = job.output.map(|path| format!("--file={}", path.display()));
    let run =
        std::iter::once(job.tool.path.display().to_string()).chain(job.args.iter().cloned()).chain(output).collect();
    Ok(Launch { run, cwd: "/".into(), env, ..Launch::default() })
}

/// What the sessions of an action's programs are called: unique to the run, also beside runs of other projects.
pub fn application(ticket: &Ticket) -> String {
    let name = application_name(ticket);
    let end = (0..=name.len().min(54)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    let stamp = &ticket.origin.stamp;
    format!("{} {}", &name[..end], &stamp[..stamp.len().min(8)])
}

impl Waiting {
    /// Runs the program to its end; `progress` is told what it says.
    pub async fn run(self, progress: &std::sync::Arc<Progress>) -> Finished {
        let told = std::sync::Arc::clone(progress);
        self.prepared.watched(Box::new(move |line| told.line(line))).run(None).await
    }
}

/// Ends what a program's attempt left: its processes here, its sessions on the server.
pub async fn end(copying: &Copying<'_>, holds: &Value) -> Result<(), Fault> {
    process::end_group(&holds["process"]).await?;
    let (Some(target), Some(application)) = (holds["target"].as_str(), holds["application"].as_str()) else {
        return Err(Fault::fatal("action.shape", "what the attempt held cannot be read from the journal"));
    };
    // By the configured target: the database that the sessions were in may be gone.
    let session = connect::open(copying.postgres, target::base(target), "runsheet resolve", Pin::Ignored).await?;
    end_sessions(&session, application).await
}

async fn end_sessions(session: &Session, application: &str) -> Result<(), Fault> {
    let told = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                 where application_name = $1 and pid <> pg_backend_pid()";
    let begun = Instant::now();
    loop {
        let rows = session.ask(told, &[(&application, Type::TEXT)], "pg_terminate_backend").await?;
        if rows.first().map_or(Ok(0), |row| column::<i64>(row, 0))? == 0 {
            return Ok(());
        }
        if begun.elapsed() > ENDING {
            let message = format!("sessions called `{application}` on {} do not end", session.target);
            return Err(Fault::retryable("orphan.alive", message).hinted("look at them in pg_stat_activity"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
