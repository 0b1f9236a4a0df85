//! `neon::needed`: what must not be deleted because a run that is not over stands on it.

use super::call::Answer;
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::Action;
use crate::model::request::Request;
use crate::model::request::needed::{BranchMade, NeonNeeded};

pub(crate) const WORDS: &[Entry] = &[Entry {
    word: Word {
        name: "neon::needed",
        signature: "neon::needed(branches) -> #{ ID: why, … }",
        summary: "Which of these branches the unfinished runs of this project still need: those they were started on, and those they made. Answers the reason by the branch's id; what is not needed is left out.",
        params: &[param("branches", "list of branches as neon::branches answers them")],
        errors: &[("neon.needed", "the journal cannot be read")],
        example: "let needed = neon::needed(neon::branches(#{ prefix: \"preview/\" }));",
    },
    least: 1,
    most: 1,
    run: needed,
}];

fn needed(call: &Call<'_>) -> Answer {
    let Value::Array(given) = call.value(0)? else { return Err(call.misuse("`branches` must be a list of branches")) };
    let mut branches = Vec::with_capacity(given.len());
    for branch in &given {
        let Some(id) = branch.get("id").and_then(Value::as_str) else {
            return Err(call.misuse("`branches` must be a list of branches as neon::branches answers them"));
        };
        let stamp = branch.pointer("/annotation/stamp").and_then(Value::as_str).map(str::to_owned);
        branches.push(BranchMade { id: id.to_owned(), stamp });
    }
    // It reads no resource: what the runs need is known here, whatever a step before would have changed.
    let shown = "branches that unfinished runs need";
    call.give(&call.perform(Action::read(NeonNeeded::WORD, &NeonNeeded { branches }, shown, Vec::new()))?)
}
