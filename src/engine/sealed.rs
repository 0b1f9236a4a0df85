//! Secrets that a run seals in its journal: asked for before it begins, opened again by whoever goes on with it.

use super::context::Engine;
use super::start::StartError;
use super::state::State;
use crate::journal::audit::verify_store;
use crate::model::declaration::{Declaration, KeyRule};
use crate::model::ids::RunId;
use crate::model::secret;

/// Refuses to begin a run that could not be resumed, while nothing is touched.
pub fn require_key(engine: &Engine, declaration: &Declaration) -> Result<(), StartError> {
    if declaration.key == KeyRule::Optional || engine.effects.world().key.is_some() {
        return Ok(());
    }
    Err(StartError::Key {
        why: format!(
            "`{}` makes secrets that nobody may lose, and there is no key to seal them in the journal with",
            declaration.name
        ),
        hint: "make one with `runsheet key new`, once for all who may have to resume a run, and set RUNSHEET_KEY_FILE to its place".into(),
        next: "runsheet key new".into(),
    })
}

/// Opens what a run has sealed, before it is taken over.
pub fn open(engine: &Engine, run: &RunId, command: &str, state: &State) -> Result<(), StartError> {
    let world = engine.effects.world();
    if !state.sealed.is_empty() && command != "abandon" {
        refuse_damaged(engine, run)?;
    }
    for (name, sealed) in &state.sealed {
        let opened = world.key.as_ref().and_then(|key| key.open(sealed));
        match opened {
            Some(value) => {
                world.vault.keep(name, value);
            }
            // What only cleans up may need none of them, and must not be stopped for lack of one.
            None if command == "abandon" => {}
            None => {
                let shown = secret::readable(&secret::handle(name));
                let why = match &world.key {
                    None => format!("run {run} has sealed {shown} in its journal, and there is no key to open it"),
                    Some(_) => format!("run {run} has sealed {shown} in its journal for another key than this one"),
                };
                return Err(StartError::Key {
                    why,
                    hint: "set RUNSHEET_KEY_FILE (or RUNSHEET_KEY) to the key with which it was begun; nothing was done, and nothing is lost".into(),
                    next: format!("runsheet {command} {run}"),
                });
            }
        }
    }
    Ok(())
}

/// Anybody can seal something for a key, so what is opened must be what this run wrote.
fn refuse_damaged(engine: &Engine, run: &RunId) -> Result<(), StartError> {
    let Some(finding) = verify_store(&*engine.journal, Some(run), None)?.finding else { return Ok(()) };
    Err(StartError::Key {
        why: format!(
            "run {run} has sealed secrets in its journal, and that is not as it was written: entry {}: {}",
            finding.n, finding.why
        ),
        hint: "put the journal back from a backup; nothing was done. `runsheet abandon` gives the run up without opening anything".into(),
        next: format!("runsheet audit verify {run}"),
    })
}
