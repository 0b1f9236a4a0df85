//! What logical replication can carry of a database, and what it cannot, by name.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Logical;
use crate::effects::Done;
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::quote;
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::logical::LogicalCarries;

/// What large objects are called where they are left out by name.
pub const LARGE_OBJECTS: &str = "large objects";

const COUNTED: &str = "select count(*) from pg_catalog.pg_largeobject_metadata";

/// Names by what becomes of them.
#[derive(Debug, Default, Serialize)]
pub struct Carried {
    /// Tables whose rows are carried.
    pub tables: Vec<String>,
    /// Of these, tables of whose rows whole images are compared, since they have no key.
    pub identity_full: Vec<String>,
    /// Partitioned tables; their leaves are carried.
    pub partition_roots: Vec<String>,
    /// Columns that the target computes for itself.
    pub generated: Vec<String>,
    /// Tables in which a row cannot be told from another.
    pub no_key: Vec<String>,
    /// Tables that are not in the WAL.
    pub unlogged: Vec<String>,
    /// Tables whose rows lie elsewhere.
    pub foreign: Vec<String>,
    /// To be refreshed on the target.
    pub matviews: Vec<String>,
    /// Tables that CREATE EXTENSION makes and fills.
    pub of_extensions: Vec<String>,
    /// How many large objects there are.
    pub large_objects: i64,
    #[serde(skip)]
    relations: Vec<Relation>,
    /// Every leaf, with the root of its partitions.
    #[serde(skip)]
    leaves: Vec<(String, String)>,
}

#[derive(Debug)]
struct Relation {
    schema: String,
    name: String,
    /// The root of its partitions, if it is one of them.
    root: Option<String>,
    partitioned: bool,
}

impl Relation {
    fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// `logical::carries`.
pub async fn perform(logical: &Logical<'_>, request: &LogicalCarries) -> Result<Done, Fault> {
    let session = logical.postgres.session(&request.source, "runsheet carries").await?;
    let carried = read(&session).await?;
    logical.postgres.give_back(session);
    let value = serde_json::to_value(&carried).map_err(|error| Fault::fatal("server.answer", error.to_string()))?;
    Ok(Done { value, rows: Some(carried.tables.len() as u64) })
}

/// Looks at every relation.
pub async fn read(session: &Session) -> Result<Carried, Fault> {
    let mut carried = Carried::default();
    for row in session.ask(include_str!("carries.sql"), &[], LogicalCarries::WORD).await? {
        let (schema, name): (String, String) = (column(&row, 0)?, column(&row, 1)?);
        let (kind, persistence): (String, String) = (column(&row, 2)?, column(&row, 3)?);
        let (identity, usable): (String, bool) = (column(&row, 5)?, column(&row, 6)?);
        let root: Option<String> = column(&row, 9)?;
        let relation = Relation { schema, name, root, partitioned: kind == "p" };
        let full = relation.full_name();
        if let Some(root) = &relation.root {
            carried.leaves.push((root.clone(), full.clone()));
        }
        match (kind.as_str(), column::<bool>(&row, 7)?) {
            (_, true) => carried.of_extensions.push(full),
            ("m", _) => carried.matviews.push(full),
            ("f", _) => carried.foreign.push(full),
            ("p", _) => {
                if relation.root.is_none() {
                    carried.partition_roots.push(full);
                    carried.relations.push(relation);
                }
            }
            _ if persistence == "u" => carried.unlogged.push(full),
            _ if !usable => carried.no_key.push(full),
            _ => {
                let generated: Vec<String> = column(&row, 8)?;
                carried.generated.extend(generated.into_iter().map(|column| format!("{full}.{column}")));
                if identity == "f" {
                    carried.identity_full.push(full.clone());
                }
                carried.tables.push(full);
                carried.relations.push(relation);
            }
        }
    }
    let rows = session.ask(COUNTED, &[], LogicalCarries::WORD).await?;
    carried.large_objects = rows.first().map_or(Ok(0), |row| column(row, 0))?;
    Ok(carried)
}

impl Carried {
    /// What nothing carries and nobody left out, in one sentence; `None` if everything is carried.
    ///
    /// # Errors
    /// When `without` names something that is not there.
    pub fn missing(&self, without: &[String]) -> Result<Option<String>, Fault> {
        let known: BTreeSet<&str> = [&self.tables, &self.no_key, &self.unlogged, &self.foreign, &self.of_extensions]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .chain((self.large_objects > 0).then_some(LARGE_OBJECTS))
            .collect();
        if let Some(stranger) = without.iter().find(|name| !known.contains(name.as_str())) {
            return Err(Fault::fatal("logical.without", format!("`without` names `{stranger}`, which is not there"))
                .hinted("write names as logical::carries answers them: schema.table, or `large objects`"));
        }
        let left = |names: &[String]| -> Vec<String> {
            names.iter().filter(|name| !without.contains(name)).cloned().collect()
        };
        let mut parts = Vec::new();
        let mut add = |what: &str, names: Vec<String>| {
            if !names.is_empty() {
                parts.push(format!("{what}: {}", names.join(", ")));
            }
        };
        add("tables without a key", left(&self.no_key));
        add("unlogged tables", left(&self.unlogged));
        if self.large_objects > 0 && !without.iter().any(|name| name == LARGE_OBJECTS) {
            parts.push(format!("{} large objects", self.large_objects));
        }
        Ok((!parts.is_empty()).then(|| parts.join("; ")))
    }

    /// What is published, as SQL: a partitioned table as a whole where all of its leaves are carried, so that partitions
    /// made later are too.
    pub fn published(&self, without: &[String]) -> Vec<String> {
        let out: BTreeSet<String> = [&self.no_key, &self.unlogged, &self.foreign, &self.of_extensions]
            .into_iter()
            .flatten()
            .chain(without)
            .cloned()
            .collect();
        let broken = |root: &str| self.leaves.iter().any(|(of, leaf)| of == root && out.contains(leaf));
        let mut published = Vec::new();
        for relation in &self.relations {
            let quoted = quote::qualified(&relation.schema, &relation.name);
            let full = relation.full_name();
            match (&relation.root, relation.partitioned) {
                (None, true) if !broken(&full) => published.push(quoted),
                (Some(root), false) if broken(root) && !out.contains(&full) => published.push(format!("ONLY {quoted}")),
                (None, false) if !out.contains(&full) => published.push(format!("ONLY {quoted}")),
                _ => {}
            }
        }
        published
    }
}
