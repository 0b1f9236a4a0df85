//! Files copied and written as whom the servers run as, who owns the folder and could have put anything into it.

use std::path::Path;
use std::process::{Command, Stdio};

use tokio::io::AsyncWriteExt;

use super::Ground;
use crate::lab::failed;
use crate::model::fault::Fault;

/// Copies a data folder to one that is not there; with `recover`, a server on it recovers.
pub async fn data_folder(ground: &Ground, from: &Path, to: &Path, recover: bool) -> Result<(), Fault> {
    let script = r#"umask 077; mkdir -p "${1%/*}" && cp -a --reflink=auto "$0" "$1" && { [ -z "$2" ] || : >"$1/$2"; }"#;
    let mut shell = ground.user.command("sh");
    shell.args(["-c", script]).arg(from).arg(to).arg(if recover { "recovery.signal" } else { "" });
    run(shell, "a data folder cannot be copied").await
}

/// Puts a copy where it is wanted.
pub async fn rename(ground: &Ground, from: &Path, to: &Path, recover: bool) -> Result<(), Fault> {
    let script = r#"umask 077; mkdir -p "${1%/*}" && mv -T "$0" "$1" && { [ -z "$2" ] || : >"$1/$2"; }"#;
    let mut shell = ground.user.command("sh");
    shell.args(["-c", script]).arg(from).arg(to).arg(if recover { "recovery.signal" } else { "" });
    run(shell, "a data folder cannot be put in its place").await
}

/// Moves a folder below another one, and leaves a link to it behind, which is all that a copy then copies.
pub async fn share(ground: &Ground, folder: &Path, below: &Path) -> Result<(), Fault> {
    let mut shell = ground.user.command("sh");
    let script = r#"umask 077; to="$1/${0##*/}"; mkdir -p "$1" && mv "$0" "$to" && ln -s "$to" "$0""#;
    shell.args(["-c", script]).arg(folder).arg(below);
    run(shell, "the template cannot be shared").await
}

/// Writes a file, closed to others; its folder is made if need be.
pub async fn write(ground: &Ground, path: &Path, text: &str) -> Result<(), Fault> {
    let cannot = |error: std::io::Error| failed(format_args!("{} cannot be written", path.display()), &error);
    let mut shell = ground.user.command("sh");
    shell.args(["-c", r#"umask 077; mkdir -p "${0%/*}" && cat >"$0""#]).arg(path).stdin(Stdio::piped());
    let mut shell = tokio::process::Command::from(shell).spawn().map_err(cannot)?;
    if let Some(mut stdin) = shell.stdin.take() {
        stdin.write_all(text.as_bytes()).await.map_err(cannot)?;
    }
    let ended = shell.wait().await.map_err(cannot)?;
    if ended.success() { Ok(()) } else { Err(cannot(std::io::Error::other("the shell failed"))) }
}

/// Runs a command to its end.
pub async fn run(command: Command, what: &str) -> Result<(), Fault> {
    let said = tokio::process::Command::from(command).output().await.map_err(|error| failed(what, &error))?;
    if said.status.success() {
        return Ok(());
    }
    Err(Fault::fatal("lab.failed", what).detailed(String::from_utf8_lossy(&said.stderr).trim().to_owned()))
}
