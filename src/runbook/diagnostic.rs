//! What is said about a runbook's text: where it is wrong, why, and what to do, drawn as rustc draws it.

use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::model::script::Location;

/// Whether a runbook is refused or only talked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The runbook is refused.
    Error,
    /// It can run, and is probably not what was meant.
    Warning,
}

/// A place in a file, with the file's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where.
    pub at: Location,
    /// What happened there.
    pub label: String,
    pub(crate) text: Arc<str>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable code: `sql.joined`, `step.duplicate`.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where, innermost first; empty where no place is known.
    pub frames: Vec<Frame>,
    /// What to do next.
    pub hint: Option<String>,
}

impl Diagnostic {
    pub(crate) fn error(code: &'static str, message: impl Into<String>) -> Self {
        // What was read may be no script at all, and its "name" a whole file.
        const LONGEST: usize = 1000;
        let mut message = message.into();
        if let Some((cut, _)) = message.char_indices().nth(LONGEST) {
            message.truncate(cut);
            message.push('…');
        }
        Self { severity: Severity::Error, code, message, frames: Vec::new(), hint: None }
    }

    pub(crate) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    #[must_use]
    pub(crate) fn at(mut self, at: Location, label: impl Into<String>, text: Arc<str>) -> Self {
        self.frames.push(Frame { at, label: label.into(), text });
        self
    }

    #[must_use]
    pub(crate) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Where it is, if known.
    pub fn location(&self) -> Option<&Location> {
        self.frames.first().map(|frame| &frame.at)
    }

    /// The finding with its source lines, several lines long, without a final line break.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = level
            .primary_title(self.message.as_str())
            .id(self.code)
            .elements(Vec::<annotate_snippets::Element<'_>>::new());
        // The innermost place is the cause; the others are how it was come to.
        for (depth, frame) in self.frames.iter().enumerate() {
            let kind = if depth == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            if frame.text.is_empty() || frame.at.line == 0 {
                group = group.element(annotate_snippets::Origin::path(frame.at.file.as_str()));
                continue;
            }
            let mut annotation = kind.span(span(&frame.text, &frame.at));
            if !frame.label.is_empty() {
                annotation = annotation.label(frame.label.as_str());
            }
            let snippet = Snippet::source(&*frame.text).path(frame.at.file.as_str()).annotation(annotation);
            group = group.element(snippet);
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        renderer.render(&[group])
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.location() {
            Some(at) => write!(f, "{at}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// The bytes of the word at a place. Rhai gives a point, so it is extended over the identifier that begins there.
fn span(text: &str, at: &Location) -> std::ops::Range<usize> {
    let start: usize = text.split_inclusive('\n').take(at.line.saturating_sub(1)).map(str::len).sum();
    let line = text[start..].split('\n').next().unwrap_or_default();
    let from = line.char_indices().nth(at.column.saturating_sub(1)).map_or(line.len(), |(index, _)| index);
    let word = line[from..].find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(line.len() - from);
    let length = word.max(line[from..].chars().next().map_or(0, char::len_utf8));
    start + from..start + from + length
}
