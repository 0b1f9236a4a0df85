//! What effects need of the surroundings, made of as little as possible.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use runsheet::effects::{Past, World};
use runsheet::model::clock::Clock;
use runsheet::model::environment::Environment;
use runsheet::model::event::Silent;
use runsheet::model::provider::Providers;
use runsheet::model::secret::Vault;
use runsheet::model::target::{Target, Tls, TlsMode};

struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn random(&self, buffer: &mut [u8]) {
        buffer.fill_with(rand::random);
    }
}

struct NoPast;

impl Past for NoPast {
    fn finished(&self, _: &str, _: &str) -> Option<bool> {
        None
    }
}

/// Nothing is known of earlier runs.
pub fn no_past() -> Arc<dyn Past> {
    Arc::new(NoPast)
}

/// A target without TLS, reached by this URL.
pub fn target(name: &str, url: &str) -> Target {
    Target {
        name: name.to_owned(),
        url: url.to_owned(),
        direct_url: None,
        replication_url: None,
        label: name.to_owned(),
        protected: false,
        identity: None,
        tls: Tls { mode: TlsMode::Disable, ca: None },
        history: None,
        tunnel: None,
        tools: None,
    }
}

/// A world of these targets and nothing else.
pub fn world(targets: impl IntoIterator<Item = Target>) -> World {
    World {
        targets: targets.into_iter().map(|target| (target.name.clone(), target)).collect(),
        providers: Providers::default(),
        environment: Environment::default(),
        vault: Arc::new(Vault::new(b"key of the sealed world".to_vec())),
        sink: Arc::new(Silent),
        key: None,
        clock: Arc::new(HostClock),
        project: std::env::temp_dir(),
        state: std::env::temp_dir(),
        past: no_past(),
        program: std::path::PathBuf::new(),
    }
}
