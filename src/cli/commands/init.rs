//! `runsheet init`.

use super::super::Global;
use super::super::error::CliError;
use super::super::out::Out;
use crate::model::verdict::Verdict;

/// Make this folder a project: a runsheet.toml with one target, and folders for runbooks and templates
#[derive(clap::Args)]
pub struct Args {}

const CONFIG: &str = r#"# Runsheet's project file. Check it with `runsheet doctor`.

[targets.app]
url = "${DATABASE_URL}"
# direct_url = "${DIRECT_DATABASE_URL}"   # when url goes through a pooler
label = "app"
# protected = true                        # destruction then needs a plan and the label typed
# identity = { system = "…", database = "…" }   # `runsheet doctor` prints it

# Parameter values that the command line need not name:
# [runbooks.hello]
# target = "app"

# Who is told how each run ended, with the head of its journal:
# [notify]
# url = "${OPS_WEBHOOK_URL}"

# What an environment overrides; chosen by -e NAME, $ENVIRONMENT or $NODE_ENV:
# [env.staging.targets.app]
# url = "${STAGING_DATABASE_URL}"
"#;

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let project = match &global.project {
            Some(project) => project.clone(),
            None => std::env::current_dir()
                .map_err(|error| CliError::refused(format!("the current folder cannot be read: {error}")))?,
        };
        let file = project.join("runsheet.toml");
        if file.exists() {
            return Err(CliError::refused(format!("{} is there already", file.display())).next("runsheet doctor"));
        }
        let cannot =
            |error: std::io::Error| CliError::refused(format!("{} cannot be written: {error}", project.display()));
        for folder in ["runbooks", "templates"] {
            std::fs::create_dir_all(project.join(folder)).map_err(cannot)?;
        }
        std::fs::write(&file, CONFIG).map_err(cannot)?;
        out.talk(&format!("made {}: put the database's URL into DATABASE_URL, or into .env", file.display()));
        out.next("runsheet doctor");
        Ok(Verdict::Pass)
    }
}
