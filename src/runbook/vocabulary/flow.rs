//! `flow::…`: concurrency, people, waiting.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::unknown::Unknown;
use super::call::{Answer, Error, title};
use super::check::{lasted, read_now};
use super::{Call, Entry, Word, param};
use crate::model::action::{Action, Resource};
use crate::model::clock::backoff;
use crate::model::fault::{Fault, Stop};
use crate::model::host::Lanes;
use crate::model::request::{AskPerson, Request, Sleep};
use crate::model::{Value, unknown};

/// Lanes at once where nothing is said: enough to overlap waits, few enough for a small server.
const AT_ONCE: u64 = 4;

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "flow::each",
            signature: "flow::each(items, #{ key, at_once, rate }, |item| …) -> list",
            summary: "Calls the closure for each item, several at once, each in a lane of its own in the journal. Answers the closure's values in the order of the items.",
            params: &[
                param("items", "list"),
                param(
                    "#{key}",
                    "what names an item's lane: a field of the item, or a closure |item| text; without it the item's text. Two equal keys are refused",
                ),
                param("#{at_once}", "lanes at once; 4 without it"),
                param("#{rate}", "lanes that may start in a second"),
                param("body", "closure with one parameter"),
            ],
            errors: &[],
            example: "flow::each(rows, #{ key: \"id\", at_once: 8 }, |row| sql::exec(params.app, \"delete from t where id = {{ id }}\", #{ id: row.id }));",
        },
        least: 2,
        most: 3,
        run: each,
    },
    Entry {
        word: Word {
            name: "flow::approve",
            signature: "flow::approve(question)",
            summary: "Stops the run until a person approves with `runsheet approve`.",
            params: &[param("question", "what is approved")],
            errors: &[],
            example: "flow::approve(\"Traffic is off. Go on?\");",
        },
        least: 1,
        most: 1,
        run: ask,
    },
    Entry {
        word: Word {
            name: "flow::manual",
            signature: "flow::manual(instruction)",
            summary: "Stops the run until a person says that work by hand is done.",
            params: &[param("instruction", "what is to be done")],
            errors: &[],
            example: "flow::manual(\"Point the DNS record db.example.org to the new server.\");",
        },
        least: 1,
        most: 1,
        run: ask,
    },
    Entry {
        word: Word {
            name: "flow::wait_until",
            signature: "flow::wait_until(limit, || …, #{ every })",
            summary: "Calls the closure until it answers true, waiting 0.2 to 5 seconds between two looks. A preview looks once and waits for nothing.",
            params: &[
                param("limit", "seconds, or text such as \"10m\""),
                param("condition", "closure that answers true or false"),
                param("#{every}", "seconds, or text, between two looks"),
            ],
            errors: &[("wait.timeout", "the condition did not come true in time")],
            example: "flow::wait_until(\"5m\", || sql::value(params.app, \"select count(*) from queue\") == 0);",
        },
        least: 2,
        most: 3,
        run: wait_until,
    },
];

fn each(call: &Call<'_>) -> Answer {
    if let Some(later) = call.unknown(0)
        && call.arg(0).is::<Unknown>()
    {
        return Err(later.stop());
    }
    let Value::Array(items) = call.value(0)? else { return Err(call.misuse("`items` must be a list")) };
    let last = call.len() - 1;
    let body = call.arg(last).try_cast().ok_or_else(|| call.misuse("the last argument must be a closure |item| …"))?;
    let options = call.options(if last == 2 { 1 } else { last + 1 }, &["key", "at_once", "rate"])?;
    let by = options.closure("key");
    let field = if by.is_some() { None } else { options.text("key")? };
    let mut keys = Vec::with_capacity(items.len());
    let mut seen = BTreeSet::new();
    for item in &items {
        let key = match (&by, &field) {
            (Some(closure), _) => super::super::convert::to_value(&call.call(closure, vec![item.clone()])?)
                .map_err(|why| call.misuse(why))?,
            (None, Some(field)) => item
                .get(field)
                .cloned()
                .ok_or_else(|| call.misuse(format!("option `key`: an item has no field `{field}`")))?,
            (None, None) => item.clone(),
        };
        if let Some(step) = unknown::first_in(&key) {
            return Err(Unknown::new(step).stop());
        }
        let key = lane_name(call, &key)?;
        if !seen.insert(key.clone()) {
            return Err(call.misuse(format!("two items have the key `{key}`: option `key` must tell them apart")));
        }
        keys.push(key);
    }
    let at_once = options.whole("at_once")?.unwrap_or(AT_ONCE);
    let at_once = usize::try_from(at_once).ok().filter(|lanes| (1..=256).contains(lanes));
    let at_once = at_once.ok_or_else(|| call.misuse("option `at_once` must be 1 to 256"))?;
    let rate = options.number("rate")?;
    if rate.is_some_and(|rate| rate <= 0.0 || !rate.is_finite()) {
        return Err(call.misuse("option `rate` must be more than 0"));
    }
    let answers = call.each(&Lanes { keys, at_once, rate }, &body, &items)?;
    call.give(&Value::Array(answers))
}

/// The name of an item's lane: it stands in the journal and in error messages.
fn lane_name(call: &Call<'_>, key: &Value) -> Result<String, Error> {
    let key = match key {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    if key.is_empty() || crate::model::secret::contains_handle(&key) || key.contains('\0') {
        return Err(call.misuse("an item's key must not be empty and not hold a secret; give option `key`"));
    }
    Ok(key)
}

fn ask(call: &Call<'_>) -> Answer {
    let question = call.text(0)?;
    let manual = call.word().name == "flow::manual";
    let shown = title(&format!("{} {question}", if manual { "by hand:" } else { "approve:" }));
    let request = AskPerson { question, manual };
    call.give(&call.perform(Action::read(AskPerson::WORD, &request, shown, Vec::new()))?)
}

fn wait_until(call: &Call<'_>) -> Answer {
    let limit = call.seconds(0)?;
    let condition = call.closure(1)?;
    let every = call.options(2, &["every"])?.seconds("every")?;
    if every.is_some_and(|seconds| seconds < 0.01) {
        return Err(call.misuse("option `every` must be at least 0.01 seconds"));
    }
    let host = call.host()?;
    let Some(start) = (if host.previewing() { None } else { read_now(call)? }) else {
        let answer = call.call(&condition, Vec::new())?;
        if answer.as_bool() == Ok(true) {
            return Ok(().into());
        }
        return Ok(rhai::Dynamic::from(Unknown::new(host.step())));
    };
    for look in 1u32.. {
        let answer = call.call(&condition, Vec::new())?;
        match answer.as_bool() {
            Ok(true) => break,
            Ok(false) => {}
            Err(_) => return Err(call.misuse("`condition` must answer true or false")),
        }
        let Some(now) = read_now(call)? else { return Err(call.misuse("the time is not known")) };
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a human span")]
        let waited = (now - start).num_milliseconds() as f64 / 1000.0;
        if waited >= limit {
            let fault =
                Fault::fatal("wait.timeout", format!("waited {} and the condition is still false", lasted(waited)));
            return Err(super::super::failure::stop(Stop::Failed(fault)));
        }
        let pause = backoff(Duration::from_millis(200), Duration::from_secs(5), look).as_secs_f64();
        let seconds = every.unwrap_or(pause).min(limit - waited);
        let request = Sleep { seconds };
        call.perform(Action::read(
            Sleep::WORD,
            &request,
            format!("wait {}", lasted(seconds)),
            vec![Resource::new("clock")],
        ))?;
    }
    Ok(().into())
}
