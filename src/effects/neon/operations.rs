//! Operations: a change is over when the last of them is, and not when it was accepted.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::http::{Api, path, with};
use super::met::met;
use super::wire::{self, Operation};
use crate::model::clock::backoff;
use crate::model::fault::{Fault, FaultClass};

/// The longest that operations are waited for; a branch of terabytes is made in seconds.
const PATIENCE: Duration = Duration::from_secs(900);

/// How an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is at work, or in a state that we do not know.
    Going,
    /// It came to its end; `skipped` had nothing to do.
    Good,
    /// It failed or was cancelled.
    Bad,
}

/// How it stands.
pub fn standing(operation: &Operation) -> Standing {
    match operation.status.as_str() {
        "finished" | "skipped" => Standing::Good,
        "failed" | "error" | "cancelled" => Standing::Bad,
        _ => Standing::Going,
    }
}

/// Waits for all operations of an answer.
///
/// What cannot be asked meanwhile is *unknown*, since the change itself was accepted; an operation that failed is a known
/// failure, `neon.operation`.
pub async fn finish(api: &Api, answer: &Value, what: &str) -> Result<(), Fault> {
    let accepted = |fault: Fault| match fault.code.as_str() {
        "neon.operation" => fault,
        _ => Fault { class: FaultClass::Unknown, ..fault },
    };
    let operations: Vec<Operation> = wire::list(answer, "operations", what).map_err(accepted)?;
    wait(api, operations, what).await.map_err(accepted)
}

/// Waits for these operations, the last of a chain too.
pub async fn wait(api: &Api, operations: Vec<Operation>, what: &str) -> Result<(), Fault> {
    let began = Instant::now();
    for mut operation in operations {
        let mut tries = 0;
        loop {
            match standing(&operation) {
                Standing::Good => break,
                Standing::Bad => return Err(failed(&operation, what)),
                Standing::Going if began.elapsed() > PATIENCE => {
                    return Err(Fault::retryable(
                        "neon.slow",
                        format!("{what}: operation `{}` is still {}", operation.action, operation.status),
                    )
                    .detailed(format!("operation {}", operation.id))
                    .hinted("neon::operations shows what the service is doing; status.neon.tech whether it is well"));
                }
                Standing::Going => {}
            }
            tries += 1;
            tokio::time::sleep(backoff(Duration::from_millis(100), Duration::from_secs(2), tries)).await;
            operation = match api.get(&path(&["operations", &operation.id]), what).await {
                Ok(answer) => wire::part(&answer, "operation", what)?,
                // Old operations vanish; what came of it is read from the object.
                Err(fault) if fault.code == "neon.missing" => break,
                Err(fault) => return Err(fault),
            };
        }
    }
    Ok(())
}

fn failed(operation: &Operation, what: &str) -> Fault {
    let why = operation.error.as_deref().filter(|why| !why.is_empty());
    let why = why.map(|why| format!(": {}", why.chars().take(300).collect::<String>())).unwrap_or_default();
    // The service tries again by itself before it says so; nothing was changed, and another request is another operation.
    Fault::retryable("neon.operation", format!("{what}: operation `{}` {}{why}", operation.action, ending(operation)))
        .detailed(format!("operation {}", operation.id))
}

fn ending(operation: &Operation) -> &str {
    if operation.status == "cancelled" { "was cancelled" } else { "failed" }
}

/// The newest operations of the project, at most `limit`.
pub async fn newest(api: &Api, limit: usize, what: &str) -> Result<Vec<Value>, Fault> {
    let mut found: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let size = (limit - found.len()).min(1000);
        let shown = size.to_string();
        let page = with(path(&["operations"]), &[("limit", Some(&shown)), ("cursor", cursor.as_deref())]);
        let answer = api.get(&page, what).await?;
        let operations: Vec<Value> = wire::list(&answer, "operations", what)?;
        let short = operations.len() < size;
        found.extend(operations);
        // There may be a cursor on the last page too.
        let next = answer["pagination"]["cursor"].as_str().filter(|next| !next.is_empty()).map(str::to_owned);
        if short {
            met("the last page of operations", if next.is_some() { "a cursor" } else { "no cursor" });
        }
        if short || found.len() >= limit || next.is_none() || next == cursor {
            return Ok(found);
        }
        cursor = next;
    }
}

/// Operations that work on a branch now, or failed lately.
pub async fn of_branch(api: &Api, branch: &str, what: &str) -> Result<Vec<Operation>, Fault> {
    let operations = newest(api, 100, what).await?;
    Ok(operations
        .into_iter()
        .filter(|operation| operation["branch_id"] == branch)
        .filter_map(|operation| serde_json::from_value(operation).ok())
        .collect())
}
