//! `runsheet list`.

use serde_json::json;

use super::super::Global;
use super::super::catalog;
use super::super::error::CliError;
use super::super::out::Out;
use super::super::session::Project;
use crate::model::script::Script;
use crate::model::verdict::Verdict;

/// List the runbooks of this project and those built in
#[derive(clap::Args)]
pub struct Args {}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let project = Project::open(global, out)?;
        let mut rows = Vec::new();
        for listed in catalog::list(&project.config) {
            let loaded =
                catalog::sources(&project.config, &listed.name).and_then(|sources| catalog::load(&sources, false));
            let (version, about) = match &loaded {
                Ok(runbook) => (runbook.declaration().version.clone(), runbook.declaration().about.clone()),
                Err(_) => ("-".to_owned(), format!("cannot be loaded: see `runsheet lint {}`", listed.name)),
            };
            rows.push(json!({ "name": listed.name, "version": version, "about": about, "built_in": listed.shipped }));
        }
        if out.json {
            out.json(&rows);
            return Ok(Verdict::Pass);
        }
        for row in &rows {
            let built_in = if row["built_in"] == true { " (built in)" } else { "" };
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            out.data(&format!("{:<24} {:<8} {}{built_in}", text("name"), text("version"), text("about")));
        }
        Ok(Verdict::Pass)
    }
}
