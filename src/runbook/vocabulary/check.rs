//! `check::…` and `gate::…`: something proved, with a verdict. A check is recorded and the step goes on; a gate stops.

use chrono::{DateTime, Utc};
use rhai::Dynamic;

use super::super::unknown::Unknown;
use super::call::{Answer, Error, Options, title};
use super::{Call, Entry, Param, Word, param};
use crate::model::Value;
use crate::model::action::Action;
use crate::model::request::{Now, RecordCheck, Request};
use crate::model::verdict::CheckVerdict;
use crate::model::{action::Resource, unknown};

const NAME: Param = param("name", "what is checked, as reports show it");
pub(super) const ACCEPT: Param = param(
    "#{accept}",
    "gaps tolerated by name, printed with the verdict: with its own name among them, a check that could not be verified turns nothing red",
);

macro_rules! proof {
    ($check:literal, $gate:literal, $args:literal, $summary:literal, $params:expr, $errors:expr, $example:literal, $arity:expr, $run:ident) => {
        [
            Entry {
                word: Word {
                    name: $check,
                    signature: concat!($check, $args),
                    summary: concat!($summary, " The step goes on, whatever comes out."),
                    params: $params,
                    errors: $errors,
                    example: concat!($check, $example),
                },
                least: $arity.0,
                most: $arity.1,
                run: $run,
            },
            Entry {
                word: Word {
                    name: $gate,
                    signature: concat!($gate, $args),
                    summary: concat!($summary, " The run stops unless it passes."),
                    params: $params,
                    errors: $errors,
                    example: concat!($gate, $example),
                },
                least: $arity.0,
                most: $arity.1,
                run: $run,
            },
        ]
    };
}

const THAT: [Entry; 2] = proof!(
    "check::that",
    "gate::that",
    "(name, condition, detail, #{ accept }) -> true or false",
    "Records whether a condition holds; `()` as condition means that it could not be verified.",
    &[NAME, param("condition", "true, false, or `()`"), param("detail", "the figures behind it"), ACCEPT],
    &[],
    "(\"no open orders\", open == 0, `${open} open`);",
    (2, 4),
    that
);
const WITHIN: [Entry; 2] = proof!(
    "check::within",
    "gate::within",
    "(name, took, limit, #{ accept }) -> true or false",
    "Records whether something took no longer than a limit.",
    &[NAME, param("took", "seconds, such as took.restore"), param("limit", "seconds, or text such as \"30m\""), ACCEPT],
    &[],
    "(\"restore time\", took.restore, params.rto);",
    (3, 4),
    within
);
const MIN_ROWS: [Entry; 2] = proof!(
    "check::min_rows",
    "gate::min_rows",
    "(name, actual, least, #{ accept }) -> true or false",
    "Records whether there are at least so many rows.",
    &[NAME, param("actual", "a number of rows"), param("least", "a number of rows"), ACCEPT],
    &[],
    "(\"orders\", rows, 1000);",
    (3, 4),
    min_rows
);
const FRESH: [Entry; 2] = proof!(
    "check::fresh",
    "gate::fresh",
    "(name, time, max_age, #{ accept }) -> true or false",
    "Records whether a moment is no longer ago than a limit; `()` as time means that it could not be verified.",
    &[
        NAME,
        param("time", "RFC 3339 text with its zone, as queries answer timestamptz, or `()`"),
        param("max_age", "seconds, or text such as \"1d\""),
        ACCEPT
    ],
    &[],
    "(\"last order\", sql::value(params.app, \"select max(at) from orders\"), \"1d\");",
    (3, 4),
    fresh
);
const UNVERIFIED: [Entry; 2] = proof!(
    "check::unverified",
    "gate::unverified",
    "(name, why, #{ accept }) -> false",
    "Records that something could not be verified, which is never a pass.",
    &[NAME, param("why", "what stood in the way"), ACCEPT],
    &[],
    "(\"sequences\", \"no right to read pg_sequences\");",
    (2, 3),
    unverified
);

const fn table() -> [Entry; 10] {
    let ([a, b], [c, d], [e, f], [g, h], [i, j]) = (THAT, WITHIN, MIN_ROWS, FRESH, UNVERIFIED);
    [a, b, c, d, e, f, g, h, i, j]
}

pub(super) use proof;

pub(crate) static TABLE: [Entry; 10] = table();

/// Records a verdict; something unknown among the figures makes the answer unknown.
fn record(
    call: &Call<'_>,
    options: &Options<'_, '_>,
    verdict: Result<Option<bool>, Unknown>,
    detail: String,
) -> Answer {
    record_as(call, options, call.text(0)?, verdict, detail)
}

/// The same under a name that the word has of its own.
pub(super) fn record_as(
    call: &Call<'_>,
    options: &Options<'_, '_>,
    name: String,
    verdict: Result<Option<bool>, Unknown>,
    detail: String,
) -> Answer {
    let gate = call.word().name.starts_with("gate::");
    let (verdict, later, detail) = match verdict {
        Ok(Some(true)) => (CheckVerdict::Pass, None, detail),
        Ok(Some(false)) => (CheckVerdict::Fail, None, detail),
        Ok(None) => (CheckVerdict::CouldNotVerify, None, detail),
        // The handle in the detail tells the plan that this is no verdict.
        Err(unknown) => {
            let handle = unknown::handle(&unknown.0);
            let detail = if detail.contains(&handle) { detail } else { format!("{handle} {detail}") };
            (CheckVerdict::CouldNotVerify, Some(unknown), detail.trim_end().to_owned())
        }
    };
    let accept = options.texts("accept")?.unwrap_or_default();
    let shown = title(&format!("{} {name}", if gate { "gate" } else { "check" }));
    let request = RecordCheck { name, verdict, detail, gate, accept };
    let answer = call.perform(Action::read(RecordCheck::WORD, &request, shown, Vec::new()))?;
    match later {
        Some(unknown) => Ok(Dynamic::from(unknown)),
        None => call.give(&answer),
    }
}

fn that(call: &Call<'_>) -> Answer {
    let options = call.options(3, &["accept"])?;
    let detail = match call.value(2)? {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    let verdict = match (call.unknown(1), call.value(1)?) {
        (Some(unknown), _) => Err(unknown),
        (None, Value::Bool(holds)) => Ok(Some(holds)),
        (None, Value::Null) => Ok(None),
        _ => return Err(call.misuse("`condition` must be true, false or `()`")),
    };
    record(call, &options, verdict, detail)
}

fn within(call: &Call<'_>) -> Answer {
    let options = call.options(3, &["accept"])?;
    if let Some(unknown) = call.unknown(1).or_else(|| call.unknown(2)) {
        return record(call, &options, Err(unknown), String::new());
    }
    let (took, limit) = (call.seconds(1)?, call.seconds(2)?);
    record(call, &options, Ok(Some(took <= limit)), format!("{} of at most {}", lasted(took), lasted(limit)))
}

fn min_rows(call: &Call<'_>) -> Answer {
    let options = call.options(3, &["accept"])?;
    if let Some(unknown) = call.unknown(1).or_else(|| call.unknown(2)) {
        return record(call, &options, Err(unknown), String::new());
    }
    let (actual, least) = (call.number(1)?, call.number(2)?);
    record(call, &options, Ok(Some(actual >= least)), format!("{actual} rows of at least {least}"))
}

fn fresh(call: &Call<'_>) -> Answer {
    let options = call.options(3, &["accept"])?;
    if let Some(unknown) = call.unknown(1).or_else(|| call.unknown(2)) {
        return record(call, &options, Err(unknown), String::new());
    }
    let limit = call.seconds(2)?;
    let time = match call.value(1)? {
        Value::Null => return record(call, &options, Ok(None), "there is no time to look at".into()),
        Value::String(text) => parse_time(&text).ok_or_else(|| {
            call.misuse(format!("`time`: `{text}` is not a time with its zone; select a timestamptz, or cast to one"))
        })?,
        _ => return Err(call.misuse("`time` must be RFC 3339 text or `()`")),
    };
    let Some(now) = read_now(call)? else {
        return record(call, &options, Err(Unknown::new("now")), String::new());
    };
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a human span")]
    let age = (now - time).num_milliseconds() as f64 / 1000.0;
    record(call, &options, Ok(Some(age <= limit)), format!("{} old, at most {}", lasted(age.max(0.0)), lasted(limit)))
}

fn unverified(call: &Call<'_>) -> Answer {
    let options = call.options(2, &["accept"])?;
    record(call, &options, Ok(None), call.text(1)?)
}

/// The journaled time; `None` when a preview does not know it.
pub(super) fn read_now(call: &Call<'_>) -> Result<Option<DateTime<Utc>>, Error> {
    let answer = call.perform(Action::read(Now::WORD, &Now {}, "the time", vec![Resource::new("clock")]))?;
    Ok(answer.as_str().and_then(parse_time))
}

/// A moment in RFC 3339, or as PostgreSQL writes one.
fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let formats = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"];
    DateTime::parse_from_rfc3339(text)
        .ok()
        .or_else(|| formats.iter().find_map(|format| DateTime::parse_from_str(text, format).ok()))
        .map(|time| time.with_timezone(&Utc))
}

/// A length of time for people.
pub(super) fn lasted(seconds: f64) -> String {
    if seconds < 120.0 {
        return format!("{} s", (seconds * 10.0).round() / 10.0);
    }
    let (minutes, hours) = (seconds / 60.0, seconds / 3600.0);
    if minutes < 120.0 {
        format!("{} min", (minutes * 10.0).round() / 10.0)
    } else if hours < 48.0 {
        format!("{} h", (hours * 10.0).round() / 10.0)
    } else {
        format!("{} d", (hours / 24.0 * 10.0).round() / 10.0)
    }
}
