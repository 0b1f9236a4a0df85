//! Which part of the effects performs which words: the table behind [`Effects::perform`], [`Effects::resolve`],
//! [`Effects::preview`] and [`Effects::by_hand`]. Each names every family, so that a new one cannot be forgotten in any.

use super::copying::Copying;
use super::freeze::Freezing;
use super::logical::Logical;
use super::neon::Neon;
use super::postgres::{self, control, login, scratch};
use super::recovery::Recovering;
use super::{
    Done, Doubt, Effects, Ledger, Resolution, Ticket, copying, env_file, freeze, github, http, local, logical, needed,
    neon, no_such_word, pgbouncer, process, recovery, scan, sealing,
};
use crate::model::Value;
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::copying::{PgAddress, PgUrl};
use crate::model::request::http::Consumers;
use crate::model::request::needed::NeonNeeded;
use crate::model::request::scan::SecretScan;
use crate::model::request::secrets::SecretSeal;
use crate::model::request::{CommandRun, Request, SqlAdmin, SqlExec, SqlQuery};

/// Words that are performed in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Query,
    Exec,
    Admin,
    Handed,
    Login,
    Scratch,
    Control,
    Copying,
    Recovery,
    Proof,
    Logical,
    Freeze,
    Pgbouncer,
    Command,
    EnvFile,
    Http,
    Consumers,
    Github,
    Needed,
    Scan,
    Neon,
    Local,
    Sealing,
}

/// The words of each, or what their names begin with, `FAMILY::`. The first that fits counts.
const FAMILIES: &[(Family, &[&str])] = &[
    (Family::Query, &[SqlQuery::WORD]),
    (Family::Exec, &[SqlExec::WORD]),
    (Family::Admin, &[SqlAdmin::WORD]),
    (Family::Handed, &[PgUrl::WORD, PgAddress::WORD]),
    (Family::Login, &login::WORDS),
    (Family::Scratch, &scratch::WORDS),
    (Family::Control, &control::WORDS),
    (Family::Copying, &copying::WORDS),
    (Family::Recovery, &recovery::WORDS),
    (Family::Proof, &postgres::prove::WORDS),
    (Family::Logical, &["logical::"]),
    (Family::Freeze, &freeze::WORDS),
    (Family::Pgbouncer, &pgbouncer::WORDS),
    (Family::Command, &[CommandRun::WORD]),
    (Family::EnvFile, &env_file::WORDS),
    (Family::Http, &http::WORDS),
    (Family::Consumers, &[Consumers::WORD]),
    (Family::Github, &github::WORDS),
    (Family::Needed, &[NeonNeeded::WORD]),
    (Family::Scan, &[SecretScan::WORD]),
    (Family::Neon, &["neon::"]),
    (Family::Local, &local::WORDS),
    (Family::Sealing, &[SecretSeal::WORD]),
];

impl Family {
    fn of(word: &str) -> Option<Self> {
        let fits = |known: &&str| word == *known || (known.ends_with("::") && word.starts_with(known));
        FAMILIES.iter().find(|(_, words)| words.iter().any(fits)).map(|(family, _)| *family)
    }

    fn known(word: &str) -> Result<Self, Fault> {
        Self::of(word).ok_or_else(|| no_such_word(word))
    }
}

impl Effects {
    fn copying(&self) -> Copying<'_> {
        Copying { world: &self.world, postgres: &self.postgres }
    }

    fn recovering(&self) -> Recovering<'_> {
        Recovering { world: &self.world, postgres: &self.postgres, reach: &self.reach }
    }

    fn logical(&self) -> Logical<'_> {
        Logical { world: &self.world, postgres: &self.postgres }
    }

    fn freezing(&self) -> Freezing<'_> {
        Freezing { world: &self.world, postgres: &self.postgres, guards: &self.guards }
    }

    fn neon(&self) -> Neon<'_> {
        Neon { postgres: &self.postgres }
    }

    /// Performs one action once.
    ///
    /// A change calls `ledger.intent` exactly once before it can take effect, and `ledger.started` before it when it
    /// holds something that outlives this process. A read calls neither.
    pub async fn perform(&self, action: &Action, ticket: &Ticket, ledger: &dyn Ledger) -> Result<Done, Fault> {
        let done = self.performed(action, ticket, ledger).await;
        done.map_err(|fault| self.world.vault.redact_fault(fault))
    }

    async fn performed(&self, action: &Action, ticket: &Ticket, ledger: &dyn Ledger) -> Result<Done, Fault> {
        let family = Family::known(&action.word)?;
        if !matches!(family, Family::Neon | Family::Needed) {
            neon::place::require_own(&self.postgres, action, ticket).await?;
        }
        match family {
            Family::Query => postgres::read::perform(&self.postgres, action, ticket).await,
            Family::Exec => postgres::exec::perform(&self.postgres, action, ticket, ledger).await,
            Family::Admin => postgres::admin::perform(&self.postgres, action, ticket, ledger).await,
            Family::Handed => postgres::handed::perform(&self.postgres, action).await,
            Family::Login => login::perform(&self.postgres, action, ticket).await,
            Family::Scratch => scratch::perform(&self.postgres, action, ticket, ledger).await,
            Family::Control => control::perform(&self.postgres, action, ticket, ledger).await,
            Family::Copying => copying::perform(&self.copying(), action, ticket, ledger).await,
            Family::Recovery => recovery::perform(&self.recovering(), action, ticket, ledger).await,
            Family::Proof => postgres::prove::perform(&self.postgres, action, ticket).await,
            Family::Logical => logical::perform(&self.logical(), action, ticket, ledger).await,
            Family::Freeze => freeze::perform(&self.freezing(), action, ticket, ledger).await,
            Family::Pgbouncer => pgbouncer::perform(&self.postgres, action, ledger).await,
            Family::Command => process::perform(&self.world, action, ticket, ledger).await,
            Family::EnvFile => env_file::perform(&self.world, action, ticket, ledger).await,
            Family::Http => http::perform(&self.world, &self.clients, action, ticket, ledger).await,
            Family::Consumers => self.world.providers.consumers().map(|value| Done { value, rows: None }),
            Family::Github => github::perform(&self.world, action).await,
            Family::Needed => needed::perform(&self.world, action),
            Family::Scan => scan::perform(&self.world, action).await,
            Family::Neon => neon::perform(&self.neon(), action, ticket, ledger).await,
            Family::Local => local::perform(&self.world, action, ticket, ledger).await,
            Family::Sealing => sealing::perform(&self.world, action, ticket, ledger),
        }
    }

    /// Asks the world about an attempt whose outcome is missing, after ending what the attempt still holds.
    ///
    /// A retryable fault means that the world could not be asked at all, because its server cannot be reached.
    pub async fn resolve(&self, action: &Action, ticket: &Ticket, doubt: &Doubt) -> Result<Resolution, Fault> {
        let resolution = self.resolved(action, ticket, doubt).await;
        resolution.map_err(|fault| self.world.vault.redact_fault(fault))
    }

    async fn resolved(&self, action: &Action, ticket: &Ticket, doubt: &Doubt) -> Result<Resolution, Fault> {
        match Family::known(&action.word)? {
            Family::Exec => postgres::exec::resolve(&self.postgres, action, ticket, doubt).await,
            Family::Admin => postgres::admin::resolve(&self.postgres, action, ticket, doubt).await,
            Family::Scratch => scratch::resolve(&self.postgres, action, ticket, doubt).await,
            Family::Control => control::resolve(&self.postgres, doubt).await,
            Family::Copying => copying::resolve(&self.copying(), action, ticket, doubt).await,
            Family::Recovery => recovery::resolve(&self.recovering(), action, ticket, doubt).await,
            Family::Logical => logical::resolve(&self.logical(), action, ticket, doubt).await,
            Family::Freeze => freeze::resolve(&self.freezing(), action, doubt).await,
            Family::Command => process::resolve(&self.world, action, ticket, doubt).await,
            Family::Http => Ok(http::resolve(action, doubt)),
            Family::Neon => neon::resolve(&self.neon(), action, ticket, doubt).await,
            // They change nothing, or doing it again comes to the same.
            Family::Query
            | Family::Handed
            | Family::Login
            | Family::Proof
            | Family::Pgbouncer
            | Family::EnvFile
            | Family::Consumers
            | Family::Github
            | Family::Needed
            | Family::Scan
            | Family::Local
            | Family::Sealing => Ok(Resolution::NotDone),
        }
    }

    /// Says what an action would do, changing nothing. A read is really read.
    pub async fn preview(&self, action: &Action) -> Result<Previewed, Fault> {
        let previewed = self.previewed(action).await;
        previewed.map_err(|fault| self.world.vault.redact_fault(fault))
    }

    async fn previewed(&self, action: &Action) -> Result<Previewed, Fault> {
        let Some(family) = Family::of(&action.word) else {
            return Ok(Previewed { level: Level::Rendered, value: None, by_hand: Vec::new(), notes: Vec::new() });
        };
        match family {
            Family::Query | Family::Exec | Family::Admin => postgres::preview::preview(&self.postgres, action).await,
            Family::Handed => postgres::handed::preview(&self.postgres, action).await,
            Family::Login => login::preview(&self.postgres, action).await,
            Family::Scratch => scratch::preview(&self.postgres, action).await,
            Family::Control => control::preview(&self.postgres, action).await,
            Family::Copying => copying::preview(&self.copying(), action).await,
            Family::Recovery => recovery::preview(&self.recovering(), action).await,
            Family::Proof => postgres::prove::preview(action),
            Family::Logical => logical::preview(&self.logical(), action).await,
            Family::Freeze => freeze::preview(&self.freezing(), action).await,
            Family::Pgbouncer => pgbouncer::preview(&self.postgres, action).await,
            Family::Command => process::preview(&self.world, action).await,
            Family::EnvFile => env_file::preview(&self.world, action).await,
            Family::Http => http::preview(&self.world, &self.clients, action).await,
            Family::Consumers => self.world.providers.consumers().map(read),
            Family::Github => github::preview(&self.world, action).await,
            Family::Needed => needed::perform(&self.world, action).map(|done| read(done.value)),
            Family::Scan => scan::perform(&self.world, action).await.map(|done| read(done.value)),
            Family::Neon => neon::preview(&self.neon(), action).await,
            Family::Local => local::preview(&self.world, action).await,
            Family::Sealing => SecretSeal::of(action).map(|request| read(request.value.into())),
        }
    }

    /// What one could type at a shell instead of this action; nothing for what has no such line. Contacts nothing.
    pub fn by_hand(&self, action: &Action) -> Vec<String> {
        let lines = Family::of(&action.word).map_or_else(|| Ok(Vec::new()), |family| self.typed(family, action));
        lines.unwrap_or_default().iter().map(|line| self.world.vault.redact(line)).collect()
    }

    fn typed(&self, family: Family, action: &Action) -> Result<Vec<String>, Fault> {
        match family {
            Family::Query | Family::Exec | Family::Admin => postgres::preview::by_hand(action).map(|line| vec![line]),
            Family::Scratch => scratch::by_hand(action),
            Family::Control => control::by_hand(action),
            Family::Copying => copying::by_hand(action),
            Family::Recovery => recovery::by_hand(action),
            Family::Logical => logical::by_hand(action),
            Family::Freeze => freeze::by_hand(action),
            Family::Pgbouncer => pgbouncer::by_hand(action),
            Family::Command => process::by_hand(&self.world, action).map(|line| vec![line]),
            Family::Http => http::by_hand(action),
            Family::Neon => Ok(neon::by_hand(&self.neon(), action)),
            Family::Handed
            | Family::Login
            | Family::Proof
            | Family::EnvFile
            | Family::Consumers
            | Family::Github
            | Family::Needed
            | Family::Scan
            | Family::Local
            | Family::Sealing => Ok(Vec::new()),
        }
    }
}

/// What was read without asking anybody.
fn read(value: Value) -> Previewed {
    Previewed { level: Level::Read, value: Some(value), by_hand: Vec::new(), notes: Vec::new() }
}
