//! The pooler before a database: its clients made to wait and let go on, where it leads them, and who may log in.

pub mod console;
mod ini;
pub mod pause;
mod point;
mod userlist;
mod users;

use std::time::Duration;

use console::Console;
use pause::Pause;
use serde_json::json;
use users::Users;

use super::place::Broken;
use super::postgres::Postgres;
use super::{Done, Ledger};
use crate::model::Value;
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::pgbouncer::{
    PgbouncerAdmit, PgbouncerAdmits, PgbouncerDismiss, PgbouncerPause, PgbouncerPoint, PgbouncerReconnect,
    PgbouncerReload, PgbouncerResume, PgbouncerShow,
};
use crate::model::target::Target;
use crate::model::unknown;

/// The words performed here. Each comes to the same when it is done again.
pub const WORDS: [&str; 9] = [
    PgbouncerShow::WORD,
    PgbouncerPause::WORD,
    PgbouncerResume::WORD,
    PgbouncerReload::WORD,
    PgbouncerReconnect::WORD,
    PgbouncerPoint::WORD,
    PgbouncerAdmit::WORD,
    PgbouncerDismiss::WORD,
    PgbouncerAdmits::WORD,
];

/// Columns that are numbers; every other one is text, even where it looks like a number.
const NUMBERS: [&str; 30] = [
    "port",
    "pool_size",
    "min_pool_size",
    "reserve_pool",
    "max_connections",
    "current_connections",
    "paused",
    "disabled",
    "cl_active",
    "cl_waiting",
    "cl_active_cancel_req",
    "cl_waiting_cancel_req",
    "sv_active",
    "sv_active_cancel",
    "sv_being_canceled",
    "sv_idle",
    "sv_used",
    "sv_tested",
    "sv_login",
    "maxwait",
    "maxwait_us",
    "local_port",
    "wait",
    "wait_us",
    "close_needed",
    "remote_pid",
    "items",
    "total_xact_count",
    "total_query_count",
    "total_wait_time",
];

/// Performs one of [`WORDS`].
pub async fn perform(postgres: &Postgres, action: &Action, ledger: &dyn Ledger) -> Result<Done, Fault> {
    let admin = &postgres.near(&postgres.world().providers.pgbouncer()?.admin).await?;
    let value = match action.word.as_str() {
        PgbouncerShow::WORD => shown(&Console::open(admin).await?, &PgbouncerShow::of(action)?).await?,
        PgbouncerPause::WORD => {
            let request = PgbouncerPause::of(action)?;
            let limit = Duration::try_from_secs_f64(request.limit).unwrap_or(Duration::from_secs(2));
            ledger.intent(Value::Null)?;
            let asked = Pause { database: &request.database, limit, attempts: request.attempts };
            json!({ "attempts": pause::pause(admin, &asked).await? })
        }
        PgbouncerResume::WORD => {
            let request = PgbouncerResume::of(action)?;
            ledger.intent(Value::Null)?;
            json!({ "resumed": Console::open(admin).await?.resume(&request.database).await? })
        }
        PgbouncerReload::WORD => {
            ledger.intent(Value::Null)?;
            Console::open(admin).await?.run("RELOAD").await?;
            json!({})
        }
        PgbouncerReconnect::WORD => {
            let request = PgbouncerReconnect::of(action)?;
            let console = Console::open(admin).await?;
            console.database(&request.database).await?;
            ledger.intent(Value::Null)?;
            console.reconnect(&request.database).await?;
            json!({})
        }
        PgbouncerAdmit::WORD => {
            let request = PgbouncerAdmit::of(action)?;
            let users = Users::of(postgres, admin, &request.auth_file, request.ssh.as_deref()).await?;
            return users.admit(&request, ledger).await;
        }
        PgbouncerDismiss::WORD => {
            let request = PgbouncerDismiss::of(action)?;
            let users = Users::of(postgres, admin, &request.auth_file, request.ssh.as_deref()).await?;
            return users.dismiss(&request, ledger).await;
        }
        PgbouncerAdmits::WORD => admits(postgres, admin, action).await?,
        _ => return point::perform(postgres, &PgbouncerPoint::of(action)?, ledger).await,
    };
    Ok(Done { value, rows: None })
}

/// Looks at what can be looked at: whether the console is there, whether a pause could come to an end.
pub async fn preview(postgres: &Postgres, action: &Action) -> Result<Previewed, Fault> {
    let by_hand = by_hand(action).unwrap_or_default();
    let rendered = Previewed { level: Level::Rendered, value: None, by_hand, notes: Vec::new() };
    let admin = &postgres.near(&postgres.world().providers.pgbouncer()?.admin).await?;
    if unknown::first_in(&action.request).is_some() {
        return Ok(rendered);
    }
    let console = Console::open(admin).await?;
    Ok(match action.word.as_str() {
        PgbouncerShow::WORD => {
            let value = shown(&console, &PgbouncerShow::of(action)?).await?;
            Previewed { level: Level::Read, value: Some(value), ..rendered }
        }
        PgbouncerPause::WORD => {
            pause::refuse_sessions(&console, &PgbouncerPause::of(action)?.database).await?;
            Previewed { level: Level::Prepared, ..rendered }
        }
        PgbouncerPoint::WORD => {
            let notes = point::foresee(postgres, &PgbouncerPoint::of(action)?).await?;
            Previewed { level: Level::Prepared, notes, ..rendered }
        }
        PgbouncerAdmit::WORD => {
            let request = PgbouncerAdmit::of(action)?;
            let users = Users::of(postgres, admin, &request.auth_file, request.ssh.as_deref()).await?;
            Previewed { level: Level::Prepared, notes: users.foresee_admit(&request).await?, ..rendered }
        }
        PgbouncerDismiss::WORD => {
            let request = PgbouncerDismiss::of(action)?;
            let users = Users::of(postgres, admin, &request.auth_file, request.ssh.as_deref()).await?;
            Previewed { level: Level::Prepared, notes: users.foresee_dismiss(&request).await?, ..rendered }
        }
        PgbouncerAdmits::WORD => {
            let value = admits(postgres, admin, action).await?;
            Previewed { level: Level::Read, value: Some(value), ..rendered }
        }
        _ => rendered,
    })
}

/// The action as lines for a shell. Nothing is contacted.
pub fn by_hand(action: &Action) -> Result<Vec<String>, Fault> {
    let says = |command: String| {
        let command = unknown::readable(&command);
        vec![format!("psql \"$PGBOUNCER_ADMIN_URL\" -X -c {}", shlex::try_quote(&command).unwrap_or_default())]
    };
    Ok(match action.word.as_str() {
        PgbouncerShow::WORD => says(format!("SHOW {}", PgbouncerShow::of(action)?.what)),
        PgbouncerPause::WORD => says(format!("PAUSE {}", PgbouncerPause::of(action)?.database)),
        PgbouncerResume::WORD => says(format!("RESUME {}", PgbouncerResume::of(action)?.database)),
        PgbouncerReload::WORD => says("RELOAD".to_owned()),
        PgbouncerReconnect::WORD => says(format!("RECONNECT {}", PgbouncerReconnect::of(action)?.database)),
        PgbouncerAdmit::WORD => {
            let request = PgbouncerAdmit::of(action)?;
            let user = request.user.replace('"', "\"\"");
            let edited = format!("# edit {}: \"{user}\" \"SCRAM-SHA-256$…\", as pg_authid has it", request.auth_file);
            std::iter::once(unknown::readable(&edited)).chain(says("RELOAD".to_owned())).collect()
        }
        PgbouncerDismiss::WORD => {
            let request = PgbouncerDismiss::of(action)?;
            let edited = format!("# edit {}: no line of {}", request.auth_file, request.user);
            std::iter::once(unknown::readable(&edited)).chain(says("RELOAD".to_owned())).collect()
        }
        PgbouncerAdmits::WORD => Vec::new(),
        _ => {
            let request = PgbouncerPoint::of(action)?;
            let edited = format!(
                "edit {}: [databases] {} = host, port and dbname of {}",
                request.config, request.database, request.target
            );
            std::iter::once(unknown::readable(&format!("# {edited}"))).chain(says("RELOAD".to_owned())).collect()
        }
    })
}

async fn admits(postgres: &Postgres, admin: &Target, action: &Action) -> Result<Value, Fault> {
    let request = PgbouncerAdmits::of(action)?;
    Users::of(postgres, admin, &request.auth_file, request.ssh.as_deref()).await?.admits(&request).await
}

async fn shown(console: &Console, request: &PgbouncerShow) -> Result<Value, Fault> {
    let rows = console.run(&format!("SHOW {}", request.what)).await?;
    let cell = |(column, text): (String, String)| {
        let number = NUMBERS.contains(&column.as_str()).then(|| text.parse::<i64>().ok()).flatten();
        (column, number.map_or(Value::String(text), Value::from))
    };
    Ok(rows.into_iter().map(|row| Value::Object(row.into_iter().map(cell).collect())).collect())
}

/// A file of the pooler that cannot be edited, in words.
fn unedited(broken: Broken) -> Fault {
    match broken {
        Broken::There(fault) => fault,
        Broken::Here { path, verb, error } => {
            Fault::fatal("pgbouncer.file", format!("{} cannot be {verb}: {error}", path.display()))
                .hinted("it is replaced in its folder, with its owner and mode; run as its owner, or as root")
        }
    }
}
