//! What a watchdog does once a freeze is over: it releases everything, however long the server, the pooler or the
//! application's host take to come back.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{ANSWER, Watch};
use crate::effects::freeze::charge::Ended;
use crate::effects::freeze::{ground, release};
use crate::effects::postgres::quote;
use crate::model::Value;
use crate::model::clock::backoff;
use crate::model::fault::Fault;

/// The longest wait between two attempts to release something.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How often the application's start is tried.
const STARTS: u32 = 5;

/// How long a pooler that cannot be reached is tried: one that was started anew is not paused.
const POOLER: Duration = Duration::from_secs(3600);

impl Watch {
    /// Releases everything that is not committed, however long it takes.
    pub(super) async fn release(&mut self, why: &str) -> Ended {
        let row = self.release_database(why).await;
        let mut ended = Ended::of(&row);
        if ended.state.is_empty() {
            ended = Ended {
                state: "lifted".to_owned(),
                by: "nobody".to_owned(),
                why: "its row is gone".to_owned(),
                ..ended
            };
        }
        self.page.state.clone_from(&ended.state);
        self.page.trouble = None;
        self.page.ended = Some(ended.clone());
        self.write();
        // Committed: who waits at the pooler goes on at the other side, and the application too. Taken over by a later
        // freeze of the run: what is paused now is paused by that one.
        if ended.state != "lifted" || ended.by == "guard" {
            return ended;
        }
        let until = match &self.session {
            Some(session) => timeout(ANSWER, release::thawed_until(&session.client, &row)).await,
            None => Ok(Ok(String::new())),
        };
        let until = until.ok().and_then(Result::ok).unwrap_or_else(|| ended.at.clone());
        let thawing = self.thaw(&until);
        let (pooler, command, ()) = tokio::join!(self.release_pooler(), self.start_application(), thawing);
        (ended.pooler, ended.command) = (pooler, command);
        self.page.ended = Some(ended.clone());
        self.write();
        ended
    }

    async fn release_database(&mut self, why: &str) -> Value {
        let mut tries = 0;
        loop {
            tries += 1;
            let trouble = match self.lift_once(why).await {
                Ok(row) => return row,
                Err(fault) => fault,
            };
            self.session = None;
            let told = trouble.to_string();
            if self.page.trouble.as_ref() != Some(&told) {
                self.page.trouble = Some(told);
                self.write();
            }
            sleep(backoff(Duration::from_millis(20), LONGEST_WAIT, tries)).await;
        }
    }

    async fn lift_once(&mut self, why: &str) -> Result<Value, Fault> {
        let slow = || Fault::retryable("connection.timeout", "the server does not answer");
        if self.session.as_ref().is_none_or(|session| session.client.is_closed()) {
            self.session = None;
            let session = timeout(ANSWER, self.connect()).await.map_err(|_| slow())??;
            self.session = Some(session);
        }
        let session = self.session.as_ref().ok_or_else(slow)?;
        let (schema, token) = (&self.charge.schema, &self.charge.token);
        let lifted = timeout(ANSWER, release::database(&session.client, schema, token, "watchdog", why)).await;
        let error = match lifted.map_err(|_| slow())? {
            Ok(row) => return Ok(row),
            Err(error) => error,
        };
        let state = error.code().map(tokio_postgres::error::SqlState::code);
        if matches!(state, Some("3F000" | "42P01" | "42883")) {
            // The schema was dropped, and with it everything that could be released in the database.
            return Ok(Value::Null);
        }
        if state == Some("55P03") {
            // One of ours hangs in the middle of a step. The settings of all databases lie in one table.
            let asked = format!(
                "ROLLBACK; SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                  WHERE l.relation IN (to_regclass({}), 'pg_db_role_setting'::regclass) AND l.pid <> pg_backend_pid()
                    AND a.datname = current_database() AND starts_with(a.application_name, 'runsheet ')",
                quote::literal(&format!("{}.freeze", quote::name(schema)))
            );
            let _ = timeout(ANSWER, ground::single(&session.client, &asked)).await;
        }
        Err(ground::harmless(&error, "releasing writes"))
    }

    async fn thaw(&self, until: &str) {
        if let Some(session) = &self.session {
            let thawing = release::thaw(&session.client, &self.charge.schema, &self.charge.token, until);
            let _ = timeout(ANSWER, thawing).await;
        }
    }

    async fn release_pooler(&self) -> String {
        let Some(pooler) = &self.charge.pooler else { return String::new() };
        let begun = std::time::Instant::now();
        let mut tries = 0;
        loop {
            tries += 1;
            match timeout(ANSWER, release::pooler(&self.postgres, pooler)).await {
                Ok(Ok(())) => return "its clients go on".to_owned(),
                // One that was started anew may not know the database before its first client, and then nobody waits.
                Ok(Err(fault)) if fault.code == "pgbouncer.database" => return "it knows nobody who waits".to_owned(),
                Ok(Err(fault)) if begun.elapsed() > POOLER => return format!("not reached: {fault}"),
                Err(_) if begun.elapsed() > POOLER => return "not reached: it does not answer".to_owned(),
                _ => sleep(backoff(Duration::from_millis(20), LONGEST_WAIT, tries)).await,
            }
        }
    }

    async fn start_application(&self) -> String {
        let Some(command) = &self.charge.resume else { return String::new() };
        let mut tries = 0;
        loop {
            tries += 1;
            match release::command(&self.world, command).await {
                Ok(()) => return "started".to_owned(),
                Err(fault) if tries >= STARTS => return format!("not started: {fault}"),
                Err(_) => sleep(backoff(Duration::from_millis(200), LONGEST_WAIT, tries)).await,
            }
        }
    }
}
