//! Tunnels to databases: one `ssh -L` each, under the supervisor, begun when it is first needed and again when it broke.
//!
//! The far end is the user's own ssh: its configuration, its keys, its known hosts. It never asks anything. What it says is
//! put into words, since `exited with 255` at two in the morning helps nobody.

use std::collections::{BTreeMap, VecDeque};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::child::{End, Finished, Prepared};
use super::ssh;
use super::supervise::Launch;
use crate::effects::World;
use crate::model::fault::Fault;
use crate::model::reach::Tunnel;

/// The longest that logging in may take.
const OPENING: Duration = Duration::from_secs(30);

/// Lines that are kept of what ssh says.
const KEPT: usize = 20;

/// For how long a line explains what goes wrong.
const FRESH: Duration = Duration::from_secs(5);

/// How long ssh may take to say why a connection came to nothing.
const TOLD: Duration = Duration::from_millis(500);

/// How often another port is tried where somebody took the one that was free.
const PORTS: usize = 3;

/// All tunnels of this process.
#[derive(Default)]
pub struct Tunnels(Mutex<BTreeMap<Tunnel, Arc<tokio::sync::Mutex<Option<Open>>>>>);

/// A tunnel that stands, or stood. Dropping it ends it.
struct Open {
    port: u16,
    running: JoinHandle<()>,
    said: Said,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// The last lines of ssh, with their times.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<VecDeque<(Instant, String)>>>);

impl Said {
    fn note(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back((Instant::now(), line.to_owned()));
        if lines.len() > KEPT {
            lines.pop_front();
        }
    }

    fn lines(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// The newest line with one of these words, if it was said just now.
    fn heard_just_now(&self, words: &[&str]) -> Option<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = lines.iter().rev().take_while(|(at, _)| at.elapsed() < FRESH);
        fresh.map(|(_, line)| line).find(|line| words.iter().any(|word| line.contains(word))).cloned()
    }
}

impl Tunnels {
    /// The loopback port that leads to the database, by a tunnel that stands.
    ///
    /// Faults: `tunnel.ssh`, `tunnel.host-key`, `tunnel.key`, `tunnel.unreachable`, `tunnel.forward`.
    pub async fn port(&self, world: &World, tunnel: &Tunnel) -> Result<u16, Fault> {
        let slot = self.slot(tunnel);
        let mut slot = slot.lock().await;
        if let Some(open) = slot.as_ref().filter(|open| !open.running.is_finished()) {
            return Ok(open.port);
        }
        *slot = None;
        let mut tries = 0;
        loop {
            tries += 1;
            match begin(world, tunnel).await {
                Err(fault) if fault.code == "tunnel.port" && tries < PORTS => {}
                Err(fault) => return Err(fault),
                Ok(open) => return Ok(slot.insert(open).port),
            }
        }
    }

    /// Why a connection through the tunnel came to nothing, if ssh said so.
    pub async fn why(&self, tunnel: &Tunnel) -> Option<Fault> {
        let slot = self.slot(tunnel);
        let slot = slot.lock().await;
        let open = slot.as_ref()?;
        // The connection may be told sooner than we are.
        let begun = Instant::now();
        while begun.elapsed() < TOLD {
            if let Some(line) = open.said.heard_just_now(&["open failed: "]) {
                return Some(refused(tunnel, &line));
            }
            if open.running.is_finished() {
                return Some(broke(tunnel, &open.said.lines()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }

    fn slot(&self, tunnel: &Tunnel) -> Arc<tokio::sync::Mutex<Option<Open>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(tunnel.clone()).or_default().clone()
    }
}

async fn begin(world: &World, tunnel: &Tunnel) -> Result<Open, Fault> {
    let started = |error: std::io::Error| {
        Fault::retryable("tunnel.ssh", format!("a tunnel to {tunnel} could not be started: {error}"))
    };
    let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).map_err(started)?;
    let port = free.port();
    let launch = Launch {
        run: arguments(world, tunnel, port),
        cwd: "/".into(),
        env: ssh::environment(world),
        ..Launch::default()
    };
    let prepared = Prepared::start(&world.program, launch).await.map_err(started)?;
    let said = Said::default();
    let (told, mut ended) = oneshot::channel();
    let noted = said.clone();
    let running = tokio::spawn(async move {
        let finished = prepared.watched(Box::new(move |line| noted.note(line))).run(None).await;
        let _ = told.send(finished);
    });
    let open = Open { port, running, said };
    let begun = Instant::now();
    loop {
        if listens(port) {
            return Ok(open);
        }
        match ended.try_recv() {
            Ok(finished) => return Err(failed(tunnel, &finished, &open.said.lines())),
            Err(oneshot::error::TryRecvError::Closed) => return Err(broke(tunnel, &open.said.lines())),
            Err(oneshot::error::TryRecvError::Empty) if begun.elapsed() > OPENING => {
                let message = format!("no tunnel to {tunnel} within {} s", OPENING.as_secs());
                return Err(Fault::retryable("tunnel.unreachable", message).detailed(open.said.lines().join("\n")));
            }
            Err(oneshot::error::TryRecvError::Empty) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

fn arguments(world: &World, tunnel: &Tunnel, port: u16) -> Vec<String> {
    // A master of the user's that is shared would take the forwarding over and live on; what the user has ssh do for people
    // who log in is not done.
    let own = [
        "ExitOnForwardFailure=yes",
        "ControlMaster=no",
        "ControlPath=none",
        "PermitLocalCommand=no",
        "RemoteCommand=none",
    ];
    let mut run = ssh::program(world, &own);
    let host = if tunnel.host.contains(':') { format!("[{}]", tunnel.host) } else { tunnel.host.clone() };
    run.extend(["-N".to_owned(), "-L".to_owned(), format!("127.0.0.1:{port}:{host}:{}", tunnel.port)]);
    if let Some(port) = tunnel.login_port {
        run.extend(["-p".to_owned(), port.to_string()]);
    }
    run.extend(["--".to_owned(), tunnel.login.clone()]);
    run
}

/// Whether a process of ours listens there: looked up, since a connection would reach the database and say nothing to it.
fn listens(port: u16) -> bool {
    let own = rustix::process::geteuid().as_raw().to_string();
    let wanted = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        fields.get(1) == Some(&wanted.as_str()) && fields.get(3) == Some(&"0A") && fields.get(7) == Some(&own.as_str())
    })
}

/// The fault of an ssh that ended before the tunnel stood.
fn failed(tunnel: &Tunnel, finished: &Finished, said: &[String]) -> Fault {
    if let End::NotBegun { why, .. } = &finished.end {
        return Fault::fatal(
            "tunnel.ssh",
            format!("a tunnel to {tunnel} needs `ssh`, which could not be started: {why}"),
        )
        .hinted("install it: apt-get install openssh-client");
    }
    let heard = |words: &[&str]| said.iter().any(|line| words.iter().any(|word| line.contains(word)));
    if heard(&["Address already in use", "cannot listen to port", "Could not request local forwarding"]) {
        return Fault::retryable("tunnel.port", format!("no loopback port was free for a tunnel to {tunnel}"));
    }
    ssh::refused(&tunnel.login, tunnel.login_port, said).unwrap_or_else(|| broke(tunnel, said))
}

/// The fault of a tunnel that does not stand any more.
fn broke(tunnel: &Tunnel, said: &[String]) -> Fault {
    let why = said.last().map(|line| format!(": {line}")).unwrap_or_default();
    Fault::retryable("tunnel.unreachable", format!("the tunnel to {tunnel} broke{why}")).detailed(said.join("\n"))
}

/// The fault of a connection that the far side did not make.
fn refused(tunnel: &Tunnel, line: &str) -> Fault {
    let why = line.split_once("open failed: ").map_or(line, |(_, why)| why);
    if why.contains("prohibited") {
        return Fault::fatal(
            "tunnel.forward",
            format!("{} forbids tunnels to {}:{}", tunnel.login, tunnel.host, tunnel.port),
        )
        .hinted("allow it there: AllowTcpForwarding and PermitOpen in sshd_config, permitopen in authorized_keys");
    }
    Fault::retryable(
        "tunnel.forward",
        format!(
            "{} does not reach {}:{}: {}",
            tunnel.login,
            tunnel.host,
            tunnel.port,
            why.trim_start_matches("connect failed: ")
        ),
    )
    .hinted("is the database up, and is that its address as seen from there?")
}
