//! Logins: a target as another role sees it, or with another password. `pg::login` gives one a name, `pg::try_login` tries it on a
//! connection that nobody had before.
//!
//! A login is the target `BASE@NAME`, and goes wherever a target goes: its URLs are those of the configured one with user and
//! password replaced, and what they lead to must be the same database.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::connect::{self, Pin};
use super::{Postgres, application_name, handed, url};
use crate::effects::{Done, Ticket};
use crate::model::Value;
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::login::{PgLogin, PgTryLogin};
use crate::model::target::{self, Target};

/// Words performed here: reads, which leave nothing behind.
pub const WORDS: [&str; 2] = [PgLogin::WORD, PgTryLogin::WORD];

/// What a server or a pooler says when it does not let somebody in.
const REFUSED: [&str; 3] = ["sql.28P01", "sql.28000", "sql.08P01"];

/// The logins that have a name in this process.
#[derive(Default)]
pub struct Logins(Mutex<BTreeMap<String, PgLogin>>);

impl Logins {
    /// The login of that name, `BASE@NAME`.
    fn find(&self, name: &str) -> Result<PgLogin, Fault> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned().ok_or_else(|| {
            Fault::fatal("login.unknown", format!("there is no login `{name}`"))
                .hinted("pg::login gives it; each step that uses it asks for it again")
        })
    }

    /// Whether its password is only known once a run has made it.
    pub fn unknown(&self, name: &str) -> bool {
        target::login(name).is_some() && self.find(name).is_ok_and(|login| login.password.is_none())
    }

    /// The configured target as that login sees it.
    pub fn target(&self, postgres: &Postgres, configured: &Target, name: &str) -> Result<Target, Fault> {
        let login = self.find(name)?;
        let password = login.password.as_deref().unwrap_or_default();
        let password = postgres.world().vault.open(password)?;
        let as_login = |url: &String| url::with_login(url, login.user.as_deref(), &password);
        Ok(Target {
            name: name.to_owned(),
            url: as_login(&configured.url),
            direct_url: configured.direct_url.as_ref().map(as_login),
            replication_url: None,
            ..configured.clone()
        })
    }
}

/// Performs one of [`WORDS`].
pub async fn perform(postgres: &Postgres, action: &Action, ticket: &Ticket) -> Result<Done, Fault> {
    let value = match action.word.as_str() {
        PgLogin::WORD => named(postgres, &PgLogin::of(action)?)?,
        _ => tried(postgres, &PgTryLogin::of(action)?, ticket).await?,
    };
    Ok(Done { value, rows: None })
}

fn named(postgres: &Postgres, request: &PgLogin) -> Result<Value, Fault> {
    let name = format!("{}@{}", request.target, request.name);
    let mut known = postgres.logins.0.lock().unwrap_or_else(PoisonError::into_inner);
    match known.get(&name) {
        Some(other) if other != request => {
            Err(Fault::fatal("login.twice", format!("`{name}` is another login in this run already"))
                .hinted("give each login a name of its own"))
        }
        _ => {
            known.insert(name.clone(), request.clone());
            Ok(name.into())
        }
    }
}

/// Whether somebody is let in, and what they lack once they are.
async fn tried(postgres: &Postgres, request: &PgTryLogin, ticket: &Ticket) -> Result<Value, Fault> {
    let name = &request.target;
    let (target, config) = handed::settings(postgres, name, request.pooled).await?;
    let tls = url::tls_mode(&target, &config).as_str();
    let (user, address) = (config.get_user().unwrap_or_default().to_owned(), url::address(&config));
    let about = |accepted: bool| json!({ "accepted": accepted, "user": user, "address": address, "tls": tls });
    // Never one that waited for work: what was let in once stays in, whatever became of its password.
    let application = application_name(ticket);
    let opened = match request.pooled {
        true => connect::pooled(postgres, name, &application).await,
        false => connect::open(postgres, name, &application, Pin::Obeyed).await,
    };
    let session = match opened {
        Ok(session) => session,
        Err(fault) if REFUSED.contains(&fault.code.as_str()) => {
            let mut value = about(false);
            value["code"] = fault.code.clone().into();
            value["said"] = fault.message.into();
            return Ok(value);
        }
        Err(fault) => return Err(fault),
    };
    let mut lacks = Vec::new();
    for sql in &request.probe {
        let sound = session.client.batch_execute("begin; set local statement_timeout = '30s'").await;
        let tried = match sound {
            Ok(()) => session.client.batch_execute(sql).await,
            Err(error) => Err(error),
        };
        if let Err(error) = tried {
            lacks.push(format!("{sql}: {}", connect::said(&error)));
        }
        // Whatever it did: nothing of it stays.
        let _ = session.client.batch_execute("rollback").await;
    }
    let mut value = about(true);
    value["pooled"] = session.pooled.is_some().into();
    value["standby"] = session.standby.into();
    value["lacks"] = json!(lacks);
    Ok(value)
}

/// What a preview can say: a login with a password that is not made yet has a name, and is tried by nobody.
pub async fn preview(postgres: &Postgres, action: &Action) -> Result<Previewed, Fault> {
    let value = match action.word.as_str() {
        PgLogin::WORD => Some(named(postgres, &PgLogin::of(action)?)?),
        _ => {
            let request = PgTryLogin { probe: Vec::new(), ..PgTryLogin::of(action)? };
            match postgres.logins.unknown(&request.target) {
                true => None,
                false => Some(tried(postgres, &request, &Ticket::preview()).await?),
            }
        }
    };
    let level = if value.is_some() { Level::Read } else { Level::Rendered };
    Ok(Previewed { level, value, by_hand: Vec::new(), notes: Vec::new() })
}
