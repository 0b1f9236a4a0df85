//! Printing: stdout is data, stderr is talk, and neither ever shows a secret.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

use serde::Serialize;

use super::error::CliError;
use crate::model::secret::{self, Vault};
use crate::model::unknown;

/// Where a command prints.
pub struct Out {
    /// Whether data is printed as JSON.
    pub json: bool,
    /// Whether talk may be coloured.
    pub color: bool,
    vault: Option<Arc<Vault>>,
    /// Options that a next command needs as this one did.
    carried: String,
    /// Whether a JSON document was printed: there is one for each command, and an error takes its place.
    printed: Cell<bool>,
}

impl Out {
    /// Printing as the terminal and `NO_COLOR` allow.
    pub fn new(json: bool) -> Self {
        let color =
            std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stderr().is_terminal();
        Self { json, color, vault: None, carried: String::new(), printed: Cell::new(false) }
    }

    /// From now on, everything printed passes this vault.
    pub fn guard(&mut self, vault: Arc<Vault>) {
        self.vault = Some(vault);
    }

    /// From now on, `next:` lines repeat these options.
    pub fn carry(&mut self, options: String) {
        self.carried = options;
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
        let text = self.clean(text);
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// The line that ends every command that did not pass.
    pub fn next(&self, command: &str) {
        self.talk(&format!("{} {}", self.paint("1", "next:"), self.command(command)));
    }

    /// A command with the options that this one was given and the next one needs.
    fn command(&self, command: &str) -> String {
        match command.strip_prefix("runsheet ") {
            Some(rest) if !rest.starts_with("-e ") => format!("runsheet{} {rest}", self.carried),
            _ => command.to_owned(),
        }
    }

    /// Text in an ANSI style, where colours are allowed.
    pub fn paint(&self, style: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// An error, and what to do about it.
    pub fn error(&self, error: &CliError) {
        self.talk(&format!("{} {}", self.paint("1;31", "error:"), error.message));
        if !error.detail.is_empty() {
            self.talk(&error.detail);
        }
        if let Some(hint) = &error.hint {
            self.talk(&format!("{} {hint}", self.paint("1;36", "help:")));
        }
        let next = error.next.as_deref().unwrap_or("runsheet --help");
        self.next(next);
        if self.json && !self.printed.get() {
            self.json(&serde_json::json!({
                "verdict": error.verdict,
                "error": error.message,
                "detail": error.detail,
                "hint": error.hint,
                "next": self.command(next),
            }));
        }
    }
}
