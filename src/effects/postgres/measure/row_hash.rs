//! The hash of one row as SQL: 64 bits that depend on every value, on the column it stands in, and on nothing else.
//!
//! The hash of each column is the seed of the next, so that a value in another column, or beside other values, comes to
//! another sum. Most types go through the server's own hash functions, which is two to three times as fast as hashing the
//! text of the whole row. Those functions hash by *equality*, though: 1.0 like 1.00, -0 like 0, a `bigint` by 32 of its 64
//! bits, an enum by an OID that a copy does not share. What they leave out goes into the seed; the remaining types are
//! hashed by their text. A null differs from every value of its column, an empty text included.

use super::super::quote;
use super::tables::{Column, Table};

/// Columns up to which the typed form is used: a longer chain is nested too deeply for the server's parser.
const MOST: usize = 100;

/// The names of the two forms: part of the method that a measure says it used.
pub fn form(table: &Table) -> &'static str {
    if table.columns.len() <= MOST { "typed1" } else { "text1" }
}

/// The hash of a row of `table`, which is called `t`.
pub fn expression(table: &Table) -> String {
    if table.columns.len() > MOST {
        let columns: Vec<String> = table.columns.iter().map(reference).collect();
        return format!("hashtextextended(row({})::text collate \"C\", 0)", columns.join(", "));
    }
    table.columns.iter().fold("7411::bigint".to_owned(), |seed, column| typed(column, &seed))
}

fn reference(column: &Column) -> String {
    format!("t.{}", quote::name(&column.name))
}

/// The hash of one column, given the hash of those before it. The seed must occur once: it is a chain of its own.
fn typed(column: &Column, seed: &str) -> String {
    let c = reference(column);
    match column.base.as_str() {
        // The value is folded to 32 bits, and is therefore mixed into the seed as a whole. A null is the pair (0, 1), which
        // no value comes to.
        "int2" | "int4" | "int8" | "oid" => {
            format!("hashint8extended(coalesce({c}::bigint, 0), coalesce({c}::bigint, 1) # {seed})")
        }
        "bool" => format!("hashint8extended(case {c} when true then 1 when false then 2 else 3 end, {seed})"),
        "text" | "varchar" => text(&c, &c, seed),
        "uuid" => {
            format!("uuid_hash_extended(coalesce({c}, '00000000-0000-0000-0000-000000000000'), {} # {seed})", null(&c))
        }
        // Equal whatever the number of trailing zeros and whatever the sign: both are mixed in. NaN and the infinities have
        // no scale.
        "numeric" => stirred(&format!(
            "hash_numeric_extended(coalesce({c}, 0), coalesce(scale({c})::bigint, hashtextextended({c}::text, 0), -1) \
             # (case when {c} < 0 then 4294967296 else 0 end) # {seed})"
        )),
        "float4" | "float8" => stirred(&format!(
            "hash{}extended(coalesce({c}, 0), (case when {c} is null then 1 when {c} = 0 then \
             hashtextextended({c}::text, 0) else 0 end) # {seed})",
            column.base
        )),
        // Seconds as a float tell microseconds apart as long as they are near enough to 1970.
        "timestamp" | "timestamptz" => stirred(&format!(
            "hashfloat8extended(coalesce(date_part('epoch', {c}), 0), (case when {c} is null then 1 \
             when {c} between '1700-01-01' and '2200-01-01' then 0 else hashtextextended({c}::text, 0) end) # {seed})"
        )),
        // Types of the server itself, by their output functions: a cast to text may be another thing, as it is for char(n).
        base if !base.is_empty() => text(&c, &format!("textin({}({c}))", column.output), seed),
        _ => text(&c, &format!("concat({c})"), seed),
    }
}

/// A hash that may have come to little more than its seed, as that of a zero does, or differ in few bits from that of another
/// value: in a sum, one row's could make up for another's, and in a chain one column's for the next one's.
fn stirred(hash: &str) -> String {
    format!("hashint8extended(0, {hash})")
}

/// The hash of a column by its text.
fn text(column: &str, text: &str, seed: &str) -> String {
    format!("hashtextextended(coalesce({text}, '') collate \"C\", {} # {seed})", null(column))
}

/// 1 for a null, otherwise 0. A composite whose fields are all null counts as one here, but its text is not empty.
fn null(column: &str) -> String {
    format!("(case when {column} is null then 1 else 0 end)")
}
