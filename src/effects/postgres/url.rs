//! A target's URL, made ready for connecting: what is not PostgreSQL's is stripped, and no message shows a password.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::model::fault::Fault;
use crate::model::reach::Tunnel;
use crate::model::target::{Target, TlsMode};

/// What stays readable in a parameter.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Keys of a URL that are handed on. TLS is the target's to say, and application names are ours.
const KNOWN: [&str; 16] = [
    "user",
    "password",
    "dbname",
    "options",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
];

/// After how long without an answer to what was sent a connection is dead.
const DEAD: Duration = Duration::from_secs(60);

/// The same URL for another database of its server.
pub fn of_database(url: &str, database: &str) -> String {
    // Behind the host: a slash or a question mark before it is part of the password.
    let host = url.find('@').or_else(|| url.find("://").map(|at| at + 2)).unwrap_or(0);
    let rest = &url[host..];
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = place[1.min(place.len())..].find('/').map_or(place, |slash| &place[..=slash]);
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("dbname=")).collect();
    let path = utf8_percent_encode(database, NON_ALPHANUMERIC);
    let mark = if kept.is_empty() { "" } else { "?" };
    format!("{}{authority}/{path}{mark}{}", &url[..host], kept.join("&"))
}

/// A URL with parameters set or removed. Everything else of it stays as it is written, also what is not PostgreSQL's.
pub fn with_parameters(url: &str, wanted: &BTreeMap<String, Option<String>>) -> String {
    if wanted.is_empty() {
        return url.to_owned();
    }
    // A question mark before the host is part of the password.
    let mark = url.find('@').unwrap_or(0);
    let (base, query) = url[mark..].find('?').map_or((url, ""), |at| (&url[..mark + at], &url[mark + at + 1..]));
    let name = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decode_str(name).decode_utf8_lossy().into_owned()
    };
    let written = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let kept = query.split('&').filter(|pair| !pair.is_empty() && !wanted.contains_key(&name(pair))).map(str::to_owned);
    let set = wanted.iter().filter_map(|(key, value)| Some(format!("{}={}", written(key), written(value.as_ref()?))));
    let pairs: Vec<String> = kept.chain(set).collect();
    if pairs.is_empty() { base.to_owned() } else { format!("{base}?{}", pairs.join("&")) }
}

/// A URL with another password, and another role if one is given. Everything else of it stays as it is written.
pub fn with_login(url: &str, user: Option<&str>, password: &str) -> String {
    let written = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let start = url.find("://").map_or(0, |at| at + 3);
    let (who, place) = url[start..].split_once('@').unwrap_or(("", &url[start..]));
    let asked = |key: &str| place.split(['?', '&']).skip(1).find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    let user = match user {
        Some(user) => written(user),
        // A parameter may hold what would end a name before the host.
        None if who.is_empty() => written(&percent_decode_str(asked("user").unwrap_or_default()).decode_utf8_lossy()),
        None => who.split(':').next().unwrap_or_default().to_owned(),
    };
    let bare = format!("{}{user}:{}@{place}", &url[..start], written(password));
    let gone = BTreeMap::from([("user".to_owned(), None), ("password".to_owned(), None)]);
    with_parameters(&bare, &gone)
}

/// A URL with the same role, password, database and options for a server of ours on loopback.
pub fn on_loopback(config: &Config, port: u16) -> String {
    written(config, "127.0.0.1", port, "")
}

/// The same for the near end of a tunnel. The name is still the server's, for TLS.
pub fn near(config: &Config, tunnel: &Tunnel, port: u16) -> String {
    let name = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.as_str(),
        _ => tunnel.host.as_str(),
    };
    let name = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    written(config, &name, port, "hostaddr=127.0.0.1")
}

/// A URL with the role, password, database and options of these settings.
fn written(config: &Config, host: &str, port: u16, parameter: &str) -> String {
    let written = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let user = config.get_user().unwrap_or_default();
    let password = config.get_password().map(|it| format!(":{}", written(&String::from_utf8_lossy(it))));
    let database = written(config.get_dbname().unwrap_or(user));
    let options = config.get_options().map(|options| format!("options={}", written(options)));
    let query =
        options.into_iter().chain([parameter.to_owned()]).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    format!("postgresql://{}{}@{host}:{port}/{database}{mark}{query}", written(user), password.unwrap_or_default())
}

/// The connection settings of a target's direct URL.
pub fn config(target: &Target) -> Result<Config, Fault> {
    let name = &target.name;
    let url = target.direct();
    let broken = |why: &str| {
        Fault::fatal("target.url", format!("the URL of target `{name}` cannot be read: {why}")).hinted(
            "it looks like postgresql://USER:PASSWORD@HOST:PORT/DATABASE; write `@ : / ? # %` inside a password as %40 %3A %2F %3F %23 %25",
        )
    };
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(broken("it does not begin with postgresql://"));
    }
    // A question mark before the host is part of the password.
    let host = url.find('@').unwrap_or(0);
    let (base, query) = url[host..].find('?').map_or((url, ""), |mark| (&url[..host + mark], &url[host + mark + 1..]));
    let kept: Vec<&str> =
        query.split('&').filter(|pair| KNOWN.contains(&pair.split('=').next().unwrap_or_default())).collect();
    // The parser names the key that it could not read, never its value.
    let mut config: Config = format!("{base}?{}", kept.join("&")).parse().map_err(|error: tokio_postgres::Error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        broken(if cause.is_empty() { "it is broken" } else { &cause })
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(broken("it names no host"));
    }
    if config.get_user().is_none() {
        return Err(broken("it names no user"));
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(10));
    }
    let ssl_mode = ssl_mode(tls_mode(target, &config));
    // A host that vanishes without a word is noticed within a minute.
    config
        .keepalives_idle(Duration::from_secs(30))
        .keepalives_interval(Duration::from_secs(10))
        .keepalives_retries(3)
        .tcp_user_timeout(DEAD)
        .ssl_mode(ssl_mode);
    Ok(config)
}

fn ssl_mode(mode: TlsMode) -> SslMode {
    match mode {
        TlsMode::Disable => SslMode::Disable,
        TlsMode::Verify | TlsMode::NoVerify => SslMode::Require,
    }
}

/// How far the certificate is checked: as the target says, but a socket in the file system knows no TLS.
pub fn tls_mode(target: &Target, config: &Config) -> TlsMode {
    match config.get_hosts().first() {
        Some(Host::Unix(_)) => TlsMode::Disable,
        _ => target.tls.mode,
    }
}

/// The same settings through a tunnel that ends on a loopback port: the server's name is still the URL's, for TLS.
pub fn through(target: &Target, config: &Config, tunnel: &Tunnel, port: u16) -> Config {
    let mut through = Config::new();
    let name = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        _ => tunnel.host.clone(),
    };
    through.host(name).hostaddr(Ipv4Addr::LOCALHOST.into()).port(port);
    through.user(config.get_user().unwrap_or_default());
    if let Some(password) = config.get_password() {
        through.password(password);
    }
    if let Some(database) = config.get_dbname() {
        through.dbname(database);
    }
    if let Some(options) = config.get_options() {
        through.options(options);
    }
    if let Some(limit) = config.get_connect_timeout() {
        through.connect_timeout(*limit);
    }
    through
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding())
        .tcp_user_timeout(DEAD);
    let through_tls = tls_mode(target, &through);
    through.ssl_mode(ssl_mode(through_tls));
    through
}

/// The same tunnel to another address, as the host it is logged in at knows it.
pub fn aside(tunnel: &Tunnel, config: &Config) -> Tunnel {
    let host = match (config.get_hosts().first(), config.get_hostaddrs().first()) {
        (_, Some(address)) => address.to_string(),
        (Some(Host::Tcp(name)), None) => name.clone(),
        _ => tunnel.host.clone(),
    };
    Tunnel { host, port: config.get_ports().first().copied().unwrap_or(5432), ..tunnel.clone() }
}

/// Host and port that are asked, as messages and the identity say it.
pub fn place(target: &Target, config: &Config) -> String {
    target.tunnel.as_ref().map_or_else(|| address(config), ToString::to_string)
}

/// Host and port of connection settings.
pub fn address(config: &Config) -> String {
    let host = match (config.get_hosts().first(), config.get_hostaddrs().first()) {
        (Some(Host::Tcp(name)), _) => name.clone(),
        (Some(Host::Unix(path)), _) => path.display().to_string(),
        (None, Some(address)) => address.to_string(),
        (None, None) => String::new(),
    };
    format!("{host}:{}", config.get_ports().first().copied().unwrap_or(5432))
}
