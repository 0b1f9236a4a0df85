//! What is not repeatable, as journaled actions: the time, random passwords, variables; and lines for people.

use super::super::convert;
use super::super::unknown::Unknown;
use super::call::{Answer, title};
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::{Action, Resource};
use crate::model::request::{EnvVar, LogLine, Now, RandomPassword, Request};

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "now",
            signature: "now() -> RFC 3339 text in UTC",
            summary: "The time, recorded: a resume answers the same. A preview does not know it.",
            params: &[],
            errors: &[],
            example: "let started = now();",
        },
        least: 0,
        most: 0,
        run: now,
    },
    Entry {
        word: Word {
            name: "random::password",
            signature: "random::password(length) -> secret",
            summary: "A new password from a cryptographic source, of letters, digits, `-` and `_`. The script holds a handle. Where there is a key (`runsheet key new`), it is sealed in the journal before anything is made of it, and a resume has the same one.",
            params: &[param("length", "characters, 16 to 128")],
            errors: &[],
            example: "sql::exec(params.app, \"alter role app password {{ pw | scram }}\", #{ pw: random::password(32) });",
        },
        least: 1,
        most: 1,
        run: password,
    },
    Entry {
        word: Word {
            name: "env",
            signature: "env(name) -> secret",
            summary: "A variable of the environment, always as a secret.",
            params: &[param("name", "the variable's name")],
            errors: &[("env.missing", "it is not set, or empty")],
            example: "command::run([\"deploy\"], #{ env: #{ TOKEN: env(\"DEPLOY_TOKEN\") }, repeatable: true });",
        },
        least: 1,
        most: 1,
        run: env,
    },
    Entry {
        word: Word {
            name: "log::info",
            signature: "log::info(text)",
            summary: "A line in the journal and at the terminal. `print` does the same.",
            params: &[param("text", "the line")],
            errors: &[],
            example: "log::info(`${open} orders are open`);",
        },
        least: 1,
        most: 1,
        run: info,
    },
];

fn now(call: &Call<'_>) -> Answer {
    let host = call.host()?;
    if host.previewing() {
        // The run has a time of its own: SQL with the preview's in it would never be what the run does.
        return Ok(rhai::Dynamic::from(Unknown::new(host.step())));
    }
    call.give(&call.perform(Action::read(Now::WORD, &Now {}, "the time", vec![Resource::new("clock")]))?)
}

fn password(call: &Call<'_>) -> Answer {
    let length = call.value(0)?.as_u64().filter(|length| (16..=128).contains(length));
    let length = length.ok_or_else(|| call.misuse("`length` must be a whole number from 16 to 128"))?;
    let request = RandomPassword { length };
    let shown = format!("a random password of {length} characters");
    call.give(&call.perform(Action::read(RandomPassword::WORD, &request, shown, Vec::new()))?)
}

fn env(call: &Call<'_>) -> Answer {
    let Value::String(name) = call.value(0)? else { return Err(call.misuse("`name` must be text")) };
    let sound = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !sound {
        return Err(call.misuse(format!("`{name}` is not the name of a variable")));
    }
    let shown = title(&format!("the variable {name}"));
    call.give(&call.perform(Action::read(EnvVar::WORD, &EnvVar { name }, shown, Vec::new()))?)
}

fn info(call: &Call<'_>) -> Answer {
    let text = convert::display(&call.arg(0));
    let shown = title(&text);
    call.give(&call.perform(Action::read(LogLine::WORD, &LogLine { text }, shown, Vec::new()))?)
}
