//! The world of a cutover: `source` plays the self-managed server, behind a PgBouncer that can be configured anew, and
//! `scratch` the managed one, with the empty database [`MANAGED`]. An application writes through the pooler.
//!
//! The application's log of what was acknowledged lies outside both databases: [`check`] tells by it what was lost, doubled,
//! or left on the wrong side, whatever was killed when.

pub mod app;
pub mod check;
mod describe;
mod log;
mod work;

pub use check::{Checked, check};
pub use describe::{Cutover, describe};

use serde::{Deserialize, Serialize};

use super::book::Book;
use super::cluster::SUPERUSER;
use super::load::APP;
use super::neon::storage::pooler::program;
use super::pooler::Ports;
use super::programs::Programs;
use super::psql::Login;
use super::up::Traffic;
use super::{Place, SCRATCH, SOURCE};
use crate::effects::files;
use crate::model::fault::Fault;

/// The empty database on `scratch`, which the application moves to.
pub const MANAGED: &str = "managed";
/// The file that tells the application where its database is.
pub const ENV: &str = "app.env";
/// The application's log.
pub const LOG: &str = "app.log";
/// Transactions a second, unless told.
pub const RATE: u32 = 200;
/// Connections of the application, unless told.
pub const CONNECTIONS: u32 = 4;

/// What is under way when the application is told to stop gets so much time, which is less than it has to end.
const LAST: std::time::Duration = std::time::Duration::from_secs(3);

/// Files of it in the lab's folder.
pub const FILES: [&str; 7] = [ENV, "app.env.previous", "app.env.new", LOG, "app.json", "app.json.new", "app.lock"];

/// What a lab's book says of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Those of the pooler.
    #[serde(flatten)]
    pub ports: Ports,
    /// Transactions a second.
    pub rate: u32,
    /// Connections of the application.
    pub connections: u32,
}

/// Makes what a lab has not yet of it. The servers run.
pub fn make(place: &Place, programs: &Programs, book: &mut Book, traffic: &Traffic) -> Result<(), Fault> {
    let before = book.cutover.clone();
    let mut plan = before.clone().unwrap_or(Plan { rate: RATE, connections: CONNECTIONS, ..Plan::default() });
    plan.rate = traffic.rate.unwrap_or(plan.rate);
    plan.connections = traffic.connections.unwrap_or(plan.connections);
    if !(1..=20_000).contains(&plan.rate) || !(1..=200).contains(&plan.connections) {
        return Err(Fault::fatal("lab.options", "an application has a rate of 1 to 20000 and 1 to 200 connections"));
    }
    if before.is_none() {
        databases(place, programs, book)?;
    }
    book.cutover = Some(plan);
    book.write(&place.folder)
}

/// Both sides as a cutover finds them.
fn databases(place: &Place, programs: &Programs, book: &Book) -> Result<(), Fault> {
    program(&place.path)?;
    let run = |server: &str, name: &str, script: &str| {
        let login = Login { port: book.port(server), role: SUPERUSER, password: &book.password, database: "postgres" };
        login.run(programs, name, "", script)
    };
    // Up to PostgreSQL 15 only a superuser subscribes; a managed service lets the owner.
    run(SOURCE, "making the application an owner of everything", "alter role app superuser;")?;
    // An earlier attempt may have come thus far.
    let managed = format!(
        "alter role app superuser; drop database if exists {MANAGED} with (force); create database {MANAGED} owner {APP};"
    );
    run(SCRATCH, "making the managed database", &managed)
}

/// Writes the file that tells the application where its database is, unless it is there: a runbook may have changed it.
pub fn point(place: &Place, book: &Book) -> Result<(), Fault> {
    let path = place.folder.join(ENV);
    if path.exists() {
        return Ok(());
    }
    let port = book.cutover.as_ref().map_or(0, |plan| plan.ports.pooler);
    let text = format!("DATABASE_URL='{}'\n", book.url_at(port, APP, APP));
    files::write_whole(&path, text.as_bytes())
        .map_err(|error| super::failed(format_args!("{} cannot be written", path.display()), &error))
}
