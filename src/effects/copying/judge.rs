//! What the end of one of PostgreSQL's programs means.

use super::Copying;
use super::folder;
use super::progress::Progress;
use super::tools::Tool;
use crate::effects::process::{End, Finished, ssh};
use crate::model::fault::Fault;

/// What the end of a program means; `Ok` when it came to a good end by its exit code.
pub fn judge(copying: &Copying<'_>, tool: &Tool, finished: &Finished, progress: &Progress) -> Result<(), Fault> {
    let name = tool.name;
    let word = name.trim_start_matches("pg_");
    let mut lines = progress.said();
    if tool.there.is_some() && lines.is_empty() {
        // What stands before the program speaks in other words than it.
        lines = finished.stderr.tail().lines().rev().take(10).map(str::to_owned).collect();
        lines.reverse();
    }
    let detailed = |fault: Fault| {
        let lines = copying.world.vault.redact(&lines.join("\n"));
        if lines.is_empty() { fault } else { fault.detailed(lines) }
    };
    let (code, signal) = match &finished.end {
        End::NotBegun { why, .. } => {
            let message = format!("`{}` could not be started: {why}", tool.path.display());
            return Err(Fault::fatal("tool.start", message));
        }
        End::TooLong { left } | End::Lost { left } if !left.is_empty() => {
            return Err(Fault::unknown(
                "tool.left",
                format!("`{name}` was cut off, and parts of it could not be ended"),
            ));
        }
        End::TooLong { .. } | End::Lost { .. } => {
            return Err(detailed(Fault::retryable(
                "tool.lost",
                format!("`{name}` was killed, and so was its supervisor"),
            )));
        }
        End::Ended { code, signal, .. } => (code, signal),
    };
    match (code, signal) {
        (Some(0), _) => return Ok(()),
        (None, Some(signal)) => {
            return Err(detailed(Fault::retryable("tool.killed", format!("`{name}` was ended by signal {signal}"))));
        }
        _ => {}
    }
    let heard = |what: &[&str]| lines.iter().find(|line| what.iter().any(|what| line.contains(what)));
    if let (Some(host), Some(255)) = (tool.there.as_ref().and_then(|there| there.ssh.as_ref()), code) {
        let lost = || {
            Fault::retryable(
                format!("{word}.connection"),
                format!("the connection to {host}, where `{name}` ran, was lost"),
            )
        };
        return Err(detailed(ssh::refused(host, None, &lines).unwrap_or_else(lost)));
    }
    let last = || lines.iter().find(|line| line.contains("error:") || line.contains("FATAL")).or(lines.last());
    let why = last().map(|line| line.trim_start_matches(&format!("{name}: ")).trim_start_matches("error: ").to_owned());
    let message = format!("`{name}` failed: {}", copying.world.vault.redact(&why.unwrap_or_default()));
    let fault = if heard(&["No space left on device"]).is_some() {
        // A dump is written here, a restore there.
        match tool.name {
            "pg_restore" => Fault::fatal("disk.full", message).hinted("make room on the server's disk, then resume"),
            _ => folder::full(&message),
        }
    } else if heard(&["connection to server", "server closed the connection", "terminating connection"]).is_some() {
        Fault::retryable(format!("{word}.connection"), message)
    } else if tool.name == "pg_dump" && heard(&["permission denied", "row-level security"]).is_some() {
        Fault::fatal("dump.right", message).hinted(
            "a dump reads everything: use the owner of it all, or a role with pg_read_all_data, BYPASSRLS and the right to \
             read each large object",
        )
    } else if heard(BROKEN).is_some() {
        Fault::fatal("artefact.broken", message).hinted("the dump is damaged or cut off; take another one")
    } else {
        Fault::fatal(format!("{word}.failed"), message)
    };
    Err(detailed(fault))
}

/// What pg_restore says of an archive that is not whole.
const BROKEN: &[&str] = &[
    "could not read from input file",
    "unexpected end of file",
    "could not find block ID",
    "could not open input file",
    "could not uncompress data",
    "could not close data file",
    "found unexpected block ID",
    "unexpected EOF",
    "corrupt",
];
