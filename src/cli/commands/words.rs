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
            // The word itself, else the last part of its name, else all words of a family.
            let last = |word: &Word| word.name.rsplit(['.', ':']).next() == Some(name);
            let family = |word: &Word| word.name.split_once("::").is_some_and(|(family, _)| family == name);
            let ways: [&dyn Fn(&Word) -> bool; 3] = [&|word| word.name == *name, &last, &family];
            let way = ways.into_iter().find(|way| words.iter().any(way));
            words.retain(|word| way.is_some_and(|way| way(word)));
            if words.is_empty() {
                let error = CliError::refused(format!("there is no word `{name}`")).next("runsheet words");
                return Err(CliError { hint: meant, ..error });
            }
        }
        if out.json {
            out.json(&words);
        } else if self.markdown {
            out.data(&page(&words));
        } else if self.word.is_some() {
            let explained: Vec<String> = words.iter().map(explained).collect();
            out.data(&explained.join("\n\n\n"));
        } else {
            for (family, words) in families(&words) {
                out.data(&format!("\n{family}"));
                for word in words {
                    out.data(&format!("  {:<22} {}", word.name, first_sentence(word)));
                }
            }
            out.next("runsheet words sql::exec");
        }
        Ok(Verdict::Pass)
    }
}

/// Words under the headings of the reference, in its order.
fn families(words: &[Word]) -> Vec<(&'static str, Vec<&Word>)> {
    let mut families: Vec<(&str, Vec<&Word>)> = Vec::new();
    for word in words {
        let heading = match word.name.split("::").next().unwrap_or_default() {
            "runbook" | "step" => "Declaring",
            name if name.starts_with('.') => "What a step may have",
            "sql" | "template" => "SQL",
            "pg" => "Whole databases",
            "command" if word.name.contains("::") => "Programs",
            "check" | "gate" => "Proofs: a check is recorded and the step goes on, a gate stops it",
            "flow" => "People, waiting, several at once",
            "now" | "random" | "env" | "log" | "time" => "Values and notes",
            "logical" => "Live copies",
            "freeze" => "Freezing writes",
            "pgbouncer" => "PgBouncer",
            "files" => "Env files",
            "http" | "consumers" => "Services, and who uses the databases",
            "github" => "GitHub",
            "neon" => "Neon",
            "secret" if word.name.contains("::") => "Secrets",
            _ => "Parameters",
        };
        match families.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, words)) => words.push(word),
            None => families.push((heading, vec![word])),
        }
    }
    families
}

fn first_sentence(word: &Word) -> &'static str {
    word.summary.split(". ").next().unwrap_or_default().trim_end_matches('.')
}

/// The reference page.
fn page(words: &[Word]) -> String {
    let mut text = "# The words of the runbook language\n\n\
        Made by `runsheet words --markdown` from the words themselves. An option is written `#{name}`: it stands in the \
        options map, the last argument. A fault has a code that `try` sees.\n"
        .to_owned();
    for (family, words) in families(words) {
        let _ = write!(text, "\n## {family}\n");
        for word in words {
            let _ = write!(text, "\n{}\n", markdown(word));
        }
    }
    text
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
    let mut text = format!("### `{}`\n\n`{}`\n\n{}\n", word.name, word.signature, word.summary);
    for param in word.params {
        let _ = write!(text, "\n- `{}`: {}", param.name, param.about);
    }
    for (code, meaning) in word.errors {
        let _ = write!(text, "\n- fault `{code}`: {meaning}");
    }
    let _ = write!(text, "\n\n```rhai\n{}\n```", word.example.trim_end());
    text
}
