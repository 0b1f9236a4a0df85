//! What a step has done to the world, as far as the journal knows: going back depends on it.

use std::collections::BTreeSet;

use super::state::{Closure, State};
use crate::journal::entry::{Outcome, Record};
use crate::journal::store::{Journal, JournalError};
use crate::model::Value;
use crate::model::ids::{ActionKey, Phase, RunId};
use crate::model::request::freeze::FreezeCommit;
use crate::model::request::{Request, SqlExec};

/// Code of the fault of a change of which going back found out that it was not made.
pub const NOT_DONE: &str = "not-done";

/// Code of the fault of a change that was cut off and may have been made: going on does it again without asking, and going back has
/// to take it for made.
pub const CUT_OFF: &str = "cut-off";

/// One transaction each: where it failed, it left nothing. Of a command nobody knows how far it came.
const TRANSACTIONS: [&str; 2] = [SqlExec::WORD, FreezeCommit::WORD];

const PAGE: usize = 512;

/// What a step has done that going back must know of.
pub struct Touched {
    /// Its output, or what its last change answered, or null where that is not known.
    pub made: Value,
    /// Whether something was done, or may have been by a change that failed.
    pub changed: bool,
    /// Whether a change was cut off, and nobody has settled yet whether it was made.
    pub in_doubt: bool,
}

/// What a step began to change, if it did: all of it counts, even what it did before a hold broke and it was reset.
pub fn by(
    journal: &dyn Journal,
    run: &RunId,
    state: &State,
    step: &str,
    output: Option<Value>,
) -> Result<Option<Touched>, JournalError> {
    if let Some(made) = output {
        return Ok(Some(Touched { made, changed: true, in_doubt: false }));
    }
    let Closure { from, earlier, .. } = state.closure(step, Phase::Perform);
    let finished_once = earlier.is_some();
    let mut changed = finished_once;
    let mut intended = finished_once;
    let mut made = earlier.unwrap_or_default();
    let mut doubts: BTreeSet<ActionKey> = BTreeSet::new();
    for name in journal.lanes(run, step, Phase::Perform, "", 0)? {
        let mut after = 0;
        loop {
            let page = journal.lane(run, step, Phase::Perform, &name, after, PAGE)?;
            let full = page.len() == PAGE;
            after = page.last().map_or(after, |entry| entry.n);
            for entry in page {
                match entry.record {
                    Record::Intent { key, .. } => {
                        intended = true;
                        doubts.insert(key);
                    }
                    Record::Outcome { key, outcome: Outcome::Done { value }, .. } if doubts.remove(&key) => {
                        changed = true;
                        // Its output from before it was reset says more than a single change back then.
                        if entry.n > from || !finished_once {
                            made = value;
                        }
                    }
                    Record::Outcome { key, word, outcome: Outcome::Failed { fault }, .. } => {
                        let nothing = TRANSACTIONS.contains(&word.as_str()) || fault.code == NOT_DONE;
                        changed |= doubts.remove(&key) && !nothing;
                    }
                    _ => {}
                }
            }
            if !full {
                break;
            }
        }
    }
    Ok(intended.then_some(Touched { made, changed, in_doubt: !doubts.is_empty() }))
}
