//! Words about secrets as such: kept for a run, whatever becomes of where they came from.

use super::call::{Answer, title};
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::Action;
use crate::model::request::Request;
use crate::model::request::secrets::SecretSeal;
use crate::model::secret;

pub(crate) const WORDS: &[Entry] = &[Entry {
    word: Word {
        name: "secret::seal",
        signature: "secret::seal(secret) -> secret",
        summary: "The same secret as it is now, kept for this run whatever becomes of the place it came from: sealed in the journal with the key of `RUNSHEET_KEY_FILE`, so that a resume has it too. Without a key it lasts as long as this process; `key: \"required\"` of `runbook` refuses to begin without one.",
        params: &[param("secret", "a whole secret, as env(…), pg::address(…).password or a parameter gives it")],
        errors: &[("secret.seal", "it could not be encrypted")],
        example: "step(\"current\", || secret::seal(pg::address(params.app).password));",
    },
    least: 1,
    most: 1,
    run: seal,
}];

fn seal(call: &Call<'_>) -> Answer {
    let Value::String(value) = call.value(0)? else { return Err(call.misuse("`secret` must be a secret")) };
    let name = value.strip_prefix(secret::OPEN).and_then(|rest| rest.strip_suffix(secret::CLOSE));
    let Some(name) = name.filter(|name| !name.contains(secret::OPEN)) else {
        return Err(call.misuse("`secret` must be a whole secret, nothing before it and nothing after it"));
    };
    let shown = title(&format!("seal {name} in the journal"));
    call.give(&call.perform(Action::read(SecretSeal::WORD, &SecretSeal { value }, shown, Vec::new()))?)
}
