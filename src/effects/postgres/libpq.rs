//! A target as PostgreSQL's own programs are told of it: by their environment, under the TLS rules of our own connections.

use std::collections::BTreeMap;
use std::path::Path;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::url;
use crate::model::fault::Fault;
use crate::model::target::{Target, TlsMode};

/// Authorities that a system trusts, for programs that cannot find them by themselves.
const SYSTEM: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// The first version of libpq that finds the system's authorities by itself.
const FINDS_AUTHORITIES: u32 = 16;

/// Variables for a program of major version `major`. Authorities of the target's own are written to `folder`.
pub fn environment(
    target: &Target,
    config: &Config,
    major: u32,
    folder: &Path,
) -> Result<BTreeMap<String, String>, Fault> {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: String| {
        if !value.is_empty() {
            env.insert(name.to_owned(), value);
        }
    };
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    set("PGHOST", hosts.collect::<Vec<_>>().join(","));
    let addresses = config.get_hostaddrs().iter().map(ToString::to_string);
    set("PGHOSTADDR", addresses.collect::<Vec<_>>().join(","));
    let ports = config.get_ports().iter().map(ToString::to_string);
    set("PGPORT", ports.collect::<Vec<_>>().join(","));
    set("PGUSER", config.get_user().unwrap_or_default().to_owned());
    set("PGPASSWORD", String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned());
    set("PGDATABASE", config.get_dbname().or(config.get_user()).unwrap_or_default().to_owned());
    set("PGOPTIONS", config.get_options().unwrap_or_default().to_owned());
    set("PGCONNECT_TIMEOUT", config.get_connect_timeout().map_or(10, std::time::Duration::as_secs).to_string());
    match url::tls_mode(target, config) {
        TlsMode::Disable => set("PGSSLMODE", "disable".to_owned()),
        TlsMode::NoVerify => set("PGSSLMODE", "require".to_owned()),
        TlsMode::Verify => {
            set("PGSSLMODE", "verify-full".to_owned());
            set("PGSSLROOTCERT", authorities(target, major, folder)?);
        }
    }
    Ok(env)
}

fn authorities(target: &Target, major: u32, folder: &Path) -> Result<String, Fault> {
    let broken = |why: String| Fault::fatal("target.ca", format!("target `{}`: {why}", target.name));
    if let Some(pem) = &target.tls.ca {
        let path = folder.join("ca.pem");
        std::fs::write(&path, pem).map_err(|error| broken(format!("{} cannot be written: {error}", path.display())))?;
        return Ok(path.display().to_string());
    }
    if major >= FINDS_AUTHORITIES {
        return Ok("system".to_owned());
    }
    let found = SYSTEM.iter().find(|path| Path::new(path).exists());
    found.map(|path| (*path).to_owned()).ok_or_else(|| {
        broken("PostgreSQL's programs of this version do not find the authorities that this system trusts".to_owned())
            .hinted("set `ca_cert` of the target")
    })
}
