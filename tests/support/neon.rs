//! A stand-in for Neon, one process for the suite, a project for each test; gone when the test process is gone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{unprivileged, wait_until};

/// The process. It ends when the other end of its standard input is gone.
pub struct StandIn {
    port: u16,
    _folder: TempDir,
    child: Child,
}

/// An answer: its status, its headers as text, its body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// The body, whatever it is.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The body as JSON, of an answer that must have this status.
    pub fn with(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// The message of a refusal, which must have this status.
    pub fn refused(&self, status: u16) -> String {
        self.with(status)["message"].as_str().expect("a message").to_owned()
    }
}

/// One request; `None` when the connection broke without an answer.
pub fn ask(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the stand-in listens");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, text) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_lowercase(), text: text.to_owned() })
}

impl StandIn {
    /// The one of the suite.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<StandIn> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// One of its own.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("runsheet-neon-").tempdir_in("/var/tmp").expect("a folder");
        unprivileged::give(folder.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_runsheet"));
        command.args(["lab", "__neon", "--attached"]).arg(folder.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir("/");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the stand-in starts");
        let record = folder.path().join("neon.json");
        wait_until("the stand-in serves", || record.exists());
        let record: Value = serde_json::from_slice(&std::fs::read(record).expect("its record")).expect("JSON");
        let port = u16::try_from(record["port"].as_u64().expect("a port")).expect("a port");
        Self { port, _folder: folder, child }
    }

    /// One request to any of its routes.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Option<Answer> {
        ask(self.port, method, path, headers, &Value::Null)
    }

    /// A request to a route below `/lab`, which must go well.
    pub fn lab(&self, method: &str, path: &str, body: &Value) -> Value {
        self.told(method, &format!("/lab{path}"), body)
    }

    /// A request to any route, which must go well.
    pub fn told(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = ask(self.port, method, path, &[], body).expect("an answer");
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer.json()
    }

    /// A request with a body.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        ask(self.port, "POST", path, headers, body).expect("an answer")
    }

    /// Where it serves.
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A new project, made by what `POST /lab/projects` takes.
    pub fn project(&'static self, wish: &Value) -> Project {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let made = self.lab("POST", "/projects", wish);
        let text = |name: &str| made[name].as_str().expect(name).to_owned();
        let repo = format!("acme/shop-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let project = Project {
            standin: self,
            id: text("id"),
            key: text("key"),
            base: format!("http://127.0.0.1:{}/api/v2", self.port),
            github_base: format!("http://127.0.0.1:{}/github", self.port),
            repo,
            token: "ghp_test".into(),
            branch: text("branch"),
            endpoint: text("endpoint"),
            uri: text("uri"),
            pooled_uri: text("pooled_uri"),
        };
        project.github(&json!({ "token": project.token }));
        project
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A project of a stand-in, with one branch, one endpoint, one role, one database.
pub struct Project {
    standin: &'static StandIn,
    /// Its id.
    pub id: String,
    /// A key that may do everything.
    pub key: String,
    /// Where the API begins.
    pub base: String,
    /// Where the GitHub begins.
    pub github_base: String,
    /// Its repository there.
    pub repo: String,
    /// The token for that.
    pub token: String,
    /// Id of the default branch.
    pub branch: String,
    /// Id of its endpoint.
    pub endpoint: String,
    /// URI of its database, direct.
    pub uri: String,
    /// The same, pooled.
    pub pooled_uri: String,
}

impl Project {
    /// The tables `[neon]` and `[github]` of a `runsheet.toml`.
    pub fn toml(&self) -> String {
        format!(
            "[neon]\napi_base = \"{}\"\napi_key = \"{}\"\nproject = \"{}\"\n\n[github]\napi_base = \"{}\"\n\
             token = \"{}\"\nrepo = \"{}\"\n",
            self.base, self.key, self.id, self.github_base, self.token, self.repo
        )
    }

    /// A table `[targets.NAME]` for the default branch.
    pub fn target_toml(&self, name: &str) -> String {
        format!("[targets.{name}]\nurl = \"{}\"\ndirect_url = \"{}\"\n", self.pooled_uri, self.uri)
    }

    /// A request to the API below `/projects/{project}`, with this project's key.
    pub fn api(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.api_as(&self.key, method, path, body).expect("an answer")
    }

    /// The same with another key; `None` when the connection broke.
    pub fn api_as(&self, key: &str, method: &str, path: &str, body: &Value) -> Option<Answer> {
        let key = format!("Bearer {key}");
        let path = format!("/api/v2/projects/{}{path}", self.id);
        ask(self.standin.port, method, &path, &[("authorization", &key)], body)
    }

    /// The same with these headers alone.
    pub fn api_with(&self, headers: &[(&str, &str)], method: &str, path: &str) -> Answer {
        let path = format!("/api/v2/projects/{}{path}", self.id);
        ask(self.standin.port, method, &path, headers, &Value::Null).expect("an answer")
    }

    /// A write that must go well, whose operations are waited for.
    pub fn write(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.api(method, path, body);
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        self.settle();
        if answer.text.is_empty() { Value::Null } else { answer.json() }
    }

    /// Waits until nothing is to be done.
    pub fn settle(&self) {
        wait_until("all operations ended", || self.tick(0)["busy"] == false);
    }

    /// A request to a route below `/lab/projects/{project}`.
    pub fn lab(&self, method: &str, path: &str, body: &Value) -> Value {
        self.standin.lab(method, &format!("/projects/{}{path}", self.id), body)
    }

    /// Puts branches there; answers their ids.
    pub fn seed(&self, branches: &Value) -> Vec<String> {
        let made = self.lab("POST", "/branches", branches);
        made["ids"].as_array().expect("ids").iter().map(|id| id.as_str().expect("an id").to_owned()).collect()
    }

    /// Changes a branch, by id or name, as somebody else would.
    pub fn alter(&self, branch: &str, change: &Value) {
        self.lab("PATCH", &format!("/branches/{}", encoded(branch)), change);
    }

    /// Sets knobs.
    pub fn knobs(&self, knobs: &Value) {
        self.lab("PATCH", "/knobs", knobs);
    }

    /// Has it misbehave: `{ seed, rates }` or `{ seed, all }`.
    pub fn chaos(&self, chaos: &Value) {
        self.lab("POST", "/chaos", chaos);
    }

    /// Says how the next operations end: `[[action, fate], …]`.
    pub fn fates(&self, fates: &Value) {
        self.lab("POST", "/fates", fates);
    }

    /// Brings operations on by hand.
    pub fn tick(&self, count: u64) -> Value {
        self.lab("POST", "/tick", &json!({ "count": count }))
    }

    /// Another key.
    pub fn key(&self, rights: &str) -> String {
        self.lab("POST", "/keys", &json!({ "rights": rights }))["key"].as_str().expect("a key").to_owned()
    }

    /// Sets what the GitHub says: `{ pulls: { N: { state, closed_at, merged, status } }, status, token }`. Answers how often
    /// what was asked.
    pub fn github(&self, what: &Value) -> Value {
        self.standin.lab("POST", &format!("/github/{}", self.repo), what)
    }

    /// Everything: branches, operations, what was made and removed, what was asked how often.
    pub fn state(&self) -> Value {
        self.lab("GET", "", &Value::Null)
    }

    /// Names of the branches that are there, sorted.
    pub fn names(&self) -> Vec<String> {
        let state = self.state();
        let living = state["branches"].as_array().expect("branches").iter().filter(|branch| branch["deleted"] == false);
        let mut names: Vec<String> = living.map(|it| it["name"].as_str().expect("a name").to_owned()).collect();
        names.sort();
        names
    }

    /// Names of the branches that were removed, in that order.
    pub fn removed(&self) -> Vec<String> {
        texts(&self.state()["removed"])
    }

    /// Names of the branches that were made by the API, in that order.
    pub fn made(&self) -> Vec<String> {
        texts(&self.state()["made"])
    }

    /// How often a route was asked, such as `GET /projects/{project}/branches`.
    pub fn asked(&self, route: &str) -> u64 {
        self.state()["counts"][route].as_u64().unwrap_or_default()
    }

    /// Runs SQL on a branch as the superuser.
    pub fn sql(&self, branch: &str, sql: &str) -> Value {
        self.lab("POST", "/sql", &json!({ "branch": branch, "sql": sql }))["rows"].clone()
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().expect("a list").iter().map(|it| it.as_str().expect("a text").to_owned()).collect()
}

/// A part of a path.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
