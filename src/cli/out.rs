//! Printing: stdout is data, stderr is talk, and neither ever shows a secret.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

use serde::Serialize;

use super::Global;
use super::error::CliError;
use crate::model::secret::{self, Vault};
use crate::model::verdict::Verdict;
use crate::model::{shown, unknown};

/// Where a command prints.
pub struct Out {
    /// Whether data is printed as JSON.
    pub json: bool,
    /// Whether a command only speaks up when something is wrong.
    pub quiet: bool,
    /// Whether talk may be coloured.
    pub color: bool,
    vault: Option<Arc<Vault>>,
    given: Given,
    printed: Cell<bool>,
}

/// The options of this command line that the next command needs too.
#[derive(Default)]
struct Given {
    environment: String,
    folders: String,
}

/// A command that was refused, as `--json` prints it: the field names are those of a run's closing object.
#[derive(Serialize)]
struct Refusal<'a> {
    run: Option<&'a str>,
    verdict: Verdict,
    why: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    next: String,
}

impl Out {
    /// Printing as the options, the terminal and `NO_COLOR` allow.
    pub fn new(global: &Global) -> Self {
        let folder = |name: &str, folder: &Option<std::path::PathBuf>| {
            folder.as_ref().map(|folder| format!(" --{name} {}", quoted(&folder.to_string_lossy()))).unwrap_or_default()
        };
        let given = Given {
            environment: global.environment.as_ref().map(|name| format!(" -e {}", quoted(name))).unwrap_or_default(),
            folders: folder("project", &global.project) + folder("state", &global.state).as_str(),
        };
        Self { given, ..Self::plain(global.json) }
    }

    /// Printing before the options are known.
    pub fn plain(json: bool) -> Self {
        let color =
            std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stderr().is_terminal();
        Self { json, quiet: false, color, vault: None, given: Given::default(), printed: Cell::new(false) }
    }

    /// From now on, everything printed passes this vault.
    pub fn guard(&mut self, vault: Arc<Vault>) {
        self.vault = Some(vault);
    }

    fn clean(&self, text: &str) -> String {
        let text = match &self.vault {
            Some(vault) => vault.redact(text),
            None => text.to_owned(),
        };
        unknown::readable(&secret::readable(&text))
    }

    /// Data, for a pipe. A closed pipe is not an error.
    pub fn data(&self, text: &str) {
        let text = self.clean(text);
        // Programs read JSON, and the log's own text is what its chain was made of.
        let text = if self.json { text } else { shown::on_a_screen(&text, self.color) };
        self.printed.set(true);
        let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
    }

    /// Data as one JSON document.
    pub fn json(&self, value: &impl Serialize) {
        self.printed.set(true);
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        self.data(&text);
    }

    /// Talk, for a person.
    pub fn talk(&self, text: &str) {
        let text = shown::on_a_screen(&self.clean(text), self.color);
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// The line that ends every command that did not pass. Ready to be pasted: it carries `-e`, `--project` and
    /// `--state` as they were given, unless it chooses an environment itself.
    pub fn next(&self, command: &str) {
        self.talk(&format!("{} {}", self.paint("1", "next:"), self.carried(command)));
    }

    /// A command with the options that were given to this one.
    pub fn carried(&self, command: &str) -> String {
        let chooses = command.contains(" -e ") || command.starts_with("env ");
        let environment = if chooses { "" } else { self.given.environment.as_str() };
        format!("{command}{environment}{}", self.given.folders)
    }

    /// Text in an ANSI style, where colours are allowed.
    pub fn paint(&self, style: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// An error, and what to do about it. With `--json` it is an object on stdout too, unless data was printed there.
    pub fn error(&self, error: &CliError) {
        let next = error.next.as_deref().unwrap_or("runsheet --help");
        if self.json && !self.printed.get() {
            self.json(&Refusal {
                run: None,
                verdict: error.verdict,
                why: &error.message,
                detail: &error.detail,
                help: error.hint.as_deref(),
                next: self.carried(next),
            });
        }
        self.talk(&format!("{} {}", self.paint("1;31", "error:"), error.message));
        if !error.detail.is_empty() {
            self.talk(&error.detail);
        }
        if let Some(hint) = &error.hint {
            self.talk(&format!("{} {hint}", self.paint("1;36", "help:")));
        }
        self.next(next);
    }
}

/// Text as one word of a shell, quoted only where it must be: `note='first try'` reads better than `'note=first try'`.
pub fn quoted(text: &str) -> String {
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "_-./:=,@%+".contains(c));
    if plain(text) {
        return text.to_owned();
    }
    if let Some((name, value)) = text.split_once('=').filter(|(name, _)| plain(name)) {
        return format!("{name}={}", quoted(value));
    }
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}
