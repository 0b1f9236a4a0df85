//! `http::…`: requests to services, and who uses a database according to `[[consumers]]`.

use std::collections::BTreeMap;

use super::call::{Answer, Error, Options, title};
use super::{Call, Entry, Param, Word, param};
use crate::model::Value;
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::http::{Compared, Consumers, HttpSend, shown};
use crate::model::{secret, unknown};

const URL: Param =
    param("url", "https://…, or http:// where no secret is sent or on this host; secrets may stand in it");
const BODY: Param =
    param("body", "a map or list, sent as JSON, or text; `()` for none; secrets may stand anywhere in it");
const HEADERS: Param = param("#{headers}", "map of headers; what is secret comes from env(…) or consumers()");
const TIMEOUT: Param = param("#{timeout}", "longest that the answer may take; one minute without it");
const OK: Param = param("#{ok}", "statuses that count as success, such as [200, 404, \"4xx\"]; \"2xx\" without it");
const TAKE: Param = param("#{take}", "map of names and JSON pointers: only these parts are answered, as they are");
const SECRET: Param = param("#{secret}", "the same, answered as secrets");
const SAME: Param = param(
    "#{same}",
    "#{ NAME: #{ at: \"/pointer\", value: … } } or `has: text`: compared unseen, answered as true or false",
);
const FAIL: Param = param("#{fail}", "JSON pointer that must be absent or empty, such as \"/errors\" of GraphQL");
const TITLE: Param = param("#{title}", "the line that people see in plan, terminal and report");
const REPEATABLE: Param = param("#{repeatable}", "true if doing it twice comes to the same");
const PROBE: Param = param("#{probe}", "name of a function of the runbook that says whether it was done");
const KEY: Param =
    param("#{key}", "name of a header, such as \"Idempotency-Key\", by which the service knows a repetition");
const READ_ONLY: Param =
    param("#{read_only}", "true if it changes nothing, such as a query of GraphQL; a preview asks it too");
const PER_SECOND: Param = param(
    "#{per_second}",
    "most requests a second that leave with these headers, whatever runs at once; the others wait their turn",
);
const WRITES: Param = param("#{writes}", "paths of resources that it changes; without it, whatever lies at that host");

const ERRORS: &[(&str, &str)] = &[
    ("http.404", "a status that is not among `ok`, by its number; the detail has the beginning of the body"),
    ("http.answered", "what `fail` points at is there"),
    ("http.unreachable", "no connection came about: nothing was sent"),
    ("http.lost", "it was sent, and no whole answer came"),
    ("http.unencrypted", "a secret would be sent without TLS to another host"),
    ("http.url", "the address cannot be read"),
    ("http.answer", "parts of the body were asked for, and it is no JSON"),
    ("result.large", "the answer is larger than 1 MB: take parts of it"),
];

const READ: &[&str] = &["headers", "timeout", "ok", "take", "secret", "same", "fail", "title", "per_second"];
const CHANGE: &[&str] = &[
    "headers",
    "timeout",
    "ok",
    "take",
    "secret",
    "same",
    "fail",
    "title",
    "per_second",
    "repeatable",
    "probe",
    "key",
    "read_only",
    "writes",
];

const POST: &[Param] = &[
    URL, BODY, HEADERS, TIMEOUT, OK, TAKE, SECRET, SAME, FAIL, TITLE, REPEATABLE, PROBE, KEY, READ_ONLY, WRITES,
    PER_SECOND,
];

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "http::get",
            signature: "http::get(url, #{ headers, timeout, ok, take, secret, same, fail, title, per_second }) -> #{ status, json | text, NAME… }",
            summary: "Asks a service. Without `take`, `secret` and `same` the whole answer is given and journaled, known secrets taken out; with them only those parts are. Redirections are not followed.",
            params: &[URL, HEADERS, TIMEOUT, OK, TAKE, SECRET, SAME, FAIL, TITLE, PER_SECOND],
            errors: ERRORS,
            example: "let version = http::get(\"https://app.example.com/version\", #{ take: #{ now: \"/version\" } }).now;",
        },
        least: 1,
        most: 2,
        run: get,
    },
    change(Word {
        name: "http::post",
        signature: "http::post(url, body, #{ headers, timeout, ok, take, secret, same, fail, title, repeatable | probe | key | read_only, writes, per_second }) -> #{ status, json | text, NAME… }",
        summary: "Sends something to a service. \"Too many requests\" is waited out. Where the answer gets lost it is *outcome unknown*, unless it is repeatable, names a probe, sends a key that is the same on every attempt, or only reads.",
        params: POST,
        errors: ERRORS,
        example: "http::post(\"https://ci.example.com/deploy\", #{ ref: \"main\" }, #{ headers: #{ authorization: `Bearer ${env(\"CI_TOKEN\")}` }, key: \"Idempotency-Key\" });",
    }),
    change(Word {
        name: "http::put",
        signature: "http::put(url, body, #{ …as http::post… }) -> #{ status, json | text, NAME… }",
        summary: "Puts something to a service. Options and faults are those of http::post.",
        params: &[URL, BODY],
        errors: &[],
        example: "http::put(\"https://flags.example.com/read-only\", #{ on: true }, #{ repeatable: true });",
    }),
    change(Word {
        name: "http::patch",
        signature: "http::patch(url, body, #{ …as http::post… }) -> #{ status, json | text, NAME… }",
        summary: "Changes something at a service. Options and faults are those of http::post.",
        params: &[URL, BODY],
        errors: &[],
        example: "http::patch(\"https://flags.example.com/read-only\", #{ on: true }, #{ repeatable: true });",
    }),
    change(Word {
        name: "http::delete",
        signature: "http::delete(url, body, #{ …as http::post… }) -> #{ status, json | text, NAME… }",
        summary: "Removes something at a service. Options and faults are those of http::post. Where it may be gone already, say `ok: [\"2xx\", 404]`.",
        params: &[URL, BODY],
        errors: &[],
        example: "http::delete(\"https://flags.example.com/read-only\", (), #{ repeatable: true, ok: [\"2xx\", 404] });",
    }),
    Entry {
        word: Word {
            name: "consumers",
            signature: "consumers() -> [#{ kind, name, pooled, variables: #{ NAME: #{ gets, pooled, database, parameters } }, … }, …]",
            summary: "Who uses the databases, as `[[consumers]]` of runsheet.toml says, in that order; tokens and passwords are secrets. `gets` says of a variable what it gets: `url`, `ca_cert` or `ssl_mode`.",
            params: &[],
            errors: &[("consumers.config", "an entry of `[[consumers]]` cannot be used")],
            example: "for consumer in consumers() { log::info(consumer.name); }",
        },
        least: 0,
        most: 0,
        run: consumers,
    },
];

const fn change(word: Word) -> Entry {
    Entry { word, least: 1, most: 3, run: send }
}

fn consumers(call: &Call<'_>) -> Answer {
    call.give(&call.perform(Action::read(Consumers::WORD, &Consumers {}, "consumers", Vec::new()))?)
}

fn get(call: &Call<'_>) -> Answer {
    let options = call.options(1, READ)?;
    ask(call, &options, Recovery::Read, (None, None))
}

fn send(call: &Call<'_>) -> Answer {
    let options = call.options(2, CHANGE)?;
    let (repeatable, read_only) = (options.flag("repeatable")?, options.flag("read_only")?);
    let (probe, key) = (options.function("probe")?, options.text("key")?);
    let class = match (repeatable, read_only, &probe, &key) {
        (false, false, None, None) => Recovery::Ask,
        (true, false, None, None) | (false, false, None, Some(_)) => Recovery::Repeatable,
        (false, true, None, None) => Recovery::Read,
        (false, false, Some(_), None) => Recovery::Provable,
        _ => return Err(call.misuse("give one of `repeatable`, `probe`, `key` and `read_only`")),
    };
    ask(call, &options, class, (probe, key))
}

fn ask(
    call: &Call<'_>,
    options: &Options<'_, '_>,
    class: Recovery,
    (probe, key): (Option<String>, Option<String>),
) -> Answer {
    let name = call.word().name;
    let url = call.text(0)?;
    let (json, text) = match if name == "http::get" { Value::Null } else { call.value(1)? } {
        Value::Null => (None, None),
        Value::String(text) if unknown::whole(&Value::from(text.as_str())).is_none() => (None, Some(text)),
        body @ (Value::Object(_) | Value::Array(_) | Value::String(_)) => (Some(body), None),
        _ => return Err(call.misuse("`body` must be a map, a list or text")),
    };
    let request = HttpSend {
        method: name.trim_start_matches("http::").to_uppercase(),
        headers: headers(call, options)?,
        json,
        text,
        ok: statuses(call, options)?,
        take: pointers(call, options, "take")?,
        secret: pointers(call, options, "secret")?,
        same: compared(call, options)?,
        fail: options.text("fail")?.map(|at| pointer(call, "fail", at)).transpose()?,
        key,
        per_second: options.number("per_second")?,
        url,
    };
    if request.per_second.is_some_and(|pace| !(pace.is_finite() && pace > 0.0)) {
        return Err(call.misuse("option `per_second` must be more than 0"));
    }
    refuse_open(call, &request)?;
    let line = options.text("title")?.unwrap_or_else(|| request.line());
    let lies = |url: &str| {
        let place = shown(url);
        let host = place.split_once("://").map_or(place.as_str(), |(_, rest)| rest);
        Resource::new(format!("http/{}", host.split('/').next().unwrap_or_default()))
    };
    let place = vec![lies(&request.url)];
    let mut action = if class == Recovery::Read {
        Action::read(name, &request, title(&line), place)
    } else {
        let named = options.texts("writes")?.map(|paths| paths.into_iter().map(Resource::new).collect());
        Action::change(name, &request, title(&line), class, named.unwrap_or(place))
    };
    action.probe = probe;
    action.timeout = options.seconds("timeout")?;
    call.give(&call.perform(action)?)
}

/// Refuses what would stand in the journal for everybody: credentials written out in the runbook.
fn refuse_open(call: &Call<'_>, request: &HttpSend) -> Result<(), Error> {
    let hidden = |text: &str| secret::contains_handle(text) || unknown::first(text).is_some();
    let hint = "take it from env(…) or a parameter of kind secret";
    for (name, value) in &request.headers {
        let low = name.to_lowercase();
        let credential = ["authorization", "cookie", "token", "api-key"].iter().any(|end| low.ends_with(end));
        if credential && !hidden(value) {
            return Err(call.misuse(format!("the header `{name}` stands in the clear; {hint}")));
        }
    }
    let authority = request.url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?', '#']).next();
    if authority.is_some_and(|authority| authority.contains('@') && !hidden(authority)) {
        return Err(call.misuse(format!("there are credentials in the address in the clear; {hint}")));
    }
    Ok(())
}

fn headers(call: &Call<'_>, options: &Options<'_, '_>) -> Result<BTreeMap<String, String>, Error> {
    let mut headers = BTreeMap::new();
    for (name, value) in map(call, options, "headers")? {
        let text = match value {
            Value::String(text) => text,
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return Err(call.misuse(format!("the header `{name}` must be text"))),
        };
        headers.insert(name, text);
    }
    Ok(headers)
}

fn map(call: &Call<'_>, options: &Options<'_, '_>, key: &str) -> Result<serde_json::Map<String, Value>, Error> {
    match options.value(key)? {
        None => Ok(serde_json::Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(call.misuse(format!("option `{key}` must be a map"))),
    }
}

fn pointers(call: &Call<'_>, options: &Options<'_, '_>, key: &str) -> Result<BTreeMap<String, String>, Error> {
    let mut pointers = BTreeMap::new();
    for (name, value) in map(call, options, key)? {
        if name == "status" {
            return Err(call.misuse("`status` is answered anyway; call it otherwise"));
        }
        let at = value.as_str().unwrap_or("?").to_owned();
        pointers.insert(name, pointer(call, key, at)?);
    }
    Ok(pointers)
}

fn pointer(call: &Call<'_>, key: &str, at: String) -> Result<String, Error> {
    if at.is_empty() || at.starts_with('/') {
        return Ok(at);
    }
    Err(call.misuse(format!("option `{key}`: a JSON pointer looks like \"/data/0/id\"")))
}

fn compared(call: &Call<'_>, options: &Options<'_, '_>) -> Result<BTreeMap<String, Compared>, Error> {
    let mut all = BTreeMap::new();
    for (name, value) in map(call, options, "same")? {
        let Value::Object(mut value) = value else {
            return Err(call.misuse("option `same` must be #{ NAME: #{ at: \"/pointer\", value: … } }"));
        };
        let at = value.remove("at").and_then(|at| at.as_str().map(str::to_owned)).unwrap_or("?".into());
        let at = pointer(call, "same", at)?;
        let (equal, has) = (value.remove("value").filter(|it| !it.is_null()), value.remove("has"));
        let has = has.map(|has| has.as_str().map(str::to_owned).ok_or_else(|| call.misuse("`has` must be text")));
        let has = has.transpose()?;
        if !value.is_empty() || equal.is_some() == has.is_some() {
            return Err(call.misuse(format!("option `same`: `{name}` needs `at`, and either `value` or `has`")));
        }
        all.insert(name, Compared { at, equal, has });
    }
    Ok(all)
}

/// `[200, "4xx"]` as ranges.
fn statuses(call: &Call<'_>, options: &Options<'_, '_>) -> Result<Vec<(u16, u16)>, Error> {
    let wrong = || call.misuse("option `ok` must be statuses, such as [200, 404, \"4xx\"]");
    let one = |value: &Value| match value {
        Value::Number(number) => {
            let status = number.as_u64().and_then(|status| u16::try_from(status).ok());
            status.filter(|status| (100..600).contains(status)).map(|status| (status, status)).ok_or_else(wrong)
        }
        Value::String(text) => match text.strip_suffix("xx").map(str::parse::<u16>) {
            Some(Ok(hundred)) if (1..6).contains(&hundred) => Ok((hundred * 100, hundred * 100 + 99)),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    };
    match options.value("ok")? {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(one).collect(),
        Some(value) => one(&value).map(|range| vec![range]),
    }
}
