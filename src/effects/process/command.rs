//! `command::run`: what is run, and what its end means.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::capture::LIMIT;
use super::child::{self, End, Finished, Prepared};
use super::session::{Place, Session};
use super::ssh;
use super::supervise::Launch;
use crate::effects::{Done, Doubt, Ledger, Resolution, Ticket, World, shell};
use crate::model::Value;
use crate::model::action::{Action, Recovery};
use crate::model::event::Event;
use crate::model::fault::{Fault, FaultClass};
use crate::model::preview::{Level, Previewed};
use crate::model::request::{CommandRun, Request};
use crate::model::{scan, secret, unknown};

/// Variables that a command inherits; everything else is named by the runbook, so that no secret leaks into it.
const INHERITED: [&str; 6] = ["PATH", "HOME", "LANG", "TZ", "USER", "TERM"];

/// Lines of standard error that a fault carries.
const LAST_LINES: usize = 20;

/// Runs a command once.
///
/// Faults: `command.not-found`, `command.permission`, `command.exit`, `command.timeout`, `command.lost`, `result.large`,
/// `secret.in-arguments`, `data.handle`.
pub async fn perform(world: &World, action: &Action, ticket: &Ticket, ledger: &dyn Ledger) -> Result<Done, Fault> {
    let request = CommandRun::of(action)?;
    let launch = launch(world, &request, Some(ticket))?;
    let limit = action.timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let prepared = Prepared::start(&world.program, launch).await.map_err(|error| {
        Fault::retryable("command.start", format!("the supervisor of the command could not be started: {error}"))
    })?;
    if action.class != Recovery::Read {
        ledger.started(serde_json::to_value(&prepared.session).unwrap_or_default())?;
        ledger.intent(Value::Null)?;
    }
    let finished = prepared.run(limit).await;
    judge(world, action, &request, &finished).map_err(|fault| world.vault.redact_fault(fault))
}

/// Ends what is left of an attempt. Whether it was done, only a probe or a person can say.
pub async fn resolve(_: &World, action: &Action, _: &Ticket, doubt: &Doubt) -> Result<Resolution, Fault> {
    if let Some(holds) = &doubt.holds {
        end_group(holds).await?;
    }
    if doubt.proof.is_none() {
        return Ok(Resolution::NotDone);
    }
    let request = CommandRun::of(action)?;
    Ok(match (action.class, &request.ssh) {
        (Recovery::Repeatable, Some(host)) => Resolution::Unknown(format!(
            "the connection to {host} was cut while the command ran, and it may still be at work there"
        )),
        (Recovery::Ask, _) => {
            Resolution::Unknown("the command was begun and ended before its outcome was written down".into())
        }
        _ => Resolution::NotDone,
    })
}

/// Shows the command as it could be typed; nothing is run.
pub async fn preview(world: &World, action: &Action) -> Result<Previewed, Fault> {
    let line = by_hand(world, action)?;
    let notes = match action.class {
        Recovery::Ask => vec!["if the run is killed while this runs, a person must say whether it was done".to_owned()],
        _ => Vec::new(),
    };
    Ok(Previewed { level: Level::Rendered, value: None, by_hand: vec![line], notes })
}

/// The command as a line for a shell. Nothing is contacted.
pub fn by_hand(world: &World, action: &Action) -> Result<String, Fault> {
    let request = CommandRun::of(action)?;
    refuse_secrets(&request)?;
    let quoted = |text: &str| shlex::try_quote(text).map(std::borrow::Cow::into_owned).unwrap_or_default();
    let mut words: Vec<String> = Vec::new();
    if let Some(host) = &request.ssh {
        words = ssh::arguments(world, host, &request)?.iter().map(|word| quoted(word)).collect();
    } else {
        for (name, value) in &request.env {
            words.push(format!("{name}={}", shell::word(value)));
        }
        words.extend(request.run.iter().map(|word| quoted(word)));
        if let Some(cwd) = &request.cwd {
            words.splice(0..0, ["cd".to_owned(), quoted(cwd), "&&".to_owned()]);
        }
    }
    Ok(unknown::readable(&world.vault.redact(&words.join(" "))))
}

/// Ends what `holds`, as given to [`Ledger::started`], still names, and waits until it is gone.
///
/// Faults: `command.elsewhere` when it ran where this process cannot look, `command.left` when something refuses to end.
pub async fn end_group(holds: &Value) -> Result<(), Fault> {
    let session: Session = serde_json::from_value(holds.clone()).map_err(|error| {
        Fault::fatal("command.holds", format!("what an earlier attempt left behind cannot be read: {error}"))
    })?;
    let place = session.place().map_err(|error| {
        Fault::fatal(
            "command.holds",
            format!("`/proc` cannot be read, which tells what an earlier attempt left: {error}"),
        )
    })?;
    match place {
        Place::EarlierBoot => Ok(()),
        Place::Elsewhere => Err(Fault::unknown(
            "command.elsewhere",
            format!("the command ran on {} (session {}) and may still be at work there", session.host, session.session),
        )
        .hinted(format!(
            "make sure on {} that nothing of it is left, then say with `runsheet resolve` whether it was done",
            session.host
        ))),
        Place::Here => match child::end(session).await {
            left if left.is_empty() => Ok(()),
            left => Err(Fault::unknown("command.left", cannot_end(&left))
                .hinted("end them as the user they belong to, then resume")),
        },
    }
}

/// Runs a command that belongs to no action of a run, and says what went wrong.
pub async fn alone(world: &World, request: &CommandRun, limit: Duration) -> Result<(), Fault> {
    let action = Action::change(CommandRun::WORD, request, "", Recovery::Repeatable, Vec::new());
    let launch = launch(world, request, None)?;
    let prepared = Prepared::start(&world.program, launch).await.map_err(|error| {
        Fault::retryable("command.start", format!("the supervisor of the command could not be started: {error}"))
    })?;
    judge(world, &action, request, &prepared.run(Some(limit)).await).map(drop)
}

/// The variables that every command inherits, and what reaching another host needs.
pub fn inherited(world: &World) -> BTreeMap<String, String> {
    let names = INHERITED.iter().chain(&["SSH_AUTH_SOCK"]);
    names.filter_map(|name| Some(((*name).to_owned(), world.environment.get(name)?.to_owned()))).collect()
}

/// What the supervisor is to run, with every secret opened.
fn launch(world: &World, request: &CommandRun, ticket: Option<&Ticket>) -> Result<Launch, Fault> {
    refuse_secrets(request)?;
    let inherited = |name: &str| world.environment.get(name).map(|value| (name.to_owned(), value.to_owned()));
    let mut env: BTreeMap<String, String> = INHERITED.iter().filter_map(|name| inherited(name)).collect();
    env.entry("PATH".into()).or_insert_with(|| "/usr/local/bin:/usr/bin:/bin".into());
    let mut cwd = world.project.clone();
    let run = if let Some(host) = &request.ssh {
        env.extend(inherited("SSH_AUTH_SOCK"));
        ssh::arguments(world, host, request)?
    } else {
        cwd.extend(&request.cwd);
        for (name, value) in &request.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(Fault::fatal("command.env", format!("`{name}` cannot be a variable's name")));
            }
            env.insert(name.clone(), world.vault.open(value)?);
        }
        // Last, since recovery finds the command's database sessions by this name.
        if let Some((ticket, run)) = ticket.and_then(|ticket| Some((ticket, ticket.run.as_ref()?))) {
            env.insert("PGAPPNAME".into(), format!("runsheet {run} {} a{}", ticket.key, ticket.attempt));
        }
        request.run.clone()
    };
    if run.iter().chain(env.values()).any(|text| text.contains('\0')) {
        return Err(Fault::fatal("command.nul", "an argument or a variable contains a NUL character"));
    }
    Ok(Launch { run, cwd, env, ..Launch::default() })
}

fn refuse_secrets(request: &CommandRun) -> Result<(), Fault> {
    if request.run.first().is_none_or(String::is_empty) {
        return Err(Fault::fatal("command.empty", "there is no command to run"));
    }
    let public = request.run.iter().chain(&request.cwd).chain(&request.ssh).chain(request.env.keys());
    for text in public {
        if secret::contains_handle(text) {
            return Err(Fault::fatal(
                "secret.in-arguments",
                format!("an argument of `{}` is a secret, which everybody on the machine could read", request.run[0]),
            )
            .hinted("give it by `env`: `#{ env: #{ PGPASSWORD: … } }`"));
        }
    }
    Ok(())
}

/// What the end of a command means.
fn judge(world: &World, action: &Action, request: &CommandRun, finished: &Finished) -> Result<Done, Fault> {
    let name = secret::readable(&request.run[0]);
    let detailed = |fault: Fault| {
        let lines = last_lines(world, finished);
        if lines.is_empty() { fault } else { fault.detailed(lines.join("\n")) }
    };
    let (code, signal, left) = match &finished.end {
        End::NotBegun { missing: true, why } => {
            return Err(Fault::fatal("command.not-found", format!("`{name}` could not be started: {why}")).hinted(
                "is the program installed and in PATH, its interpreter too, and does the working directory exist?",
            ));
        }
        End::NotBegun { missing: false, why } => {
            return Err(Fault::fatal("command.permission", format!("`{name}` could not be started: {why}"))
                .hinted("may it be executed, and may its folder be entered, by the user who runs this?"));
        }
        End::TooLong { left } => {
            let limit = action.timeout.unwrap_or_default();
            let mut text = format!("`{name}` took longer than {limit} s and was ended");
            if !left.is_empty() {
                text = format!("{text}, but {}", cannot_end(left));
            }
            return Err(detailed(Fault::new(cut_short(action, request, left), "command.timeout", text)));
        }
        End::Lost { left } => {
            let mut text = format!("the supervisor of `{name}` was killed, and `{name}` was ended with it");
            if !left.is_empty() {
                text = format!("{text}, but {}", cannot_end(left));
            }
            return Err(detailed(Fault::new(cut_short(action, request, left), "command.lost", text)));
        }
        End::Ended { code, signal, left } => (code, signal, left),
    };
    if !left.is_empty() {
        world.sink.event(Event::Warning(format!("`{name}` is over, but {}", cannot_end(left))));
    }
    let ok = |code: i32| if request.ok.is_empty() { code == 0 } else { request.ok.contains(&i64::from(code)) };
    let Some(code) = *code else {
        let signal = signal.unwrap_or_default();
        return Err(detailed(Fault::fatal("command.exit", format!("`{name}` was ended by signal {signal}"))));
    };
    if let (Some(host), 255) = (&request.ssh, code)
        && !ok(code)
    {
        let class = if action.class == Recovery::Read { FaultClass::Retryable } else { FaultClass::Unknown };
        return Err(detailed(Fault::new(
            class,
            "command.ssh",
            format!("ssh to {host} failed, or `{name}` there exited with 255; whether it ran is not known"),
        )));
    }
    if !ok(code) {
        let last = last_lines(world, finished).pop().map(|line| format!(": {line}")).unwrap_or_default();
        return Err(detailed(Fault::fatal("command.exit", format!("`{name}` exited with {code}{last}"))));
    }
    let total = finished.stdout.total() + finished.stderr.total();
    if total > LIMIT {
        return Err(Fault::fatal(
            "result.large",
            format!(
                "`{name}` ran and exited with {code}, but wrote {total} bytes, more than the {LIMIT} that are kept"
            ),
        )
        .hinted("let it write to a file, and answer the file's name"));
    }
    let (stdout, stderr) = (finished.stdout.text(), finished.stderr.text());
    scan::refuse_handles(&stdout, &format!("the output of `{name}`"))?;
    scan::refuse_handles(&stderr, &format!("the error output of `{name}`"))?;
    let (stdout, stderr) = (world.vault.redact(&stdout), world.vault.redact(&stderr));
    Ok(Done { value: json!({ "code": code, "stdout": stdout, "stderr": stderr }), rows: None })
}

/// The class of a command that was ended half-way.
fn cut_short(action: &Action, request: &CommandRun, left: &[u32]) -> FaultClass {
    match action.class {
        Recovery::Read => FaultClass::Fatal,
        Recovery::Repeatable if left.is_empty() && request.ssh.is_none() => FaultClass::Fatal,
        _ => FaultClass::Unknown,
    }
}

fn cannot_end(left: &[u32]) -> String {
    let pids: Vec<String> = left.iter().map(u32::to_string).collect();
    format!("processes that it started could not be ended: {}", pids.join(", "))
}

/// The last lines of standard error without secrets and handle characters, blank ones left out.
fn last_lines(world: &World, finished: &Finished) -> Vec<String> {
    let handles = [secret::OPEN, secret::CLOSE, unknown::OPEN, unknown::CLOSE];
    let text = world.vault.redact(&finished.stderr.tail()).replace(handles, "\u{FFFD}");
    let lines: Vec<String> =
        text.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect();
    let skip = lines.len().saturating_sub(LAST_LINES);
    lines.into_iter().skip(skip).collect()
}
