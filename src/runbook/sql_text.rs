//! SQL that may be sent: a literal of the runbook, a template, or text that says why it is neither.

use super::script::Book;
use super::sql_lexer::{self, Statement};
use super::template::{self, TemplateError};
use crate::model::Value;

/// SQL text whose origin is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SqlText {
    pub text: String,
    /// Path of the template it came from.
    pub file: Option<String>,
    /// Why it is neither a literal nor a template.
    pub raw: Option<String>,
}

/// Rendered SQL, one statement an element.
pub(crate) struct Rendered {
    pub statements: Vec<Statement>,
    pub raw: Option<String>,
}

impl SqlText {
    /// Text that stands in the runbook's source exactly so; anything else was put together at run time.
    pub(crate) fn literal(text: &str, book: &Book) -> Option<Self> {
        book.is_literal(text).then(|| Self { text: text.to_owned(), file: None, raw: None })
    }

    /// The statements with their values.
    pub(crate) fn render(&self, args: &Value) -> Result<Rendered, TemplateError> {
        let marked = template::render(&self.text, args)?;
        let statements = sql_lexer::statements(&marked).map_err(|refused| {
            // The place in rendered text means little to an author, its line mostly does.
            let line = marked[..refused.at.min(marked.len())].matches('\n').count() + 1;
            TemplateError { message: refused.message, line, column: 1, after: None }
        })?;
        if statements.is_empty() {
            let message = "there is no statement in it".into();
            return Err(TemplateError { message, line: 0, column: 0, after: None });
        }
        Ok(Rendered { statements, raw: self.raw.clone() })
    }
}
