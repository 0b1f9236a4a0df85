//! `runsheet new`.

use super::super::Global;
use super::super::error::CliError;
use super::super::out::Out;
use super::super::session::Project;
use crate::model::verdict::Verdict;

/// Write a first runbook to edit: a step that reads, one that changes, one that can be taken back
#[derive(clap::Args)]
pub struct Args {
    /// Its name: letters, digits and dashes
    name: String,
}

const RUNBOOK: &str = include_str!("new.rhai");

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let sound = self.name.chars().next().is_some_and(|first| first.is_ascii_lowercase())
            && self.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !sound {
            return Err(CliError::refused(format!("`{}` is not a name for a runbook", self.name))
                .hinted("use lower-case letters, digits and dashes, beginning with a letter")
                .next("runsheet new vacuum-big-tables"));
        }
        let project = Project::open(global, out)?;
        let folder = project.config.project.join("runbooks");
        let file = folder.join(format!("{}.rhai", self.name));
        if file.exists() {
            return Err(CliError::refused(format!("{} is there already", file.display()))
                .next(format!("runsheet lint {}", self.name)));
        }
        let cannot =
            |error: std::io::Error| CliError::refused(format!("{} cannot be written: {error}", file.display()));
        std::fs::create_dir_all(&folder).map_err(cannot)?;
        std::fs::write(&file, RUNBOOK.replace("NAME", &self.name)).map_err(cannot)?;
        out.talk(&format!("wrote runbooks/{}.rhai; `runsheet words` lists what it can say", self.name));
        out.next(&format!("runsheet plan {} target=app", self.name));
        Ok(Verdict::Pass)
    }
}
