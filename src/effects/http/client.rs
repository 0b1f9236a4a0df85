//! The one client, and one exchange with it: nothing was sent, the answer got lost, or there is one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};

use crate::model::fault::Fault;

/// The largest body that is read: a service that pours out more has gone wrong, and memory is not endless.
const LARGEST: usize = 32 << 20;
/// The longest until a connection stands.
const CONNECTING: Duration = Duration::from_secs(10);
/// Longest part of a stranger's text that is shown.
const SHOWN: usize = 300;

/// What a client does when it is sent elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirected {
    /// Goes there.
    Follows,
    /// Says so: a key is not carried elsewhere, and a change is not turned into a read.
    Stays,
}

/// A client for a service at `base`, whose answers may take as long as `limit`. Certificates are checked.
pub fn client(base: &str, limit: Duration, redirected: Redirected) -> Result<Client, Fault> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(crate::effects::postgres::tls::public()?)
        .user_agent(concat!("runsheet/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECTING)
        .timeout(limit);
    if redirected == Redirected::Stays {
        builder = builder.redirect(reqwest::redirect::Policy::none());
    }
    // Without TLS it is this host.
    if base.starts_with("http://") {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| Fault::fatal("http.client", error.without_url().to_string()))
}

/// An answer, whatever its status.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `Retry-After`: seconds, or a date.
    pub fn retry_after(&self, now: DateTime<Utc>) -> Option<Duration> {
        let text = self.header("retry-after")?;
        let seconds = text.trim().parse().ok().map(Duration::from_secs);
        let date = || (DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc) - now).to_std().ok();
        seconds.or_else(date)
    }
}

/// Why there is no whole answer, in words without a URL.
#[derive(Debug)]
pub enum Missed {
    /// No connection stood, so nothing was sent.
    Unsent(String),
    /// It was sent, and nobody knows what became of it.
    Lost(String),
    /// It was answered with more than is read.
    TooLarge(String),
}

impl Missed {
    /// The reason.
    pub fn why(&self) -> &str {
        match self {
            Self::Unsent(why) | Self::Lost(why) | Self::TooLarge(why) => why,
        }
    }
}

/// Sends one request and reads its answer to the end.
pub async fn exchange(request: RequestBuilder) -> Result<Answer, Missed> {
    let mut answer = request.send().await.map_err(|error| missed(&error))?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| missed(&error))? {
        if body.len() + part.len() > LARGEST {
            return Err(Missed::TooLarge(format!("the answer is larger than {} MB", LARGEST >> 20)));
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer { status, headers, body })
}

fn missed(error: &reqwest::Error) -> Missed {
    if error.is_connect() || error.is_builder() { Missed::Unsent(causes(error)) } else { Missed::Lost(causes(error)) }
}

/// An error with its causes, never with a URL.
fn causes(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "it took too long" } else { "the connection broke" }.to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) && !said.contains("://") {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    short(&text)
}

/// Text of strangers, cut, without what a terminal would obey.
pub fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect()
}
