//! The words of the top level: the runbook's head, its parameters, its steps. What stands behind a step is in [`super::chaining`].

use std::sync::Arc;

use rhai::Dynamic;

use super::super::declare::{self, ParamDraft, StepDraft, StepHandle};
use super::super::param::read_param;
use super::super::{failure, stage};
use super::call::{Answer, Error, Options};
use super::{Call, Entry, Param, Word, did_you_mean, param};
use crate::model::Value;
use crate::model::declaration::{Declaration, KeyRule, OnFailure, PlanRule, RetryPolicy, StepSpec};
use crate::model::param::{ParamKind, ParamSpec};

const ABOUT: Param = param("about", "what the parameter means");
const OR: Param = param("#{or}", "the value when none is given; without it the parameter is required");

macro_rules! kind {
    ($name:literal, $signature:literal, $summary:literal, $example:literal) => {
        Entry {
            word: Word {
                name: $name,
                signature: $signature,
                summary: $summary,
                params: &[ABOUT, OR],
                errors: &[],
                example: $example,
            },
            least: 1,
            most: 2,
            run: kind,
        }
    };
}

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "runbook",
            signature: "runbook(name, version, #{ about, params, lock, on_failure, plan })",
            summary: "Declares the runbook. Stands once, at the top.",
            params: &[
                param("name", "as typed on the command line: lower-case letters, digits, dashes"),
                param("version", "a run of one version never continues with another text"),
                param("#{about}", "what it is for"),
                param("#{params}", "map of parameters, each made by a word such as target(…)"),
                param("#{lock}", "target parameters that an unfinished run keeps locked; without it, all"),
                param(
                    "#{on_failure}",
                    "`keep` (unless told): a run of which a step failed stays unfinished, to be resumed or undone; `keep_changed`: the same once it has begun to change anything, and before that it ends; `clean_up`: its cleanups run and it ends, as a drill should",
                ),
                param(
                    "#{plan}",
                    "`optional` (unless told), or `required`: it is begun only by `run --plan FILE`, so that nothing is changed that a preview did not name",
                ),
                param(
                    "#{key}",
                    "`optional` (unless told), or `required`: it is begun only where there is a key (`runsheet key new`) with which its secrets are sealed in the journal",
                ),
            ],
            errors: &[],
            example: "runbook(\"tidy\", \"1.0.0\", #{ about: \"Close old orders\", params: #{ app: target(\"database\") } });",
        },
        least: 2,
        most: 3,
        run: runbook,
    },
    Entry {
        word: Word {
            name: "step",
            signature: "step(name, || …) -> step, for .undo and the like",
            summary: "Declares a step. Its closure runs later; the closure's value is done.NAME afterwards.",
            params: &[
                param("name", "unique in the runbook; letters, digits, `_`"),
                param("body", "closure without parameters"),
            ],
            errors: &[],
            example: "step(\"count\", || sql::value(params.app, \"select count(*) from orders\"));",
        },
        least: 2,
        most: 2,
        run: step,
    },
    kind!("text", "text(about, #{ or })", "A parameter: any text.", "text(\"a comment\", #{ or: \"none\" })"),
    kind!(
        "integer",
        "integer(about, #{ or })",
        "A parameter: a whole number.",
        "integer(\"rows at most\", #{ or: 500 })"
    ),
    kind!("number", "number(about, #{ or })", "A parameter: a number.", "number(\"factor\", #{ or: 1.5 })"),
    kind!(
        "boolean",
        "boolean(about, #{ or })",
        "A parameter: true or false.",
        "boolean(\"contents too\", #{ or: false })"
    ),
    kind!(
        "duration",
        "duration(about, #{ or })",
        "A parameter: a length of time such as 90s, 30m, 2h, 1d; the script sees seconds.",
        "duration(\"limit\", #{ or: \"30m\" })"
    ),
    kind!(
        "size",
        "size(about, #{ or })",
        "A parameter: bytes such as 512kB, 10MB, 2GB (powers of 1024); the script sees bytes.",
        "size(\"at most\", #{ or: \"2GB\" })"
    ),
    kind!(
        "share",
        "share(about, #{ or })",
        "A parameter: a part of a whole such as 0.05 or 5%; the script sees 0 to 1.",
        "share(\"at most\", #{ or: \"5%\" })"
    ),
    kind!(
        "time",
        "time(about, #{ or })",
        "A parameter: a moment with its zone; the script sees RFC 3339 text in UTC.",
        "time(\"restore to\")"
    ),
    kind!(
        "moment",
        "moment(about, #{ or })",
        "A parameter: a moment of a database's history, which is a time with its zone, a position of the WAL such as 0/3000060, or name:RESTORE_POINT. The script sees a time as RFC 3339 text in UTC, the others as they are, and none as empty text.",
        "moment(\"restore to\", #{ or: \"\" })"
    ),
    kind!(
        "target",
        "target(about, #{ or })",
        "A parameter: the name of a configured database. With `or: \"\"` it may be left out, and the script then has `()`.",
        "target(\"database to change\")"
    ),
    kind!(
        "command",
        "command(about, #{ or })",
        "A parameter: program and arguments; the script sees a list.",
        "command(\"how to deploy\")"
    ),
    kind!(
        "secret",
        "secret(about, #{ or })",
        "A parameter: a secret, given as env:VARIABLE or file:PATH. The script sees a handle.",
        "secret(\"API key\", #{ or: \"env:API_KEY\" })"
    ),
    Entry {
        word: Word {
            name: "list",
            signature: "list(kind, #{ or })",
            summary: "A parameter: several values of one kind, separated by commas on the command line.",
            params: &[param("kind", "the kind of each value, with what it means"), OR],
            errors: &[],
            example: "list(text(\"table\"), #{ or: [] })",
        },
        least: 1,
        most: 2,
        run: list,
    },
    Entry {
        word: Word {
            name: "one_of",
            signature: "one_of(choices, about, #{ or })",
            summary: "A parameter: one of the given texts.",
            params: &[param("choices", "list of texts"), ABOUT, OR],
            errors: &[],
            example: "one_of([\"fast\", \"safe\"], \"how\", #{ or: \"safe\" })",
        },
        least: 2,
        most: 3,
        run: one_of,
    },
];

pub(super) fn declaring(call: &Call<'_>) -> Result<(), Error> {
    if stage::declaring() {
        return Ok(());
    }
    Err(failure::misuse_hinted(
        format!("`{}` declares, and a step only acts", call.word().name),
        "move it to the top level, before the steps run",
    ))
}

/// A name that can be typed and written into messages.
fn name(call: &Call<'_>, text: &str, also: &[char]) -> Result<(), Error> {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || also.contains(&c);
    if text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(sound) && text.len() <= 63 {
        return Ok(());
    }
    let also: String = also.iter().map(|c| format!(" or `{c}`")).collect();
    Err(call.misuse(format!("`{text}` is not a name: it begins with a lower-case letter, then letters, digits{also}")))
}

fn runbook(call: &Call<'_>) -> Answer {
    declaring(call)?;
    let (title, version) = (call.text(0)?, call.text(1)?);
    name(call, &title, &['-', '_'])?;
    if version.trim().is_empty() {
        return Err(call.misuse("the version must not be empty"));
    }
    let options = call.options(2, &["about", "params", "lock", "on_failure", "plan", "key"])?;
    let about = options.text("about")?.unwrap_or_default();
    let mut params = Vec::new();
    for (key, value) in options.map("params")? {
        let Some(draft) = value.try_cast::<ParamDraft>() else {
            return Err(call.misuse(format!("parameter `{key}` needs its kind, such as text(\"what it means\")")));
        };
        name(call, &key, &['_'])?;
        params.push((draft.place, ParamSpec { name: key, kind: draft.kind, about: draft.about, or: draft.or }));
    }
    params.sort_by_key(|(place, _)| *place);
    let params: Vec<ParamSpec> = params.into_iter().map(|(_, spec)| spec).collect();
    let targets = || params.iter().filter(|param| param.kind == ParamKind::Target).map(|param| param.name.clone());
    let lock = match options.texts("lock")? {
        None => targets().collect(),
        Some(names) => {
            for name in &names {
                if !targets().any(|target| target == *name) {
                    return Err(call.misuse(format!("`lock` names `{name}`, which is not a target parameter")));
                }
            }
            names
        }
    };
    let on_failure = match options.text("on_failure")?.as_deref() {
        None | Some("keep") => OnFailure::Keep,
        Some("keep_changed") => OnFailure::KeepChanged,
        Some("clean_up") => OnFailure::CleanUp,
        Some(other) => {
            let near = did_you_mean(other, &["keep", "keep_changed", "clean_up"].map(str::to_owned));
            let told = format!("`on_failure` is `keep`, `keep_changed` or `clean_up`, not `{other}`{near}");
            return Err(call.misuse(told));
        }
    };
    let plan = if required(call, &options, "plan")? { PlanRule::Required } else { PlanRule::Optional };
    let key = if required(call, &options, "key")? { KeyRule::Required } else { KeyRule::Optional };
    let head = Declaration { name: title, version, about, params, lock, on_failure, plan, key, steps: Vec::new() };
    if stage::draft(|draft| draft.head.replace(head)).flatten().is_some() {
        return Err(call.misuse("a file declares one runbook"));
    }
    Ok(Dynamic::UNIT)
}

/// An option that is `required`, or `optional` as it is unless something is said.
fn required(call: &Call<'_>, options: &Options<'_, '_>, option: &str) -> Result<bool, Error> {
    match options.text(option)?.as_deref() {
        None | Some("optional") => Ok(false),
        Some("required") => Ok(true),
        Some(other) => {
            let near = did_you_mean(other, &["optional", "required"].map(str::to_owned));
            Err(call.misuse(format!("`{option}` is `optional` or `required`, not `{other}`{near}")))
        }
    }
}

fn or(call: &Call<'_>, options: &Options<'_, '_>, kind: &ParamKind) -> Result<Option<Value>, Error> {
    let Some(given) = options.value("or")? else { return Ok(None) };
    // A target that may be left out: the script then has `()` for it.
    if *kind == ParamKind::Target && given == "" {
        return Ok(Some(Value::Null));
    }
    read_param(kind, &given).map(Some).map_err(|why| call.misuse(format!("option `or`: {why}")))
}

fn declared(call: &Call<'_>, kind: ParamKind, about: String, options: usize) -> Answer {
    declaring(call)?;
    let or = or(call, &call.options(options, &["or"])?, &kind)?;
    let at = call.context.call_position();
    let place = (at.line().unwrap_or(0), at.position().unwrap_or(0));
    Ok(Dynamic::from(ParamDraft { kind, about, or, place }))
}

fn kind(call: &Call<'_>) -> Answer {
    let kind = match call.word().name {
        "integer" => ParamKind::Integer,
        "number" => ParamKind::Number,
        "boolean" => ParamKind::Boolean,
        "duration" => ParamKind::Duration,
        "size" => ParamKind::Size,
        "share" => ParamKind::Share,
        "time" => ParamKind::Time,
        "moment" => ParamKind::Moment,
        "target" => ParamKind::Target,
        "command" => ParamKind::Command,
        "secret" => ParamKind::Secret,
        _ => ParamKind::Text,
    };
    declared(call, kind, call.text(0)?, 1)
}

fn list(call: &Call<'_>) -> Answer {
    let Some(inner) = call.arg(0).try_cast::<ParamDraft>() else {
        return Err(call.misuse("the first argument is the kind of each value, such as text(\"table\")"));
    };
    if matches!(inner.kind, ParamKind::List(_) | ParamKind::Command | ParamKind::Secret) {
        return Err(call.misuse(format!("a list of {} is not possible", inner.kind.describe())));
    }
    declared(call, ParamKind::List(Box::new(inner.kind)), inner.about, 1)
}

fn one_of(call: &Call<'_>) -> Answer {
    let choices = match call.value(0)? {
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let choices = choices.filter(|choices| !choices.is_empty());
    let choices = choices.ok_or_else(|| call.misuse("`choices` must be a list of texts"))?;
    declared(call, ParamKind::OneOf(choices), call.text(1)?, 2)
}

fn step(call: &Call<'_>) -> Answer {
    declaring(call)?;
    let title = call.text(0)?;
    name(call, &title, &['_', '-'])?;
    let perform = declare::keep(call, call.closure(1)?, 0)?;
    let spec = StepSpec {
        name: title.clone(),
        when: false,
        undo: false,
        cleanup: false,
        point_of_no_return: None,
        retry: RetryPolicy::default(),
        timeout: None,
        holds: Vec::new(),
        at: declare::here(call.context, call.book),
    };
    #[expect(deprecated, reason = "marked volatile by rhai, whose version is pinned")]
    let env = Arc::new(call.context.store_data());
    let step = StepDraft { spec, env, perform, undo: None, cleanup: None, when: None };
    let index = stage::draft(|draft| {
        if draft.steps.iter().any(|known| known.spec.name == title) {
            return None;
        }
        draft.steps.push(step);
        Some(draft.steps.len() - 1)
    });
    match index.flatten() {
        Some(index) => Ok(Dynamic::from(StepHandle(index))),
        None => Err(call.misuse(format!("there is a step `{title}` already"))),
    }
}
