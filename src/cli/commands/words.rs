//! `runsheet words`.

use super::super::error::CliError;
use super::super::out::Out;
use crate::model::verdict::Verdict;
use crate::runbook;

/// List the words of the runbook language, or explain one
#[derive(clap::Args)]
pub struct Args {
    /// A word, such as sql::exec
    word: Option<String>,
    /// Print the reference page, in Markdown
    #[arg(long)]
    markdown: bool,
}

impl Args {
    /// Does it.
    pub fn run(self, out: &mut Out) -> Result<Verdict, CliError> {
        let words = runbook::words();
        if let Some(name) = &self.word {
            let found: Vec<_> = words.iter().filter(|word| word.name == *name || word.name.ends_with(&format!("::{name}"))).collect();
            if found.is_empty() {
                let meant = super::super::config::did_you_mean(name, words.iter().map(|word| word.name));
                let error = CliError::refused(format!("there is no word `{name}`")).next("runsheet words");
                return Err(CliError { hint: meant.map(|meant| format!("did you mean `{meant}`?")), ..error });
            }
            if out.json {
                out.json(&found);
            } else {
                for word in found {
                    out.data(&word.text());
                }
            }
            return Ok(Verdict::Pass);
        }
        if out.json {
            out.json(&words);
        } else if self.markdown {
            out.data(&runbook::reference());
        } else {
            for word in &words {
                out.data(&format!("{:<52} {}", word.signature, word.summary));
            }
        }
        Ok(Verdict::Pass)
    }
}
