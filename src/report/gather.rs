//! One passage over the entries of a run, forgetting each after it was counted.

use std::collections::{BTreeMap, HashMap};

use super::{
    ChangeLine, CheckLine, ComparisonLine, DecisionLine, DoubtLine, FindingLine, Listing, NoteLine, Operator, Param,
    Report, StepLine, TableLine, Tally, TargetLine,
};
use crate::journal::chain;
use crate::journal::entry::{Answer, Entry, Outcome, Record, RunStarted, StepEnd};
use crate::journal::store::{Journal, JournalError};
use crate::model::Value;
use crate::model::ids::{ActionKey, Phase, RunId};
use crate::model::request::proving::{Amcheck, Comparison, Finding, SameObjects, SameRows, SequencesAhead};
use crate::model::request::table::LogTable;
use crate::model::request::{AskPerson, LogLine, RecordCheck, Request};
use crate::model::verdict::CheckVerdict;
use crate::model::{secret, unknown};

/// Tables of a comparison that are shown; the biggest come first among the equal ones.
const TABLES: usize = 100;

/// Rows of a runbook's own table that are shown.
const ROWS: usize = 5000;

/// Entries read at a time.
const PAGE: usize = 500;

pub(super) fn gather(journal: &dyn Journal, run: &RunId) -> Result<Report, JournalError> {
    let summary = journal.summary(run)?;
    let mut gathered = Gathered::default();
    let mut after = 0;
    loop {
        let page = journal.raw(run, after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.n;
        for raw in page {
            gathered.entries += 1;
            gathered.head = raw.hash;
            gathered.take(chain::open(run, raw.n, &raw.text)?);
        }
    }
    gathered.settle();
    let earlier = super::earlier::earlier(journal, &summary)?;
    let started = *summary.started;
    let ended_at = summary.state.finished().then_some(summary.last_at);
    let took = (summary.last_at - summary.started_at).num_milliseconds();
    Ok(Report {
        run: summary.run,
        state: summary.state,
        verdict: summary.verdict,
        why: readable(&summary.why),
        started_at: summary.started_at,
        ended_at,
        took_ms: u64::try_from(took).unwrap_or(0),
        operators: gathered.operators,
        params: params(&started),
        targets: targets(&started),
        runbook: started.runbook,
        version: started.version,
        digest: started.digest,
        git: started.git,
        program: started.program,
        environment: started.environment,
        plan: started.plan,
        steps: gathered.steps,
        checks: gathered.checks,
        tally: gathered.tally,
        comparisons: gathered.comparisons,
        findings: gathered.findings,
        tables: gathered.tables,
        changes: gathered.changes,
        rows_changed: gathered.rows_changed,
        reads: gathered.reads,
        decisions: gathered.decisions.into_iter().map(|(_, line)| line).collect(),
        doubts: gathered.doubts,
        notes: gathered.notes,
        earlier,
        entries: gathered.entries,
        head: gathered.head,
    })
}

/// What has been counted so far.
#[derive(Default)]
struct Gathered {
    entries: u64,
    head: String,
    operators: Vec<Operator>,
    steps: Vec<StepLine>,
    checks: Listing<CheckLine>,
    tally: Tally,
    comparisons: Vec<ComparisonLine>,
    findings: Listing<FindingLine>,
    tables: Vec<TableLine>,
    changes: Listing<ChangeLine>,
    rows_changed: u64,
    reads: u64,
    decisions: Vec<(ActionKey, DecisionLine)>,
    doubts: Listing<DoubtLine>,
    notes: Listing<NoteLine>,
    /// Intents that have no outcome yet.
    open: HashMap<ActionKey, Intent>,
    /// Actions whose newest outcome is *unknown*: title and what is known.
    unknown: BTreeMap<String, (ActionKey, String, String)>,
    /// Questions to people.
    asked: HashMap<ActionKey, String>,
}

struct Intent {
    n: u64,
    title: String,
    request: Value,
    changes: bool,
}

impl Gathered {
    fn take(&mut self, entry: Entry) {
        let at = entry.at;
        match entry.record {
            Record::RunStarted(started) => {
                self.operators.push(Operator { at, command: "run".into(), by: started.by });
            }
            Record::RunResumed { by, command } => self.operators.push(Operator { at, command, by }),
            Record::StepStarted { step, phase } => {
                let line = self.step(&step, phase);
                "started".clone_into(&mut line.state);
                line.why = None;
            }
            Record::StepEnded { step, phase, end, took_ms } => self.step_ended(&step, phase, end, took_ms),
            Record::StepReset { step, hold, why } => {
                let why = if why.is_empty() { why } else { format!(" ({why})") };
                let text = format!("`{hold}` no longer held{why}: step `{step}` and all after it were performed anew");
                self.notes.add(NoteLine { at, text }, true);
            }
            Record::Started { .. } => {}
            Record::Intent { key, word, title, request, writes, .. } => {
                if word == AskPerson::WORD {
                    self.asked.insert(key.clone(), question(&request, &title));
                }
                let title = readable(&title);
                self.open.insert(key, Intent { n: entry.n, title, request, changes: !writes.is_empty() });
            }
            Record::Outcome { key, attempt, word, title, request, outcome, took_ms, rows, .. } => {
                let intent = self.open.remove(&key);
                let request = if request.is_null() {
                    intent.as_ref().map(|intent| intent.request.clone()).unwrap_or_default()
                } else {
                    request
                };
                self.unknown.remove(&key.to_string());
                match word.as_str() {
                    RecordCheck::WORD => self.check(&key, request),
                    AskPerson::WORD => {
                        self.asked.insert(key.clone(), question(&request, &title));
                    }
                    LogLine::WORD => {
                        if let Ok(line) = serde_json::from_value::<LogLine>(request) {
                            self.notes.add(NoteLine { at, text: readable(&line.text) }, false);
                        }
                    }
                    LogTable::WORD => self.table(&key, request),
                    _ if intent.is_none_or(|intent| !intent.changes) => {
                        self.reads += 1;
                        if let Outcome::Done { value } = &outcome {
                            self.compared(&key, &word, value);
                        }
                    }
                    _ => {
                        let (outcome, why) = told(&outcome);
                        let line = ChangeLine {
                            at,
                            place: place(&key),
                            title: readable(&title),
                            attempt,
                            outcome,
                            why,
                            rows,
                            took_ms,
                        };
                        self.change(&key, line);
                    }
                }
                if let Outcome::Unknown { why } = outcome {
                    self.unknown.insert(key.to_string(), (key, readable(&title), readable(&why)));
                }
            }
            Record::Decision { key, by, answer, why } => {
                let intent = self.open.get(&key).map(|intent| intent.title.clone());
                let doubt = self.unknown.get(&key.to_string()).map(|(_, title, _)| title.clone());
                let about = intent.or(doubt).unwrap_or_else(|| key.to_string());
                if matches!(answer, Answer::Done { .. } | Answer::NotDone) {
                    self.open.remove(&key);
                    self.unknown.remove(&key.to_string());
                }
                let answer = match answer {
                    Answer::Approved => "approved",
                    Answer::Rejected => "rejected",
                    Answer::Done { .. } => "was done",
                    Answer::NotDone => "was not done",
                };
                let line = DecisionLine { at, by, about, answer: answer.into(), why: readable(&why) };
                self.decisions.push((key, line));
            }
            Record::Note { text } => self.notes.add(NoteLine { at, text: readable(&text) }, true),
            Record::Unwinding { command, why } => {
                let text = format!("from here the run was taken back (`{command}`): {}", readable(&why));
                self.notes.add(NoteLine { at, text }, true);
            }
            Record::Sealed { name, .. } => {
                let text = format!("the secret `{}` was sealed in the journal", readable(&name));
                self.notes.add(NoteLine { at, text }, true);
            }
            Record::RunEnded { .. } => {}
        }
    }

    fn step(&mut self, step: &str, phase: Phase) -> &mut StepLine {
        let known = self.steps.iter().position(|line| line.step == step && line.phase == phase.as_str());
        let at = known.unwrap_or_else(|| {
            self.steps.push(StepLine {
                step: step.to_owned(),
                phase: phase.as_str().to_owned(),
                state: "started".into(),
                why: None,
                took_ms: None,
                changes: 0,
                rows: 0,
            });
            self.steps.len() - 1
        });
        &mut self.steps[at]
    }

    fn step_ended(&mut self, step: &str, phase: Phase, end: StepEnd, took_ms: u64) {
        let (state, why) = match end {
            // A `.when` that answered no.
            StepEnd::Done { output: Value::Bool(false), .. } if phase == Phase::When => ("skipped", None),
            StepEnd::Done { .. } => ("done", None),
            StepEnd::Skipped => ("skipped", None),
            StepEnd::Failed { fault } => ("failed", Some(readable(&fault.to_string()))),
        };
        // Whether a step applies is worth a line of its own only where asking went wrong.
        if phase == Phase::When && state == "done" {
            self.steps.retain(|line| line.step != step || line.phase != phase.as_str());
            return;
        }
        let line = self.step(step, phase);
        line.took_ms = Some(took_ms);
        state.clone_into(&mut line.state);
        line.why = why;
        if state == "skipped" {
            Phase::Perform.as_str().clone_into(&mut line.phase);
        }
    }

    fn check(&mut self, key: &ActionKey, request: Value) {
        let Ok(check) = serde_json::from_value::<RecordCheck>(request) else { return };
        match check.verdict {
            CheckVerdict::Pass => self.tally.passed += 1,
            CheckVerdict::Fail => self.tally.failed += 1,
            CheckVerdict::CouldNotVerify => self.tally.unverified += 1,
        }
        let line = CheckLine {
            step: place(key),
            name: readable(&check.name),
            verdict: check.verdict,
            detail: readable(&check.detail),
            gate: check.gate,
            accepted: check.accept.iter().map(|gap| readable(gap)).collect(),
        };
        self.checks.add(line, check.verdict != CheckVerdict::Pass);
    }

    /// What a check of whole databases answered; the answer of anything else is passed over.
    fn compared(&mut self, key: &ActionKey, word: &str, value: &Value) {
        if ![SameRows::WORD, SameObjects::WORD, SequencesAhead::WORD, Amcheck::WORD].contains(&word) {
            return;
        }
        let Ok(compared) = serde_json::from_value::<Comparison>(value.clone()) else { return };
        for (state, findings) in
            [("differs", compared.differences), ("not compared", compared.gaps), ("tolerated", compared.tolerated)]
        {
            for Finding { name, what } in findings {
                let (check, state) = (word.to_owned(), state.to_owned());
                let (name, what) = (readable(&name), readable(&what));
                self.findings.add(FindingLine { check, state, name, what }, true);
            }
        }
        if word != SameRows::WORD {
            return;
        }
        let mut tables = Listing { total: compared.compared, shown: compared.tables };
        tables.shown.truncate(TABLES);
        self.comparisons.push(ComparisonLine {
            step: place(key),
            left: compared.left,
            right: compared.right,
            left_rows: compared.left_rows,
            right_rows: compared.right_rows,
            tables,
        });
    }

    fn table(&mut self, key: &ActionKey, request: Value) {
        let Ok(table) = serde_json::from_value::<LogTable>(request) else { return };
        let mut rows = Listing { total: table.rows.len() as u64, shown: table.rows };
        rows.shown.truncate(ROWS);
        for cell in rows.shown.iter_mut().flatten() {
            *cell = readable(cell);
        }
        let (title, columns) = (readable(&table.title), table.columns.iter().map(|name| readable(name)).collect());
        self.tables.push(TableLine { step: place(key), title, columns, rows });
    }

    fn change(&mut self, key: &ActionKey, line: ChangeLine) {
        let rows = if line.outcome == "done" { line.rows.unwrap_or(0) } else { 0 };
        self.rows_changed += rows;
        let step = self.step(&key.step, key.phase);
        step.changes += 1;
        step.rows += rows;
        let matters = line.outcome != "done";
        self.changes.add(line, matters);
    }

    /// What is left when the entries end.
    fn settle(&mut self) {
        for (key, line) in &mut self.decisions {
            if let Some(question) = self.asked.get(key) {
                line.about.clone_from(question);
            }
        }
        for (key, (_, title, why)) in std::mem::take(&mut self.unknown) {
            self.doubts.add(DoubtLine { key, title, why }, true);
        }
        let mut open: Vec<_> = std::mem::take(&mut self.open)
            .into_iter()
            .filter(|(key, intent)| intent.changes && !self.asked.contains_key(key))
            .collect();
        open.sort_by_key(|(_, intent)| intent.n);
        for (key, intent) in open {
            let why = "it was about to be made when the journal ends; no outcome is recorded".to_owned();
            self.doubts.add(DoubtLine { key: key.to_string(), title: intent.title, why }, true);
        }
    }
}

/// The question put to a person, as they read it.
fn question(request: &Value, title: &str) -> String {
    readable(request.get("question").and_then(Value::as_str).unwrap_or(title))
}

/// Step and lane of an action.
fn place(key: &ActionKey) -> String {
    let key = key.to_string();
    key.rsplit_once('#').map_or(key.clone(), |(place, _)| place.to_owned())
}

fn told(outcome: &Outcome) -> (String, Option<String>) {
    match outcome {
        Outcome::Done { .. } => ("done".into(), None),
        Outcome::Failed { fault } => ("failed".into(), Some(readable(&fault.to_string()))),
        Outcome::Unknown { why } => ("unknown".into(), Some(readable(why))),
    }
}

/// Text without handles.
fn readable(text: &str) -> String {
    unknown::readable(&secret::readable(text))
}

/// Data without handles.
fn readable_value(value: &Value) -> Value {
    match value {
        Value::String(text) => readable(text).into(),
        Value::Array(items) => items.iter().map(readable_value).collect(),
        Value::Object(map) => map.iter().map(|(key, item)| (readable(key), readable_value(item))).collect(),
        other => other.clone(),
    }
}

fn params(started: &RunStarted) -> Vec<Param> {
    let params = started.params.as_object().into_iter().flatten();
    params
        .map(|(name, value)| {
            let source = started.secrets.get(name);
            Param {
                name: name.clone(),
                value: readable_value(value),
                kind: started.kinds.get(name).cloned(),
                from: source.map(|source| source.from.clone()),
                fingerprint: source.map(|source| source.fingerprint.clone()),
            }
        })
        .collect()
}

fn targets(started: &RunStarted) -> Vec<TargetLine> {
    let targets = started.targets.iter();
    targets
        .map(|(name, seen)| TargetLine {
            name: name.clone(),
            label: seen.label.clone(),
            database: seen.identity.database.clone(),
            address: seen.identity.address.clone(),
            system: seen.identity.system.clone(),
            branch: seen.identity.branch.clone(),
            database_oid: seen.identity.database_oid,
            timeline: seen.identity.timeline,
        })
        .collect()
}
