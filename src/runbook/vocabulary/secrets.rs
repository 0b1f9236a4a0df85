//! Words about secrets as such: kept for a run, whatever becomes of where they came from, and looked for in what was written.

use super::call::{Answer, title};
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::Action;
use crate::model::request::Request;
use crate::model::request::scan::SecretScan;
use crate::model::request::secrets::SecretSeal;
use crate::model::{secret, unknown};

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "secret::seal",
            signature: "secret::seal(secret) -> secret",
            summary: "The same secret as it is now, kept for this run whatever becomes of the place it came from: sealed in the journal with the key of `RUNSHEET_KEY_FILE`, so that a resume has it too. A step that failed, or goes back for a broken hold, seals what is there then. Without a key it lasts as long as this process; `key: \"required\"` of `runbook` refuses to begin without one.",
            params: &[param("secret", "a whole secret, as env(…), pg::address(…).password or a parameter gives it")],
            errors: &[
                ("secret.seal", "it could not be encrypted"),
                ("probe.change", "a probe sealed something; what is sealed is written down and belongs to a step"),
            ],
            example: "step(\"current\", || secret::seal(pg::address(params.app).password));",
        },
        least: 1,
        most: 1,
        run: seal,
    },
    Entry {
        word: Word {
            name: "secret::scan",
            signature: "secret::scan(#{ also }) -> #{ files, bytes, found: [#{ secret, place }], unread: [#{ place, why }] }",
            summary: "Looks through everything that Runsheet has written for this project, the journal included, for every secret that this process knows: as it is, and as it stands in URLs, JSON and base64. Answers names and places, never values. Dumps, recovered servers and the lab are left out. A value that is an ordinary word is found wherever that word stands; one shorter than 4 characters is not looked for.",
            params: &[param(
                "#{also}",
                "list of further files and folders, relative to the project: plans and reports that were written elsewhere",
            )],
            errors: &[("secret.scan", "the state folder cannot be read; a file that cannot be is named in `unread`")],
            example: "let scan = secret::scan(#{ also: [\"plan.json\"] }); check::that(\"no secret was written\", scan.found.len() == 0 && scan.unread.len() == 0, `${scan.files} files`);",
        },
        least: 0,
        most: 1,
        run: scan,
    },
];

fn seal(call: &Call<'_>) -> Answer {
    let Value::String(value) = call.value(0)? else { return Err(call.misuse("`secret` must be a secret")) };
    // One that a step before would make has no name yet.
    let later = unknown::first(&value).map(|_| "it".to_owned());
    let Some(name) = secret::whole(&value).map(str::to_owned).or(later) else {
        return Err(call.misuse("`secret` must be a whole secret, nothing before it and nothing after it"));
    };
    let shown = title(&format!("seal {name} in the journal"));
    call.give(&call.perform(Action::read(SecretSeal::WORD, &SecretSeal { value }, shown, Vec::new()))?)
}

fn scan(call: &Call<'_>) -> Answer {
    let options = call.options(0, &["also"])?;
    let request = SecretScan { also: options.texts("also")?.unwrap_or_default() };
    // It reads no resource: what was written is known here, whatever a step before would have changed.
    call.give(&call.perform(Action::read(SecretScan::WORD, &request, "what was written, for secrets", Vec::new()))?)
}
