//! What a connection of the application does: transaction after transaction, each with a name of its own that it leaves in the
//! database and, once acknowledged, in the log.
//!
//! Each one inserts a payout whose note names the transaction, what it does, and to which row: that note is there once, or
//! the transaction was lost or doubled. What it does is one of three: insert an issue, add one to a number in an issue that
//! this connection inserted, delete such an issue. The sum of the notes must be what the issues are like.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::LAST;
use super::log::{Line, Log, Status};
use crate::lab::session::{Refusal, Session};
use crate::model::clock::SharedClock;

/// Before what was refused is tried again.
const AGAIN: Duration = Duration::from_millis(20);
/// Issues that a connection keeps to change and delete.
const KEPT: usize = 40;
/// How every text begins that the application leaves.
pub const PREFIX: &str = "app ";

/// One connection of the application.
pub struct Worker {
    /// Where its database is.
    pub url: String,
    /// Tells it from every other connection of every other process.
    pub name: String,
    /// Between two transactions.
    pub pace: Duration,
    /// Rows that the lab was made with.
    pub rows: u64,
    /// The log.
    pub log: Arc<Log>,
    /// Time.
    pub clock: SharedClock,
    /// Says when to stop.
    pub stop: watch::Receiver<bool>,
}

/// An issue that this connection inserted.
struct Issue {
    item: String,
    id: String,
}

/// A transaction to come.
struct Task {
    kind: &'static str,
    /// The issue it is about, where that is there already.
    issue: Option<Issue>,
}

impl Worker {
    /// Works until it is told to stop, which it does between two transactions.
    pub async fn run(mut self) {
        let mut session = None;
        let mut issues = VecDeque::new();
        let mut due = Instant::now();
        let mut number: u64 = 0;
        while !*self.stop.borrow() {
            number += 1;
            let task = choose(number, &mut issues);
            match self.transact(&mut session, number, task).await {
                Some(issue) => issues.extend(issue),
                None => tokio::time::sleep(AGAIN).await,
            }
            due += self.pace;
            let now = Instant::now();
            if due > now {
                let stopped = tokio::time::timeout(due - now, self.stop.changed());
                let _ = stopped.await;
            } else {
                due = now;
            }
        }
    }

    /// One transaction. Answers the issue as it is to be kept; `None` where it was not committed, and its issue is given up.
    async fn transact(&self, session: &mut Option<Session>, number: u64, task: Task) -> Option<Option<Issue>> {
        let tag = format!("{}-{number}", self.name);
        let item = task.issue.as_ref().map_or_else(|| tag.clone(), |issue| issue.item.clone());
        let begun = self.clock.now().timestamp_micros();
        let note = |status, why: &str| {
            let ended = self.clock.now().timestamp_micros();
            let (tag, kind, item) = (tag.clone(), task.kind.to_owned(), item.clone());
            self.log.add(&Line { begun, ended, status, tag, kind, item, why: why.to_owned() });
        };
        let open = match session.take() {
            Some(open) => open,
            None => match self.patiently(Session::open(&self.url)).await {
                Ok(open) => open,
                Err(Refusal { why, .. }) => {
                    note(Status::Refused, &why);
                    return None;
                }
            },
        };
        let changed = match self.patiently(open.run(&self.statements(number, &tag, &item, &task))).await {
            Ok(rows) => rows,
            Err(Refusal { why, gone, .. }) => {
                note(Status::Refused, &why);
                if !gone && self.patiently(open.run("rollback")).await.is_ok() {
                    *session = Some(open);
                }
                return None;
            }
        };
        if let Err(Refusal { why, .. }) = self.patiently(open.run("commit")).await {
            note(Status::Unknown, &why);
            return None;
        }
        note(Status::Acknowledged, "-");
        *session = Some(open);
        let id = task.issue.map(|issue| issue.id).or_else(|| changed.first()?.first().cloned());
        Some(id.filter(|_| task.kind != "delete").map(|id| Issue { item, id }))
    }

    /// Waits for an answer; one that does not come is given up once a stop was asked for.
    async fn patiently<T>(&self, answer: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
        let mut stop = self.stop.clone();
        tokio::select! {
            answer = answer => answer,
            () = given_up(&mut stop) => Err(Refusal { why: "stopped".to_owned(), said: String::new(), gone: true }),
        }
    }

    fn statements(&self, number: u64, tag: &str, item: &str, task: &Task) -> String {
        let pick = |share: u64, factor: u64| 1 + number.wrapping_mul(factor) % (self.rows * share / 1000).max(1);
        let (cycle, user, paid) = (pick(25, 31), pick(50, 7919), pick(600, 104_729));
        let change = match &task.issue {
            None => format!(
                "insert into issues (cycle_id, reporter_id, severity, title, details) \
                 values ({cycle}, {user}, {}, '{PREFIX}{item}', '{{\"n\": 0}}') returning id",
                1 + number % 5
            ),
            Some(Issue { id, .. }) if task.kind == "update" => format!(
                "update issues set details = jsonb_set(details, '{{n}}', to_jsonb((details->>'n')::integer + 1)) \
                 where id = {id} and title = '{PREFIX}{item}'"
            ),
            Some(Issue { id, .. }) => format!("delete from issues where id = {id} and title = '{PREFIX}{item}'"),
        };
        format!(
            "begin; {change}; insert into issue_payouts (issue_id, user_id, amount, note) \
             values ({paid}, {user}, 0.01, '{PREFIX}{tag} {} {item}')",
            task.kind
        )
    }
}

/// Inserts first, then of ten transactions five inserts, three updates, two deletes: what is kept stays about as much.
fn choose(number: u64, issues: &mut VecDeque<Issue>) -> Task {
    let kind = match number % 10 {
        1 | 4 | 8 if issues.len() > 3 => "update",
        3 | 6 if issues.len() > 3 => "delete",
        _ if issues.len() >= KEPT => "update",
        _ => "insert",
    };
    let issue = if kind == "insert" { None } else { issues.pop_front() };
    Task { kind, issue }
}

/// Ends when a stop was asked for and what is under way got its time.
async fn given_up(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        return std::future::pending().await;
    }
    tokio::time::sleep(LAST).await;
}
