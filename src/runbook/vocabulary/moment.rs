//! `moment::…`: times as numbers that a script can count with, and as text for people.

use chrono::{DateTime, SecondsFormat, Utc};
use rhai::Dynamic;

use super::call::Answer;
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::{Action, Resource};
use crate::model::request::Request;
use crate::model::request::recovery::MomentTold;

const TIME: super::Param = param("time", "RFC 3339 text with its zone");

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "moment::seconds",
            signature: "moment::seconds(time) -> integer",
            summary: "A time as whole seconds since 1970, what is below a second cut off.",
            params: &[TIME],
            errors: &[],
            example: "let length = moment::seconds(params.to) - moment::seconds(params.from);",
        },
        least: 1,
        most: 1,
        run: seconds,
    },
    Entry {
        word: Word {
            name: "moment::at",
            signature: "moment::at(seconds) -> RFC 3339 text in UTC",
            summary: "The time so many seconds after 1970.",
            params: &[param("seconds", "a whole number")],
            errors: &[],
            example: "let middle = moment::at((low + high) / 2);",
        },
        least: 1,
        most: 1,
        run: at,
    },
    Entry {
        word: Word {
            name: "moment::told",
            signature: "moment::told(time) -> text",
            summary: "A time for people: in UTC, by this host's clock, and how long ago. Recorded: a resume answers the same.",
            params: &[TIME],
            errors: &[],
            example: "flow::approve(`Restore to ${moment::told(params.at)}?`);",
        },
        least: 1,
        most: 1,
        run: told,
    },
];

fn time(call: &Call<'_>) -> Result<DateTime<Utc>, super::call::Error> {
    let text = call.text(0)?;
    let time = DateTime::parse_from_rfc3339(&text);
    time.map(|time| time.with_timezone(&Utc)).map_err(|_| {
        call.misuse(format!("`{text}` is no time with its zone, such as 2026-03-01T02:00:00+01:00 or …Z"))
    })
}

fn seconds(call: &Call<'_>) -> Answer {
    if let Some(later) = call.unknown(0) {
        return Ok(Dynamic::from(later));
    }
    call.give(&time(call)?.timestamp().into())
}

fn at(call: &Call<'_>) -> Answer {
    if let Some(later) = call.unknown(0) {
        return Ok(Dynamic::from(later));
    }
    let seconds = call.value(0)?.as_i64().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let time = seconds.ok_or_else(|| call.misuse("`seconds` must be a whole number of seconds since 1970"))?;
    call.give(&Value::String(time.to_rfc3339_opts(SecondsFormat::Secs, true)))
}

fn told(call: &Call<'_>) -> Answer {
    if let Some(later) = call.unknown(0) {
        return Ok(Dynamic::from(later));
    }
    let at = time(call)?.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let shown = format!("{at}, for people");
    let reads = vec![Resource::new("clock")];
    call.give(&call.perform(Action::read(MomentTold::WORD, &MomentTold { at }, shown, reads))?)
}
