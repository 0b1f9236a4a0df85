//! `runsheet eject`.

use super::super::Global;
use super::super::catalog;
use super::super::error::CliError;
use super::super::out::Out;
use super::super::session::Project;
use crate::model::verdict::Verdict;

/// Copy a built-in runbook into the project, to be edited
#[derive(clap::Args)]
pub struct Args {
    /// Name of the runbook
    name: String,
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let project = Project::open(global, out)?;
        let Some((path, text)) = catalog::shipped(&self.name) else {
            return Err(CliError::refused(format!("no runbook `{}` is built in", self.name)).next("runsheet list"));
        };
        let file = project.config.project.join(path);
        if file.exists() {
            return Err(
                CliError::refused(format!("{path} is there already")).next(format!("runsheet lint {}", self.name))
            );
        }
        let cannot = |error: std::io::Error| CliError::refused(format!("{path} cannot be written: {error}"));
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(cannot)?;
        }
        std::fs::write(&file, text).map_err(cannot)?;
        out.talk(&format!("wrote {path}; give it a version of its own before you run it"));
        out.next(&format!("runsheet lint {}", self.name));
        Ok(Verdict::Pass)
    }
}
