//! What GitHub says about pull requests. It is only asked, and "cannot tell" is an answer of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::DateTime;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Deserialize;

use super::http::client::{self, Redirected};
use super::{Done, World};
use crate::model::Value;
use crate::model::action::Action;
use crate::model::clock::backoff;
use crate::model::event::Event;
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::provider::GithubAccess;
use crate::model::request::Request;
use crate::model::request::github::{GithubPulls, Pull, PullState};

/// Words performed here.
pub const WORDS: [&str; 1] = [GithubPulls::WORD];

/// Questions at once, and the least time between two: below the 900 a minute from which GitHub slows a caller down.
const AT_ONCE: usize = 8;
const APART: Duration = Duration::from_millis(75);
/// Up to how many are asked for one by one, and how many a page of a list has.
const FEW: usize = 20;
const PAGE: usize = 100;
/// The longest one answer may take, and how often it is asked for.
const LIMIT: Duration = Duration::from_secs(20);
const ATTEMPTS: u32 = 3;
/// The longest that GitHub is waited for when it says for how long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Performs one of [`WORDS`].
pub async fn perform(world: &World, action: &Action) -> Result<Done, Fault> {
    let numbers = GithubPulls::of(action)?.numbers;
    let pulls = Asking::of(world)?.pulls(&numbers).await;
    let value = serde_json::to_value(pulls).unwrap_or_default();
    Ok(Done { value, rows: u64::try_from(numbers.len()).ok() })
}

/// Really asks.
pub async fn preview(world: &World, action: &Action) -> Result<Previewed, Fault> {
    let Done { value, .. } = perform(world, action).await?;
    Ok(Previewed { level: Level::Read, value: Some(value), by_hand: Vec::new(), notes: Vec::new() })
}

/// The part of a pull request that matters.
#[derive(Deserialize)]
struct Answer {
    number: u64,
    state: String,
    closed_at: Option<String>,
    merged_at: Option<String>,
}

/// What a request came to.
enum Reply {
    Found(String),
    Missing,
    CannotTell(String),
}

struct Asking<'a> {
    world: &'a World,
    access: &'a GithubAccess,
    client: reqwest::Client,
    /// Set once GitHub refuses every further question.
    exhausted: AtomicBool,
}

impl<'a> Asking<'a> {
    fn of(world: &'a World) -> Result<Self, Fault> {
        let access = world.providers.github()?;
        let client = client::client(&access.api_base, LIMIT, Redirected::Follows)?;
        Ok(Self { world, access, client, exhausted: AtomicBool::new(false) })
    }

    async fn pulls(&self, numbers: &[u64]) -> BTreeMap<String, Pull> {
        if numbers.is_empty() {
            return BTreeMap::new();
        }
        // A repository that cannot be read answers 404 for every number in it.
        if let Some(why) = self.unreadable().await {
            return numbers.iter().map(|number| (number.to_string(), Pull::unknown(&why))).collect();
        }
        let total = u64::try_from(numbers.len()).ok();
        let mut pulls = if numbers.len() > FEW { self.listed(numbers).await } else { BTreeMap::new() };
        let left: Vec<u64> =
            numbers.iter().copied().filter(|number| !pulls.contains_key(&number.to_string())).collect();
        let mut waiting = left.into_iter();
        let mut asked = FuturesUnordered::new();
        loop {
            while asked.len() < AT_ONCE {
                let Some(number) = waiting.next() else { break };
                asked.push(self.pull(number));
                tokio::time::sleep(APART).await;
            }
            let Some((number, pull)) = asked.next().await else { break };
            pulls.insert(number.to_string(), pull);
            let done = pulls.len() as u64;
            self.world.sink.event(Event::Progress { what: "pull requests".into(), done, of: total });
        }
        pulls
    }

    /// What a listing says of many, newest first: a hundred for one question. Whatever it does not say is asked for by
    /// itself, so it may end wherever it likes.
    async fn listed(&self, numbers: &[u64]) -> BTreeMap<String, Pull> {
        let mut pulls = BTreeMap::new();
        for page in 1..=numbers.len() {
            let path = format!("/pulls?state=all&sort=created&direction=desc&per_page={PAGE}&page={page}");
            let Reply::Found(text) = self.get(&path).await else { break };
            let Ok(answers) = serde_json::from_str::<Vec<Answer>>(&text) else { break };
            let oldest = answers.iter().map(|answer| answer.number).min();
            let last = answers.len() < PAGE;
            for answer in answers.into_iter().filter(|answer| numbers.contains(&answer.number)) {
                pulls.insert(answer.number.to_string(), judged(answer));
            }
            let done = pulls.len() as u64;
            self.world.sink.event(Event::Progress { what: "pull requests".into(), done, of: None });
            // Numbers are ascending: what was wanted and is older than this is not there.
            if last
                || pulls.len() == numbers.len()
                || oldest.zip(numbers.first()).is_none_or(|(oldest, first)| oldest <= *first)
            {
                break;
            }
        }
        pulls
    }

    /// Why the repository itself cannot be read, if it cannot.
    async fn unreadable(&self) -> Option<String> {
        match self.get("").await {
            Reply::Found(_) => None,
            Reply::Missing => Some(format!("the repository {} cannot be read with this token", self.access.repo)),
            Reply::CannotTell(why) => Some(why),
        }
    }

    async fn pull(&self, number: u64) -> (u64, Pull) {
        let pull = match self.get(&format!("/pulls/{number}")).await {
            Reply::Missing => Pull { state: PullState::Missing, closed_at: None, why: None },
            Reply::CannotTell(why) => Pull::unknown(why),
            Reply::Found(text) => read(number, &text),
        };
        (number, pull)
    }

    /// Asks until there is an answer that means something.
    async fn get(&self, path: &str) -> Reply {
        let mut told = String::new();
        for attempt in 1..=ATTEMPTS {
            if self.exhausted.load(Ordering::Relaxed) {
                return Reply::CannotTell("GitHub's limit on requests is used up".into());
            }
            let url = format!("{}/repos/{}{path}", self.access.api_base, self.access.repo);
            let mut request = self.client.get(url).header("accept", "application/vnd.github+json");
            if let Some(token) = &self.access.token {
                request = request.bearer_auth(token);
            }
            let pause = backoff(Duration::from_millis(500), PATIENCE, attempt);
            let answer = match client::exchange(request).await {
                Ok(answer) => answer,
                Err(missed) => {
                    told = format!("GitHub could not be asked: {}", missed.why());
                    self.wait(attempt, pause).await;
                    continue;
                }
            };
            let status = answer.status;
            let after = answer.retry_after(self.world.clock.now());
            let spent = answer.header("x-ratelimit-remaining").is_some_and(|left| left == "0");
            match status {
                200 => return Reply::Found(String::from_utf8_lossy(&answer.body).into_owned()),
                404 => return Reply::Missing,
                403 | 429 if spent => {
                    self.exhausted.store(true, Ordering::Relaxed);
                    return Reply::CannotTell("GitHub's limit on requests is used up".into());
                }
                403 if after.is_none() => return Reply::CannotTell(answered(status)),
                _ if status >= 500 || status == 429 || after.is_some() => {
                    told = answered(status);
                    if after.is_some_and(|after| after > PATIENCE) {
                        return Reply::CannotTell(told);
                    }
                }
                _ => return Reply::CannotTell(answered(status)),
            }
            self.wait(attempt, after.unwrap_or(pause)).await;
        }
        Reply::CannotTell(told)
    }

    async fn wait(&self, attempt: u32, pause: Duration) {
        if attempt < ATTEMPTS {
            tokio::time::sleep(pause).await;
        }
    }
}

fn answered(status: u16) -> String {
    format!("GitHub answered {status}")
}

fn read(number: u64, text: &str) -> Pull {
    let Ok(answer) = serde_json::from_str::<Answer>(text) else {
        return Pull::unknown("GitHub's answer cannot be understood");
    };
    if answer.number != number {
        return Pull::unknown(format!("GitHub answered about pull request {} instead", answer.number));
    }
    judged(answer)
}

fn judged(answer: Answer) -> Pull {
    let merged = answer.merged_at.is_some();
    let closed = answer.closed_at.or(answer.merged_at).filter(|at| DateTime::parse_from_rfc3339(at).is_ok());
    match (answer.state.as_str(), closed) {
        ("open", _) => Pull { state: PullState::Open, closed_at: None, why: None },
        ("closed", None) => Pull::unknown("GitHub does not say when it was closed"),
        ("closed", closed_at) => {
            let state = if merged { PullState::Merged } else { PullState::Closed };
            Pull { state, closed_at, why: None }
        }
        (other, _) => Pull::unknown(format!("GitHub calls its state `{}`", Value::from(other))),
    }
}
