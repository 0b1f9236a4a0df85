//! `logical::sequences`: sequences, which logical replication does not carry, set ahead on the copy once it is drained.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::Logical;
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::quote;
use crate::effects::{Done, Ledger, Ticket};
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::logical::LogicalSequences;

const WORD: &str = LogicalSequences::WORD;

/// Sequences in one statement.
const TOGETHER: usize = 200;

struct Sequence {
    schema: String,
    name: String,
    increment: i64,
    least: i64,
    most: i64,
    cycles: bool,
    /// Table and column of what it fills, where that is a number that can be compared.
    fills: Option<[String; 3]>,
    last: i64,
    called: bool,
}

impl Sequence {
    fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    fn quoted(&self) -> String {
        quote::qualified(&self.schema, &self.name)
    }

    /// Where it is put so that the next `gap` numbers stay unused; `None` where there is no room for them, or where it is to
    /// begin again from its other end anyway.
    fn ahead(&self, gap: u64) -> Option<i64> {
        if self.cycles || !self.called {
            return None;
        }
        let steps = gap.div_ceil(self.increment.unsigned_abs().max(1));
        let wanted = i128::from(self.last) + i128::from(steps) * i128::from(self.increment);
        i64::try_from(wanted).ok().filter(|wanted| (self.least..=self.most).contains(wanted))
    }
}

/// Sets them.
pub async fn perform(
    logical: &Logical<'_>,
    request: &LogicalSequences,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let (source, target) = logical.sessions(&request.source, &request.target, ticket).await?;
    target.require_writable()?;
    let (sequences, there) = tokio::try_join!(read(&source), list(&target))?;
    let known: BTreeMap<(&str, &str), &Sequence> =
        there.iter().map(|it| ((it.schema.as_str(), it.name.as_str()), it)).collect();
    let missing: Vec<String> = sequences
        .iter()
        .filter(|it| !known.contains_key(&(it.schema.as_str(), it.name.as_str())))
        .map(Sequence::full_name)
        .collect();
    if !missing.is_empty() {
        let message = format!("sequences of {} are not in {}: {}", request.source, request.target, missing.join(", "));
        return Err(
            Fault::fatal("logical.sequence", message).hinted("they came after the schema was copied; make them there")
        );
    }
    ledger.started(target.holds())?;
    ledger.intent(json!({}))?;
    let mut behind = Vec::new();
    for chunk in sequences.chunks(TOGETHER) {
        let together: Vec<(&Sequence, &Sequence)> = chunk
            .iter()
            .filter_map(|it| known.get(&(it.schema.as_str(), it.name.as_str())).map(|there| (it, *there)))
            .collect();
        behind.extend(set(&target, &together, request.gap).await?);
    }
    logical.give_back(source, target);
    if !behind.is_empty() {
        let message =
            format!("sequences of {} are behind the columns that they fill: {}", request.target, behind.join("; "));
        return Err(Fault::fatal("logical.sequence", message).hinted(
            "rows came with numbers that the sequence did not give: setval it on the source, beyond the greatest",
        ));
    }
    let without: Vec<String> =
        sequences.iter().filter(|it| it.ahead(request.gap).is_none() && it.called).map(Sequence::full_name).collect();
    Ok(Done {
        value: json!({ "sequences": sequences.len(), "without_gap": without }),
        rows: Some(sequences.len() as u64),
    })
}

/// Every sequence of a database; one that fills several columns stands there once, with one of them.
async fn list(session: &Session) -> Result<Vec<Sequence>, Fault> {
    let mut found: Vec<Sequence> = Vec::new();
    for row in session.ask(include_str!("sequences.sql"), &[], WORD).await? {
        let (schema, name): (String, String) = (column(&row, 0)?, column(&row, 1)?);
        if found.last().is_some_and(|last| last.schema == schema && last.name == name) {
            continue;
        }
        let fills = match column::<Option<String>>(&row, 6)? {
            Some(schema) => Some([schema, column(&row, 7)?, column(&row, 8)?]),
            None => None,
        };
        let (increment, least, most) = (column(&row, 2)?, column(&row, 3)?, column(&row, 4)?);
        let cycles = column(&row, 5)?;
        found.push(Sequence { schema, name, increment, least, most, cycles, fills, last: 0, called: false });
    }
    Ok(found)
}

/// The same with where they stand.
async fn read(session: &Session) -> Result<Vec<Sequence>, Fault> {
    let mut found = list(session).await?;
    for chunk in found.chunks_mut(TOGETHER) {
        let mut sql = String::new();
        for (index, it) in chunk.iter().enumerate() {
            let separator = if index == 0 { "" } else { " union all " };
            let _ = write!(sql, "{separator}select {index}, last_value, is_called from {}", it.quoted());
        }
        for row in session.ask(&sql, &[], WORD).await? {
            let index: i32 = column(&row, 0)?;
            if let Some(it) = usize::try_from(index).ok().and_then(|index| chunk.get_mut(index)) {
                (it.last, it.called) = (column(&row, 1)?, column(&row, 2)?);
            }
        }
    }
    Ok(found)
}

/// Sets some of them, never lower than they are, in one statement; then says which are behind what they fill.
async fn set(session: &Session, sequences: &[(&Sequence, &Sequence)], gap: u64) -> Result<Vec<String>, Fault> {
    let mut sql = String::new();
    for (index, (from, there)) in sequences.iter().enumerate() {
        let separator = if index == 0 { "" } else { " union all " };
        let name = quote::literal(&there.quoted());
        let value = from.ahead(gap).unwrap_or(from.last).clamp(there.least, there.most);
        let farther = if from.increment < 0 { "least" } else { "greatest" };
        let furthest = match &there.fills {
            Some([schema, table, filled]) => {
                let which = if from.increment < 0 { "min" } else { "max" };
                format!("(select {which}({})::int8 from {})", quote::name(filled), quote::qualified(schema, table))
            }
            None => "null::int8".to_owned(),
        };
        // One that goes round is where the other one is, wherever that is. One that neither side has called yet stays so.
        let put = if from.cycles {
            format!("setval({name}, {value}, {})", from.called)
        } else {
            format!("setval({name}, {farther}(last_value, {value}), is_called or {})", from.called)
        };
        let _ = write!(sql, "{separator}select {index}, {put}, {furthest} from {}", there.quoted());
    }
    if sql.is_empty() {
        return Ok(Vec::new());
    }
    // Read only is what the freeze makes of a database by default, and no reason not to set a sequence of the copy.
    session.batch("BEGIN READ WRITE; SET LOCAL synchronous_commit = on; SET LOCAL row_security = off", WORD).await?;
    let rows = session.ask(&sql, &[], WORD).await;
    session.batch(if rows.is_ok() { "COMMIT" } else { "ROLLBACK" }, WORD).await?;
    let mut behind = Vec::new();
    for row in rows? {
        let (index, value, furthest): (i32, i64, Option<i64>) = (column(&row, 0)?, column(&row, 1)?, column(&row, 2)?);
        let Some((from, there)) = usize::try_from(index).ok().and_then(|index| sequences.get(index)) else { continue };
        let Some(furthest) = furthest else { continue };
        let passed = if from.increment < 0 { furthest < value } else { furthest > value };
        // One that is not called yet gives out its value itself.
        let meets = !from.called && furthest == value;
        if (passed || meets) && !from.cycles {
            let column = there.fills.as_ref().map(|it| it.join(".")).unwrap_or_default();
            behind.push(format!("{} is at {value}, {column} at {furthest}", there.full_name()));
        }
    }
    Ok(behind)
}
