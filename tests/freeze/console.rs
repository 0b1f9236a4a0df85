//! A console of a pooler that says PAUSE and does something else: enough of the protocol for one question after the other.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What it shows once somebody said PAUSE.
#[derive(Clone)]
struct Shows {
    paused: bool,
    at_work: bool,
    told: Arc<AtomicBool>,
}

/// A console that listens as long as this process lives.
pub struct Fake {
    port: u16,
}

impl Fake {
    /// One that shows, after PAUSE, whether the database is paused and whether a server is at work.
    pub fn start(paused: bool, at_work: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let shows = Shows { paused, at_work, told: Arc::default() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shows = shows.clone();
                std::thread::spawn(move || serve(stream, &shows));
            }
        });
        Self { port }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("postgresql://admin@127.0.0.1:{}/pgbouncer", self.port)
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&u32::try_from(body.len() + 4).expect("short").to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn table(columns: &[&str], rows: &[&[&str]]) -> Vec<u8> {
    let mut body = u16::try_from(columns.len()).expect("few").to_be_bytes().to_vec();
    for column in columns {
        body.extend_from_slice(column.as_bytes());
        body.extend_from_slice(&[0; 7]);
        body.extend_from_slice(&25u32.to_be_bytes());
        body.extend_from_slice(&[0xff; 6]);
        body.extend_from_slice(&[0; 2]);
    }
    let mut bytes = message(b'T', &body);
    for row in rows {
        let mut body = u16::try_from(row.len()).expect("few").to_be_bytes().to_vec();
        for cell in *row {
            body.extend_from_slice(&u32::try_from(cell.len()).expect("short").to_be_bytes());
            body.extend_from_slice(cell.as_bytes());
        }
        bytes.extend(message(b'D', &body));
    }
    bytes.extend(message(b'C', b"SHOW\0"));
    bytes
}

fn serve(mut stream: TcpStream, shows: &Shows) -> Option<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut startup).ok()?;
    let ready = message(b'Z', b"I");
    stream.write_all(&[message(b'R', &[0; 4]), ready.clone()].concat()).ok()?;
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).ok()?;
        let mut body = vec![0; u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4];
        stream.read_exact(&mut body).ok()?;
        if head[0] != b'Q' {
            return None;
        }
        let command = String::from_utf8_lossy(&body).trim_end_matches('\0').to_owned();
        let told = shows.told.load(Ordering::SeqCst);
        let flag = |on: bool| if on { "1" } else { "0" };
        let answer = match command.as_str() {
            "SHOW DATABASES" => {
                table(&["name", "pool_mode", "paused"], &[&["app", "transaction", flag(told && shows.paused)]])
            }
            "SHOW CONFIG" => table(&["key", "value"], &[&["pool_mode", "transaction"]]),
            "SHOW POOLS" => {
                table(&["database", "pool_mode", "sv_active"], &[&["app", "transaction", flag(shows.at_work)]])
            }
            "SHOW SERVERS" | "SHOW CLIENTS" => table(&["database"], &[]),
            command => {
                shows.told.store(command.starts_with("PAUSE"), Ordering::SeqCst);
                message(b'C', b"DONE\0")
            }
        };
        stream.write_all(&[answer, ready.clone()].concat()).ok()?;
    }
}
