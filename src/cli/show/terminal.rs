//! Progress: one living line at a terminal, plain lines anywhere else.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::duration;
use crate::cli::out::Out;
use crate::model::event::{Event, Sink};
use crate::model::secret::{self, Vault};
use crate::model::shown;
use crate::model::verdict::CheckVerdict;

/// The living line while nobody knows how far something is, and once it is known.
const BUSY: &str = "{spinner} {prefix} {elapsed} {wide_msg}";
const MEASURED: &str = "{spinner} {prefix} {elapsed} [{bar:24}] {pos}/{len} {wide_msg}";

/// Shows the events of a run on stderr.
pub struct Terminal {
    color: bool,
    vault: Arc<Vault>,
    bar: Mutex<Option<ProgressBar>>,
    living: bool,
}

impl Terminal {
    /// A terminal as the surroundings allow.
    pub fn new(out: &Out, vault: Arc<Vault>) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { color: out.color, vault, bar: Mutex::default(), living: std::io::stderr().is_terminal() && !dumb }
    }

    /// A line above the living one.
    pub fn line(&self, text: &str) {
        let text = shown::on_a_screen(&secret::readable(&self.vault.redact(text)), self.color);
        match &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.println(text),
            None => {
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
    }

    /// Runs something that talks to the person itself.
    pub fn suspended<T>(&self, talk: impl FnOnce() -> T) -> T {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match bar {
            Some(bar) => bar.suspend(talk),
            None => talk(),
        }
    }

    /// Takes the living line away.
    pub fn quiet(&self) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn begin(&self, text: String) {
        if !self.living {
            return;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style(BUSY));
        bar.set_prefix(text);
        bar.enable_steady_tick(Duration::from_millis(120));
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    /// What is at work, and how far it is, as far as that is known.
    fn progress(&self, text: &str, far: Option<(u64, u64)>) {
        let Some(bar) = &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) else { return };
        if let Some((done, of)) = far {
            bar.set_length(of);
            bar.set_position(done);
        }
        bar.set_style(style(if far.is_some() { MEASURED } else { BUSY }));
        bar.set_message(shown::in_a_line(&secret::readable(&self.vault.redact(text))));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Sink for Terminal {
    fn event(&self, event: Event) {
        match event {
            Event::StepStarted { step, number, of } => self.begin(format!("[{number}/{of}] {step}")),
            Event::StepReplayed { step } => self.line(&format!("  {} {step} (done before)", self.paint("2", "·"))),
            Event::StepSkipped { step } => self.line(&format!("  {} {step} (does not apply)", self.paint("2", "-"))),
            Event::StepDone { step, took } => {
                self.quiet();
                self.line(&format!("  {} {step} {}", self.paint("32", "✓"), self.paint("2", &duration(took))));
            }
            Event::StepFailed { step, why } => {
                self.quiet();
                self.line(&format!("  {} {step}: {why}", self.paint("31", "✗")));
            }
            Event::StepStopped { step, why } => {
                self.quiet();
                self.line(&format!("  {} {step}: {why}", self.paint("33", "…")));
            }
            Event::Unwinding { step, what } => self.line(&format!("  {} {what} of {step}", self.paint("33", "↩"))),
            Event::ActionStarted { title, lane } => {
                self.progress(&if lane.is_empty() { title } else { format!("{lane}: {title}") }, None);
            }
            Event::Progress { what, done, of: Some(of) } => self.progress(&what, Some((done, of))),
            Event::Progress { what, done, of: None } => self.progress(&format!("{what} {done}"), None),
            Event::Retrying { title, fault, wait } => {
                self.line(&format!("    again in {}: {title}: {fault}", duration(wait)));
            }
            Event::Resolved { title, answer } => self.line(&format!("    settled: {title}: {answer}")),
            Event::Checked(check) => {
                let mark = match check.verdict {
                    CheckVerdict::Pass => self.paint("32", "pass"),
                    CheckVerdict::Fail => self.paint("31", "FAIL"),
                    CheckVerdict::CouldNotVerify => self.paint("33", "could not verify"),
                };
                let detail = if check.detail.is_empty() { String::new() } else { format!(" ({})", check.detail) };
                self.line(&format!("    {mark} {}{detail}", check.name));
            }
            Event::Log(text) => self.line(&format!("    {text}")),
            Event::Warning(text) => self.line(&format!("{} {text}", self.paint("1;33", "warning:"))),
        }
    }
}
