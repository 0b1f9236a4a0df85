//! `runsheet words`.

use std::fmt::Write;

use super::super::error::CliError;
use super::super::out::Out;
use crate::model::verdict::Verdict;
use crate::runbook::{self, Word};

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
        let mut words = runbook::words();
        if let Some(name) = &self.word {
            let names: Vec<&str> = words.iter().map(|word| word.name).collect();
            let meant = super::super::config::did_you_mean(name, names).map(|meant| format!("did you mean `{meant}`?"));
            words.retain(|word| word.name == *name || word.name.ends_with(&format!("::{name}")));
            if words.is_empty() {
                let error = CliError::refused(format!("there is no word `{name}`")).next("runsheet words");
                return Err(CliError { hint: meant, ..error });
            }
        }
        if out.json {
            out.json(&words);
        } else if self.markdown {
            let page: Vec<String> = words.iter().map(markdown).collect();
            out.data(&format!("# The words of the runbook language\n\n{}", page.join("\n\n")));
        } else if self.word.is_some() {
            for word in &words {
                out.data(&explained(word));
            }
        } else {
            for word in &words {
                let first = word.summary.split(". ").next().unwrap_or_default().trim_end_matches('.');
                out.data(&format!("{:<24} {first}", word.name));
            }
        }
        Ok(Verdict::Pass)
    }
}

fn explained(word: &Word) -> String {
    let mut text = format!("{}\n\n{}\n", word.signature, word.summary);
    for param in word.params {
        let _ = write!(text, "\n  {:<16} {}", param.name, param.about);
    }
    for (code, meaning) in word.errors {
        let _ = write!(text, "\n  fault {code}: {meaning}");
    }
    let example: String = word.example.lines().map(|line| format!("\n    {line}")).collect();
    let _ = write!(text, "\n\nexample:{example}");
    text
}

fn markdown(word: &Word) -> String {
    let mut text = format!("## `{}`\n\n`{}`\n\n{}\n", word.name, word.signature, word.summary);
    for param in word.params {
        let _ = write!(text, "\n- `{}`: {}", param.name, param.about);
    }
    for (code, meaning) in word.errors {
        let _ = write!(text, "\n- fault `{code}`: {meaning}");
    }
    let _ = write!(text, "\n\n```rhai\n{}\n```", word.example.trim_end());
    text
}
