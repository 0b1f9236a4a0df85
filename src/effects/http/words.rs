//! `http::…`: one request, and what may be done when it gets no answer, or a bad one.
//!
//! A service that says "too many" or "come back later" did nothing, and is waited for here. What was sent and not answered is
//! settled by the action's class: asked again, looked at with a probe, or left to a person.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::sync::OnceCell;

use super::client::{self, Answer, Missed, Redirected};
use super::open::Opened;
use super::parts;
use crate::effects::{Done, Doubt, Ledger, Resolution, Ticket, World, shell};
use crate::model::Value;
use crate::model::action::{Action, Recovery};
use crate::model::clock::backoff;
use crate::model::event::Event;
use crate::model::fault::{Fault, FaultClass};
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::http::HttpSend;
use crate::model::secret;
use crate::model::unknown;

/// Words performed here.
pub const WORDS: [&str; 5] = ["http::get", "http::post", "http::put", "http::patch", "http::delete"];

/// The longest one answer may take where the runbook does not say.
const LIMIT: Duration = Duration::from_secs(60);
/// The longest that a service is waited for which says when to come back. Some block for five minutes.
const PATIENCE: Duration = Duration::from_secs(330);

/// When the next request may leave; whoever holds it is the next.
type Turn = tokio::sync::Mutex<Option<Instant>>;

/// The clients: one for this host, which no proxy stands before, and one for everything else. And when the next request may
/// leave where a service allows so many a second.
#[derive(Default)]
pub struct Clients {
    here: OnceCell<Client>,
    elsewhere: OnceCell<Client>,
    turns: Mutex<BTreeMap<u64, Arc<Turn>>>,
}

impl Clients {
    async fn of(&self, base: &str) -> Result<&Client, Fault> {
        let cell = if base.starts_with("http://") { &self.here } else { &self.elsewhere };
        cell.get_or_try_init(|| async { client::client(base, LIMIT, Redirected::Stays) }).await
    }

    /// Waits for a request's turn. Who asks by other headers has other limits.
    async fn turn(&self, request: &HttpSend, opened: &Opened) {
        let Some(apart) = request.per_second.and_then(|pace| Duration::try_from_secs_f64(1.0 / pace).ok()) else {
            return;
        };
        let turns = &self.turns;
        let turn = Arc::clone(turns.lock().unwrap_or_else(PoisonError::into_inner).entry(opened.who()).or_default());
        // Counted from when one really left: after a moment in which this host did nothing, they do not leave all at once.
        let mut next = turn.lock().await;
        if let Some(next) = *next {
            tokio::time::sleep_until(next.into()).await;
        }
        *next = Some(Instant::now() + apart);
    }
}

/// Sends the request of one of [`WORDS`].
pub async fn perform(
    world: &World,
    clients: &Clients,
    action: &Action,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let request = HttpSend::of(action)?;
    let mut opened = Opened::of(&request, &world.vault)?;
    if let Some(header) = &request.key {
        opened.header(header, &format!("runsheet-{}", &ticket.digest()[..32]))?;
    }
    let changes = action.class != Recovery::Read;
    if changes {
        ledger.intent(Value::Null)?;
    }
    let run = ticket.run_name();
    let name = |part: &str| format!("http:{run}/{}/{part}", ticket.key);
    let done = async {
        let answer = send(world, clients, action, &request, &opened).await?;
        parts::answered(&request, &answer, &world.vault, changes, &name)
    };
    done.await.map(|value| Done { value, rows: None }).inspect_err(|fault| {
        // What is asked next answers with what it finds, and not with what was heard here.
        if changes && fault.class == FaultClass::Unknown {
            world.sink.event(Event::Warning(world.vault.redact(&fault.to_string())));
        }
    })
}

/// What may be concluded of a request without an answer.
pub fn resolve(action: &Action, doubt: &Doubt) -> Resolution {
    if action.class == Recovery::Ask && doubt.proof.is_some() {
        return Resolution::Unknown("it was sent, or was about to be, and its answer is missing".into());
    }
    Resolution::NotDone
}

/// Really reads; a change is shown.
pub async fn preview(world: &World, clients: &Clients, action: &Action) -> Result<Previewed, Fault> {
    let by_hand = by_hand(action)?;
    let request = HttpSend::of(action)?;
    if action.class == Recovery::Read {
        let opened = Opened::of(&request, &world.vault)?;
        let answer = send(world, clients, action, &request, &opened).await?;
        let name = |part: &str| format!("http:preview/{}/{part}", &action.fingerprint()[..16]);
        let value = parts::answered(&request, &answer, &world.vault, false, &name)?;
        return Ok(Previewed { level: Level::Read, value: Some(value), by_hand, notes: Vec::new() });
    }
    let notes = match action.class {
        Recovery::Ask => vec!["if the answer gets lost, a person must say whether it was done".to_owned()],
        _ => Vec::new(),
    };
    Ok(Previewed { level: Level::Rendered, value: None, by_hand, notes })
}

/// The request as a line for a shell. Nothing is contacted.
pub fn by_hand(action: &Action) -> Result<Vec<String>, Fault> {
    let request = HttpSend::of(action)?;
    let mut words = vec!["curl".to_owned(), "-sS".to_owned()];
    if request.method != "GET" {
        words.extend(["-X".to_owned(), request.method.clone()]);
    }
    for (name, value) in &request.headers {
        words.extend(["-H".to_owned(), shell::word(&format!("{name}: {value}"))]);
    }
    if let Some(json) = &request.json {
        words.extend(["--json".to_owned(), shell::word(&json.to_string())]);
    }
    if let Some(text) = &request.text {
        words.extend(["--data-raw".to_owned(), shell::word(text)]);
    }
    words.push(shell::word(&request.url));
    Ok(vec![unknown::readable(&secret::readable(&words.join(" ")))])
}

/// Sends until there is an answer that means something.
async fn send(
    world: &World,
    clients: &Clients,
    action: &Action,
    request: &HttpSend,
    opened: &Opened,
) -> Result<Answer, Fault> {
    let client = clients.of(opened.base()).await?;
    let limit = action.timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(LIMIT);
    let began = Instant::now();
    let mut tries = 0;
    loop {
        tries += 1;
        clients.turn(request, opened).await;
        let answer = client::exchange(opened.built(client).timeout(limit)).await;
        let answer = answer.map_err(|missed| unanswered(request, action, &missed))?;
        if succeeded(request, answer.status) {
            return Ok(answer);
        }
        let fault = parts::refused(request, &answer, &world.vault, class(answer.status, action.class));
        let later = match (answer.status, action.class) {
            // Nothing was executed, whatever was asked.
            (429, _) => true,
            // The same by what it says; but who must be sure waits for nobody's word.
            (503, class) => class == Recovery::Read || class == Recovery::Repeatable,
            _ => false,
        };
        let wait = answer.retry_after(world.clock.now());
        let Some(wait) = wait.filter(|wait| later && began.elapsed() + *wait < PATIENCE) else {
            return Err(match wait {
                Some(wait) if later => fault.hinted(format!("it says to come back in {} s", wait.as_secs())),
                _ => fault,
            });
        };
        let wait = wait.max(backoff(Duration::from_millis(100), Duration::from_secs(5), tries));
        let title = action.title.clone();
        world.sink.event(Event::Retrying { title, fault: world.vault.redact_fault(fault), wait: wait.as_secs_f64() });
        tokio::time::sleep(wait).await;
    }
}

fn succeeded(request: &HttpSend, status: u16) -> bool {
    match request.ok.as_slice() {
        [] => (200..300).contains(&status),
        // Whoever lists a hundred of them does not mean the two that ask to come back later.
        ok => {
            ok.iter().any(|(from, to)| (*from..=*to).contains(&status) && (from == to || ![429, 503].contains(&status)))
        }
    }
}

/// What a status that is no success allows.
fn class(status: u16, class: Recovery) -> FaultClass {
    match status {
        // It was not executed.
        408 | 425 | 429 => FaultClass::Retryable,
        501 | 505 => FaultClass::Fatal,
        500..=599 if class == Recovery::Read => FaultClass::Retryable,
        // It may have been executed.
        500..=599 => FaultClass::Unknown,
        _ => FaultClass::Fatal,
    }
}

fn unanswered(request: &HttpSend, action: &Action, missed: &Missed) -> Fault {
    let (line, why) = (request.line(), missed.why());
    match missed {
        Missed::Unsent(_) => {
            Fault::retryable("http.unreachable", format!("{line}: the service cannot be reached: {why}"))
        }
        Missed::Lost(_) if action.class == Recovery::Read => {
            Fault::retryable("http.lost", format!("{line}: the answer got lost: {why}"))
        }
        Missed::TooLarge(_) if action.class == Recovery::Read => Fault::fatal("http.large", format!("{line}: {why}")),
        _ => Fault::unknown("http.lost", format!("{line}: the answer got lost: {why}")),
    }
}
