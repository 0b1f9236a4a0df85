//! The door of a preview: reads really, changes nothing, and calls what it cannot know *known after* a step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::effects::postgres::preview::may_define;
use crate::engine::cancel::Urgency;
use crate::engine::context::{Engine, stranger};
use crate::journal::entry::TargetSeen;
use crate::model::Value;
use crate::model::action::{Action, Recovery, Resource};
use crate::model::event::Event;
use crate::model::fault::{Halt, Stop};
use crate::model::host::{Host, LaneBody, Lanes};
use crate::model::preview::{Level, Previewed};
use crate::model::request::table::LogTable;
use crate::model::request::{AskPerson, LogLine, RandomPassword, RecordCheck, Request, Sleep};
use crate::model::target;
use crate::model::unknown;
use crate::model::verdict::CheckVerdict;

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The word.
    pub word: String,
    /// One line for people.
    pub title: String,
    /// Whether it would change something.
    pub change: bool,
    /// How it was got.
    pub level: Level,
    /// The step after which it is known, if it is not known now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_after: Option<String>,
    /// What a read saw, if it is short enough for a reader; of a long list its length. A figure of now: it informs and is
    /// not pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Value>,
    /// What one could run by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_hand: Vec<String>,
    /// What a reviewer should notice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The lane, empty for the main one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lane: String,
}

/// What a change that was not performed would have written.
pub struct Unwritten {
    resource: Resource,
    step: String,
    /// Whether it may have made what is missing now, beyond rows.
    defines: bool,
}

/// What a preview has gathered so far, shared by its steps.
pub struct Walk {
    /// The engine.
    pub engine: Engine,
    /// Parameters.
    pub params: Value,
    /// The targets, as they are.
    pub targets: BTreeMap<String, TargetSeen>,
    /// Outputs of the steps before; unknown ones are handles.
    pub outputs: Mutex<BTreeMap<String, Value>>,
    /// What changes that were not performed would have written.
    pub unwritten: Mutex<Vec<Unwritten>>,
}

impl Walk {
    /// A resource named by the identity of its target, so that two names of one database meet.
    fn by_identity(&self, resource: &Resource) -> Resource {
        let Some(target) = resource.target() else { return resource.clone() };
        let Some(seen) = self.targets.get(target::base(target)) else { return resource.clone() };
        let shared = resource.path().ends_with("/shared");
        // A branch that a run made is a server of its own.
        if let (Some(branch), Some((_, made))) = (&seen.identity.branch, target::made_branch(target)) {
            let part = if shared { "shared".to_owned() } else { format!("db/{}", seen.identity.database_key()) };
            return Resource::new(format!("postgres/neon/{}/{made}/{part}", branch.project));
        }
        let part = match target::made(target) {
            _ if shared => "shared".to_owned(),
            Some((_, database)) => format!("db/{database}"),
            None => format!("db/{}", seen.identity.database_key()),
        };
        Resource::new(format!("postgres/{}/{part}", seen.identity.server_key()))
    }

    /// The step whose change, not performed, would alter what is read.
    fn stale(&self, reads: &[Resource]) -> Option<String> {
        self.find_unwritten(reads, |_| true)
    }

    /// The step whose change, not performed, may make what a change after it misses.
    fn undefined(&self, writes: &[Resource]) -> Option<String> {
        self.find_unwritten(writes, |unwritten| unwritten.defines)
    }

    fn find_unwritten(&self, wanted: &[Resource], which: impl Fn(&Unwritten) -> bool) -> Option<String> {
        let unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.iter().find_map(|resource| {
            let resource = self.by_identity(resource);
            unwritten.iter().find(|it| which(it) && it.resource.meets(&resource)).map(|it| it.step.clone())
        })
    }

    /// Notes that a step would have written these; `defines` when that may be more than rows.
    pub fn leave_unwritten(&self, writes: &[Resource], step: &str, defines: bool) {
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        unwritten.extend(writes.iter().map(|resource| Unwritten {
            resource: self.by_identity(resource),
            step: step.to_owned(),
            defines,
        }));
    }
}

/// The door of one closure in a preview.
pub struct PreviewDoor {
    /// The walk it belongs to.
    pub walk: Arc<Walk>,
    /// The step.
    pub step: String,
    /// The lane, empty for the main one.
    pub lane: String,
    /// Lines so far.
    pub lines: Arc<Mutex<Vec<Line>>>,
}

impl PreviewDoor {
    fn line(&self, action: &Action, previewed: Previewed, known_after: Option<String>) {
        let Previewed { level, value, by_hand, notes } = previewed;
        let line = Line {
            word: action.word.clone(),
            title: action.title.clone(),
            change: action.class != Recovery::Read,
            level,
            known_after,
            seen: value,
            by_hand,
            notes,
            lane: self.lane.clone(),
        };
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn rendered(&self, action: &Action) -> Previewed {
        let by_hand = self.walk.engine.effects.by_hand(action);
        Previewed { level: Level::Rendered, value: None, by_hand, notes: Vec::new() }
    }

    fn change(&self, action: &Action) -> Result<Value, Stop> {
        let engine = &self.walk.engine;
        let previewed = match self.previewed(action) {
            Err(Stop::Failed(fault)) => match self.walk.undefined(&action.writes) {
                // The name is missing perhaps only because a change before it was not made.
                Some(step) if MISSING.contains(&fault.code.as_str()) => Previewed {
                    notes: vec![format!("can be checked only after `{step}`: {}", fault.message)],
                    ..self.rendered(action)
                },
                _ => return Err(fault.into()),
            },
            other => other?,
        };
        engine.event(Event::ActionStarted { title: action.title.clone(), lane: self.lane.clone() });
        self.line(action, previewed, None);
        self.walk.leave_unwritten(&action.writes, &self.step, may_define(action));
        Ok(Value::String(unknown::handle(&self.step)))
    }

    fn previewed(&self, action: &Action) -> Result<Previewed, Stop> {
        let engine = &self.walk.engine;
        Ok(engine.wait(Urgency::Soft, engine.effects.preview(action))??)
    }
}

/// What a read saw, as far as anybody reads it: a plan that held a thousand branches would be read three times over to
/// be held to, in memory.
fn for_readers(value: &Value) -> Value {
    /// Items of a list or a map that are still shown.
    const MOST: usize = 100;
    match value {
        Value::Array(items) if items.len() > MOST => Value::from(format!("{} items", items.len())),
        Value::Object(map) if map.len() > MOST => Value::from(format!("{} entries", map.len())),
        _ => value.clone(),
    }
}

/// Codes of faults that say something is not there.
const MISSING: [&str; 6] = ["sql.42P01", "sql.42703", "sql.42883", "sql.42704", "sql.3F000", "sql.3D000"];

impl Host for PreviewDoor {
    fn perform(&self, action: Action) -> Result<Value, Stop> {
        let resources = action.reads.iter().chain(&action.writes);
        for target in resources.filter_map(Resource::target) {
            // A database that an earlier step would make has no name yet.
            if unknown::first(target).is_none() && !self.walk.targets.contains_key(target::base(target)) {
                return Err(stranger(target).into());
            }
        }
        if let Some(step) = unknown::first_in(&action.request) {
            let step = step.to_owned();
            self.line(&action, self.rendered(&action), Some(step.clone()));
            self.walk.leave_unwritten(&action.writes, &self.step, may_define(&action));
            return Ok(Value::String(unknown::handle(&step)));
        }
        match action.word.as_str() {
            RecordCheck::WORD => {
                let check = RecordCheck::of(&action)?;
                let passed = check.verdict == CheckVerdict::Pass;
                let mut previewed = self.rendered(&action);
                previewed.level = Level::Read;
                previewed.value = serde_json::to_value(check.verdict).ok();
                if !check.detail.is_empty() {
                    previewed.notes.push(check.detail);
                }
                self.line(&action, previewed, None);
                return Ok(Value::Bool(passed));
            }
            AskPerson::WORD => {
                self.line(&action, self.rendered(&action), None);
                return Ok(Value::Bool(true));
            }
            LogLine::WORD => return Ok(Value::Null),
            LogTable::WORD => {
                let table = LogTable::of(&action)?;
                let mut previewed = self.rendered(&action);
                previewed.level = Level::Read;
                // Notes are not pinned: a reason that reads otherwise tomorrow is no drift.
                previewed.notes = match table.lines() {
                    lines if lines.is_empty() => vec!["none".to_owned()],
                    lines => lines,
                };
                self.line(&action, previewed, None);
                return Ok(Value::Null);
            }
            Sleep::WORD | RandomPassword::WORD => return Ok(Value::String(unknown::handle(&self.step))),
            _ => {}
        }
        if action.class != Recovery::Read {
            return self.change(&action);
        }
        if let Some(step) = self.walk.stale(&action.reads) {
            self.line(&action, self.rendered(&action), Some(step.clone()));
            return Ok(Value::String(unknown::handle(&step)));
        }
        let previewed = self.previewed(&action)?;
        match previewed.value {
            Some(value) => {
                if !action.reads.is_empty() {
                    let seen = Some(for_readers(&value));
                    self.line(&action, Previewed { value: seen, ..previewed }, None);
                }
                Ok(value)
            }
            None => {
                self.line(&action, previewed, Some(self.step.clone()));
                Ok(Value::String(unknown::handle(&self.step)))
            }
        }
    }

    fn each(&self, lanes: &Lanes, body: &LaneBody<'_>) -> Result<Vec<Value>, Stop> {
        let mut values = Vec::with_capacity(lanes.keys.len());
        for (index, key) in lanes.keys.iter().enumerate() {
            let lane = if self.lane.is_empty() { key.clone() } else { format!("{}/{key}", self.lane) };
            let door =
                Self { walk: Arc::clone(&self.walk), step: self.step.clone(), lane, lines: Arc::clone(&self.lines) };
            match body(index, Arc::new(door)) {
                Ok(value) => values.push(value),
                // One lane that cannot be foreseen says nothing about the others.
                Err(Stop::Halted(Halt::Unknowable { after })) => {
                    // Nor what the rest of it would write.
                    self.walk.leave_unwritten(&[Resource::world()], &self.step, true);
                    values.push(Value::String(unknown::handle(&after)));
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok(values)
    }

    fn params(&self) -> &Value {
        &self.walk.params
    }

    fn done(&self, step: &str) -> Option<Value> {
        self.walk.outputs.lock().unwrap_or_else(PoisonError::into_inner).get(step).cloned()
    }

    fn took(&self, step: &str) -> Option<Value> {
        Some(Value::String(unknown::handle(step)))
    }

    fn step(&self) -> &str {
        &self.step
    }

    fn previewing(&self) -> bool {
        true
    }
}
