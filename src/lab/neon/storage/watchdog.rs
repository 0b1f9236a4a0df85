//! The watchdog: a shell that outlives the process of the stand-in for a moment, and ends what that one has left running.
//!
//! It reads from a pipe whose other end is gone with that process, however it went: by a kill too.

use std::process::{Child, Stdio};

use super::Ground;
use crate::lab::failed;
use crate::model::fault::Fault;

/// A server may be about to start when the process is killed, so it is looked for until none was seen for a while. Who
/// is in a file left behind may be a stranger by now; ours name our folder on their command line.
const SCRIPT: &str = r#"cat >/dev/null
    quiet=0; n=0
    while [ $quiet -lt 10 ] && [ $n -lt 600 ]; do
        quiet=$((quiet+1)); n=$((n+1))
        for file in "$0"/template/postmaster.pid "$0"/st-*/data/postmaster.pid "$0"/st-*/pooler/pid; do
            [ -f "$file" ] && read -r pid <"$file" || continue
            tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$0/" && kill -QUIT "$pid" && quiet=0
        done
        sleep 0.05
    done
    rm -rf "$0"/template* "$0"/st-*; rmdir "$0""#;

/// Ends all servers when it is dropped, or when this process dies.
pub struct Watchdog(#[expect(dead_code, reason = "its standard input is held open")] Child);

impl Watchdog {
    /// Starts it.
    pub fn start(ground: &Ground) -> Result<Self, Fault> {
        let mut shell = ground.user.command("sh");
        shell.arg("-c").arg(SCRIPT).arg(&ground.folder).stdin(Stdio::piped()).stderr(Stdio::null());
        shell.spawn().map(Self).map_err(|error| failed("the watchdog cannot be started", &error))
    }
}
