//! What a configuration comes to, and what is said of a broken one.

mod broken;
mod environment;
mod providers;
mod state;
mod tls;

use std::collections::BTreeMap;
use std::path::Path;

use runsheet::cli::config::{Config, ConfigError, Options, load};

/// A project folder of its own and a made-up process environment.
struct Project {
    folder: tempfile::TempDir,
    process: BTreeMap<String, String>,
    options: Options,
}

impl Project {
    fn new(toml: &str) -> Self {
        let project = Self {
            folder: tempfile::tempdir().expect("a folder"),
            process: BTreeMap::new(),
            options: Options::default(),
        };
        project.with("runsheet.toml", toml)
    }

    fn with(self, file: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.path().join(file), content).expect("a file");
        self
    }

    fn var(mut self, name: &str, value: &str) -> Self {
        self.process.insert(name.into(), value.into());
        self
    }

    fn environment(mut self, name: &str) -> Self {
        self.options.environment = Some(name.into());
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn load(&self) -> Result<Config, ConfigError> {
        load(&self.options, self.process.clone(), self.path())
    }

    fn loaded(&self) -> Config {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    fn refused(&self) -> ConfigError {
        match self.load() {
            Ok(_) => panic!("the configuration was accepted"),
            Err(error) => error,
        }
    }
}
