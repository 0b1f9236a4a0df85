//! What a test sets: limits, plan, timing.

use serde::{Deserialize, Serialize};

/// How a project behaves. `PATCH /lab/projects/{project}/knobs` changes the fields that it names.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// Milliseconds that an operation takes.
    pub operation_ms: u64,
    /// Operations advance only by `POST /lab/projects/{project}/tick`, one state of one operation at a time.
    pub manual: bool,
    /// Most branches.
    pub branches_limit: usize,
    /// Most branches without a parent.
    pub root_branches_limit: usize,
    /// Most protected branches.
    pub protected_limit: usize,
    /// Requests a minute; 0 is without end.
    pub rate_per_minute: u32,
    /// Requests that may come at once before the minute's rate counts.
    pub rate_burst: u32,
    /// Requests a second of one route; 0 is without end.
    pub route_per_second: u32,
    /// Whether a 429 says how long to wait.
    pub retry_after: bool,
    /// Whether passwords are stored, and can be revealed.
    pub store_passwords: bool,
    /// Whether the plan allows to set `suspend_timeout_seconds`.
    pub suspend_configurable: bool,
    /// What `suspend_timeout_seconds: 0` means.
    pub default_suspend_seconds: f64,
    /// Whether a deleted branch can be had back for seven days.
    pub soft_delete: bool,
    /// Most branches on a page, whatever is asked for; 0 is without end.
    pub page_cap: usize,
    /// Whether operations come with a cursor on the last page too.
    pub cursor_on_last_page: bool,
    /// Whether a root that is restored from another branch becomes a child of it.
    pub root_becomes_child: bool,
    /// Status for a point outside of the history; the service's own is not known.
    pub history_status: u16,
    /// Whether deleting any root is refused, not only the default branch.
    pub refuse_roots: bool,
    /// Milliseconds between two looks at what expires or falls asleep.
    pub janitor_ms: u64,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            operation_ms: 20,
            manual: false,
            branches_limit: 5000,
            root_branches_limit: 25,
            protected_limit: 5,
            rate_per_minute: 700,
            rate_burst: 700,
            route_per_second: 40,
            retry_after: false,
            store_passwords: true,
            suspend_configurable: true,
            default_suspend_seconds: 300.0,
            soft_delete: true,
            page_cap: 0,
            cursor_on_last_page: true,
            root_becomes_child: false,
            history_status: 400,
            refuse_roots: false,
            janitor_ms: 200,
        }
    }
}
