//! Running one statement and taking in what it answers, within what a journal can keep.

use futures_util::{TryStreamExt as _, pin_mut};

use super::connect::Session;
use super::faults::{self, Stage};
use super::values;
use crate::model::fault::Fault;
use crate::model::secret::Vault;
use crate::model::{Value, scan};

/// The largest answer, in bytes of JSON: it lies in the journal.
const LARGEST: usize = 1_000_000;

/// What a statement answered.
pub struct Answer {
    /// Rows it returned.
    pub rows: Vec<Value>,
    /// Rows it touched or returned, by the server's count.
    pub count: u64,
}

/// Runs one statement by the extended protocol and the unnamed statement: several in one text are refused by the
/// server, and a pooler lets it pass.
///
/// The outer fault is the server's; the inner one is about an answer that cannot be taken in, when the statement itself
/// did run to its end.
pub async fn run(
    session: &Session,
    sql: &str,
    stage: Stage,
    what: &str,
    vault: &Vault,
) -> Result<Result<Answer, Fault>, Fault> {
    let no_parameters: [(&str, tokio_postgres::types::Type); 0] = [];
    let fault = |error: tokio_postgres::Error| faults::of(&error, stage, what);
    let stream = session.client.query_typed_raw(sql, no_parameters).await.map_err(fault)?;
    pin_mut!(stream);
    let (mut rows, mut size, mut refused) = (Vec::new(), 0, None);
    while let Some(row) = stream.try_next().await.map_err(fault)? {
        if refused.is_some() {
            // What was sent to take effect must be seen to its end.
            if stage == Stage::Sent {
                continue;
            }
            break;
        }
        size += row.raw_size_bytes();
        let taken = if size > LARGEST { Err(large()) } else { take(&row, vault) };
        match taken {
            Ok(value) => rows.push(value),
            Err(fault) => refused = Some(fault),
        }
    }
    let count = stream.rows_affected().unwrap_or_default();
    if refused.is_none() && serde_json::to_string(&rows).map_or(0, |text| text.len()) > LARGEST {
        refused = Some(large());
    }
    Ok(refused.map_or(Ok(Answer { rows, count }), Err))
}

fn take(row: &tokio_postgres::Row, vault: &Vault) -> Result<Value, Fault> {
    let value = values::object(row)?;
    scan::refuse_handles_in(&value, "a row of the answer")?;
    Ok(vault.redact_value(value))
}

fn large() -> Fault {
    Fault::fatal("result.large", format!("the answer is larger than {LARGEST} bytes, too large for the journal"))
        .hinted("aggregate it in SQL, or write it to a file with a command and work with that")
}
