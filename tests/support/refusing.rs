//! A server that does not do as it is told, or does and cannot say so: a proxy before a real one, which looks at every statement.
//!
//! ```ignore
//! let managed = Refusing::before(&database, "SCRAM-SHA-256$", "22023", "only plain passwords");
//! let flaky = Refusing::losing(&database, "alter role", 1);      // made, and the answer lost, once
//! ```

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::Database;

/// Codes in the place of a protocol version: of a client that would like TLS or GSSAPI, and of one that cancels a query.
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;

/// The proxy. Dropping it, it does not listen any more; who is connected stays.
pub struct Refusing {
    port: u16,
    to: Database,
    rules: Arc<Rules>,
}

/// What it looks for, and what it does then.
struct Rules {
    server: u16,
    needle: String,
    mishap: Mishap,
    caught: AtomicUsize,
    over: AtomicBool,
}

enum Mishap {
    /// In the statement's place the server gets one that fails like this.
    Refused(String),
    /// The connection is cut in the place of the answer, so many times.
    Lost(AtomicUsize),
}

impl Refusing {
    /// Before the server of a database: a statement with this text in it fails with a SQLSTATE and a message, and does nothing.
    pub fn before(to: &Database, needle: &str, sqlstate: &str, message: &str) -> Self {
        // A real failure of the real server: states of transactions and skipped messages are as they would be.
        let message = message.replace('\'', "''");
        let raise = format!("raise exception using errcode = '{sqlstate}', message = '{message}'");
        Self::start(to, needle, Mishap::Refused(format!("do $refusing$ begin {raise}; end $refusing$")))
    }

    /// Before the server of a database: a statement with this text in it is done, in a transaction to its end, and then the
    /// connection breaks; so many times.
    pub fn losing(to: &Database, needle: &str, times: usize) -> Self {
        Self::start(to, needle, Mishap::Lost(AtomicUsize::new(times)))
    }

    /// The database through it.
    pub fn database(&self) -> Database {
        let Database { name, url } = &self.to;
        let (before, now) = (format!("127.0.0.1:{}/", self.rules.server), format!("127.0.0.1:{}/", self.port));
        Database { name: name.clone(), url: url.replace(&before, &now) }
    }

    /// How many statements it has refused, or whose answers it has lost.
    pub fn caught(&self) -> usize {
        self.rules.caught.load(Ordering::SeqCst)
    }

    fn start(to: &Database, needle: &str, mishap: Mishap) -> Self {
        let server: tokio_postgres::Config = to.url.parse().expect("a URL");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (server, needle) = (server.get_ports()[0], needle.to_owned());
        let (caught, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let rules = Arc::new(Rules { server, needle, mishap, caught, over });
        let shared = Arc::clone(&rules);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                let rules = Arc::clone(&shared);
                // Whoever breaks a connection off, the other side learns it by the end of its own.
                std::thread::spawn(move || drop(serve(client, &rules)));
            }
        });
        Self { port, to: Database { name: to.name.clone(), url: to.url.clone() }, rules }
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.rules.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// What both directions of a connection know.
#[derive(Default)]
struct Trip {
    /// Round trips that the client has asked for: a query, or everything up to a Sync.
    asked: usize,
    /// The first of them whose answer is to be lost.
    lost: Option<usize>,
}

fn serve(mut client: TcpStream, rules: &Arc<Rules>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let Some(first) = first_message(&mut client)? else { return Ok(()) };
    let mut server = TcpStream::connect(("127.0.0.1", rules.server))?;
    server.set_nodelay(true)?;
    server.write_all(&first)?;
    if first.get(4..8) == Some(&CANCEL.to_be_bytes()) {
        return Ok(());
    }
    let trip = Arc::new(Mutex::new(Trip::default()));
    let (mut answers, mut to_client) = (server.try_clone()?, client.try_clone()?);
    let (shared, rules_too) = (Arc::clone(&trip), Arc::clone(rules));
    let answering = std::thread::spawn(move || {
        let _ = answer(&mut answers, &mut to_client, &shared, &rules_too);
        // Both ends, so that a client that is cut off cannot go on talking to the server.
        let _ = to_client.shutdown(Shutdown::Both);
        let _ = answers.shutdown(Shutdown::Both);
    });
    let asked = ask(&mut client, &mut server, &trip, rules);
    let _ = server.shutdown(Shutdown::Write);
    let _ = answering.join();
    asked
}

/// The first message that is not about encryption, which it has none of; `None` if the client went away before.
fn first_message(client: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    loop {
        let mut head = [0; 8];
        if client.read_exact(&mut head).is_err() {
            return Ok(None);
        }
        let word = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().expect("four bytes"));
        if [SSL, GSS].contains(&word(4)) {
            client.write_all(b"N")?;
            continue;
        }
        let mut message = head.to_vec();
        message.resize((word(0) as usize).max(head.len()), 0);
        client.read_exact(&mut message[head.len()..])?;
        return Ok(Some(message));
    }
}

/// A message: its type and what is in it; `None` at the end.
fn message(from: &mut TcpStream) -> std::io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; 5];
    if from.read_exact(&mut head).is_err() {
        return Ok(None);
    }
    let length = u32::from_be_bytes(head[1..5].try_into().expect("four bytes")) as usize;
    let mut body = vec![0; length.saturating_sub(4)];
    from.read_exact(&mut body)?;
    Ok(Some((head[0], body)))
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a message");
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

/// From the client to the server.
fn ask(client: &mut TcpStream, server: &mut TcpStream, trip: &Mutex<Trip>, rules: &Rules) -> std::io::Result<()> {
    // Prepared, and not yet executed.
    let mut prepared = false;
    while let Some((kind, mut body)) = message(client)? {
        let named = matches!(kind, b'Q' | b'P')
            && String::from_utf8_lossy(&body).to_lowercase().contains(&rules.needle.to_lowercase());
        match &rules.mishap {
            Mishap::Refused(instead) if named => {
                rules.caught.fetch_add(1, Ordering::SeqCst);
                body = replaced(kind, &body, &rules.needle, instead);
            }
            Mishap::Lost(_) if named && kind == b'P' => prepared = true,
            Mishap::Lost(times) if named || (prepared && kind == b'E') => {
                let left = times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                let mut trip = trip.lock().expect("no panic");
                if left.is_ok() {
                    trip.lost = trip.lost.or(Some(trip.asked + 1));
                }
                prepared = false;
            }
            _ => {}
        }
        if matches!(kind, b'Q' | b'S') {
            trip.lock().expect("no panic").asked += 1;
        }
        server.write_all(&framed(kind, &body))?;
    }
    Ok(())
}

/// The message with another statement in the place of the one that has the needle, and of all behind it.
fn replaced(kind: u8, body: &[u8], needle: &str, instead: &str) -> Vec<u8> {
    // Before the text of one to prepare stands its name, behind it the types of its parameters.
    let from = if kind == b'P' { body.iter().position(|byte| *byte == 0).map_or(0, |at| at + 1) } else { 0 };
    let until = body[from..].iter().position(|byte| *byte == 0).map_or(body.len(), |at| from + at);
    let text = String::from_utf8_lossy(&body[from..until]).into_owned();
    let at = text.to_lowercase().find(&needle.to_lowercase()).unwrap_or_default();
    let before = text.get(..at).and_then(|text| text.rfind(';')).map_or("", |end| &text[..=end]);
    [&body[..from], before.as_bytes(), instead.as_bytes(), &body[until..]].concat()
}

/// From the server to the client.
fn answer(server: &mut TcpStream, client: &mut TcpStream, trip: &Mutex<Trip>, rules: &Rules) -> std::io::Result<()> {
    // The first time that it is ready answers no question, but the login.
    let mut ready = 0;
    let mut held = Vec::new();
    while let Some((kind, body)) = message(server)? {
        let loses = trip.lock().expect("no panic").lost.is_some_and(|lost| ready >= lost);
        let bytes = framed(kind, &body);
        if !loses {
            client.write_all(&bytes)?;
        } else if kind != b'Z' {
            held.extend(bytes);
        } else if body == b"I" {
            // Outside a transaction: what was asked is done for good, or for good not done.
            rules.caught.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        } else {
            held.extend(bytes);
            client.write_all(&std::mem::take(&mut held))?;
        }
        ready += usize::from(kind == b'Z');
    }
    Ok(())
}
