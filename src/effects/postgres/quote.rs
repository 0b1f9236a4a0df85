//! Names and texts as SQL, for statements that take no parameters.

/// A name, whatever is in it.
pub fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name with its schema.
pub fn qualified(schema: &str, relation: &str) -> String {
    format!("{}.{}", name(schema), name(relation))
}

/// Text as a literal; `standard_conforming_strings` is pinned in every session.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
