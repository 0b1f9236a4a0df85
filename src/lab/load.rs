//! The application's database, made by the scripts in `sql/`: bare tables, then rows, then what stands on them, in two
//! sessions wherever two can work at the same time.

use chrono::SecondsFormat;

use super::book::Book;
use super::cluster::SUPERUSER;
use super::programs::Programs;
use super::psql::Login;
use super::{SCRATCH, SOURCE};
use crate::model::fault::Fault;

/// The application's role and its database.
pub const APP: &str = "app";

const HELPERS: &str = include_str!("sql/helpers.sql");

/// A script: its name, and its text.
type Script = (&'static str, &'static str);

const TABLES: Script = ("tables.sql", include_str!("sql/tables.sql"));
const ROWS_ISSUES: Script = ("rows_issues.sql", include_str!("sql/rows_issues.sql"));
const ROWS_OTHERS: Script = ("rows_others.sql", include_str!("sql/rows_others.sql"));
const INDEXES_ISSUES: Script = ("indexes_issues.sql", include_str!("sql/indexes_issues.sql"));
const INDEXES_OTHERS: Script = ("indexes_others.sql", include_str!("sql/indexes_others.sql"));
const SHAPES: Script = ("awkward_shapes.sql", include_str!("sql/awkward_shapes.sql"));
const VALUES: Script = ("awkward_values.sql", include_str!("sql/awkward_values.sql"));
const NAMES: Script = ("awkward_names.sql", include_str!("sql/awkward_names.sql"));
const BEHAVIOUR: Script = ("behaviour.sql", include_str!("sql/behaviour.sql"));
const PLAIN: Script = ("plain.sql", include_str!("sql/plain.sql"));
const OBJECTS: Script = ("awkward_objects.sql", include_str!("sql/awkward_objects.sql"));

/// Makes the database; the servers have nothing but their superuser yet.
pub struct Load<'a> {
    /// The lab.
    pub book: &'a Book,
    /// PostgreSQL's programs.
    pub programs: &'a Programs,
}

impl Load<'_> {
    /// The role `app` on both servers, its database on `source`. On `scratch` it may make databases.
    pub fn roles(&self) -> Result<(), Fault> {
        for (server, may, also) in [(SOURCE, "", "create database app owner app;"), (SCRATCH, "createdb", "")] {
            let script = format!("create role app login {may} password '{}'; \n{also}", self.book.password);
            self.login(server, SUPERUSER, "postgres").run(self.programs, "making its roles", "", &script)?;
        }
        Ok(())
    }

    /// Tables without indexes.
    pub fn tables(&self) -> Result<(), Fault> {
        self.lane(1, &[TABLES])
    }

    /// Rows of the big tables.
    pub fn rows(&self) -> Result<(), Fault> {
        both(|| self.lane(1, &[ROWS_ISSUES]), || self.lane(2, &[ROWS_ISSUES, ROWS_OTHERS]))
    }

    /// Keys, indexes, and the small tables.
    pub fn indexes(&self) -> Result<(), Fault> {
        let others: &[Script] =
            if self.book.plain { &[INDEXES_OTHERS] } else { &[INDEXES_OTHERS, SHAPES, VALUES, NAMES] };
        both(|| self.lane(1, &[INDEXES_ISSUES]), || self.lane(2, others))
    }

    /// References, functions, triggers and views; then what a database in use has: statistics, and nothing left to tidy up.
    pub fn behaviour(&self) -> Result<(), Fault> {
        self.lane(1, if self.book.plain { &[BEHAVIOUR, PLAIN] } else { &[BEHAVIOUR, OBJECTS] })?;
        let superuser = self.login(SOURCE, SUPERUSER, APP);
        superuser.run(self.programs, "tidying up", "", "vacuum (analyze); checkpoint;")
    }

    /// Runs scripts one after the other, each in one transaction.
    fn lane(&self, part: u8, scripts: &[Script]) -> Result<(), Fault> {
        let at = self.book.at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let settings = format!("-c lab.rows={} -c lab.at={at} -c lab.part={part}", self.book.rows);
        for (name, text) in scripts {
            let script = format!("{HELPERS}\nbegin;\n{text}\ncommit;\n");
            self.login(SOURCE, APP, APP).run(self.programs, name, &settings, &script)?;
        }
        Ok(())
    }

    fn login<'b>(&'b self, server: &str, role: &'b str, database: &'b str) -> Login<'b> {
        Login { port: self.book.port(server), role, password: &self.book.password, database }
    }
}

/// Does two things at the same time.
pub fn both<T: Send>(
    one: impl FnOnce() -> Result<T, Fault> + Send,
    other: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, Fault> {
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        let one =
            one.join().unwrap_or_else(|_| Err(Fault::fatal("lab.failed", "a part of the lab's making broke down")));
        one.and(other)
    })
}
