//! Branches as scripts see them: the whole project at once, since children and last use are nobody's own fields.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::endpoints;
use super::http::{Api, path, with};
use super::met::met;
use super::wire::{self, Branch, Endpoint};
use crate::effects::Ticket;
use crate::effects::postgres::stamp::Stamp;
use crate::model::clock::backoff;
use crate::model::fault::Fault;

/// Branches asked for at once.
const PAGE: &str = "1000";
/// How long a branch that was just made may be unknown to a read, and how long it may take to be ready.
const UNKNOWN_YET: Duration = Duration::from_secs(20);
const READY: Duration = Duration::from_secs(600);

/// One page of the list.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Page {
    branches: Option<Vec<Branch>>,
    annotations: Option<BTreeMap<String, Value>>,
    pagination: Option<Pagination>,
}

/// Where the next page begins.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Pagination {
    next: Option<String>,
}

/// All branches of the project, with their annotations and computes.
pub struct Collection {
    /// In the order in which they were made.
    pub branches: Vec<Branch>,
    annotations: BTreeMap<String, Map<String, Value>>,
    endpoints: Vec<Endpoint>,
}

impl Collection {
    /// Reads them all.
    pub async fn read(api: &Api) -> Result<Self, Fault> {
        let what = "listing branches";
        let (mut branches, mut annotations) = (Vec::new(), BTreeMap::new());
        let (mut seen, mut cursor, mut turned) = (BTreeSet::new(), None::<String>, BTreeSet::new());
        loop {
            let query = [
                ("limit", Some(PAGE)),
                ("sort_by", Some("created_at")),
                ("sort_order", Some("asc")),
                ("cursor", cursor.as_deref()),
            ];
            let answer: Option<Page> = api.get_as(&with(path(&["branches"]), &query), what).await?;
            let page = answer.unwrap_or_default();
            // A project has at least its default branch: an answer without any is another service's, and must not
            // pass for an empty project.
            let Some(listed) = page.branches.filter(|listed| !(listed.is_empty() && seen.is_empty())) else {
                return Err(super::faults::lacking(what, "branches"));
            };
            let empty = listed.is_empty();
            for branch in listed {
                if branch.id.is_empty() {
                    return Err(super::faults::lacking(what, "branches"));
                }
                // A branch that changes while pages are turned may come twice.
                if seen.insert(branch.id.clone()) {
                    branches.push(branch);
                }
            }
            let annotated = page.annotations.unwrap_or_default();
            if let Some(first) = annotated.values().next() {
                let form = if first["value"].is_object() { "with its object around it" } else { "bare" };
                met("an annotation in a list", form);
            }
            for (id, annotation) in annotated {
                annotations.insert(id, values(&annotation));
            }
            let next = page.pagination.and_then(|it| it.next).filter(|next| !next.is_empty());
            // There may be a cursor on the last page too. One that comes again later leads round in a circle, and what was
            // read until then is not the whole list.
            let Some(following) = next.clone().filter(|_| !empty && next != cursor) else { break };
            if !turned.insert(following) {
                return Err(super::faults::lacking(what, "pagination"));
            }
            cursor = next;
        }
        let endpoints = endpoints::all(api, "listing endpoints").await?.unwrap_or_default();
        Ok(Self { branches, annotations, endpoints })
    }

    /// The project's default branch.
    pub fn default(&self) -> Option<&Branch> {
        self.branches.iter().find(|branch| branch.is_default())
    }

    /// The branch of that id, or else of exactly that name.
    pub fn find(&self, id_or_name: &str) -> Result<Option<&Branch>, Fault> {
        if let Some(branch) = self.branches.iter().find(|branch| branch.id == id_or_name) {
            return Ok(Some(branch));
        }
        let mut named = self.branches.iter().filter(|branch| branch.name == id_or_name);
        match (named.next(), named.next()) {
            (Some(one), Some(two)) => Err(Fault::fatal(
                "neon.ambiguous",
                format!("two branches are called `{id_or_name}`: {} and {}", one.id, two.id),
            )
            .hinted("name it by its id")),
            (found, _) => Ok(found),
        }
    }

    /// The same; a fault when there is none.
    pub fn get(&self, id_or_name: &str) -> Result<&Branch, Fault> {
        self.find(id_or_name)?.ok_or_else(|| missing(id_or_name))
    }

    /// Ids of the branches that begin at this one.
    pub fn children<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Branch> {
        self.branches.iter().filter(move |branch| branch.parent_id.as_deref() == Some(id))
    }

    /// How many branches there are above this one.
    pub fn depth(&self, branch: &Branch) -> usize {
        let mut depth = 0;
        let mut at = branch.parent_id.as_deref();
        while let Some(parent) = at
            && depth < self.branches.len()
        {
            depth += 1;
            at = self.branches.iter().find(|branch| branch.id == parent).and_then(|branch| branch.parent_id.as_deref());
        }
        depth
    }

    /// Its computes.
    pub fn endpoints<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Endpoint> {
        self.endpoints.iter().filter(move |endpoint| endpoint.branch_id == id)
    }

    /// Who made it, if a run did.
    pub fn stamp(&self, id: &str) -> Option<Stamp> {
        stamp(self.annotations.get(id)?)
    }

    /// Whether another action of the same run made it. One that does not say which was made by any.
    pub fn made_by_another(&self, id: &str, action: &str) -> bool {
        self.annotations.get(id).and_then(|it| it.get(ACTION)?.as_str()).is_some_and(|made| made != action)
    }

    /// What scripts get of a branch: no more than decisions are made of, so that a thousand of them stay small.
    pub fn map(&self, branch: &Branch) -> Value {
        let used = self
            .endpoints(&branch.id)
            .filter_map(|endpoint| wire::time(endpoint.last_active.as_deref()))
            .chain(wire::time(branch.created_at.as_deref()))
            .max()
            .map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        let children: Vec<&str> = self.children(&branch.id).map(|child| child.id.as_str()).collect();
        let restricted: Vec<&str> =
            branch.restricted_actions.iter().flatten().map(|action| action.name.as_str()).collect();
        let source = branch.init_source.as_deref().unwrap_or_default();
        // Every key is there, since a script that names a missing one is stopped.
        json!({
            "id": branch.id,
            "name": branch.name,
            "parent": branch.parent_id,
            "state": branch.current_state,
            "default": branch.is_default(),
            "protected": branch.is_protected(),
            "created_at": branch.created_at,
            "updated_at": branch.updated_at,
            "used_at": used,
            "expires_at": branch.expires_at,
            "active": self.endpoints(&branch.id).any(Endpoint::is_active),
            "children": children,
            "annotation": self.annotations.get(&branch.id).cloned().unwrap_or_default(),
            "lsn": branch.parent_lsn,
            "timestamp": branch.parent_timestamp,
            "schema_only": source.contains("schema"),
            "restricted": restricted,
        })
    }
}

/// The values of an annotation, in the form of a list and in that of a single branch.
fn values(annotation: &Value) -> Map<String, Value> {
    let inner = if annotation["value"].is_object() { &annotation["value"] } else { annotation };
    inner.as_object().cloned().unwrap_or_default()
}

/// Who made a branch, by its annotation.
fn stamp(annotation: &Map<String, Value>) -> Option<Stamp> {
    let text = |key: &str| annotation.get(key)?.as_str().map(str::to_owned);
    Some(Stamp {
        run: text("runsheet")?,
        stamp: text("stamp").filter(|stamp| !stamp.is_empty())?,
        host: text("host").unwrap_or_default(),
        operator: text("operator").unwrap_or_default(),
        at: wire::time(text("at").as_deref())?,
        keep: text("keep").as_deref() == Some("true"),
        ..Stamp::default()
    })
}

/// Key of an annotation that tells which action of its run made the branch.
pub const ACTION: &str = "action";

/// The annotation that a stamp is.
pub fn annotation(stamp: &Stamp) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("runsheet".into(), json!(stamp.run));
    map.insert("stamp".into(), json!(stamp.stamp));
    map.insert("host".into(), json!(stamp.host));
    map.insert("operator".into(), json!(stamp.operator));
    map.insert("at".into(), json!(stamp.at.to_rfc3339_opts(SecondsFormat::Secs, true)));
    if stamp.keep {
        map.insert("keep".into(), json!("true"));
    }
    map
}

/// Whether it looks like the id of a branch.
pub fn is_id(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    text.len() <= 60 && text.strip_prefix("br-").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain))
}

/// One branch by its id, with who made it; nothing when it is gone.
pub async fn by_id(api: &Api, id: &str, what: &str) -> Result<Option<(Branch, Option<Stamp>)>, Fault> {
    let answer = match api.get(&path(&["branches", id]), what).await {
        Err(fault) if fault.code == "neon.missing" => return Ok(None),
        other => other?,
    };
    let branch: Branch = wire::part(&answer, "branch", what)?;
    if branch.id != id {
        return Err(super::faults::lacking(what, "branch"));
    }
    // One that was deleted and can be had back is gone all the same.
    if branch.recovery.as_ref().is_some_and(|it| it.deleted_at.is_some()) {
        return Ok(None);
    }
    Ok(Some((branch, stamp(&values(&answer["annotation"])))))
}

/// Waits until a branch that was just made or restored is ready, and reads it.
pub async fn ready(api: &Api, id: &str, what: &str) -> Result<Branch, Fault> {
    let began = Instant::now();
    let mut tries = 0;
    loop {
        let found = by_id(api, id, what).await?;
        let state = match &found {
            None if began.elapsed() > UNKNOWN_YET => return Err(missing(id)),
            None => "unknown",
            Some((branch, _)) => branch.current_state.as_deref().unwrap_or("ready"),
        };
        // States that we do not know yet are no reason to wait.
        if let Some((branch, _)) = &found
            && !["init", "resetting"].contains(&state)
        {
            return Ok(branch.clone());
        }
        if began.elapsed() > READY {
            return Err(Fault::retryable("neon.slow", format!("{what}: branch {id} is still in state `{state}`"))
                .hinted("neon::operations shows what the service is doing"));
        }
        tries += 1;
        tokio::time::sleep(backoff(Duration::from_millis(100), Duration::from_secs(2), tries)).await;
    }
}

/// The fault of a branch that is not there.
pub fn missing(id_or_name: &str) -> Fault {
    Fault::fatal("neon.missing", format!("there is no branch `{id_or_name}`"))
        .hinted("neon::branches lists them; names are compared exactly")
}

/// The stamp for what this action makes now.
pub fn new_stamp(api: &Api, ticket: &Ticket, keep: bool) -> Result<Stamp, Fault> {
    Ok(Stamp { keep, ..Stamp::new(api.world(), ticket)? })
}
