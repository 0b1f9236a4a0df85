//! Who may log in at the pooler: a user's line of its user list, which it is then told to read again.
//!
//! What PgBouncer 1.18 does with it, measured:
//!
//! - It reads the list at RELOAD and not before, and then only if the file is another one or has another size or another second
//!   of change: a list that is replaced by renaming is always read.
//! - From then on a client logs in with the new verifier alone. Clients that are logged in stay, and so do connections to the
//!   server, also those of a user who is gone from the list, for whom it even makes new ones.
//! - It holds no password then. It logs in at the server with the keys that a client proved itself with, which works only if the
//!   user list has the verifier of `pg_authid` to the byte: one of the same password with another salt is refused there.
//! - Keys of the old password stay until somebody logs in with the new one. If it needs a new connection before that, the server
//!   refuses it, and the whole pool, new clients too, waits for `server_login_retry` (15 s). So whoever admits a user logs in at
//!   once, and a RECONNECT comes after that.
//! - Keys are of no use where PgBouncer logs in of its own accord, for `auth_user` and for `user=` of a database's line without a
//!   password beside it. Those need the clear text.

use std::time::{Duration, Instant};

use serde_json::json;

use super::console::{Console, cell};
use super::{unedited, userlist};
use crate::effects::place::{Broken, Place};
use crate::effects::postgres::{Postgres, url};
use crate::effects::{Done, Ledger, World, files, scram};
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::request::pgbouncer::{PgbouncerAdmit, PgbouncerAdmits, PgbouncerDismiss};
use crate::model::target::Target;

/// How long the pooler may take to show what it was told to read.
const SHOWN: Duration = Duration::from_secs(5);

/// The user list, and the console of the pooler that reads it.
pub struct Users<'a> {
    world: &'a World,
    admin: &'a Target,
    console: Console,
    place: Place<'a>,
}

impl<'a> Users<'a> {
    /// Opens both.
    pub async fn of(postgres: &'a Postgres, admin: &'a Target, file: &str, ssh: Option<&str>) -> Result<Self, Fault> {
        let console = Console::open(admin).await?;
        let world = postgres.world();
        match Place::of(world, file, ssh) {
            Ok(place) => Ok(Self { world, admin, console, place }),
            Err(broken) => Err(explained(&console, broken).await),
        }
    }

    async fn read(&self) -> Result<String, Fault> {
        match self.place.read().await {
            Ok(text) => Ok(text),
            Err(broken) => Err(explained(&self.console, broken).await),
        }
    }

    /// Lets a user in with a password.
    pub async fn admit(&self, request: &PgbouncerAdmit, ledger: &dyn Ledger) -> Result<Done, Fault> {
        let turn = files::turn().await;
        let changed = self.put(self.admitted(request).await?, turn, ledger).await?;
        self.shown(&request.user).await?;
        Ok(Done { value: json!({ "user": request.user, "changed": changed }), rows: None })
    }

    /// Lets a user in no more.
    pub async fn dismiss(&self, request: &PgbouncerDismiss, ledger: &dyn Ledger) -> Result<Done, Fault> {
        let turn = files::turn().await;
        let removed = self.put(self.dismissed(request).await?, turn, ledger).await?;
        Ok(Done { value: json!({ "user": request.user, "removed": removed }), rows: None })
    }

    /// Puts a new text in the place of the one that was read in this turn, and has the pooler read it. Says whether they differ.
    async fn put(&self, (there, new): (String, String), turn: files::Turn, ledger: &dyn Ledger) -> Result<bool, Fault> {
        ledger.intent(Value::Null)?;
        if new != there {
            self.place.replace(&new, false, false).await.map_err(unedited)?;
        }
        drop(turn);
        self.console.run("RELOAD").await?;
        Ok(new != there)
    }

    /// Whether a user's line has the verifier of a password. They are compared here: nothing of the file leaves.
    pub async fn admits(&self, request: &PgbouncerAdmits) -> Result<Value, Fault> {
        let verifier = self.verifier(&request.password)?;
        let secret = userlist::secret_of(&self.read().await?, &request.user).map_err(|fault| self.named(fault))?;
        Ok((secret == Some(verifier)).into())
    }

    /// What `admit` would be refused for, and what it would do.
    pub async fn foresee_admit(&self, request: &PgbouncerAdmit) -> Result<Vec<String>, Fault> {
        let (text, new) = self.admitted(request).await?;
        let known = userlist::secret_of(&text, &request.user)?.is_some();
        let what = match (new == text, known) {
            (true, _) => "has this password already",
            (false, true) => "gets another password",
            (false, false) => "gets a line of its own",
        };
        Ok(vec![format!("`{}` {what} in {}", request.user, self.place)])
    }

    /// What `dismiss` would be refused for, and what it would do.
    pub async fn foresee_dismiss(&self, request: &PgbouncerDismiss) -> Result<Vec<String>, Fault> {
        let (text, new) = self.dismissed(request).await?;
        let what = if new == text { "has no line" } else { "loses its line" };
        Ok(vec![format!("`{}` {what} in {}", request.user, self.place)])
    }

    /// What is there, and what it becomes.
    async fn admitted(&self, request: &PgbouncerAdmit) -> Result<(String, String), Fault> {
        let user = &request.user;
        let verifier = self.verifier(&request.password)?;
        let text = self.read().await?;
        let new = userlist::admitted(&text, user, &verifier).map_err(|fault| self.named(fault))?;
        let config = url::config(self.admin)?;
        let open = self.world.vault.open(&request.password)?;
        if config.get_user() == Some(user.as_str()) && config.get_password() != Some(open.as_bytes()) {
            let message = format!("`{user}` is who this run speaks with the console as, by another password");
            return Err(Fault::fatal("pgbouncer.in-use", message)
                .hinted("name another of `admin_users` in `[pgbouncer] admin_url`, or change this one by hand"));
        }
        if userlist::secret_of(&text, user)?.is_some_and(|secret| !scram::is_verifier(&secret))
            && let Some(place) = self.logs_in_as(user).await?
        {
            let message = format!("PgBouncer ({}) logs in as `{user}` itself: {place}", self.console.place());
            return Err(Fault::fatal("pgbouncer.in-use", message).hinted(
                "it takes the clear text in the user list for that, and cannot with a verifier; a database's line can have `password=` beside `user=`: write it there, and a verifier into the list, by hand",
            ));
        }
        Ok((text, new))
    }

    async fn dismissed(&self, request: &PgbouncerDismiss) -> Result<(String, String), Fault> {
        let user = &request.user;
        let text = self.read().await?;
        let new = userlist::dismissed(&text, user).map_err(|fault| self.named(fault))?;
        for key in ["admin_users", "stats_users"] {
            if setting(&self.console, key).await?.split(',').any(|name| name.trim() == user) {
                let message = format!(
                    "`{user}` stands in `{key}` of PgBouncer ({}), and is not locked out",
                    self.console.place()
                );
                return Err(Fault::fatal("pgbouncer.in-use", message)
                    .hinted(format!("take it out of `{key}` first, if it has to go")));
            }
        }
        if let Some(place) = self.logs_in_as(user).await? {
            let message = format!("PgBouncer ({}) logs in as `{user}` itself: {place}", self.console.place());
            return Err(Fault::fatal("pgbouncer.in-use", message).hinted("let it log in as somebody else first"));
        }
        Ok((text, new))
    }

    /// Where the pooler itself logs in at a server as this user.
    async fn logs_in_as(&self, user: &str) -> Result<Option<String>, Fault> {
        if setting(&self.console, "auth_user").await? == user {
            return Ok(Some("it is its `auth_user`".to_owned()));
        }
        let forced = self.console.of_database("DATABASES", "force_user", user).await?;
        Ok(forced.first().map(|row| format!("the line of database `{}` says `user={user}`", cell(row, "name"))))
    }

    fn verifier(&self, password: &str) -> Result<String, Fault> {
        Ok(scram::verifier(&self.world.vault, &self.world.vault.open(password)?))
    }

    /// Proves that the pooler knows a user now: it answers RELOAD as if all were well even when it could not read its list.
    async fn shown(&self, user: &str) -> Result<(), Fault> {
        let begun = Instant::now();
        while self.console.of_database("USERS", "name", user).await?.is_empty() {
            if begun.elapsed() > SHOWN {
                let file = setting(&self.console, "auth_file").await?;
                let message =
                    format!("PgBouncer ({}) does not know `{user}` although {} does", self.console.place(), self.place);
                return Err(Fault::fatal("pgbouncer.not-read", message).hinted(format!(
                    "it reads `{file}`: is that the same file, and may it read it? its log says what it could not read"
                )));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// A fault about the text with the file that it is of.
    fn named(&self, mut fault: Fault) -> Fault {
        fault.message = format!("{}: {}", self.place, fault.message);
        fault
    }
}

/// A fault of a file that is not there, with the one that the pooler reads.
async fn explained(console: &Console, broken: Broken) -> Fault {
    let missing = match &broken {
        Broken::Here { error, .. } => error.kind() == std::io::ErrorKind::NotFound,
        Broken::There(fault) => fault.code == "files.missing",
    };
    let fault = unedited(broken);
    if !missing {
        return fault;
    }
    match setting(console, "auth_file").await {
        Ok(file) if file.is_empty() => fault.hinted("this PgBouncer has no user list: set its `auth_file`"),
        Ok(file) => fault.hinted(format!(
            "PgBouncer ({}) reads `{file}` as its user list; give `auth_file` as it is called where it lies, and `ssh` if that is another host",
            console.place()
        )),
        Err(_) => fault,
    }
}

/// One of the pooler's settings; empty where it has none.
async fn setting(console: &Console, key: &str) -> Result<String, Fault> {
    let rows = console.of_database("CONFIG", "key", key).await?;
    Ok(rows.first().map_or("", |row| cell(row, "value")).to_owned())
}
