//! Computes: what they do, started, put to sleep, kept from starting.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Api, path};
use super::wire::{self, Endpoint};
use super::{Neon, faults};
use crate::effects::{Done, Ledger};
use crate::model::clock::backoff;
use crate::model::fault::Fault;

/// How long a compute may take to come to the state that was asked for.
const PATIENCE: Duration = Duration::from_secs(120);
/// For how long it is believed which computes are active.
const BELIEVED: Duration = Duration::from_secs(3);

/// What is asked of a compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It runs.
    Active,
    /// It sleeps.
    Idle,
    /// It may not start.
    Disabled,
    /// It may start again.
    Enabled,
}

impl Wish {
    fn holds(self, endpoint: &Endpoint) -> bool {
        let state = endpoint.current_state.as_deref().unwrap_or_default();
        match self {
            Self::Active => state == "active",
            Self::Idle => state == "idle",
            Self::Disabled => endpoint.disabled == Some(true) && state != "active",
            Self::Enabled => endpoint.disabled != Some(true),
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Active => "starting",
            Self::Idle => "suspending",
            Self::Disabled => "disabling",
            Self::Enabled => "enabling",
        }
    }
}

/// The computes of a branch.
pub async fn of_branch(api: &Api, branch: &str) -> Result<Value, Fault> {
    let what = format!("listing computes of {branch}");
    let answer = api.get(&path(&["branches", branch, "endpoints"]), &what).await?;
    let endpoints: Vec<Endpoint> = wire::list(&answer, "endpoints", &what)?;
    Ok(endpoints.iter().map(map).collect())
}

/// Computes that are at work, by their branch, and when that was asked.
pub type Active = Option<(Instant, BTreeMap<String, String>)>;

/// A compute of this branch that is active. In a row of deletions one question answers for several of them: it is asked
/// anew once the answer is older than [`BELIEVED`], and a compute may wake right after any answer.
pub async fn active_of(api: &Api, branch: &str, what: &str) -> Result<Option<String>, Fault> {
    let mut active = api.active.lock().await;
    if let Some((at, known)) = &*active
        && at.elapsed() < BELIEVED
    {
        return Ok(known.get(branch).cloned());
    }
    let asked = Instant::now();
    // An answer without a list is another service's, and says of no compute that it sleeps.
    let all = all(api, what).await?.ok_or_else(|| faults::lacking(what, "endpoints"))?;
    let at_work =
        all.into_iter().filter(Endpoint::is_active).map(|endpoint| (endpoint.branch_id, endpoint.id)).collect();
    let (_, known) = active.insert((asked, at_work));
    Ok(known.get(branch).cloned())
}

/// The computes of the project, if the answer lists them.
pub async fn all(api: &Api, what: &str) -> Result<Option<Vec<Endpoint>>, Fault> {
    /// The answer, of which the list may be missing.
    #[derive(Deserialize)]
    struct Listed {
        endpoints: Option<Vec<Endpoint>>,
    }
    let listed: Option<Listed> = api.get_as(&path(&["endpoints"]), what).await?;
    Ok(listed.and_then(|listed| listed.endpoints))
}

/// One compute.
pub async fn by_id(api: &Api, id: &str, what: &str) -> Result<Endpoint, Fault> {
    wire::part(&api.get(&path(&["endpoints", id]), what).await?, "endpoint", what)
}

fn map(endpoint: &Endpoint) -> Value {
    json!({
        "id": endpoint.id,
        "branch": endpoint.branch_id,
        "host": endpoint.host,
        "type": endpoint.kind,
        "state": endpoint.current_state,
        "active": endpoint.is_active(),
        "disabled": endpoint.disabled.unwrap_or(false),
        "last_active": endpoint.last_active,
        "min_cu": endpoint.autoscaling_limit_min_cu,
        "max_cu": endpoint.autoscaling_limit_max_cu,
        "suspend_after": endpoint.suspend_timeout_seconds,
    })
}

/// Brings a compute to a state. One that is in it already is left alone.
pub async fn bring(neon: &Neon<'_>, id: &str, wish: Wish, ledger: &dyn Ledger) -> Result<Done, Fault> {
    let api = neon.api();
    let what = format!("{} compute {id}", wish.verb());
    let before = by_id(api, id, &what).await?;
    if wish == Wish::Active && before.disabled == Some(true) {
        return Err(Fault::fatal("neon.disabled", format!("compute {id} is disabled, so it cannot start"))
            .hinted("neon::disable_endpoint(id, false) lets it"));
    }
    let _one = api.changing.lock().await;
    ledger.intent(json!({ "endpoint": id }))?;
    if !wish.holds(&before) {
        if matches!(wish, Wish::Idle | Wish::Disabled) {
            neon.postgres.close_idle_all();
        }
        match wish {
            Wish::Active => api.repeat(Method::POST, &path(&["endpoints", id, "start"]), None, &what).await?,
            Wish::Idle => api.repeat(Method::POST, &path(&["endpoints", id, "suspend"]), None, &what).await?,
            Wish::Disabled | Wish::Enabled => {
                let body = json!({ "endpoint": { "disabled": wish == Wish::Disabled } });
                api.repeat(Method::PATCH, &path(&["endpoints", id]), Some(&body), &what).await?
            }
        };
    }
    let began = Instant::now();
    let mut tries = 0;
    loop {
        let now = by_id(api, id, &what).await?;
        // Whoever connects wakes a sleeping compute again at once: that it slept is what the operations said.
        if wish.holds(&now) || wish == Wish::Idle && tries > 0 {
            return Ok(Done { value: map(&now), rows: None });
        }
        if began.elapsed() > PATIENCE {
            let state = now.current_state.unwrap_or_default();
            return Err(Fault::retryable("neon.slow", format!("{what}: it is still `{state}`"))
                .hinted("neon::operations shows what the service is doing; status.neon.tech whether it is well"));
        }
        tries += 1;
        tokio::time::sleep(backoff(Duration::from_millis(100), Duration::from_secs(2), tries)).await;
    }
}
