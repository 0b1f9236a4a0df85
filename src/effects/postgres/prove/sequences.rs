//! Whether every sequence is ahead of the columns that it fills.

use std::fmt::Write as _;

use super::super::Postgres;
use super::super::connect::{Session, column};
use super::super::measure::{WHAT, ask, end, read_only};
use super::super::quote;
use super::findings::Findings;
use crate::model::fault::Fault;
use crate::model::request::proving::{Comparison, SequencesAhead};

/// One sequence and one column that it fills.
struct Fed {
    sequence: [String; 2],
    increment: i64,
    cycles: bool,
    table: [String; 2],
    column: String,
}

impl Fed {
    fn name(&self) -> String {
        self.sequence.join(".")
    }

    fn column(&self) -> String {
        format!("{}.{}", self.table.join("."), self.column)
    }
}

/// Compares the value that each sequence gives out next with the greatest one in its columns.
pub async fn ahead(postgres: &Postgres, request: &SequencesAhead) -> Result<Comparison, Fault> {
    let session = read_only(postgres, &request.target).await?;
    let mut findings = Findings::new(&request.accept);
    let (fed, alone) = list(&session, &mut findings).await?;
    for chunk in fed.chunks(50) {
        look(&session, chunk, &mut findings).await?;
    }
    end(postgres, session).await;
    let alone = if alone > 0 { format!("; {alone} more fill no column") } else { String::new() };
    let compared = format!("{} columns filled by sequences in {}{alone}", fed.len(), request.target);
    let comparison = Comparison { compared: fed.len() as u64, left: request.target.clone(), ..Comparison::default() };
    Ok(findings.conclude(&compared, comparison))
}

/// What is to be compared, and how many sequences fill no column.
async fn list(session: &Session, findings: &mut Findings<'_>) -> Result<(Vec<Fed>, usize), Fault> {
    let (mut fed, mut alone) = (Vec::new(), 0);
    for row in session.ask(include_str!("sequences.sql"), &[], WHAT).await? {
        let sequence: [String; 2] = [column(&row, 0)?, column(&row, 1)?];
        let Some(table) = column::<Option<String>>(&row, 5)? else {
            alone += 1;
            continue;
        };
        let it = Fed {
            sequence,
            increment: column(&row, 2)?,
            cycles: column(&row, 3)?,
            table: [column(&row, 4)?, table],
            column: column(&row, 6)?,
        };
        let (kind, readable, filtered): (String, bool, bool) = (column(&row, 7)?, column(&row, 8)?, column(&row, 9)?);
        let number = matches!(kind.as_str(), "smallint" | "integer" | "bigint" | "numeric");
        let why = match (number, readable, filtered) {
            (false, ..) => format!("{} is of type {kind}, which cannot be compared with a sequence", it.column()),
            (_, false, _) => format!("the role may not read it, or not {}", it.column()),
            (.., true) => format!("row security hides rows of {} from the role", it.table.join(".")),
            _ => {
                fed.push(it);
                continue;
            }
        };
        findings.gap("sequence", &it.name(), why);
    }
    Ok((fed, alone))
}

async fn look(session: &Session, fed: &[Fed], findings: &mut Findings<'_>) -> Result<(), Fault> {
    let mut sql = String::new();
    for (index, it) in fed.iter().enumerate() {
        let separator = if index == 0 { "" } else { " union all " };
        let furthest = if it.increment < 0 { "min" } else { "max" };
        let qualified = |name: &[String; 2]| quote::qualified(&name[0], &name[1]);
        let _ = write!(
            sql,
            "{separator}select {index}, last_value, is_called, (select {furthest}({})::text from {}) from {}",
            quote::name(&it.column),
            qualified(&it.table),
            qualified(&it.sequence)
        );
    }
    for row in ask(session, &sql).await? {
        let (index, last, called): (i32, i64, bool) = (column(&row, 0)?, column(&row, 1)?, column(&row, 2)?);
        let Some(it) = usize::try_from(index).ok().and_then(|index| fed.get(index)) else { continue };
        let Some(furthest) = column::<Option<String>>(&row, 3)? else { continue };
        // A numeric column may hold fractions; what is before the point is what a sequence could meet.
        let whole = furthest.split('.').next().unwrap_or_default().parse::<i128>();
        let next = i128::from(last) + if called { i128::from(it.increment) } else { 0 };
        let what = format!("gives out {next} next, and {} is at {furthest} already", it.column());
        match whole {
            Err(_) => findings.gap("sequence", &it.name(), format!("{} is at {furthest}", it.column())),
            Ok(whole) if it.increment < 0 && next < whole || it.increment >= 0 && next > whole => {}
            Ok(_) if it.cycles => findings.gap("sequence", &it.name(), format!("{what}; it cycles")),
            Ok(_) => findings.differs("sequence", &it.name(), what),
        }
    }
    Ok(())
}
