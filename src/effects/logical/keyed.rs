//! How rows of published tables are told apart, and what of a change says which row it was.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use super::changed::{Key, Name};
use super::pgoutput::{Field, Relation, Row};
use crate::effects::postgres::connect::{Session, column};
use crate::model::fault::Fault;

/// A column of a key.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as SQL.
    pub kind: String,
    /// What makes two values equal, as SQL.
    pub equal: String,
}

/// The key of each published table; empty for those that have none.
pub type Keyed = BTreeMap<Name, Vec<Column>>;

/// Reads the keys of all tables of a publication.
pub async fn read(session: &Session, publication: &str) -> Result<Keyed, Fault> {
    let rows = session.ask(include_str!("keys.sql"), &[(&publication, Type::TEXT)], "reading keys").await?;
    let mut keyed = Keyed::new();
    for row in &rows {
        let (names, kinds): (Vec<String>, Vec<String>) = (column(row, 2)?, column(row, 3)?);
        let equal: Vec<String> = column(row, 4)?;
        let whole = names.len() == equal.len() && names.len() == kinds.len();
        let columns = names.into_iter().zip(kinds).zip(equal).filter(|_| whole);
        let columns = columns.map(|((name, kind), equal)| Column { name, kind, equal }).collect();
        keyed.insert((column(row, 0)?, column(row, 1)?), columns);
    }
    Ok(keyed)
}

/// Where the columns of a key stand in the rows of a table as the stream sends them; `None` if one is missing.
pub fn places(relation: &Relation, key: &[Column]) -> Option<Vec<usize>> {
    if key.is_empty() {
        return None;
    }
    key.iter().map(|wanted| relation.columns.iter().position(|name| *name == wanted.name)).collect()
}

/// The key of a row. What was not sent of the new row is as it was in the old one.
pub fn of(row: &Row, old: Option<&Row>, places: &[usize]) -> Option<Key> {
    places
        .iter()
        .map(|at| match row.get(*at)? {
            Field::Text(text) => Some(text.clone()),
            Field::Unchanged => match old?.get(*at)? {
                Field::Text(text) => Some(text.clone()),
                _ => None,
            },
            Field::Null => None,
        })
        .collect()
}
