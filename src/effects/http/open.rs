//! A request with its secrets opened: the only place where they stand in the clear, and only on their way to TLS or this host.

use std::hash::{DefaultHasher, Hash, Hasher};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Url};

use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::request::http::HttpSend;
use crate::model::secret::{self, Vault};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A request that is ready to be sent, as often as it must be.
pub struct Opened {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<String>,
}

impl Opened {
    /// Opens the secrets of a request. Nothing is contacted.
    pub fn of(request: &HttpSend, vault: &Vault) -> Result<Self, Fault> {
        let broken = |code: &str, why: &str| Fault::fatal(code, format!("{}: {why}", request.line()));
        let url = address(request, vault)?;
        let method = Method::from_bytes(request.method.as_bytes());
        let method = method.map_err(|_| broken("http.method", "that is no method"))?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
        let kind = match (&request.json, &request.text) {
            (Some(_), _) => Some("application/json"),
            (None, Some(_)) => Some("text/plain; charset=utf-8"),
            (None, None) => None,
        };
        headers.extend(kind.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind))));
        for (name, value) in &request.headers {
            let wrong = || broken("http.header", &format!("the header `{name}` holds what no header can"));
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            let mut value = HeaderValue::from_str(&vault.open(value)?).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        let body = match (&request.json, &request.text) {
            (Some(json), _) => Some(opened(json, vault)?.to_string()),
            (None, Some(text)) => Some(vault.open(text)?),
            (None, None) => None,
        };
        Ok(Self { method, url, headers, body })
    }

    /// Whoever asks there, by what the headers really hold: several names may stand for one token.
    pub fn who(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.url.host_str().hash(&mut hasher);
        for (name, value) in &self.headers {
            (name.as_str(), value.as_bytes()).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Adds a header.
    pub fn header(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        let wrong = || Fault::fatal("http.header", format!("`{name}` is not the name of a header"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        self.headers.insert(name, HeaderValue::from_str(value).map_err(|_| wrong())?);
        Ok(())
    }

    /// Scheme and host, which say what client is needed.
    pub fn base(&self) -> &str {
        self.url.as_str()
    }

    /// The request for a client.
    pub fn built(&self, client: &Client) -> RequestBuilder {
        let request = client.request(self.method.clone(), self.url.clone()).headers(self.headers.clone());
        match &self.body {
            Some(body) => request.body(body.clone()),
            None => request,
        }
    }
}

/// The URL. A secret that begins it is an address; anywhere else it is a part of one, and written as such.
fn address(request: &HttpSend, vault: &Vault) -> Result<Url, Fault> {
    let encoded = |value: &str, before: &str| match before {
        "" => value.to_owned(),
        _ => utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
    };
    let text = vault.open_as(&request.url, encoded)?;
    let wrong = |why: &str| {
        Fault::fatal("http.url", format!("{}: the address {why}", request.line()))
            .hinted("it looks like https://HOST/PATH")
    };
    // The parser's own message may quote a part of it.
    let url = Url::parse(text.trim()).map_err(|_| wrong("cannot be read"))?;
    let host = url.host_str().ok_or_else(|| wrong("names no host"))?;
    match url.scheme() {
        "https" => {}
        "http" if !carries_secret(request) || is_this_host(host) => {}
        "http" => {
            let why = "is not encrypted: everybody on the way could read the secret that is sent";
            return Err(Fault::fatal("http.unencrypted", format!("{}: the address {why}", request.line()))
                .hinted("use https://"));
        }
        _ => return Err(wrong("begins with neither https:// nor http://")),
    }
    Ok(url)
}

fn is_this_host(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn carries_secret(request: &HttpSend) -> bool {
    let texts = request.headers.values().chain([&request.url]).chain(&request.text);
    texts.map(String::as_str).any(secret::contains_handle)
        || request.json.as_ref().is_some_and(|json| secret::contains_handle(&json.to_string()))
}

/// JSON with the handles in it opened, keys included.
pub fn opened(value: &Value, vault: &Vault) -> Result<Value, Fault> {
    Ok(match value {
        Value::String(text) => vault.open(text)?.into(),
        Value::Array(items) => items.iter().map(|item| opened(item, vault)).collect::<Result<_, _>>()?,
        Value::Object(map) => {
            let pair = |(key, item): (&String, &Value)| Ok((vault.open(key)?, opened(item, vault)?));
            Value::Object(map.iter().map(pair).collect::<Result<_, Fault>>()?)
        }
        other => other.clone(),
    })
}
