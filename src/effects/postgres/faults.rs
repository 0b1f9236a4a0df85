//! The one table from what a server or a socket says to what may be done next.

use std::error::Error as _;
use std::io::ErrorKind;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity};

use crate::model::fault::{Fault, FaultClass};

/// How far a change had come when something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing that was sent can have taken effect: a read, or a transaction before its COMMIT.
    Harmless,
    /// The message that makes the change was sent: a COMMIT, or a statement outside a transaction.
    Sent,
}

/// What Neon's proxy says while a compute starts, or was just made.
const WAKING: [&str; 4] = [
    "Couldn't connect to compute node",
    "endpoint is temporarily unavailable",
    "endpoint is in some transitive state",
    "endpoint cannot be found",
];

/// The fault that an error amounts to. `what` says what was being done: `sql::exec on prod`.
pub fn of(error: &Error, stage: Stage, what: &str) -> Fault {
    match error.as_db_error() {
        Some(said) => of_server(said, stage, what),
        None => of_connection(error, stage, what),
    }
}

fn of_server(said: &DbError, stage: Stage, what: &str) -> Fault {
    let state = said.code().code();
    let fatal = matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    // A session that was ended may have been ended after its commit record was written.
    let class = if stage == Stage::Sent && fatal { FaultClass::Unknown } else { class_of(state) };
    // A proxy before the server speaks for it, under codes that say nothing.
    let waking = WAKING.iter().any(|part| said.message().contains(part));
    let class = if waking && class == FaultClass::Fatal { FaultClass::Retryable } else { class };
    let mut fault = Fault::new(class, format!("sql.{state}"), format!("{what}: {}", said.message()));
    let detail: Vec<String> = [
        said.detail().map(str::to_owned),
        said.where_().map(|context| format!("in {}", context.replace('\n', "; "))),
        said.constraint().map(|name| format!("constraint {name}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !detail.is_empty() {
        fault = fault.detailed(detail.join("; "));
    }
    let disabled = said.message().contains("endpoint is disabled");
    let asleep = disabled.then_some("the compute is disabled: neon::disable_endpoint(id, false) lets it start");
    match said.hint().or(asleep).or(hint_for(state)) {
        Some(hint) => fault.hinted(hint),
        None => fault,
    }
}

/// What an SQLSTATE allows, where nothing has taken effect.
fn class_of(state: &str) -> FaultClass {
    match state {
        // Serialisation failure, deadlock, lock not available, object in use.
        "40001" | "40P01" | "55P03" | "55006" => FaultClass::Retryable,
        // Too many connections, and a server that is starting, stopping or recovering.
        "53300" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => FaultClass::Retryable,
        // A protocol violation is of class 08 too, and no accident of the moment.
        "08P01" => FaultClass::Fatal,
        _ if state.starts_with("08") => FaultClass::Retryable,
        _ => FaultClass::Fatal,
    }
}

fn hint_for(state: &str) -> Option<&'static str> {
    Some(match state {
        "28P01" => {
            "the password or the user name in the target's URL is wrong; check the variable that the URL comes from"
        }
        "28000" => {
            "the server does not let this user in from this host, or not without TLS; check the URL and pg_hba.conf"
        }
        "3D000" => "check the database name at the end of the target's URL",
        "42501" => "the role in the target's URL lacks a right; grant it, or use a role that has it",
        "57014" => {
            "it took longer than its time limit; give the step or the word a longer `timeout`, or find out what it waits for"
        }
        "55P03" => "another session holds a lock that this needs; pg_locks and pg_stat_activity show which",
        "53300" => "all connection slots are taken; close idle sessions or raise max_connections",
        "57P03" => "the server is starting, stopping or recovering; it is tried again",
        "25006" => "sql::query only reads; use sql::exec for a change",
        "25001" => "this statement refuses a transaction; use sql::admin",
        "26000" | "42P05" => {
            "the pooler mixed up prepared statements; set `direct_url` for this target, or cast columns of own types to text"
        }
        _ => return None,
    })
}

fn of_connection(error: &Error, stage: Stage, what: &str) -> Fault {
    let said = chain(error);
    if stage == Stage::Sent {
        return Fault::unknown(
            "connection.lost",
            format!("{what}: the connection was lost after the change was sent, before the server answered: {said}"),
        );
    }
    match error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>()) {
        Some(io) if io.kind() == ErrorKind::ConnectionRefused => {
            Fault::retryable("connection.refused", format!("{what}: {said}"))
                .hinted("nothing listens there: is the server up, and are host and port of the target's URL right?")
        }
        Some(io) if matches!(io.kind(), ErrorKind::TimedOut) => {
            Fault::retryable("connection.timeout", format!("{what}: {said}"))
                .hinted("the host does not answer: check address, firewall and VPN")
        }
        Some(_) if said.contains("lookup address") || said.contains("resolve") => {
            Fault::retryable("connection.name", format!("{what}: the host name cannot be resolved: {said}"))
                .hinted("check the host in the target's URL, and the name service of this machine")
        }
        // A refused certificate arrives as an I/O error too, and trying again will not sign it.
        Some(io) if io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => of_tls(what, &said),
        Some(_) => Fault::retryable("connection.lost", format!("{what}: {said}")),
        None if error.is_closed() => Fault::retryable("connection.lost", format!("{what}: the connection was lost")),
        None if said.contains("timeout") || said.contains("timed out") => {
            Fault::retryable("connection.timeout", format!("{what}: {said}"))
        }
        None if said.contains("TLS") || said.contains("ertificate") => of_tls(what, &said),
        None => Fault::fatal("connection.protocol", format!("{what}: {said}")),
    }
}

fn of_tls(what: &str, said: &str) -> Fault {
    Fault::fatal("connection.tls", format!("{what}: {said}")).hinted(
        "the server offers no TLS, or a certificate for another host or by an authority that is not trusted; \
         use the host name of the certificate, or set the target's ca_cert",
    )
}

/// An error with its causes in one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    text
}
