//! Telling somebody how a run ended, so that a copy of its journal head lies where nobody who can write the journal can.

use std::time::Duration;

use super::http::client::{self, Redirected};
use crate::model::fault::Fault;

/// The longest the other side may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Posts JSON to a URL. The fault never names the URL, which may hold a token.
pub async fn post(url: &str, body: String) -> Result<(), Fault> {
    let broken = |why: String| Fault::retryable("notify", format!("the notification was not delivered: {why}"));
    let client = client::client(url, LIMIT, Redirected::Follows)?;
    let request = client.post(url).header("content-type", "application/json").body(body);
    let answer = client::exchange(request).await.map_err(|missed| broken(missed.why().to_owned()))?;
    if (200..300).contains(&answer.status) { Ok(()) } else { Err(broken(format!("the answer was {}", answer.status))) }
}
