//! The schema of a branch's database, and how two of them differ.

use serde_json::json;

use super::backing::At;
use super::call::{Answer, Call, ok, read_time};
use super::points;
use super::refusal::Refusal;
use super::state::{Project, State};
use crate::model::lsn;

/// `GET …/branches/{branch}/schema`.
pub async fn schema(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let (database, at) = (database(&call)?, point(&call, "lsn", "timestamp")?);
    ok(json!({ "sql": text(&project, &mut state, call.part("branch"), database, at).await? }))
}

/// `GET …/branches/{branch}/compare_schema`: against another branch, or the parent.
pub async fn compare(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let (database, id) = (database(&call)?, call.part("branch"));
    let branch = state.existing(id)?;
    let base = call.asked("base_branch_id").map(str::to_owned).or_else(|| branch.parent.clone());
    let base = base.ok_or_else(|| Refusal::new(400, "base_branch_id is required for a root branch"))?;
    let (at, base_at) = (point(&call, "lsn", "timestamp")?, point(&call, "base_lsn", "base_timestamp")?);
    let new = text(&project, &mut state, id, database, at).await?;
    let old = text(&project, &mut state, &base, database, base_at).await?;
    ok(json!({ "diff": diff(database, &old, &new) }))
}

fn database(call: &Call) -> Result<&str, Refusal> {
    call.asked("db_name").ok_or_else(|| Refusal::new(400, "db_name is required"))
}

fn point(call: &Call, lsn: &str, timestamp: &str) -> Result<At, Refusal> {
    match (call.asked(lsn), call.asked(timestamp)) {
        (Some(text), _) => {
            lsn::read(text).map(At::Lsn).ok_or_else(|| Refusal::new(400, format!("{lsn} is no LSN: {text:?}")))
        }
        (None, Some(text)) => read_time(timestamp, text).map(At::Time),
        (None, None) => Ok(At::Head),
    }
}

/// The schema as text: what the data has, or, without any, what a test said it is.
async fn text(project: &Project, state: &mut State, branch: &str, database: &str, at: At) -> Result<String, Refusal> {
    let there = state.existing(branch)?;
    if !there.databases.iter().any(|it| it.name == database) {
        return Err(Refusal::missing("database"));
    }
    let (storage, point) = points::resolve(project, state, branch, at).await?;
    if let Some(schema) = project.storages.schema(&storage, &point, database).await? {
        return Ok(schema);
    }
    Ok(state.schemas.get(&format!("{branch}/{database}")).cloned().unwrap_or_default())
}

/// A unified diff with one hunk; empty when both are the same.
fn diff(database: &str, old: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - same;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
    let first = same.saturating_sub(3);
    let (old_end, new_end) = ((old.len() - tail + 3).min(old.len()), (new.len() - tail + 3).min(new.len()));
    let lines = |sign: char, lines: &[&str]| lines.iter().map(|line| format!("{sign}{line}\n")).collect::<String>();
    format!(
        "--- a/{database}\n+++ b/{database}\n@@ -{},{} +{},{} @@\n{}{}{}{}",
        first + 1,
        old_end - first,
        first + 1,
        new_end - first,
        lines(' ', &old[first..same]),
        lines('-', &old[same..old.len() - tail]),
        lines('+', &new[same..new.len() - tail]),
        lines(' ', &old[old.len() - tail..old_end]),
    )
}
