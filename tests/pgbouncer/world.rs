//! A database behind a pooler, roles that log in there, and effects that know both.

use std::path::PathBuf;
use std::process::Command;

use runsheet::effects::{Done, Effects};
use runsheet::model::action::{Action, Recovery, Resource};
use runsheet::model::fault::Fault;
use runsheet::model::preview::Previewed;
use runsheet::model::provider::{PgbouncerAccess, Providers};
use runsheet::model::request::pgbouncer::{PgbouncerAdmit, PgbouncerAdmits, PgbouncerDismiss};
use runsheet::model::request::{Request, SqlExec};
use runsheet::model::secret;

use crate::postgres::harness::{Book, ticket};
use crate::support::{Cluster, Database, PgBouncer, target, world};

/// Everything of one test.
pub struct World {
    pub database: Database,
    pub pooler: PgBouncer,
    pub effects: Effects,
}

impl World {
    /// A pooler whose list knows nobody but `postgres` and its administrator.
    pub fn start(name: &str) -> Self {
        let database = Cluster::shared().database(name);
        let pooler = PgBouncer::before(Cluster::shared(), &database, "transaction", &["postgres"]);
        Self::with(database, pooler)
    }

    pub fn with(database: Database, pooler: PgBouncer) -> Self {
        let mut world = world([target("app", &database.url)]);
        let admin = target("pgbouncer", &pooler.admin_url());
        world.providers = Providers { pgbouncer: Some(PgbouncerAccess { admin }), ..Providers::default() };
        Self { database, pooler, effects: Effects::new(world) }
    }

    /// A role that may log in, without a password yet. Its name is no other test's.
    pub fn role(&self, name: &str) -> String {
        let role = format!("{name}_{}", self.database.name);
        self.database.sql(&format!("create role {role} login"));
        role
    }

    /// A password under its handle.
    pub fn secret(&self, name: &str, value: &str) -> String {
        self.effects.world().vault.keep(name, value)
    }

    /// Sets a secret as a role's password at the server, as `{{ secret | scram }}` does.
    pub async fn set_password(&self, role: &str, name: &str) {
        let verifier = secret::handle(&format!("{name}|scram"));
        let sql = format!("alter role {role} password '{verifier}'");
        let request = SqlExec { target: "app".into(), statements: vec![sql], rows: Vec::new(), raw: None };
        let writes = vec![Resource::database("app")];
        let action = Action::change(SqlExec::WORD, &request, "a change", Recovery::Provable, writes);
        self.effects.perform(&action, &ticket(), &Book::default()).await.expect("the password is set");
    }

    pub fn admit(&self, user: &str, password: &str) -> PgbouncerAdmit {
        let (user, password) = (user.to_owned(), password.to_owned());
        PgbouncerAdmit { user, password, auth_file: self.list().display().to_string(), ssh: None }
    }

    pub fn admits(&self, user: &str, password: &str) -> PgbouncerAdmits {
        let (user, password) = (user.to_owned(), password.to_owned());
        PgbouncerAdmits { user, password, auth_file: self.list().display().to_string(), ssh: None }
    }

    pub fn dismiss(&self, user: &str) -> PgbouncerDismiss {
        PgbouncerDismiss { user: user.to_owned(), auth_file: self.list().display().to_string(), ssh: None }
    }

    pub async fn perform<R: Request>(&self, request: &R) -> Result<Done, Fault> {
        self.effects.perform(&action(request), &ticket(), &Book::default()).await
    }

    pub async fn preview<R: Request>(&self, request: &R) -> Result<Previewed, Fault> {
        self.effects.preview(&action(request)).await
    }

    /// The pooler's user list.
    pub fn list(&self) -> PathBuf {
        self.pooler.users()
    }

    /// What is in it.
    pub fn text(&self) -> String {
        std::fs::read_to_string(self.list()).expect("the user list")
    }

    /// A role's login through the pooler, by psql: who it is then, or what it was told.
    pub fn login(&self, role: &str, password: &str) -> Result<String, String> {
        let place = self.pooler.app(role).url.split_once('@').expect("a place").1.to_owned();
        login(&place, role, password)
    }

    /// The same directly.
    pub fn direct(&self, role: &str, password: &str) -> Result<String, String> {
        login(self.database.url.split_once('@').expect("a place").1, role, password)
    }
}

fn login(place: &str, role: &str, password: &str) -> Result<String, String> {
    let mut psql = Command::new(Database { name: String::new(), url: String::new() }.psql("").get_program());
    let url = format!("postgresql://{role}@{place}");
    let output = psql.args(["-XAtq", &url, "-c", "select current_user"]).env("PGPASSWORD", password).output();
    let output = output.expect("psql runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn action<R: Request>(request: &R) -> Action {
    let resources = vec![Resource::new("pgbouncer")];
    if R::WORD == PgbouncerAdmits::WORD {
        return Action::read(R::WORD, request, "a look", resources);
    }
    Action::change(R::WORD, request, "a change", Recovery::Repeatable, resources)
}
