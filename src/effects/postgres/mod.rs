//! PostgreSQL targets: reads, transactions exactly once, administration, locks.
//!
//! One file per duty; all of them reach a server through [`connect`] alone, so that identity, TLS, pinned settings
//! and the words of a failure are the same everywhere.

pub mod admin;
pub mod backend;
pub mod exec;
pub mod lock;
pub mod preview;
pub mod read;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::World;
use crate::model::fault::Fault;
use crate::model::identity::{Identity, ServerMoment};

/// All targets of a world.
pub struct Postgres {
    world: Arc<World>,
    pins: Mutex<BTreeMap<String, Identity>>,
}

impl Postgres {
    /// Targets of this world. Nothing is contacted yet.
    pub fn new(world: Arc<World>) -> Self {
        Self { world, pins: Mutex::default() }
    }

    /// See [`super::Effects::pin`].
    pub fn pin(&self, target: &str, identity: Identity) {
        self.pins.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(target.to_owned(), identity);
    }

    /// See [`super::Effects::identify`].
    pub async fn identify(&self, target: &str) -> Result<ServerMoment, Fault> {
        let _ = &self.world;
        Err(Fault::fatal("target.unreachable", format!("{target} cannot be reached yet")))
    }
}
