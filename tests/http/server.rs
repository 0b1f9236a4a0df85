//! A server that says what it is told to, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What is done with one request.
#[derive(Clone)]
pub enum Say {
    /// Status line with headers, and a body.
    This(&'static str, String),
    /// This to whoever reads; a change is refused with all that was asked, line, headers and body, as the reason.
    Echo(String),
    /// Nothing: the connection breaks.
    Nothing,
    /// The connection stays, without a word.
    Silence,
}

/// The server; it ends with the test process.
pub struct Server {
    /// Where it is.
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers these in order, and the last one ever after.
    pub fn saying(answers: &[Say]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (heard, answers) = (Arc::clone(&asked), answers.to_vec());
        std::thread::spawn(move || {
            for (nth, stream) in listener.incoming().enumerate() {
                let answer = answers.get(nth).or(answers.last()).cloned().expect("an answer");
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || one(&stream.expect("a stream"), &answer, &heard));
            }
        });
        Self { url, asked }
    }

    /// One JSON answer, ever after.
    pub fn json(body: &serde_json::Value) -> Self {
        Self::saying(&[Say::This("200 OK", body.to_string())])
    }

    /// Every request so far: its line, headers and body.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("the list").clone()
    }
}

fn one(stream: &TcpStream, answer: &Say, heard: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        let end = line.trim().is_empty();
        text += &line;
        if end {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    text += &String::from_utf8_lossy(&body);
    heard.lock().expect("the list").push(text.clone());
    let say = |head: &str, body: &str| {
        let length = body.len();
        let _ = write!(&mut &*stream, "HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    };
    match answer {
        Say::This(head, body) => say(head, body),
        Say::Echo(body) if text.starts_with("GET ") => say("200 OK", body),
        Say::Echo(_) => {
            let thrown =
                serde_json::json!({ "success": false, "errors": [{ "code": 2013, "message": text }], "request": text });
            say("400 Bad Request", &thrown.to_string());
        }
        Say::Nothing => {}
        Say::Silence => std::thread::sleep(std::time::Duration::from_secs(600)),
    }
}
