//! What people, tests, `runsheet.toml` and `.env` need to know of it.

use serde::Serialize;

use super::log::{Logins, read};
use super::{DIRECT, FIRST, LOG, POOLED, SECOND, WEB, WORKER, client, today};
use crate::lab::book::Book;
use crate::lab::cluster::SUPERUSER;
use crate::lab::load::APP;
use crate::lab::neon::daemon;
use crate::lab::pooler::{self, Pooler};
use crate::lab::{Place, SOURCE};

/// The world of a rotation.
#[derive(Clone, Debug, Serialize)]
pub struct Rotation {
    /// The application's login of today, through the pooler.
    pub pooled_url: String,
    /// The same, directly.
    pub direct_url: String,
    /// The administrator, who may change roles.
    pub admin_url: String,
    /// The pooler.
    pub pooler: Pooler,
    /// The client.
    pub client: Client,
    /// What tells one part of the application where its database is.
    pub web: String,
    /// What tells the other.
    pub worker: String,
    /// The server's log, with every statement.
    pub server_log: String,
    /// Lines for a `runsheet.toml`.
    pub toml: String,
    /// Lines for the `.env` beside it.
    pub env: String,
}

/// The client of a lab.
#[derive(Clone, Debug, Serialize)]
pub struct Client {
    /// Its process, if it is at work.
    pub pid: Option<u32>,
    /// Its log.
    pub log: String,
    /// Logins a second through the pooler; half as many are direct.
    pub rate: u32,
    /// What came of them.
    #[serde(flatten)]
    pub logins: Logins,
}

/// Describes it, where a lab has it.
pub fn describe(place: &Place, book: &Book) -> Option<Rotation> {
    let plan = book.rotation.as_ref()?;
    let file = |name: &str| place.folder.join(name).display().to_string();
    let (pooled_url, direct_url) =
        today(&place.folder).map_or_else(Default::default, |today| (today.pooled, today.direct));
    let mut rotation = Rotation {
        admin_url: book.url(SOURCE, SUPERUSER, APP),
        pooler: pooler::describe(book, plan.ports.pooler),
        client: Client {
            pid: client::PROCESS.at_work(&place.folder).map(|session| session.session),
            log: file(LOG),
            rate: plan.rate,
            logins: read(&place.folder.join(LOG)),
        },
        web: file(WEB),
        worker: file(WORKER),
        server_log: file("source.log"),
        toml: String::new(),
        env: format!("{POOLED}='{pooled_url}'\n{DIRECT}='{direct_url}'\n"),
        pooled_url,
        direct_url,
    };
    let platforms = daemon::at_work(&place.folder).map(|record| record.consumers).unwrap_or_default();
    rotation.toml = toml(&rotation, &platforms);
    Some(rotation)
}

/// The administrator, the application's login, everybody who uses it, and what the runbook is told of them.
fn toml(rotation: &Rotation, platforms: &str) -> String {
    let Rotation { admin_url, pooler, web, worker, .. } = rotation;
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let file = |name: &str, path: &str, variables: &str| {
        let path = text(path);
        format!(
            "[[consumers]]\nkind = \"env-file\"\nname = \"{name}\"\npath = {path}\nvariables = {{ {variables} }}\n\n"
        )
    };
    let pooled = format!("{POOLED} = \"pooled\"");
    let both = format!("{pooled}, {DIRECT} = \"direct\"");
    let platforms = if platforms.is_empty() { String::new() } else { format!("{platforms}\n") };
    [
        format!("# Who changes roles.\n[targets.admin]\nurl = {}\n\n", text(admin_url)),
        "# The login that everybody below uses.\n[targets.app]\n".to_owned(),
        format!("url = \"${{{POOLED}}}\"\ndirect_url = \"${{{DIRECT}}}\"\nlabel = \"the application's login\"\n\n"),
        format!("[pgbouncer]\nadmin_url = {}\n\n", text(&pooler.admin_url)),
        format!(
            "[[consumers]]\nkind = \"pgbouncer\"\nname = \"pooler\"\ndatabase = {}\nauth_file = {}\n\n",
            text(&pooler.database),
            text(&pooler.auth_file)
        ),
        "# This project's own login follows.\n".to_owned(),
        file("runsheet", ".env", &both),
        file("web", web, &pooled),
        file("worker", worker, &both),
        platforms,
        format!(
            "[runbooks.credential-rotation]\ntarget = \"admin\"\napp = \"app\"\nrole = \"{FIRST}\"\ntwin = \"{SECOND}\"\n"
        ),
    ]
    .concat()
}
