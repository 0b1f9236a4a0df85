//! The address of an endpoint: a client that connects wakes the compute, or is told why it cannot have it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Histories;
use crate::lab::failed;
use crate::lab::neon::backing::{Host, Listening, Wake};
use crate::model::clock::SharedClock;
use crate::model::fault::Fault;

/// Codes in the place of a protocol version: of a client that would like TLS or GSSAPI, and of one that cancels a query.
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;
/// The longest first message, as in PostgreSQL.
const LONGEST: usize = 10_000;

/// How long a server that was just stopped has to say goodbye to a client before we do.
const GOODBYE: Duration = Duration::from_millis(200);

/// A listening address. It does not listen any more once it is dropped; who is connected stays.
pub struct Gate {
    port: u16,
    traffic: Arc<Traffic>,
    accepting: JoinHandle<()>,
}

struct Traffic {
    clock: SharedClock,
    clients: AtomicUsize,
    /// Microseconds since the epoch; 0 for never.
    last: AtomicI64,
    cuts: watch::Sender<u64>,
}

impl Traffic {
    fn touch(&self) {
        self.last.store(self.clock.now().timestamp_micros(), Ordering::Relaxed);
    }
}

impl Listening for Gate {
    fn port(&self) -> u16 {
        self.port
    }

    fn clients(&self) -> usize {
        self.traffic.clients.load(Ordering::Relaxed)
    }

    fn last_active(&self) -> Option<DateTime<Utc>> {
        let last = self.traffic.last.load(Ordering::Relaxed);
        DateTime::from_timestamp_micros(last).filter(|_| last != 0)
    }

    fn cut(&self) {
        self.traffic.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Listens on a free port.
pub async fn listen(histories: Arc<Histories>, host: Host, wake: Wake) -> Result<Gate, Fault> {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.map_err(|error| failed("an endpoint cannot listen", &error))?;
    let port = listener.local_addr().map_err(|error| failed("an endpoint cannot listen", &error))?.port();
    let clock = Arc::clone(&histories.ground.clock);
    let traffic = Traffic { clock, clients: AtomicUsize::new(0), last: AtomicI64::new(0), cuts: watch::Sender::new(0) };
    let traffic = Arc::new(traffic);
    let shared = Arc::clone(&traffic);
    let accepting = tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (histories, wake, traffic) = (Arc::clone(&histories), Arc::clone(&wake), Arc::clone(&shared));
            tokio::spawn(async move {
                let _ = serve(client, &histories, host, &wake, &traffic).await;
            });
        }
    });
    Ok(Gate { port, traffic, accepting })
}

/// Serves a client to its end.
async fn serve(
    mut client: TcpStream,
    histories: &Histories,
    host: Host,
    wake: &Wake,
    traffic: &Traffic,
) -> std::io::Result<()> {
    let _ = client.set_nodelay(true);
    // A cut counts from here on: who connects afterwards is not meant.
    let mut cuts = traffic.cuts.subscribe();
    cuts.mark_unchanged();
    // Who only looks whether somebody listens wakes nobody.
    let Some(first) = first_message(&mut client).await? else { return Ok(()) };
    let cancels = first.get(4..8) == Some(&CANCEL.to_be_bytes());
    if cancels && traffic.clients.load(Ordering::Relaxed) == 0 {
        return Ok(());
    }
    traffic.touch();
    let mut server = match reach(histories, host, wake).await {
        Ok(server) => server,
        Err(why) => {
            client.write_all(&message("ERROR", "XX000", &why)).await?;
            return client.shutdown().await;
        }
    };
    server.write_all(&first).await?;
    traffic.clients.fetch_add(1, Ordering::Relaxed);
    let spliced = tokio::select! {
        spliced = splice(&mut client, &mut server, traffic) => match spliced {
            // PgBouncer goes without a word, and takes the servers' words with it.
            Ok(()) if host == Host::Pooled => goodbye(&mut client).await,
            spliced => spliced,
        },
        _ = cuts.changed() => cut(&mut client, &mut server).await,
    };
    traffic.clients.fetch_sub(1, Ordering::Relaxed);
    traffic.touch();
    spliced?;
    client.shutdown().await
}

/// The first message that is not about encryption, which nobody has here; `None` if the client went away before.
async fn first_message(client: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    loop {
        let mut head = [0; 8];
        if client.read_exact(&mut head).await.is_err() {
            return Ok(None);
        }
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (length, code) = (word(0) as usize, word(4));
        if code == SSL || code == GSS {
            client.write_all(b"N").await?;
        } else if (head.len()..=LONGEST).contains(&length) {
            let mut message = head.to_vec();
            message.resize(length, 0);
            client.read_exact(&mut message[head.len()..]).await?;
            return Ok(Some(message));
        } else {
            return Ok(None);
        }
    }
}

/// Wakes the compute and connects to it, or to the pooler before it.
async fn reach(histories: &Histories, host: Host, wake: &Wake) -> Result<TcpStream, String> {
    let mut port = wake().await?;
    if host == Host::Pooled {
        let history = histories.behind(port).ok_or("Couldn't connect to compute node")?;
        port = history.pooled(port).await.map_err(|fault| fault.to_string())?;
    }
    let server = TcpStream::connect(("127.0.0.1", port)).await;
    let server = server.map_err(|_| "Couldn't connect to compute node".to_owned())?;
    let _ = server.set_nodelay(true);
    Ok(server)
}

/// Moves bytes both ways until the server has ended the connection, or the client has and the server has answered that.
async fn splice(client: &mut TcpStream, server: &mut TcpStream, traffic: &Traffic) -> std::io::Result<()> {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.split(), server.split());
    let down = pump(&mut from_server, &mut to_client, traffic);
    let mut up = Box::pin(pump(&mut from_client, &mut to_server, traffic));
    tokio::pin!(down);
    tokio::select! {
        ended = &mut down => return ended,
        ended = &mut up => ended?,
    }
    drop(up);
    to_server.shutdown().await?;
    down.await
}

async fn pump(from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, traffic: &Traffic) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..read]).await?;
        traffic.touch();
    }
}

/// Ends a connection. A server that was stopped has said why; one that was not, or a pooler, leaves that to us.
async fn cut(client: &mut TcpStream, server: &mut TcpStream) -> std::io::Result<()> {
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(GOODBYE, server.read_to_end(&mut rest)).await;
    client.write_all(&rest).await?;
    if rest.is_empty() || ended.is_err() {
        goodbye(client).await?;
    }
    Ok(())
}

/// Says what a server says whose operator stops it.
async fn goodbye(client: &mut TcpStream) -> std::io::Result<()> {
    client.write_all(&message("FATAL", "57P01", "terminating connection due to administrator command")).await
}

/// PostgreSQL's message of an error.
fn message(severity: &str, code: &str, text: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in [(b'S', severity), (b'V', severity), (b'C', code), (b'M', text)] {
        fields.push(name);
        fields.extend(value.bytes().filter(|byte| *byte != 0));
        fields.push(0);
    }
    fields.push(0);
    let length = u32::try_from(fields.len() + 4).unwrap_or_default();
    [b"E".as_slice(), &length.to_be_bytes(), &fields].concat()
}
