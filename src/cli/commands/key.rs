//! `runsheet key`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chrono::SecondsFormat;

use super::super::Global;
use super::super::config::key::{KEY, KEY_FILE};
use super::super::error::CliError;
use super::super::out::{Out, quoted};
use super::super::session::whereabouts;
use crate::effects::files;
use crate::effects::local::SystemClock;
use crate::effects::sealing::{Key, Made};
use crate::model::clock::Clock;
use crate::model::verdict::Verdict;

/// The key with which runs seal their secrets in the journal
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Make a key, in a file that only you can read
    ///
    /// A run seals the passwords that it makes in its journal with it, so that another process can go on with the run. Every
    /// machine that is to resume a run needs the same key: keep a copy where the team keeps its secrets. It is an identity of
    /// age, and `age --decrypt` opens by hand what was sealed.
    New {
        /// Where it is put (default: ~/.config/runsheet/key); a file that is there is never overwritten
        file: Option<PathBuf>,
        /// Print the key instead of writing a file, for a store of secrets; give it back as RUNSHEET_KEY
        #[arg(long, conflicts_with = "file")]
        print: bool,
    },
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let What::New { file, print } = self.what;
        let made = Key::make(&SystemClock.now().to_rfc3339_opts(SecondsFormat::Secs, true));
        if print {
            out.data(&made.text);
            out.next(&format!("keep it where the team keeps its secrets, and set {KEY} to it"));
            return Ok(Verdict::Pass);
        }
        let (_, cwd) = whereabouts(global)?;
        let path = match file {
            Some(file) => cwd.join(file),
            None => usual()?,
        };
        write(&path, &made)?;
        let place = path.display().to_string();
        if out.json {
            out.json(&serde_json::json!({ "file": place, "public": made.public }));
        } else {
            out.talk(&format!("a key lies in {place}; its public half is {}", made.public));
            out.talk(
                "keep a copy where the team keeps its secrets: without it nobody goes on with a run that needs it",
            );
            out.data(&format!("export {KEY_FILE}={}\n", quoted(&place)));
        }
        Ok(Verdict::Pass)
    }
}

/// Where a key is put that nobody gave a place.
fn usual() -> Result<PathBuf, CliError> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    let folder = folder.ok_or_else(|| {
        CliError::refused("neither HOME nor XDG_CONFIG_HOME is set, so there is no usual place for a key")
            .next("runsheet key new FILE")
    })?;
    Ok(folder.join("runsheet/key"))
}

fn write(path: &Path, made: &Made) -> Result<(), CliError> {
    let place = path.display();
    if let Some(folder) = path.parent() {
        files::make_folder(folder)
            .map_err(|error| CliError::refused(format!("{} cannot be made: {error}", folder.display())))?;
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(made.text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            CliError::refused(format!("{place} is there, and may be all that opens older runs"))
                .hinted(format!("use it: export {KEY_FILE}={place}; or give the new one another name"))
                .next("runsheet key new FILE")
        }
        _ => CliError::refused(format!("{place} cannot be written: {error}")).next("runsheet key new FILE"),
    })
}
