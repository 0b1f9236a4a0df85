//! Which databases are frozen right now, as the state folder knows it: a watchdog writes there what it does.

use chrono::{DateTime, Utc};

use crate::effects::freeze::book::Page;
/// A line for people; nothing where all is as usual, and the run that froze is over.
pub fn line(page: &Page, watched: bool, now: DateTime<Utc>, unfinished: bool) -> Option<String> {
    let (label, run) = (&page.label, &page.run);
    let at = |time: &str| -> String {
        time.parse::<DateTime<Utc>>().map_or_else(|_| time.to_owned(), |time| time.format("%F %T UTC").to_string())
    };
    let ended = page.ended.clone().unwrap_or_default();
    let over = page.deadline.parse::<DateTime<Utc>>().is_ok_and(|deadline| deadline < now);
    if let Some(trouble) = &page.trouble {
        return Some(format!("writes on {label}: frozen by run {run}, and cannot be released yet: {trouble}"));
    }
    let guard = if watched {
        "a watchdog releases them"
    } else if over {
        "its watchdog is gone; the server released them by itself then, unless it was restarted: `psql` says"
    } else {
        "its watchdog is gone; the server releases them by itself then"
    };
    Some(match page.state.as_str() {
        "guarded" => format!(
            "writes on {label}: about to be frozen by run {run}, until {} at the latest; {guard}",
            at(&page.deadline)
        ),
        "armed" => {
            format!("writes on {label}: frozen until {} at the latest, by run {run}; {guard}", at(&page.deadline))
        }
        "committed" => format!("writes on {label}: frozen for good since {}, by run {run}", at(&ended.at)),
        "lifted" if unfinished => {
            let parts: Vec<String> = [("pooler", &ended.pooler), ("application", &ended.command)]
                .iter()
                .filter(|(_, said)| !said.is_empty())
                .map(|(what, said)| format!("; {what}: {said}"))
                .collect();
            format!(
                "writes on {label}: released at {} because {}{}, after run {run} had stopped them",
                at(&ended.at),
                ended.why,
                parts.concat()
            )
        }
        _ => return None,
    })
}
