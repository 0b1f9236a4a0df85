//! What holds for every branch that is made, restored or changed: names, limits, protection, ends, points, and what it has
//! from its parent.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::backing::At;
use super::call::{text, time};
use super::names;
use super::refusal::Refusal;
use super::state::{Branch, Project, State};
use crate::model::lsn;

/// How far ahead a branch may expire.
const LONGEST: TimeDelta = TimeDelta::days(30);

/// Gives a branch the roles and databases that its parent had at the point where it left.
pub fn inherit(project: &Project, state: &State, parent: &Branch, branch: &mut Branch, at: At) {
    let left: DateTime<Utc> = match at {
        At::Time(shown) => state.stretch.real(shown),
        _ => branch.parent_time.filter(|_| at != At::Head).unwrap_or_else(|| project.clock.now()),
    };
    // What there was from the beginning is older than the oldest point, whatever clock it was written by.
    let there = |made: DateTime<Utc>| made <= left || made <= parent.created_at || made <= state.created_at;
    branch.roles = parent.roles.iter().filter(|role| there(role.created_at)).cloned().collect();
    branch.databases = parent.databases.iter().filter(|database| there(database.created_at)).cloned().collect();
    // A password that was changed since then is another one in the data.
    branch.unconfigured =
        parent.unconfigured || parent.protected || !parent.roles.iter().all(|it| there(it.updated_at));
    if parent.protected {
        for role in branch.roles.iter_mut().filter(|role| role.password.is_some()) {
            role.password = Some(names::secret(&*project.clock, "npg_"));
        }
    }
}

/// The point that two alternative fields name.
pub fn point(wanted: &Value, lsn: &str, timestamp: &str) -> Result<At, Refusal> {
    match (text(wanted, lsn).filter(|text| !text.is_empty()), time(wanted, timestamp)?) {
        (Some(_), Some(_)) => Err(Refusal::new(400, format!("{lsn} and {timestamp} are mutually exclusive"))),
        (Some(position), None) => {
            let read = lsn::read(position);
            read.map(At::Lsn).ok_or_else(|| Refusal::new(400, format!("{lsn} is no LSN: {position:?}")))
        }
        (None, Some(time)) => Ok(At::Time(time)),
        (None, None) => Ok(At::Head),
    }
}

/// Refuses a name that a branch has.
pub fn name_is_free(state: &State, name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.chars().count() > 256 {
        return Err(Refusal::new(400, "branch name must have between 1 and 256 characters"));
    }
    if state.living().any(|branch| branch.name == name) {
        return Err(Refusal::branch_exists(name));
    }
    Ok(())
}

/// Refuses one branch more than there may be.
pub fn within_limits(state: &State, root: bool) -> Result<(), Refusal> {
    if state.living().count() >= state.knobs.branches_limit {
        return Err(Refusal::coded(422, "BRANCHES_LIMIT_EXCEEDED", "branches limit exceeded"));
    }
    let roots = state.living().filter(|branch| branch.parent.is_none()).count();
    if root && roots >= state.knobs.root_branches_limit {
        return Err(Refusal::coded(422, "ROOT_BRANCHES_LIMIT_EXCEEDED", "root branches limit exceeded"));
    }
    Ok(())
}

/// Refuses one protected branch more than there may be.
pub fn protection_is_free(state: &State) -> Result<(), Refusal> {
    if state.living().filter(|branch| branch.protected).count() >= state.knobs.protected_limit {
        return Err(Refusal::new(422, "protected branches limit exceeded"));
    }
    Ok(())
}

/// Sets or removes the time at which a branch is deleted.
pub fn expire(branch: &mut Branch, at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), Refusal> {
    let Some(at) = at else {
        (branch.expires_at, branch.ttl) = (None, None);
        return Ok(());
    };
    if at <= now || at - now > LONGEST {
        return Err(Refusal::new(400, "expires_at must be in the future, and at most 30 days ahead"));
    }
    if branch.protected || branch.default {
        return Err(Refusal::new(422, "cannot set an expiration on a protected or default branch"));
    }
    let ttl = (at - now + TimeDelta::milliseconds(500)).num_seconds();
    (branch.expires_at, branch.ttl) = (Some(at.trunc_subsecs(0)), Some(ttl));
    Ok(())
}

/// The annotation of a body: a flat map of texts.
pub fn annotation(body: &Value) -> Result<Option<Map<String, Value>>, Refusal> {
    match body.get("annotation_value") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) if map.values().all(Value::is_string) => Ok(Some(map.clone())),
        Some(_) => Err(Refusal::new(400, "annotation_value must be a map of strings")),
    }
}
