//! `log::table`: what a runbook tells in rows, such as why it keeps each of a thousand things.

use serde::{Deserialize, Serialize};

use super::Request;

/// The widest a column is padded to; what is longer stands as it is.
const WIDEST: usize = 48;

/// `log::table`: a titled table in plan, journal, terminal and report. A plan pins its title, never its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogTable {
    /// What it shows.
    pub title: String,
    /// Headings.
    pub columns: Vec<String>,
    /// A cell a column, each on one line.
    pub rows: Vec<Vec<String>>,
}

impl Request for LogTable {
    const WORD: &'static str = "log::table";
}

impl LogTable {
    /// The table as aligned lines, its headings first; none at all without rows.
    pub fn lines(&self) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let width = |column: usize| {
            let cells = self.rows.iter().chain([&self.columns]).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default().min(WIDEST)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        [&self.columns].into_iter().chain(&self.rows).map(line).collect()
    }
}

/// Text of a cell: one line, without what moves a cursor or turns the direction of reading. Names in it may be a
/// stranger's.
pub fn cell(text: &str) -> String {
    crate::model::shown::in_a_line(text)
}
