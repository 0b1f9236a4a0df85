//! `log::table`: rows for people, which a plan shows and does not pin.

use super::call::{Answer, title};
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::Action;
use crate::model::request::Request;
use crate::model::request::table::{LogTable, cell};
use crate::model::unknown;

pub(crate) const WORDS: &[Entry] = &[Entry {
    word: Word {
        name: "log::table",
        signature: "log::table(title, rows, #{ columns })",
        summary: "A table in plan, journal, terminal and report. A plan pins its title only: rows may have changed when the run follows it, as reasons and ages do.",
        params: &[
            param("title", "what it shows; without figures, since a plan is held to it"),
            param("rows", "list of maps, one a row"),
            param("#{columns}", "the keys that are shown, in order; without it all of the first row's, by name"),
        ],
        errors: &[],
        example: "log::table(\"kept\", [#{ branch: \"main\", why: \"it is the default branch\" }]);",
    },
    least: 2,
    most: 3,
    run: table,
}];

fn table(call: &Call<'_>) -> Answer {
    let heading = call.text(0)?;
    if let Some(later) = call.unknown(1) {
        // The title is a line of the plan all the same.
        let request = serde_json::json!({ "title": heading, "columns": [], "rows": unknown::handle(&later.0) });
        let shown = title(&heading);
        call.perform(Action::read(LogTable::WORD, &request, shown, Vec::new()))?;
        return Ok(().into());
    }
    let Value::Array(given) = call.value(1)? else { return Err(call.misuse("`rows` must be a list of maps")) };
    let columns = match call.options(2, &["columns"])?.texts("columns")? {
        Some(columns) => columns,
        None => given.first().and_then(Value::as_object).map(|row| row.keys().cloned().collect()).unwrap_or_default(),
    };
    let mut rows = Vec::with_capacity(given.len());
    for row in &given {
        let Value::Object(row) = row else { return Err(call.misuse("`rows` must be a list of maps")) };
        rows.push(columns.iter().map(|column| shown(row.get(column))).collect());
    }
    let request = LogTable { title: heading.clone(), columns, rows };
    call.perform(Action::read(LogTable::WORD, &request, title(&heading), Vec::new()))?;
    Ok(().into())
}

/// A value as a cell.
fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => cell(text),
        Some(other) => cell(&other.to_string()),
    }
}
