//! The queue of a project's operations: one call's after another, one at a time.

use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::clock::Stretch;
use super::names;
use super::refusal::Refusal;
use super::state::{Project, State};
use super::work::{self, Work};

/// How an operation is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Well.
    Finished,
    /// Well, although it did nothing since nothing was to be done.
    Skipped,
    /// Not, and it may be tried again.
    Failed,
    /// Not.
    Error,
    /// Not: somebody called it off.
    Cancelled,
}

impl Fate {
    fn status(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the work is done.
    pub fn good(self) -> bool {
        matches!(self, Self::Finished | Self::Skipped)
    }
}

/// Asynchronous work.
#[derive(Debug)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// The branch that it is about.
    pub branch: Option<String>,
    /// The endpoint that it is about.
    pub endpoint: Option<String>,
    /// What is done.
    pub action: String,
    /// `scheduling`, `running`, `finished` …
    pub status: &'static str,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its status changed.
    pub updated_at: DateTime<Utc>,
    /// The call that it belongs to.
    chain: String,
    fate: Fate,
    work: Work,
}

impl Operation {
    /// Whether nothing more will become of it.
    pub fn ended(&self) -> bool {
        !matches!(self.status, "scheduling" | "running" | "cancelling")
    }

    /// What the API says of it.
    pub fn view(&self, project: &str, stretch: &Stretch) -> Value {
        let mut view = json!({
            "id": self.id, "project_id": project, "action": self.action, "status": self.status,
            "failures_count": u8::from(matches!(self.status, "failed" | "error")),
            "created_at": stretch.text(self.created_at), "updated_at": stretch.text(self.updated_at),
            "total_duration_ms": (self.updated_at - self.created_at).num_milliseconds(),
        });
        for (name, value) in [("branch_id", &self.branch), ("endpoint_id", &self.endpoint), ("error", &self.error)] {
            if let Some(value) = value {
                view[name] = value.clone().into();
            }
        }
        if self.status == "failed" {
            view["retry_at"] = stretch.text(self.updated_at + TimeDelta::seconds(5)).into();
        }
        view
    }
}

/// What an operation is to do, before it is scheduled.
pub struct Task {
    /// The action's name.
    pub action: &'static str,
    /// The branch that it is about.
    pub branch: Option<String>,
    /// The endpoint that it is about.
    pub endpoint: Option<String>,
    /// What is really done.
    pub work: Work,
}

impl Task {
    /// A task about a branch.
    pub fn of_branch(action: &'static str, branch: &str, work: Work) -> Self {
        Self { action, branch: Some(branch.to_owned()), endpoint: None, work }
    }

    /// A task about an endpoint.
    pub fn of_endpoint(action: &'static str, branch: &str, endpoint: &str, work: Work) -> Self {
        Self { action, branch: Some(branch.to_owned()), endpoint: Some(endpoint.to_owned()), work }
    }
}

/// Refuses with 423 while something is to be done.
pub fn refuse_busy(state: &State) -> Result<(), Refusal> {
    if state.busy() { Err(Refusal::locked()) } else { Ok(()) }
}

/// Schedules the tasks of a call, and answers what the API says of them.
pub fn schedule(project: &Project, state: &mut State, mut tasks: Vec<Task>) -> Value {
    let rate = state.chaos.rates.unknown_enums;
    let what = tasks.first().map(|task| format!("{} {:?}", task.action, task.branch));
    if what.is_some_and(|what| state.chaos.strikes("unknown_enums", rate, &what)) {
        tasks.push(Task { action: "new_in_2027", branch: None, endpoint: None, work: Work::Nothing });
    }
    let now = project.clock.now();
    let chain = names::operation(&*project.clock);
    let mut views = Vec::new();
    let idle = !state.busy();
    for (number, task) in tasks.into_iter().enumerate() {
        let fate = fate(state, task.action, &format!("{:?}", task.work));
        let operation = Operation {
            id: names::operation(&*project.clock),
            branch: task.branch,
            endpoint: task.endpoint,
            action: task.action.to_owned(),
            status: if number == 0 && idle { "running" } else { "scheduling" },
            error: None,
            created_at: now,
            updated_at: now,
            chain: chain.clone(),
            fate,
            work: task.work,
        };
        views.push(operation.view(&project.id, &state.stretch));
        state.operations.push(operation);
    }
    project.changed.notify_waiters();
    views.into()
}

fn fate(state: &mut State, action: &str, what: &str) -> Fate {
    if let Some(at) = state.chaos.fates.iter().position(|(of, _)| of == action || of == "*") {
        return state.chaos.fates.remove(at).1;
    }
    state.chaos.fate(action, what)
}

/// Notes work that the service begins by itself and does at once.
pub fn begin(project: &Project, state: &mut State, task: Task) -> String {
    let now = project.clock.now();
    let id = names::operation(&*project.clock);
    state.operations.push(Operation {
        id: id.clone(),
        branch: task.branch,
        endpoint: task.endpoint,
        action: task.action.to_owned(),
        status: "running",
        error: None,
        created_at: now,
        updated_at: now,
        chain: id.clone(),
        fate: Fate::Finished,
        work: task.work,
    });
    id
}

/// Notes that an operation ended.
pub fn end(project: &Project, state: &mut State, id: &str, ended: Result<Fate, String>) {
    let now = project.clock.now();
    let mut broken = None;
    if let Some(operation) = state.operations.iter_mut().find(|operation| operation.id == id) {
        let fate = ended.as_ref().map_or(Fate::Failed, |fate| *fate);
        operation.status = fate.status();
        operation.updated_at = now;
        if !fate.good() {
            operation.error = Some(ended.err().unwrap_or_else(|| format!("{} did not succeed", operation.action)));
            broken = Some(operation.chain.clone());
        }
    }
    // What would have come after it is called off.
    let rest = state.operations.iter_mut().filter(|it| Some(&it.chain) == broken.as_ref() && !it.ended());
    let called_off: Vec<Work> = rest
        .map(|operation| {
            operation.status = Fate::Cancelled.status();
            operation.updated_at = now;
            operation.work.clone()
        })
        .collect();
    for work in called_off {
        work::take_back(state, &work);
    }
    project.changed.notify_waiters();
}

/// Brings the first operation that has not ended one state on. With `through` an end also begins the next. Answers whether
/// there was one.
pub async fn advance(project: &Arc<Project>, through: bool) -> bool {
    let _turn = project.turn.lock().await;
    let mut state = project.state.lock().await;
    let now = project.clock.now();
    let Some(operation) = state.operations.iter_mut().find(|operation| !operation.ended()) else { return false };
    if operation.status == "scheduling" {
        operation.status = "running";
        operation.updated_at = now;
        project.changed.notify_waiters();
        return true;
    }
    let (id, work, fate) = (operation.id.clone(), operation.work.clone(), operation.fate);
    let ended = if fate.good() {
        drop(state);
        let worked = work::perform(project, &work).await;
        state = project.state.lock().await;
        worked.map(|()| fate).map_err(|fault| fault.to_string())
    } else {
        Ok(fate)
    };
    if !ended.as_ref().is_ok_and(|fate| fate.good()) {
        work::take_back(&mut state, &work);
    }
    end(project, &mut state, &id, ended);
    if through && let Some(next) = state.operations.iter_mut().find(|operation| !operation.ended()) {
        next.status = "running";
        next.updated_at = project.clock.now();
    }
    true
}

/// Works on a project's operations for as long as there is the project.
pub async fn drive(project: Weak<Project>) {
    while let Some(project) = project.upgrade() {
        let told = project.changed.notified();
        let (due, pause) = {
            let state = project.state.lock().await;
            (state.busy() && !state.knobs.manual, Duration::from_millis(state.knobs.operation_ms))
        };
        if due {
            tokio::time::sleep(pause).await;
            advance(&project, true).await;
        } else {
            // So that it notices, now and then, that the project is gone.
            let _ = tokio::time::timeout(Duration::from_millis(500), told).await;
        }
    }
}
