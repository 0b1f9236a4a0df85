//! Running things on another host by the user's own ssh, which is never asked anything and never asks back.

use std::collections::BTreeMap;

use crate::effects::World;
use crate::model::fault::Fault;
use crate::model::request::CommandRun;
use crate::model::secret;

/// Variables of ours that ssh may see.
const INHERITED: [&str; 6] = ["HOME", "PATH", "USER", "LOGNAME", "SSH_AUTH_SOCK", "TMPDIR"];

/// What every connection of ours is: silent, and noticed within a minute when it is dead.
const OPTIONS: [&str; 4] = ["BatchMode=yes", "ConnectTimeout=20", "ServerAliveInterval=5", "ServerAliveCountMax=3"];

/// The beginning of an argument list: ssh with the project's configuration, our options and these.
pub fn program(world: &World, options: &[&str]) -> Vec<String> {
    let mut run = vec!["ssh".to_owned()];
    if let Some(config) = &world.providers.ssh_config {
        run.extend(["-F".to_owned(), config.display().to_string()]);
    }
    run.push("-T".to_owned());
    run.extend(OPTIONS.iter().chain(options).flat_map(|option| ["-o".to_owned(), (*option).to_owned()]));
    run
}

/// The environment of ssh itself.
pub fn environment(world: &World) -> BTreeMap<String, String> {
    let inherited = |name: &&str| world.environment.get(name).map(|value| ((*name).to_owned(), value.to_owned()));
    let mut env: BTreeMap<String, String> = INHERITED.iter().filter_map(inherited).collect();
    env.entry("PATH".into()).or_insert_with(|| "/usr/local/bin:/usr/bin:/bin".into());
    env.insert("LC_ALL".to_owned(), "C".to_owned());
    env
}

/// Refuses what is no host, so that none is ever an option.
pub fn require_host(host: &str) -> Result<(), Fault> {
    if host.is_empty() || host.starts_with('-') || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Fault::fatal("command.ssh", format!("`{host}` is not a host; it looks like `user@host`")));
    }
    Ok(())
}

/// The local argument list that has a shell on `host` read `line`.
pub fn line(world: &World, host: &str, line: String) -> Result<Vec<String>, Fault> {
    require_host(host)?;
    let mut run = program(world, &[]);
    run.extend(["--".to_owned(), host.to_owned(), line]);
    Ok(run)
}

/// Words as a shell there reads them back.
pub fn quoted<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<String, Fault> {
    shlex::try_join(words).map_err(|_| Fault::fatal("command.nul", "an argument contains a NUL character"))
}

/// The local argument list for a command with `ssh`. There a shell reads it, so every word is quoted.
pub fn arguments(world: &World, host: &str, request: &CommandRun) -> Result<Vec<String>, Fault> {
    if request.env.values().any(|value| secret::contains_handle(value)) {
        return Err(Fault::fatal(
            "secret.in-arguments",
            format!("a secret cannot be given by `env` to a command on {host}: it would stand on a command line there"),
        )
        .hinted("let the command read the secret from a file on that host"));
    }
    let mut words = Vec::new();
    if !request.env.is_empty() {
        words.push("env".to_owned());
        words.extend(request.env.iter().map(|(name, value)| format!("{name}={value}")));
    }
    words.extend(request.run.iter().cloned());
    let mut there = format!("exec {}", quoted(words.iter().map(String::as_str))?);
    if let Some(cwd) = &request.cwd {
        there = format!("cd {} && {there}", quoted([cwd.as_str()])?);
    }
    line(world, host, there)
}

/// What ssh said when it could not log in, in words; nothing if it said something else.
pub fn refused(login: &str, port: Option<u16>, said: &[String]) -> Option<Fault> {
    let heard = |words: &[&str]| said.iter().find(|line| words.iter().any(|word| line.contains(word)));
    let by_hand = port.map_or_else(|| format!("ssh {login}"), |port| format!("ssh -p {port} {login}"));
    let detail = said.join("\n");
    let fault = if heard(&["IDENTIFICATION HAS CHANGED"]).is_some() {
        Fault::fatal("ssh.host-key", format!("{login} shows another host key than the one that is known")).hinted(
            "the host was made anew, or somebody stands in between: ask its operator for the fingerprint, then ssh-keygen -R HOST",
        )
    } else if heard(&["Host key verification failed", "host key is known for"]).is_some() {
        Fault::fatal("ssh.host-key", format!("the host key of {login} is not known here"))
            .hinted(format!("log in once by hand and compare its fingerprint with what its operator says: {by_hand}"))
    } else if heard(&["Permission denied", "Too many authentication failures", "no mutual signature"]).is_some() {
        Fault::fatal("ssh.key", format!("{login} takes none of your keys")).hinted(format!(
            "nothing is ever asked here: load the key into ssh-agent, or name it in ~/.ssh/config (IdentityFile); this must work: ssh -o BatchMode=yes {}",
            by_hand.trim_start_matches("ssh ")
        ))
    } else if let Some(line) = heard(&["Bad configuration option", "terminating, ", "Can't open user config file"]) {
        Fault::fatal("ssh.config", format!("ssh does not understand its configuration: {line}"))
    } else {
        let line = heard(&[
            "Could not resolve hostname",
            "Connection refused",
            "timed out",
            "No route to host",
            "Network is unreachable",
            "Connection reset",
            "Connection closed",
            "closed by remote host",
        ])?;
        Fault::retryable(
            "ssh.unreachable",
            format!("{login} cannot be reached by ssh: {}", line.trim_start_matches("ssh: ")),
        )
        .hinted(format!("does this work: {by_hand}"))
    };
    Some(fault.detailed(detail))
}
