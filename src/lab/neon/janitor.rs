//! What the service does by itself: branches whose time is over go, computes that nobody uses fall asleep.

use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::TimeDelta;

use super::changes;
use super::operations::{self, Fate, Task};
use super::state::{Project, State};
use super::work::{self, Work};

/// Looks after a project for as long as there is the project.
pub async fn tidy(project: Weak<Project>) {
    while let Some(living) = project.upgrade() {
        let pause = living.state.lock().await.knobs.janitor_ms;
        expire(&living).await;
        lull(&living).await;
        drop(living);
        tokio::time::sleep(Duration::from_millis(pause.max(10))).await;
    }
}

async fn expire(project: &Arc<Project>) {
    let mut state = project.state.lock().await;
    if state.busy() {
        return;
    }
    let now = project.clock.now();
    let over = |branch: &&super::state::Branch| branch.expires_at.is_some_and(|at| at <= now);
    let over: Option<String> = state.living().find(over).map(|branch| branch.id.clone());
    if let Some(id) = over.filter(|id| state.children(id).is_empty()) {
        changes::gone(project, &mut state, &id, true);
    }
}

/// The endpoint that nobody has used for as long as it is to wait.
fn idle(project: &Project, state: &State) -> Option<(String, String)> {
    let now = project.clock.now();
    let asleep = state.endpoints.values().find(|endpoint| {
        let seconds = match endpoint.suspend_timeout {
            0 => state.knobs.default_suspend_seconds,
            #[expect(clippy::cast_precision_loss, reason = "a few days of seconds")]
            seconds => seconds as f64,
        };
        let addresses = [&endpoint.direct, &endpoint.pooled];
        let used = addresses.into_iter().flatten().filter_map(|address| address.last_active()).max();
        let used = used.max(endpoint.last_active);
        let waits = TimeDelta::try_milliseconds(crate::lab::neon::milliseconds(seconds)).unwrap_or(TimeDelta::MAX);
        endpoint.state == "active"
            && seconds >= 0.0
            && endpoint.pending.is_none()
            && used.is_some_and(|used| now - used >= waits)
    })?;
    Some((asleep.branch.clone(), asleep.id.clone()))
}

/// Whether a client is in a transaction, which counts as active.
async fn in_transaction(project: &Project, endpoint: &str) -> bool {
    let storage = {
        let state = project.state.lock().await;
        let Some(endpoint) = state.endpoints.get(endpoint) else { return false };
        let clients = [&endpoint.direct, &endpoint.pooled].into_iter().flatten().any(|it| it.clients() > 0);
        state.branch(&endpoint.branch).and_then(|branch| branch.storage.clone()).filter(|_| clients)
    };
    let Some(storage) = storage else { return false };
    let asked = "select 1 from pg_stat_activity where state like 'idle in transaction%' \
                 or state = 'active' and backend_type = 'client backend' and pid <> pg_backend_pid()";
    project.storages.sql(&storage, "postgres", asked).await.is_ok_and(|rows| !rows.is_empty())
}

async fn lull(project: &Arc<Project>) {
    let Ok(_turn) = project.turn.try_lock() else { return };
    let (endpoint, operation) = {
        let mut state = project.state.lock().await;
        if state.busy() {
            return;
        }
        let Some((branch, endpoint)) = idle(project, &state) else { return };
        let task = Task::of_endpoint("suspend_compute", &branch, &endpoint, Work::Nothing);
        (endpoint, operations::begin(project, &mut state, task))
    };
    if in_transaction(project, &endpoint).await {
        let mut state = project.state.lock().await;
        let now = project.clock.now();
        if let Some(endpoint) = state.endpoints.get_mut(&endpoint) {
            endpoint.last_active = Some(now);
        }
        state.operations.retain(|other| other.id != operation);
        return;
    }
    let suspended = work::suspend(project, &endpoint).await;
    let mut state = project.state.lock().await;
    let ended = suspended.map(|()| Fate::Finished).map_err(|fault| fault.to_string());
    operations::end(project, &mut state, &operation, ended);
}
