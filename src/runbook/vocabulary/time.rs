//! `time::…`: how old things are, and when they were. The clock is read through the door; the rest only computes.

use chrono::{DateTime, SecondsFormat, Utc};

use super::call::{Answer, Error};
use super::{Call, Entry, Word, param};
use crate::model::action::{Action, Resource};
use crate::model::figures;
use crate::model::request::{ReadClock, Request, TimeTold};
use crate::runbook::unknown::Unknown;

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "time::read",
            signature: "time::read() -> seconds since 1970",
            summary: "The time as a number, recorded: a resume answers the same. Unlike now() a preview reads it too, so that a plan can tell what is old enough. Compare with it; what a plan is held to must not contain it.",
            params: &[],
            errors: &[],
            example: "let age = time::read() - time::seconds(\"2026-11-21T10:00:00Z\");",
        },
        least: 0,
        most: 0,
        run: read,
    },
    Entry {
        word: Word {
            name: "time::seconds",
            signature: "time::seconds(text) -> seconds since 1970",
            summary: "A moment as a number. Its zone must be given.",
            params: &[param("text", "RFC 3339, such as 2026-11-21T10:00:00Z")],
            errors: &[],
            example: "let age = time::read() - time::seconds(\"2026-11-21T10:00:00Z\");",
        },
        least: 1,
        most: 1,
        run: seconds,
    },
    Entry {
        word: Word {
            name: "time::text",
            signature: "time::text(seconds) -> RFC 3339 text in UTC",
            summary: "The moment that many seconds after the beginning of 1970.",
            params: &[param("seconds", "as time::seconds answers them")],
            errors: &[],
            example: "let tomorrow = time::text(time::read() + 86400);",
        },
        least: 1,
        most: 1,
        run: text,
    },
    Entry {
        word: Word {
            name: "time::span",
            signature: "time::span(seconds) -> text",
            summary: "A length of time as people read it: `85 ms`, `12 min 5 s`, `3 d 2 h`.",
            params: &[param("seconds", "how many")],
            errors: &[],
            example: "log::info(`it is ${time::span(age)} old`);",
        },
        least: 1,
        most: 1,
        run: span,
    },
    Entry {
        word: Word {
            name: "time::told",
            signature: "time::told(text) -> text",
            summary: "A moment for people: in UTC, by this host's clock, and how long ago. Recorded: a resume answers the same.",
            params: &[param("text", "RFC 3339, such as 2026-11-21T10:00:00Z")],
            errors: &[],
            example: "flow::approve(`Restore to ${time::told(params.at)}?`);",
        },
        least: 1,
        most: 1,
        run: told,
    },
];

fn read(call: &Call<'_>) -> Answer {
    // It is read of no resource: no change of a step before makes a clock unknown.
    call.give(&call.perform(Action::read(ReadClock::WORD, &ReadClock {}, "the time", Vec::<Resource>::new()))?)
}

fn moment(call: &Call<'_>, text: &str) -> Result<DateTime<Utc>, Error> {
    DateTime::parse_from_rfc3339(text)
        .map(DateTime::<Utc>::from)
        .map_err(|_| call.misuse(format!("`{text}` is no moment with its zone, such as 2026-11-21T10:00:00Z")))
}

fn seconds(call: &Call<'_>) -> Answer {
    if let Some(later) = call.unknown(0) {
        return Ok(rhai::Dynamic::from(later));
    }
    Ok(moment(call, &call.text(0)?)?.timestamp().into())
}

fn number(call: &Call<'_>) -> Result<Result<f64, Unknown>, Error> {
    if let Some(later) = call.unknown(0) {
        return Ok(Err(later));
    }
    call.number(0).map(Ok)
}

fn text(call: &Call<'_>) -> Answer {
    let number = match number(call)? {
        Ok(number) => number,
        Err(later) => return Ok(rhai::Dynamic::from(later)),
    };
    #[expect(clippy::cast_possible_truncation, reason = "what lies outside is no moment, and refused")]
    let moment = DateTime::<Utc>::from_timestamp(number.floor() as i64, 0);
    let moment = moment.ok_or_else(|| call.misuse(format!("{number} is no moment")))?;
    Ok(moment.to_rfc3339_opts(SecondsFormat::Secs, true).into())
}

fn span(call: &Call<'_>) -> Answer {
    match number(call)? {
        Ok(number) => Ok(figures::duration(number).into()),
        Err(later) => Ok(rhai::Dynamic::from(later)),
    }
}

fn told(call: &Call<'_>) -> Answer {
    if let Some(later) = call.unknown(0) {
        return Ok(rhai::Dynamic::from(later));
    }
    let at = moment(call, &call.text(0)?)?.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    // A plan is held to titles, and the time may be that of the plan itself.
    let shown = "a time for people";
    let reads = vec![Resource::new("clock")];
    call.give(&call.perform(Action::read(TimeTold::WORD, &TimeTold { at }, shown, reads))?)
}
