//! What SQL would do, as far as it can be said without doing it.

use super::connect::Session;
use super::faults::{self, Stage};
use super::{Postgres, application_name, lexer, read, secrets};
use crate::effects::Ticket;
use crate::model::action::Action;
use crate::model::fault::{Fault, FaultClass};
use crate::model::preview::{Level, Previewed};
use crate::model::request::{Request, SqlAdmin, SqlExec, SqlQuery};
use crate::model::{secret, unknown};

/// Reads a read, prepares statements of a transaction, shows the rest.
pub async fn preview(postgres: &Postgres, action: &Action) -> Result<Previewed, Fault> {
    let (target, statements) = parts(action)?;
    let by_hand = vec![line(&target, &statements)];
    let mut shown = Previewed { level: Level::Rendered, value: None, by_hand, notes: Vec::new() };
    if let Some(step) = unknown::first_in(&action.request) {
        shown.notes.push(format!("cannot be checked before `{step}` has run"));
        return Ok(shown);
    }
    match action.word.as_str() {
        SqlQuery::WORD => {
            let done = read::perform(postgres, action, &Ticket::preview()).await?;
            Ok(Previewed { level: Level::Read, value: Some(done.value), ..shown })
        }
        SqlExec::WORD => {
            let session = postgres.session(&target, &application_name(&Ticket::preview())).await?;
            let begin = format!("BEGIN READ ONLY{}; SAVEPOINT one", session.pins_for_transaction());
            session.batch(&begin, SqlExec::WORD).await?;
            let notes = prepare_all(&session, &statements).await;
            if session.client.batch_execute("ROLLBACK").await.is_ok() {
                postgres.give_back(session);
            }
            Ok(Previewed { level: Level::Prepared, notes: notes?, ..shown })
        }
        _ => Ok(shown),
    }
}

/// Has the server check names and types of each statement; none is executed. The savepoint `one` stands before them all.
async fn prepare_all(session: &Session, statements: &[String]) -> Result<Vec<String>, Fault> {
    let mut notes = Vec::new();
    let mut definition = None;
    for (index, sql) in statements.iter().enumerate() {
        let number = index + 1;
        let what = format!("statement {number} of {}", session.what(SqlExec::WORD));
        let prepared = session.client.prepare(&secrets::stand_in(sql)?).await;
        if let Err(error) = prepared {
            let fault = faults::of(&error, Stage::Harmless, &what);
            let named = definition.filter(|_| is_about_names(&fault));
            let Some(earlier) = named else { return Err(fault) };
            notes.push(format!("statement {number} cannot be prepared before statement {earlier} has run: {fault}"));
            session.batch("ROLLBACK TO one", SqlExec::WORD).await?;
        }
        if matches!(lexer::first_word(sql).as_str(), "create" | "alter" | "drop" | "do" | "call" | "set" | "import") {
            definition = definition.or(Some(number));
        }
    }
    Ok(notes)
}

/// Whether a statement failed because something is not there (or not as it says) yet.
fn is_about_names(fault: &Fault) -> bool {
    fault.class == FaultClass::Fatal
        && ["sql.42", "sql.3F", "sql.22P02"].iter().any(|state| fault.code.starts_with(state))
}

/// The action as a line for a shell. Nothing is contacted.
pub fn by_hand(action: &Action) -> Result<String, Fault> {
    parts(action).map(|(target, statements)| line(&target, &statements))
}

/// Whether the action may make tables, columns, functions and the like, so that what is missing now may be there then.
/// Statements that only change rows do not.
pub fn may_define(action: &Action) -> bool {
    let Ok(SqlExec { statements, .. }) = SqlExec::of(action) else { return true };
    let rows = ["insert", "update", "delete", "merge", "truncate", "lock"];
    action.word != SqlExec::WORD || !statements.iter().all(|sql| rows.contains(&lexer::first_word(sql).as_str()))
}

/// The variable that stands for a target's URL in lines for a shell.
pub fn url_variable(target: &str) -> String {
    format!("{}_URL", target.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
}

/// Target and statements of an action.
fn parts(action: &Action) -> Result<(String, Vec<String>), Fault> {
    match action.word.as_str() {
        SqlQuery::WORD => SqlQuery::of(action).map(|it| (it.target, vec![it.sql])),
        SqlExec::WORD => SqlExec::of(action).map(|it| (it.target, it.statements)),
        _ => SqlAdmin::of(action).map(|it| (it.target, vec![it.sql])),
    }
}

/// A line for a shell. Secrets stand as variables, which the shell puts in.
fn line(target: &str, statements: &[String]) -> String {
    let mut line = format!("psql \"${}\" -X -v ON_ERROR_STOP=1", url_variable(target));
    if statements.len() > 1 {
        line.push_str(" -1");
    }
    for sql in statements {
        line.push_str(&format!(" -c '{}'", with_variables(&unknown::readable(&sql.replace('\'', "'\\''")))));
    }
    line
}

fn with_variables(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, (name, tail))) =
        rest.split_once(secret::OPEN).and_then(|(before, after)| Some((before, after.split_once(secret::CLOSE)?)))
    {
        let name = name.trim_end_matches("|scram").to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        shown.push_str(&format!("{before}'\"${name}\"'"));
        rest = tail;
    }
    shown + rest
}
