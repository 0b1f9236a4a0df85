//! Moments as the API takes them, and which of them can be reached.

use chrono::{DateTime, SecondsFormat, Utc};

use super::branches::Collection;
use super::http::Api;
use super::met::met;
use super::{project, wire};
use crate::model::fault::Fault;

/// A moment of the past, with its zone, as the API takes it.
pub fn instant(api: &Api, text: &str) -> Result<String, Fault> {
    let at: DateTime<Utc> = DateTime::parse_from_rfc3339(text)
        .map_err(|_| {
            Fault::fatal("neon.time", format!("`{text}` is not a time with a zone"))
                .hinted("write 2026-11-21T09:30:00Z or 2026-11-21T10:30:00+01:00")
        })?
        .into();
    let now = api.world().clock.now();
    if at > now {
        return Err(Fault::fatal("neon.window", format!("{} is in the future: it is {} now", shown(at), shown(now)))
            .hinted("choose a moment that has been; is the zone right, and this host's clock?"));
    }
    Ok(at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A refused point in time, with the interval that can be reached.
pub async fn outside(api: &Api, all: &Collection, source: &str, fault: Fault) -> Fault {
    met("a point outside of the history", fault.detail.as_deref().unwrap_or("no status"));
    let Ok(Some(seconds)) = project::history_seconds(api).await else { return fault };
    let now = api.world().clock.now();
    let window = now - chrono::TimeDelta::try_seconds(seconds.cast_signed()).unwrap_or_default();
    let born = all.branches.iter().find(|it| it.id == source).and_then(|it| wire::time(it.created_at.as_deref()));
    let from = born.map_or(window, |born| born.max(window));
    Fault { code: "neon.window".into(), ..fault }.hinted(format!(
        "of branch {source}, {} to {} can be reached",
        shown(from),
        shown(now)
    ))
}
