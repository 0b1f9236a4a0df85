//! What is compared of two databases: the published tables, as both sides have them, and what is left out and why.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::changed::Name;
use super::keyed::{Column, Keyed};
use super::rows::Both;
use crate::effects::postgres::connect::Session;
use crate::effects::postgres::measure;
use crate::effects::postgres::measure::row_hash;
use crate::effects::postgres::measure::tables::{self, Table};
use crate::model::fault::Fault;
use crate::model::measured::TableKind;

/// Tables of both sides.
pub struct Sides {
    source: BTreeMap<Name, Table>,
    target: BTreeMap<Name, Table>,
    keyed: Keyed,
    /// What is not compared, and why.
    pub left_out: Vec<LeftOut>,
}

/// Something that is not compared.
#[derive(Debug)]
pub struct LeftOut {
    /// Its name.
    pub table: String,
    /// Why.
    pub why: String,
}

impl LeftOut {
    /// As the answer has it.
    pub fn value(&self) -> Value {
        json!({ "table": self.table, "why": self.why })
    }
}

/// A name as people read it.
pub fn full(name: &Name) -> String {
    format!("{}.{}", name.0, name.1)
}

/// Reads what both sides have.
pub async fn read(source: &Session, target: &Session, keyed: Keyed, schema: &str) -> Result<Sides, Fault> {
    let ((here, gaps), (there, _), forms) = tokio::try_join!(tables::list(source), tables::list(target), async {
        tokio::try_join!(measure::form(source), measure::form(target))
    })?;
    let by_name = |tables: Vec<Table>| -> BTreeMap<Name, Table> {
        tables.into_iter().map(|table| ((table.schema.clone(), table.name.clone()), table)).collect()
    };
    let (mut here, there) = (by_name(here), by_name(there));
    let mut left_out: Vec<LeftOut> = gaps.into_iter().map(|gap| LeftOut { table: gap.name, why: gap.why }).collect();
    here.retain(|name, table| {
        let why = match there.get(name) {
            _ if !keyed.contains_key(name) => match table.kind {
                TableKind::OfExtension => "it belongs to an extension",
                TableKind::MaterialisedView => "it is a materialised view: refresh it",
                TableKind::LargeObjects => "logical replication does not carry them",
                TableKind::Table => "it is not published",
            },
            None => "the target does not have it",
            Some(_) if forms.0 != forms.1 => "the two servers hash differently",
            Some(other) if columns(other) != columns(table) || row_hash::form(other) != row_hash::form(table) => {
                "its columns are others on the target"
            }
            Some(_) => return true,
        };
        if name.0 != schema {
            let table = if name.0.is_empty() { name.1.clone() } else { full(name) };
            left_out.push(LeftOut { table, why: why.to_owned() });
        }
        false
    });
    Ok(Sides { source: here, target: there, keyed, left_out })
}

fn columns(table: &Table) -> Vec<(&str, &str)> {
    table.columns.iter().map(|column| (column.name.as_str(), column.kind.as_str())).collect()
}

impl Sides {
    /// What is compared, the largest first.
    pub fn names(&self) -> Vec<&Name> {
        let mut names: Vec<&Name> = self.source.keys().collect();
        names.sort_by_key(|name| std::cmp::Reverse(self.source.get(*name).map_or(0, |table| table.size)));
        names
    }

    /// How much of the source's disk a table takes.
    pub fn size(&self, name: &Name) -> i64 {
        self.source.get(name).map_or(0, |table| table.size)
    }

    /// A table that is compared.
    pub fn both(&self, name: &Name) -> Option<Both<'_>> {
        let key: &[Column] = self.keyed.get(name).map(Vec::as_slice).unwrap_or_default();
        Some(Both { source: self.source.get(name)?, target: self.target.get(name)?, key })
    }
}
