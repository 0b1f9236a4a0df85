//! How a server is reached that cannot be reached from here: through a tunnel, or by programs that run beside it.

use serde::{Deserialize, Serialize};

/// An ssh tunnel: `ssh://user@host[:port]/host:port`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tunnel {
    /// Who logs in where: `deploy@droplet`, or a name of the ssh configuration.
    pub login: String,
    /// The port of ssh there, if it is said.
    pub login_port: Option<u16>,
    /// The database's host, as the far side calls it.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Tunnel {
    /// Whether it ends on the host that it leads to: nobody stands in between then.
    pub fn ends_there(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl std::fmt::Display for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let port = self.login_port.map(|port| format!(":{port}")).unwrap_or_default();
        write!(f, "{}:{} via {}{port}", self.host, self.port, self.login)
    }
}

/// Where PostgreSQL's programs run for a target, instead of here.
#[derive(Clone, PartialEq, Eq)]
pub struct Tools {
    /// What stands before the program: `docker exec -i pg`. Nothing where it is installed there.
    pub run: Vec<String>,
    /// Who logs in where to run that; here without it.
    pub ssh: Option<String>,
    /// How the database is reached from there. It may hold a password, so it is never printed.
    pub url: Option<String>,
}

impl std::fmt::Display for Tools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let by = if self.run.is_empty() { String::new() } else { format!("by `{}`", self.run.join(" ")) };
        let on = self.ssh.as_ref().map(|host| format!("on {host}")).unwrap_or_default();
        f.write_str(format!("{on} {by}").trim())
    }
}
