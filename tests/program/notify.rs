//! Whoever is named in `[notify]` is told how a run ended, with the head of its journal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use serde_json::Value;

use super::project::Project;
use crate::support::Cluster;

/// Takes one request, answers with `status`, and gives its body.
fn listen(status: &'static str) -> (String, std::thread::JoinHandle<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook/canary-7f3a", listener.local_addr().expect("its address"));
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a request");
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a header");
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("the body");
        write!(reader.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").expect("the answer");
        serde_json::from_slice(&body).expect("JSON")
    });
    (url, server)
}

fn project() -> Project {
    let project = Project::on(&Cluster::shared().database("notify"));
    project.runbook("look", "step(\"look\", || sql::value(params.app, \"select 1\"));");
    let config = std::fs::read_to_string(project.path().join("runsheet.toml")).expect("the file");
    project.file("runsheet.toml", &format!("{config}[notify]\nurl = \"${{HOOK}}\"\n"));
    project
}

#[test]
fn the_closing_object_arrives_and_its_head_proves_the_log_complete() {
    let project = project();
    let (url, server) = listen("200 OK");
    project.run_with("HOOK", &url, &["run", "look"]).with_code(0);
    let told = server.join().expect("it was told");
    assert_eq!((&told["run"], &told["verdict"]), (&"look-1".into(), &"pass".into()));
    let head = told["journal_head"].as_str().expect("a head");
    let audit = project.run(&["audit", "verify", "look-1", "--head", head]).with_code(0);
    assert!(audit.out.starts_with("complete"), "{}", audit.out);
}

#[test]
fn a_run_passes_though_nobody_could_be_told_and_the_url_is_never_shown() {
    let project = project();
    let (url, server) = listen("500 Oh");
    let said = project.run_with("HOOK", &url, &["run", "look"]).with_code(0).saying("not delivered");
    server.join().expect("it was told");
    assert!(!said.err.contains("canary-7f3a"), "{}", said.err);
    project.run(&["run", "look"]).with_code(0).saying("nobody is told how runs end");
}
