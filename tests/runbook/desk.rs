//! A host that writes down what it is asked and answers what a test told it to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use runsheet::model::Value;
use runsheet::model::action::Action;
use runsheet::model::fault::Stop;
use runsheet::model::host::{Host, LaneBody, Lanes};
use runsheet::model::ids::Phase;
use runsheet::model::script::{Script, ScriptError};
use runsheet::runbook::{Diagnostic, Runbook, Sources, load};
use serde_json::json;

/// The host.
pub struct Desk {
    pub params: Value,
    pub done: BTreeMap<String, Value>,
    pub took: BTreeMap<String, Value>,
    pub previewing: bool,
    answers: Mutex<VecDeque<Result<Value, Stop>>>,
    asked: Arc<Mutex<Vec<Action>>>,
}

impl Desk {
    pub fn new() -> Self {
        Self {
            params: json!({ "app": "app" }),
            done: BTreeMap::new(),
            took: BTreeMap::new(),
            previewing: false,
            answers: Mutex::default(),
            asked: Arc::default(),
        }
    }

    pub fn param(mut self, name: &str, value: Value) -> Self {
        self.params[name] = value;
        self
    }

    pub fn done(mut self, step: &str, value: Value) -> Self {
        self.done.insert(step.into(), value);
        self
    }

    pub fn took(mut self, step: &str, value: Value) -> Self {
        self.took.insert(step.into(), value);
        self
    }

    pub fn previewing(mut self) -> Self {
        self.previewing = true;
        self
    }

    pub fn answers(self, value: Value) -> Self {
        self.answers.lock().unwrap().push_back(Ok(value));
        self
    }

    pub fn stops(self, stop: impl Into<Stop>) -> Self {
        self.answers.lock().unwrap().push_back(Err(stop.into()));
        self
    }
}

impl Host for Desk {
    fn perform(&self, action: Action) -> Result<Value, Stop> {
        let natural = match action.word.as_str() {
            "check::record" => json!(action.request["verdict"] == "pass"),
            "now" => json!("2026-03-01T00:00:00Z"),
            _ => Value::Null,
        };
        self.asked.lock().unwrap().push(action.clone());
        if matches!(action.word.as_str(), "check::record" | "log::info" | "flow::sleep") {
            return Ok(natural);
        }
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(natural))
    }

    fn each(&self, lanes: &Lanes, body: &LaneBody<'_>) -> Result<Vec<Value>, Stop> {
        let lane = |index: usize| {
            let desk = Desk {
                params: self.params.clone(),
                done: self.done.clone(),
                took: self.took.clone(),
                previewing: self.previewing,
                answers: Mutex::default(),
                asked: Arc::clone(&self.asked),
            };
            std::thread::scope(|scope| scope.spawn(|| body(index, Arc::new(desk))).join().unwrap())
        };
        (0..lanes.keys.len()).map(lane).collect()
    }

    fn params(&self) -> &Value {
        &self.params
    }

    fn done(&self, step: &str) -> Option<Value> {
        self.done.get(step).cloned()
    }

    fn took(&self, step: &str) -> Option<Value> {
        self.took.get(step).cloned()
    }

    fn step(&self) -> &str {
        "here"
    }

    fn previewing(&self) -> bool {
        self.previewing
    }
}

/// A runbook with one step of this body.
pub fn with_step(body: &str) -> String {
    format!(
        "runbook(\"try\", \"1.0.0\", #{{ params: #{{ app: target(\"database\") }} }});\nstep(\"here\", || {{ {body} }});\n"
    )
}

/// The text of a runbook, loaded.
pub fn book(text: &str) -> Result<Runbook, Vec<Diagnostic>> {
    load(&Sources::single("runbooks/try.rhai", text))
}

/// What came of a call, and what was asked.
pub type Called = (Result<Value, Box<ScriptError>>, Vec<Action>);

/// Performs the first step of a runbook.
pub fn perform(text: &str, desk: Desk) -> Called {
    let book = book(text).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    call(&book, 0, Phase::Perform, None, desk)
}

/// Calls one closure.
pub fn call(book: &Runbook, index: usize, phase: Phase, made: Option<&Value>, desk: Desk) -> Called {
    let asked = Arc::clone(&desk.asked);
    let result = book.call(index, phase, made, Arc::new(desk));
    let asked = asked.lock().unwrap().clone();
    (result, asked)
}

/// Performs a step of this body.
pub fn body(text: &str, desk: Desk) -> Called {
    perform(&with_step(text), desk)
}

/// The value of a step of this body, whose actions all answer nothing.
pub fn value(text: &str) -> Value {
    let (result, _) = body(text, Desk::new());
    result.unwrap_or_else(|error| panic!("{text}\n{}", error.shown))
}

/// How a step of this body fails.
pub fn failure(text: &str) -> Box<ScriptError> {
    let (result, _) = body(text, Desk::new());
    match result {
        Err(error) => error,
        Ok(value) => panic!("{text} answered {value}"),
    }
}

/// Findings as people see them.
pub fn shown(problems: &[Diagnostic]) -> String {
    problems.iter().map(|problem| problem.render(false)).collect::<Vec<_>>().join("\n")
}
