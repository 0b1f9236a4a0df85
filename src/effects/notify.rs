//! Telling somebody how a run ended, so that a copy of its journal head lies where nobody who can write the journal can.

use std::time::Duration;

use crate::model::fault::Fault;

/// The longest the other side may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Posts JSON to a URL. The fault never names the URL, which may hold a token.
pub async fn post(url: &str, body: String) -> Result<(), Fault> {
    let broken = |why: String| Fault::retryable("notify", format!("the notification was not delivered: {why}"));
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(super::postgres::tls::public()?)
        .timeout(LIMIT)
        .build()
        .map_err(|error| broken(error.without_url().to_string()))?;
    let request = client.post(url).header("content-type", "application/json").body(body);
    let answer = request.send().await.map_err(|error| broken(error.without_url().to_string()))?;
    if answer.status().is_success() { Ok(()) } else { Err(broken(format!("the answer was {}", answer.status()))) }
}
