//! `github::…`: pull requests, of which branches of a database are made.

use super::call::Answer;
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::{Action, Resource};
use crate::model::request::Request;
use crate::model::request::github::GithubPulls;

pub(crate) const WORDS: &[Entry] = &[Entry {
    word: Word {
        name: "github::pulls",
        signature: "github::pulls(numbers) -> #{ \"7\": #{ state, closed_at, why }, … }",
        summary: "The state of pull requests of the repository in `[github]`: `open`, `closed`, `merged`, `missing` (the repository can be read and has none of that number), or `unknown` with the reason, when GitHub refused, limited or could not be understood. What is unknown is to be kept.",
        params: &[param("numbers", "list of their numbers")],
        errors: &[("github.config", "`[github]` is missing in runsheet.toml, or cannot be used")],
        example: "let open = github::pulls([41, 42]).values().filter(|pull| pull.state == \"open\");",
    },
    least: 1,
    most: 1,
    run: pulls,
}];

/// More than any purge looks at; each costs a request.
const MOST: usize = 10_000;

fn pulls(call: &Call<'_>) -> Answer {
    let Value::Array(given) = call.value(0)? else { return Err(call.misuse("`numbers` must be a list")) };
    let mut numbers = Vec::with_capacity(given.len());
    for number in &given {
        match number.as_u64() {
            Some(number) => numbers.push(number),
            None => return Err(call.misuse(format!("{number} is not the number of a pull request"))),
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.len() > MOST {
        return Err(call.misuse(format!("at most {MOST} pull requests are asked for, not {}", numbers.len())));
    }
    // How many they are is no part of the title: a plan is held to it.
    let reads = vec![Resource::new("github/pulls")];
    call.give(&call.perform(Action::read(
        GithubPulls::WORD,
        &GithubPulls { numbers },
        "states of pull requests",
        reads,
    ))?)
}
