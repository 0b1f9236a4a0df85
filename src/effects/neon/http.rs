//! Requests to the API: how fast, how often, and what may be concluded when one goes wrong.
//!
//! Three things are told apart: nothing was executed (423, 429, 503, a connection that never came about), which is waited
//! out; a refusal; and a change whose answer got lost, of which nobody knows whether it happened. The last is never repeated
//! here: whoever asked must look.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::met::met;
use super::{endpoints, faults, operations};
use crate::effects::World;
use crate::effects::http::client::{self, Redirected};
use crate::effects::postgres::stamp::Stamp;
use crate::model::clock::backoff;
use crate::model::fault::{Fault, FaultClass};
use crate::model::provider::NeonAccess;

/// Time between two requests that keeps an account below its 700 a minute.
const INTERVAL: Duration = Duration::from_millis(86);
/// Requests that may follow each other at once after a pause.
const BURST: u32 = 10;
/// The longest one request may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The longest that "busy" is waited out: a conflicting operation may be a long one.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// How often a read is repeated after an error of the network or the service.
const READS: u32 = 6;
/// How often a change is made anew, where that is harmless or it was looked at what became of it.
pub const CHANGES: u32 = 6;
/// What stays readable in a path; everything else is percent-encoded, since names are anybody's text.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// The API of one project. Nothing is contacted until something is asked.
pub struct Api {
    world: Arc<World>,
    client: OnceCell<reqwest::Client>,
    /// When the next request would be due at an even pace.
    due: Mutex<Option<Instant>>,
    /// The project's name was compared with the expected one.
    pub(super) expected: OnceCell<()>,
    /// One change at a time: the service refuses a second one while the first is at work.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// URLs of branches that runs made, and which run that was, by target.
    pub(super) urls: Mutex<std::collections::BTreeMap<String, (String, Stamp)>>,
    /// Branches of endpoints, and when that was asked.
    pub(super) places: Mutex<std::collections::BTreeMap<String, (Instant, Option<String>)>>,
    /// Computes that were active a moment ago.
    pub(super) active: tokio::sync::Mutex<endpoints::Active>,
}

/// Where something is, below the project.
pub fn path(segments: &[&str]) -> String {
    segments.iter().map(|segment| format!("/{}", utf8_percent_encode(segment, PLAIN))).collect()
}

/// The same with a query; values that are missing are left away.
pub fn with(path: String, query: &[(&str, Option<&str>)]) -> String {
    let pairs: Vec<String> = query
        .iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", utf8_percent_encode((*value)?, NON_ALPHANUMERIC))))
        .collect();
    if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) }
}

impl Api {
    /// The API that this world configures.
    pub fn new(world: Arc<World>) -> Self {
        Self {
            world,
            client: OnceCell::new(),
            due: Mutex::default(),
            expected: OnceCell::new(),
            changing: tokio::sync::Mutex::default(),
            urls: Mutex::default(),
            places: Mutex::default(),
            active: tokio::sync::Mutex::default(),
        }
    }

    /// The world it belongs to.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What is configured.
    pub fn access(&self) -> Result<&NeonAccess, Fault> {
        self.world.providers.neon()
    }

    /// Reads something; `what` says what for, in a fault.
    pub async fn get(&self, path: &str, what: &str) -> Result<Value, Fault> {
        self.require_expected().await?;
        self.send(Method::GET, path, None, what, PATIENCE).await
    }

    /// The same as what it is to be read as: of a long list, a tree of every field would be many times as large.
    pub async fn get_as<T: DeserializeOwned>(&self, path: &str, what: &str) -> Result<T, Fault> {
        self.require_expected().await?;
        self.send(Method::GET, path, None, what, PATIENCE).await
    }

    /// Changes something. A fault of class *unknown* means that it may have happened.
    pub async fn change(&self, method: Method, path: &str, body: Option<&Value>, what: &str) -> Result<Value, Fault> {
        self.require_expected().await?;
        self.started(&method).await;
        self.send(method, path, body, what, PATIENCE).await
    }

    /// The same without waiting out "busy": for what must be looked at anew before it is asked for again.
    pub async fn change_now(&self, method: Method, path: &str, what: &str) -> Result<Value, Fault> {
        self.require_expected().await?;
        self.started(&method).await;
        self.send(method, path, None, what, Duration::ZERO).await
    }

    /// Forgets which computes are active: any change but a deletion may start one.
    async fn started(&self, method: &Method) {
        if *method != Method::DELETE {
            *self.active.lock().await = None;
        }
    }

    /// Makes a change that comes to the same however often it is made, and follows it to its end.
    pub async fn repeat(&self, method: Method, path: &str, body: Option<&Value>, what: &str) -> Result<Value, Fault> {
        let mut tries = 0;
        loop {
            tries += 1;
            let fault = match self.change(method.clone(), path, body, what).await {
                Ok(answer) => match operations::finish(self, &answer, what).await {
                    Ok(()) => return Ok(answer),
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            if fault.class == FaultClass::Fatal || tries >= CHANGES {
                return Err(fault);
            }
            tracing::debug!(%fault, "asked for once more");
            tokio::time::sleep(backoff(Duration::from_millis(200), Duration::from_secs(3), tries)).await;
        }
    }

    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        what: &str,
        patience: Duration,
    ) -> Result<T, Fault> {
        let began = Instant::now();
        let reads = method == Method::GET;
        let mut tries = 0;
        loop {
            tries += 1;
            self.pace().await;
            let fault = match self.once(&method, path, body, what).await {
                Ok(value) => return Ok(value),
                Err(Refused { fault, busy: true, wait }) if began.elapsed() < patience => {
                    let pause = backoff(Duration::from_millis(250), Duration::from_secs(5), tries.min(8));
                    let pause = wait.unwrap_or_default().max(pause);
                    if fault.code == "neon.rate" {
                        self.hold(pause);
                    }
                    tracing::debug!(%fault, ?pause, "waited out");
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Err(Refused { fault, .. }) => fault,
            };
            // What a read asked may be asked again, and so may a change that never left this host.
            let harmless = reads && fault.class != FaultClass::Fatal || fault.code == "neon.unreachable";
            if !harmless || tries >= READS {
                return Err(if reads && fault.class == FaultClass::Unknown {
                    Fault { class: FaultClass::Retryable, ..fault }
                } else {
                    fault
                });
            }
            tokio::time::sleep(backoff(Duration::from_millis(200), Duration::from_secs(3), tries)).await;
        }
    }

    async fn once<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        what: &str,
    ) -> Result<T, Refused> {
        let access = self.access()?;
        let id = self.request_id();
        let url = format!("{}/projects/{}{path}", access.api_base, access.project);
        let mut request = self
            .client()
            .await?
            .request(method.clone(), url)
            .bearer_auth(&access.api_key)
            .header("accept", "application/json")
            .header("x-request-id", &id);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = client::exchange(request).await.map_err(|missed| faults::of_network(&missed, what, &id))?;
        let status = answer.status;
        let wait = answer.retry_after(self.world.clock.now()).map(|wait| wait.min(PATIENCE));
        if matches!(status, 423 | 429) {
            met("Retry-After of a refusal to be waited out", if wait.is_some() { "given" } else { "missing" });
        }
        let text = answer.body;
        let unreadable = |_| Refused::from(faults::unreadable(status, what, &id));
        if status == 204 || (200..300).contains(&status) && text.is_empty() {
            return serde_json::from_value(Value::Null).map_err(unreadable);
        }
        if (200..300).contains(&status) {
            return serde_json::from_slice(&text).map_err(unreadable);
        }
        let said: Option<Value> = serde_json::from_slice(&text).ok();
        let fault = faults::of_status(status, said.as_ref(), what, &id);
        Err(Refused { busy: faults::is_busy(status, &fault), fault, wait })
    }

    /// The client; TLS is set up once.
    async fn client(&self) -> Result<&reqwest::Client, Fault> {
        let make = || async { client::client(&self.access()?.api_base, LIMIT, Redirected::Stays) };
        self.client.get_or_try_init(make).await
    }

    /// Waits until the next request is due.
    async fn pace(&self) {
        let wait = {
            let now = Instant::now();
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            let at = due.unwrap_or(now).max(now);
            *due = Some(at + INTERVAL);
            at.saturating_duration_since(now).saturating_sub(INTERVAL * BURST)
        };
        tokio::time::sleep(wait).await;
    }

    /// Lets no request of this process go for a while.
    fn hold(&self, pause: Duration) {
        let until = Instant::now() + pause + INTERVAL * BURST;
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        *due = Some(due.map_or(until, |due| due.max(until)));
    }

    fn request_id(&self) -> String {
        let mut bytes = [0; 16];
        self.world.clock.random(&mut bytes);
        crate::model::digest::hex(&bytes)
    }
}

/// Why one try did not answer.
struct Refused {
    fault: Fault,
    /// Nothing was executed, and trying again is what the service asks for.
    busy: bool,
    wait: Option<Duration>,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self { fault, busy: false, wait: None }
    }
}
