//! As much of a connection URL as its rules need: hosts, passwords and parameters. Connecting reads the rest.

use percent_encoding::percent_decode_str;

/// The parts of a connection URL.
pub struct PostgresUrl {
    hosts: Vec<String>,
    parameters: Vec<(String, String)>,
    /// The database behind the host, or named by `dbname`.
    pub database: Option<String>,
    /// The password as it is written and as it is meant; empty without one.
    pub passwords: Vec<String>,
}

impl PostgresUrl {
    /// Reads a URL; the error says what is wrong with it and never quotes it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
            .ok_or("is not a PostgreSQL URL: it must begin with `postgres://` or `postgresql://`")?;
        if rest.contains(char::is_whitespace) {
            return Err("contains white space: a URL has none, write a space as `%20`");
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = path.split('/').next().unwrap_or_default();
        // A password with an unescaped `/` would shift everything behind it.
        if authority.matches('@').count() == 0 && path.contains('@') || authority.matches('@').count() > 1 {
            return Err("has a `@` or `/` in its user name or password: write them as `%40` and `%2F`");
        }
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let mut passwords = Vec::new();
        let mut remember = |password: &str| {
            passwords.push(password.to_owned());
            passwords.push(decoded(password));
        };
        if let Some((_, password)) = user.split_once(':') {
            remember(password);
        }
        let mut parameters = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if matches!(name, "password" | "sslpassword") {
                remember(value);
            }
            parameters.push((decoded(name), decoded(value)));
        }
        let mut hosts: Vec<String> = hosts.split(',').map(|host| decoded(without_port(host))).collect();
        if let Some((_, given)) = parameters.iter().find(|(name, _)| name == "host") {
            hosts = given.split(',').map(str::to_owned).collect();
        }
        let path = path.split_once('/').map(|(_, path)| decoded(path)).filter(|path| !path.is_empty());
        let named = parameters.iter().rev().find(|(name, _)| name == "dbname").map(|(_, value)| value.clone());
        let database = named.or(path);
        passwords.retain(|password| !password.is_empty());
        passwords.dedup();
        Ok(Self { hosts, parameters, database, passwords })
    }

    /// A parameter behind the `?`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether every host is this one: loopback or a Unix socket.
    pub fn is_local(&self) -> bool {
        let loopback = |host: &str| host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        // Where addresses are given, they are what is connected to.
        if let Some(addresses) = self.parameter("hostaddr").filter(|addresses| !addresses.is_empty()) {
            return addresses.split(',').all(loopback);
        }
        self.hosts.iter().all(|host| {
            host.is_empty() || host.starts_with(['/', '@']) || host.eq_ignore_ascii_case("localhost") || loopback(host)
        })
    }
}

fn without_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
