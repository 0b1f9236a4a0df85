//! `command::run`: a child process, as an argument list.

use std::collections::BTreeMap;

use super::call::{Answer, title};
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::{CommandRun, Request};

pub(crate) const WORDS: &[Entry] = &[Entry {
    word: Word {
        name: "command::run",
        signature: "command::run([program, argument, …], #{ cwd, env, ssh, ok, timeout, repeatable, probe, read_only, reads, writes }) -> #{ code, stdout, stderr }",
        summary: "Runs a program. No shell reads the arguments. After a crash an unfinished command is *outcome unknown*, unless it says that it is repeatable, only reads, or names a probe.",
        params: &[
            param("run", "program and arguments, a list of texts; or a map of the options with the list as `run`"),
            param("#{cwd}", "working directory, relative to the project"),
            param("#{env}", "map of variables; values may be secrets, arguments may not"),
            param("#{ssh}", "host to run it on: user@host or ssh://user@host:port"),
            param("#{ok}", "exit codes that count as success; [0] without it"),
            param("#{timeout}", "longest it may take: seconds, or text such as \"10m\""),
            param("#{repeatable}", "true if doing it twice comes to the same"),
            param("#{probe}", "name of a function of the runbook that answers, after a crash, whether it was done"),
            param("#{read_only}", "true if it changes nothing; a preview then runs it"),
            param("#{reads}", "paths of resources that it reads, such as \"file/backup.dump\"; without it, anything"),
            param("#{writes}", "paths of resources that it changes; without it, anything"),
        ],
        errors: &[
            ("command.exit", "an exit code that is not among `ok`"),
            ("command.start", "the program could not be started"),
        ],
        example: "command::run([\"pg_dump\", \"--version\"], #{ read_only: true, timeout: \"30s\" });",
    },
    least: 1,
    most: 2,
    run,
}];

const OPTIONS: &[&str] =
    &["run", "cwd", "env", "ssh", "ok", "timeout", "repeatable", "probe", "read_only", "reads", "writes"];

fn run(call: &Call<'_>) -> Answer {
    let as_map = matches!(call.value(0), Ok(Value::Object(_))) && call.len() == 1;
    let options = call.options(if as_map { 0 } else { 1 }, OPTIONS)?;
    let list = if as_map { options.texts("run")?.unwrap_or_default() } else { words(call)? };
    if list.first().is_none_or(String::is_empty) {
        return Err(call.misuse("the list needs a program"));
    }
    for word in &list {
        if crate::model::secret::contains_handle(word) {
            return Err(call
                .misuse("a secret must not be an argument, which everyone on the machine can read; give it in `env`"));
        }
        if word.contains('\0') {
            return Err(call.misuse("an argument holds a NUL character"));
        }
    }
    let mut env = BTreeMap::new();
    if let Some(given) = options.value("env")? {
        let Value::Object(map) = given else { return Err(call.misuse("option `env` must be a map of texts")) };
        for (key, value) in map {
            let text = match value {
                Value::String(text) => text,
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                _ => return Err(call.misuse(format!("option `env`: `{key}` must be text"))),
            };
            env.insert(key, text);
        }
    }
    let ok = match options.value("ok")? {
        None => Vec::new(),
        Some(Value::Array(codes)) if codes.iter().all(Value::is_i64) => {
            codes.iter().filter_map(Value::as_i64).collect()
        }
        Some(code) => vec![code.as_i64().ok_or_else(|| call.misuse("option `ok` must be exit codes: [0, 3]"))?],
    };
    let (repeatable, read_only) = (options.flag("repeatable")?, options.flag("read_only")?);
    let probe = options.function("probe")?;
    let paths = |key: &str| {
        options.texts(key).map(|paths| paths.map(|paths| paths.into_iter().map(Resource::new).collect::<Vec<_>>()))
    };
    // What nobody named may be anything: a preview must not show a look at it as a fact once a change was left out.
    let (reads, writes) = (paths("reads")?.unwrap_or_else(|| vec![Resource::world()]), paths("writes")?);
    let class = match (read_only, repeatable, &probe) {
        (true, false, None) if writes.is_none() => Recovery::Read,
        (true, ..) => return Err(call.misuse("`read_only` goes with neither `repeatable`, `probe` nor `writes`")),
        (_, true, None) => Recovery::Repeatable,
        (_, false, Some(_)) => Recovery::Provable,
        (_, true, Some(_)) => return Err(call.misuse("give either `repeatable` or `probe`")),
        (_, false, None) => Recovery::Ask,
    };
    let ssh = options.text("ssh")?;
    let shown = title(&match &ssh {
        Some(host) => format!("{} on {host}", list.join(" ")),
        None => list.join(" "),
    });
    let request = CommandRun { run: list, cwd: options.text("cwd")?, env, ssh, ok };
    let writes = if read_only { Vec::new() } else { writes.unwrap_or_else(|| vec![Resource::world()]) };
    let mut action = Action::change(CommandRun::WORD, &request, shown, class, writes);
    action.reads = reads;
    action.probe = probe;
    action.timeout = options.seconds("timeout")?;
    call.give(&call.perform(action)?)
}

fn words(call: &Call<'_>) -> Result<Vec<String>, super::call::Error> {
    match call.value(0)? {
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(text.clone()),
                Value::Number(number) => Ok(number.to_string()),
                _ => Err(call.misuse("an argument must be text or a number")),
            })
            .collect(),
        _ => Err(call.misuse("`run` must be a list [program, argument, …]: no shell reads it")),
    }
}
