//! The argument list that runs a command on another host. There a shell reads it, so every word is quoted.

use crate::model::fault::Fault;
use crate::model::request::CommandRun;
use crate::model::secret;

/// The local argument list for a command with `ssh`.
pub fn arguments(host: &str, request: &CommandRun) -> Result<Vec<String>, Fault> {
    if request.env.values().any(|value| secret::contains_handle(value)) {
        return Err(Fault::fatal(
            "secret.in-arguments",
            format!("a secret cannot be given by `env` to a command on {host}: it would stand on a command line there"),
        )
        .hinted("let the command read the secret from a file on that host"));
    }
    if host.is_empty() || host.starts_with('-') || host.contains(char::is_whitespace) {
        return Err(Fault::fatal("command.ssh", format!("`{host}` is not a host; it looks like `user@host`")));
    }
    let mut words = Vec::new();
    if !request.env.is_empty() {
        words.push("env".to_owned());
        words.extend(request.env.iter().map(|(name, value)| format!("{name}={value}")));
    }
    words.extend(request.run.iter().cloned());
    let quoted = |words: &[String]| {
        shlex::try_join(words.iter().map(String::as_str))
            .map_err(|_| Fault::fatal("command.nul", "an argument contains a NUL character"))
    };
    let mut line = format!("exec {}", quoted(&words)?);
    if let Some(cwd) = &request.cwd {
        line = format!("cd {} && {line}", quoted(std::slice::from_ref(cwd))?);
    }
    let options = ["BatchMode=yes", "ConnectTimeout=20", "ServerAliveInterval=15", "ServerAliveCountMax=4"];
    let mut arguments = vec!["ssh".to_owned(), "-T".to_owned()];
    arguments.extend(options.iter().flat_map(|option| ["-o".to_owned(), (*option).to_owned()]));
    arguments.extend(["--".to_owned(), host.to_owned(), line]);
    Ok(arguments)
}
