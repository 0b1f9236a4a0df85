//! `time::told`: a time as people in several places read it.

use chrono::{DateTime, SecondsFormat, Utc};
use rhai::Dynamic;

use super::call::Answer;
use super::{Call, Entry, Word, param};
use crate::model::action::{Action, Resource};
use crate::model::request::Request;
use crate::model::request::recovery::TimeTold;

const TIME: super::Param = param("time", "RFC 3339 text with its zone");

pub(crate) const WORDS: &[Entry] = &[Entry {
    word: Word {
        name: "time::told",
        signature: "time::told(time) -> text",
        summary: "A time for people: in UTC, by this host's clock, and how long ago. Recorded: a resume answers the same.",
        params: &[TIME],
        errors: &[],
        example: "flow::approve(`Restore to ${time::told(params.at)}?`);",
    },
    least: 1,
    most: 1,
    run: told,
}];

fn time(call: &Call<'_>) -> Result<DateTime<Utc>, super::call::Error> {
    let text = call.text(0)?;
    let time = DateTime::parse_from_rfc3339(&text);
    time.map(|time| time.with_timezone(&Utc))
        .map_err(|_| call.misuse(format!("`{text}` is no time with its zone, such as 2026-03-01T02:00:00+01:00 or …Z")))
}

fn told(call: &Call<'_>) -> Answer {
    if let Some(later) = call.unknown(0) {
        return Ok(Dynamic::from(later));
    }
    let at = time(call)?.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    // A plan is held to titles, and the time may be that of the plan itself.
    let shown = "a time for people";
    let reads = vec![Resource::new("clock")];
    call.give(&call.perform(Action::read(TimeTold::WORD, &TimeTold { at }, shown, reads))?)
}
