//! The revision of the project's git checkout, for the journal.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// The revision, with `+` behind it when something in the project's folder is not committed. `None` without git.
pub fn revision(project: &Path, process: &BTreeMap<String, String>) -> Option<String> {
    // Asking git costs milliseconds: only where there is something to ask about.
    project.ancestors().find(|folder| folder.join(".git").exists())?;
    let output = Command::new("git")
        .args(["--no-optional-locks", "-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch", "--", "."])
        .current_dir(project)
        .env_clear()
        .envs(process.iter().filter(|(name, _)| matches!(name.as_str(), "PATH" | "HOME")))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let revision = text.lines().find_map(|line| line.strip_prefix("# branch.oid "))?;
    let revision = revision.get(..12).filter(|short| short.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    let dirty = text.lines().any(|line| !line.starts_with('#'));
    Some(format!("{revision}{}", if dirty { "+" } else { "" }))
}
