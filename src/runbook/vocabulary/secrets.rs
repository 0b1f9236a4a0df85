//! `secret::scan`: whether a secret stands anywhere in what was written.

use super::call::Answer;
use super::{Call, Entry, Word, param};
use crate::model::action::Action;
use crate::model::request::Request;
use crate::model::request::scan::SecretScan;

pub(crate) const WORDS: &[Entry] = &[Entry {
    word: Word {
        name: "secret::scan",
        signature: "secret::scan(#{ also }) -> #{ files, bytes, found: [#{ secret, place }], unread: [#{ place, why }] }",
        summary: "Looks through everything that Runsheet has written for this project, the journal included, for every secret that this process knows: as it is, and as it stands in URLs, JSON and base64. Answers names and places, never values. Dumps and recovered servers are data, and left out. A value that is an ordinary word is found wherever that word stands; one shorter than 4 characters is not looked for.",
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
}];

fn scan(call: &Call<'_>) -> Answer {
    let options = call.options(0, &["also"])?;
    let request = SecretScan { also: options.texts("also")?.unwrap_or_default() };
    // It reads no resource: what was written is known here, whatever a step before would have changed.
    call.give(&call.perform(Action::read(SecretScan::WORD, &request, "what was written, for secrets", Vec::new()))?)
}
