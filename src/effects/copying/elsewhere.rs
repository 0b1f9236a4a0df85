//! pg_dump beside the database it reads, on another host or in a container: what it writes streams here.
//!
//! What it is told there stands on a command line that others may read, so that the password is none of it: it is the first
//! line of standard input, which a shell there puts into the program's environment.

use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::Copying;
use super::tools::{self, Tool};
use crate::effects::postgres::url;
use crate::effects::process::{Launch, ssh};
use crate::model::fault::Fault;
use crate::model::reach::Tools;
use crate::model::target::Target;

/// Takes the password from standard input, and then the place of this shell.
const SHELL: [&str; 4] = [
    "sh",
    "-c",
    "IFS= read -r PGPASSWORD; if [ -n \"$PGPASSWORD\" ]; then export PGPASSWORD; else unset PGPASSWORD; fi; exec \"$@\"",
    "sh",
];

/// The words that run these there.
fn words(copying: &Copying<'_>, there: &Tools, words: &[String]) -> Result<Vec<String>, Fault> {
    let all: Vec<String> = there.run.iter().chain(words).cloned().collect();
    match &there.ssh {
        None => Ok(all),
        Some(host) => ssh::line(copying.world, host, format!("exec {}", ssh::quoted(all.iter().map(String::as_str))?)),
    }
}

/// The program there, if it is of at least major version `least`.
///
/// Faults: `tool.missing`, `tool.old`, those of a login by ssh.
pub async fn find(copying: &Copying<'_>, there: &Tools, name: &'static str, least: u32) -> Result<Tool, Fault> {
    let run = words(copying, there, &[name.to_owned(), "--version".to_owned()])?;
    let said = tools::answer(ssh::environment(copying.world), &run).await;
    let text = match said {
        Ok(Ok(text)) => text,
        Ok(Err(complaint)) => {
            let lines: Vec<String> = complaint.lines().map(str::to_owned).collect();
            let refused = there.ssh.as_ref().and_then(|host| ssh::refused(host, None, &lines));
            return Err(refused.unwrap_or_else(|| {
                let why = lines.last().map(|line| format!(": {line}")).unwrap_or_default();
                Fault::fatal("tool.missing", format!("there is no `{name}` {there}{why}"))
                    .hinted("check `tools` and `tools_ssh` of the target")
                    .detailed(complaint)
            }));
        }
        Err(error) => {
            let message = format!("`{}` could not be run: {error}", run[0]);
            return Err(Fault::fatal("tool.start", message).hinted("check `tools` and `tools_ssh` of the target"));
        }
    };
    let (version, major) = tools::version_in(&text)
        .ok_or_else(|| Fault::fatal("tool.missing", format!("`{name}` {there} does not say its version")))?;
    if major < least {
        let message = format!("`{name}` {version} {there} is older than the server, which is {least}");
        return Err(Fault::fatal("tool.old", message)
            .hinted("a program may be newer than a server, never older: name another container or host"));
    }
    Ok(Tool { name, path: PathBuf::from(name), version, major, there: Some(there.clone()) })
}

/// What runs the program there, writing to `output` here.
pub fn launch(
    copying: &Copying<'_>,
    there: &Tools,
    target: &Target,
    program: &str,
    args: &[String],
    application: &str,
    output: &Path,
) -> Result<Launch, Fault> {
    let (conninfo, password) = access(copying, there, target, application)?;
    let mut run: Vec<String> = SHELL.map(str::to_owned).to_vec();
    run.push(program.to_owned());
    run.extend(args.iter().cloned());
    run.push(format!("--dbname={conninfo}"));
    // Nobody is there to be asked.
    run.push("--no-password".to_owned());
    Ok(Launch {
        run: words(copying, there, &run)?,
        cwd: "/".into(),
        env: ssh::environment(copying.world),
        input: Some(format!("{password}\n")),
        output: Some(output.to_owned()),
    })
}

/// How the database is reached from there, and the password.
fn access(copying: &Copying<'_>, there: &Tools, target: &Target, application: &str) -> Result<(String, String), Fault> {
    let own = Target { direct_url: None, ..target.clone() };
    let config = match &there.url {
        Some(url) => url::config(&Target { url: url.clone(), ..own })?,
        None => url::config(target)?,
    };
    let mut parts = vec![("application_name", application.to_owned())];
    // In a container without an address of its own the program uses the socket that lies beside it.
    if there.url.is_some() || there.run.is_empty() {
        match (&target.tunnel, &there.url) {
            (Some(tunnel), None) => parts.extend([("host", tunnel.host.clone()), ("port", tunnel.port.to_string())]),
            _ => parts.extend(place(&config)),
        }
    }
    parts.push(("user", config.get_user().unwrap_or_default().to_owned()));
    parts.push(("dbname", config.get_dbname().or(config.get_user()).unwrap_or_default().to_owned()));
    if let Some(options) = config.get_options() {
        parts.push(("options", options.to_owned()));
    }
    let given = there.url.as_deref().unwrap_or_else(|| target.direct());
    if let Some(mode) =
        given.split_once('?').and_then(|(_, query)| query.split('&').find_map(|pair| pair.strip_prefix("sslmode=")))
    {
        parts.push(("sslmode", mode.to_owned()));
    }
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
    if password.contains(['\n', '\0']) {
        return Err(Fault::fatal(
            "target.url",
            format!("the password of target `{}` has a line break in it", target.name),
        ));
    }
    copying.world.vault.hide(&format!("password of {} for its tools", target.name), &password);
    Ok((tools::conninfo(&parts), password))
}

fn place(config: &Config) -> Vec<(&'static str, String)> {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    let ports: Vec<String> = config.get_ports().iter().map(ToString::to_string).collect();
    [("host", hosts.join(",")), ("port", ports.join(","))].into_iter().filter(|(_, value)| !value.is_empty()).collect()
}
