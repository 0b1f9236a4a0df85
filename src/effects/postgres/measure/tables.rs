//! Which tables there are to measure, and which are left out and why.

use super::super::connect::{Session, column};
use super::WHAT;
use crate::model::fault::Fault;
use crate::model::measured::{Gap, TableKind};

/// A relation with rows of its own.
pub struct Table {
    pub schema: String,
    pub name: String,
    pub kind: TableKind,
    /// Bytes it takes.
    pub size: i64,
    /// Its columns, by name.
    pub columns: Vec<Column>,
}

/// A column.
pub struct Column {
    pub name: String,
    /// Its type as people write it, with length and schema.
    pub kind: String,
    /// The type's name when it is one of the server's own, otherwise empty.
    pub base: String,
    /// The function that turns it into text, as SQL.
    pub output: String,
}

/// Tables that can be measured, biggest first, and those that cannot.
pub async fn list(session: &Session) -> Result<(Vec<Table>, Vec<Gap>), Fault> {
    let (mut tables, mut gaps) = (Vec::new(), Vec::new());
    for row in session.ask(include_str!("tables.sql"), &[], WHAT).await? {
        let (relkind, persistence): (String, String) = (column(&row, 0)?, column(&row, 1)?);
        let (schema, name): (String, String) = (column(&row, 2)?, column(&row, 3)?);
        let (populated, readable, filtered): (bool, bool, bool) =
            (column(&row, 5)?, column(&row, 6)?, column(&row, 7)?);
        let extension: Option<String> = column(&row, 8)?;
        let recovering: bool = column(&row, 13)?;
        let unlogged = persistence == "u";
        let left_out = match relkind.as_str() {
            "f" => Some(("foreign table", "its rows lie on another server")),
            _ if unlogged && recovering => Some(("unlogged table", "a standby does not have its rows")),
            // Whether it is populated is one of the things that are compared of objects.
            "m" if !populated => continue,
            _ if !readable => Some(("unreadable table", "the role may not read it")),
            _ if filtered => Some(("filtered table", "row security hides rows from the role")),
            _ => None,
        };
        if let Some((kind, why)) = left_out {
            gaps.push(Gap { kind: kind.to_owned(), name: format!("{schema}.{name}"), why: why.to_owned() });
            continue;
        }
        let kind = match (relkind.as_str(), extension) {
            (_, Some(_)) => TableKind::OfExtension,
            ("m", _) => TableKind::MaterialisedView,
            _ => TableKind::Table,
        };
        let (names, kinds): (Vec<String>, Vec<String>) = (column(&row, 9)?, column(&row, 10)?);
        let (bases, outputs): (Vec<String>, Vec<String>) = (column(&row, 11)?, column(&row, 12)?);
        let columns = names.into_iter().zip(kinds).zip(bases.into_iter().zip(outputs));
        let columns = columns.map(|((name, kind), (base, output))| Column { name, kind, base, output }).collect();
        tables.push(Table { schema, name, kind, size: column(&row, 4)?, columns });
    }
    if let Some(row) = session.ask(LARGE_OBJECTS, &[], WHAT).await?.first() {
        let (count, size): (i64, i64) = (column(row, 0)?, column(row, 1)?);
        if count > 0 {
            let name = "large objects".to_owned();
            tables.push(Table {
                schema: String::new(),
                name,
                kind: TableKind::LargeObjects,
                size,
                columns: Vec::new(),
            });
        }
    }
    tables.sort_by_key(|table| std::cmp::Reverse(table.size));
    Ok((tables, gaps))
}

/// How many large objects there are, and how much the bytes of all of them take.
const LARGE_OBJECTS: &str =
    "select count(*), pg_table_size('pg_catalog.pg_largeobject') from pg_catalog.pg_largeobject_metadata";
