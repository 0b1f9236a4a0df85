//! A stand-in for Neon of the bench's own; it ends when its standard input does.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The process.
pub struct StandIn {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    child: Child,
}

impl StandIn {
    /// Starts one whose files lie below `folder`.
    pub fn start(folder: &Path) -> Self {
        let folder = folder.join("neon");
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_runsheet"));
        command.args(["lab", "__neon", "--attached"]).arg(&folder).current_dir("/");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the stand-in starts");
        let mut standin = Self { port: 0, child };
        let begun = Instant::now();
        loop {
            let record = std::fs::read(folder.join("neon.json")).unwrap_or_default();
            if let Ok(record) = serde_json::from_slice::<Value>(&record)
                && let Some(port) = record["port"].as_u64().and_then(|port| u16::try_from(port).ok())
            {
                standin.port = port;
                return standin;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "the stand-in does not serve");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A request to a route below `/lab`, which must go well.
    pub fn lab(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the stand-in listens");
        let body = body.to_string();
        let request = format!(
            "{method} /lab{path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, text) = answer.split_once("\r\n\r\n").expect("a body");
        assert!(head.starts_with("HTTP/1.1 2"), "{answer}");
        serde_json::from_str(text).expect("JSON")
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
