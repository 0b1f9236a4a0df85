//! What people, tests and `runsheet.toml` need to know of it.

use serde::Serialize;

use super::log::{Status, read};
use super::{ENV, LOG, MANAGED, app};
use crate::lab::book::Book;
use crate::lab::cluster::SUPERUSER;
use crate::lab::load::APP;
use crate::lab::pooler::{self, Pooler};
use crate::lab::{Place, SCRATCH, SOURCE};

/// The world of a cutover.
#[derive(Clone, Debug, Serialize)]
pub struct Cutover {
    /// The application's database through the pooler.
    pub pooled_url: String,
    /// The same on the self-managed server itself.
    pub source_url: String,
    /// The empty database on the managed server.
    pub managed_url: String,
    /// The pooler.
    pub pooler: Pooler,
    /// The application.
    pub app: App,
    /// What stops the application.
    pub quiesce: Vec<String>,
    /// What starts it.
    pub resume: Vec<String>,
    /// Lines for a `runsheet.toml`.
    pub toml: String,
}

/// The application of a lab.
#[derive(Clone, Debug, Serialize)]
pub struct App {
    /// Its process, if it is at work.
    pub pid: Option<u32>,
    /// The file that tells it where its database is, which it reads when it starts.
    pub env: String,
    /// Its log.
    pub log: String,
    /// Transactions a second.
    pub rate: u32,
    /// Its connections.
    pub connections: u32,
    /// Transactions that were acknowledged.
    pub acknowledged: usize,
}

/// Describes it, where a lab has it.
pub fn describe(place: &Place, book: &Book) -> Option<Cutover> {
    let plan = book.cutover.as_ref()?;
    let command = |what: &str| -> Vec<String> {
        let state = place.folder.parent().unwrap_or(&place.folder);
        let words = [&place.program.display().to_string(), "--state", &state.display().to_string(), "lab", "app", what];
        words.map(str::to_owned).to_vec()
    };
    let app = App {
        pid: app::PROCESS.at_work(&place.folder).map(|session| session.session),
        env: place.folder.join(ENV).display().to_string(),
        log: place.folder.join(LOG).display().to_string(),
        rate: plan.rate,
        connections: plan.connections,
        acknowledged: read(&place.folder.join(LOG)).iter().filter(|line| line.status == Status::Acknowledged).count(),
    };
    let mut cutover = Cutover {
        pooled_url: book.url_at(plan.ports.pooler, APP, APP),
        source_url: book.url(SOURCE, APP, APP),
        managed_url: book.url(SCRATCH, APP, MANAGED),
        pooler: pooler::describe(book, plan.ports.pooler),
        app,
        quiesce: command("stop"),
        resume: command("start"),
        toml: String::new(),
    };
    cutover.toml = toml(&cutover, book);
    Some(cutover)
}

/// Both sides as who operates them and as the application sees them, the pooler, the consumer that is moved with it, and what
/// the runbooks are told of them.
fn toml(cutover: &Cutover, book: &Book) -> String {
    let Cutover { source_url, managed_url, pooler, quiesce, resume, .. } = cutover;
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let target = |name: &str, url: &str| format!("[targets.{name}]\nurl = {}\n\n", text(url));
    let runbook = |name: &str, more: &str| {
        format!("[runbooks.{name}]\nsource = \"old\"\ntarget = \"new\"\nnew_app = \"new-app\"\n{more}\n")
    };
    let paused = format!("app = \"old-app\"\npooler = {}\n", text(&pooler.database));
    [
        target("old", &book.url(SOURCE, SUPERUSER, APP)),
        target("old-app", source_url),
        target("new", &book.url(SCRATCH, SUPERUSER, MANAGED)),
        target("new-app", managed_url),
        format!("[pgbouncer]\nadmin_url = {}\n\n", text(&pooler.admin_url)),
        format!(
            "[[consumers]]\nkind = \"pgbouncer\"\nname = \"pooler\"\ndatabase = {}\nconfig = {}\n\n",
            text(&pooler.database),
            text(&pooler.config)
        ),
        runbook("cutover", &paused),
        runbook("cutover-rollback", &paused),
        "[runbooks.cutover-finalize]\nsource = \"old\"\ntarget = \"new\"\n\n".to_owned(),
        "# What stops and starts the application, for strategy=dump:\n".to_owned(),
        format!("# quiesce = {}\n# resume = {}\n", serde_json::json!(quiesce), serde_json::json!(resume)),
    ]
    .concat()
}
