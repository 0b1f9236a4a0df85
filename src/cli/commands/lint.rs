//! `runsheet lint`.

use serde_json::json;

use super::super::Global;
use super::super::catalog;
use super::super::error::CliError;
use super::super::out::{Out, quoted};
use super::super::session::Project;
use super::super::show;
use crate::model::declaration::PlanRule;
use crate::model::script::Script;
use crate::model::verdict::Verdict;
use crate::runbook::{self, Severity};

/// Find what is wrong with runbooks without running them
#[derive(clap::Args)]
pub struct Args {
    /// Names or paths (default: every runbook of the project)
    runbooks: Vec<String>,
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let project = Project::open(global, out)?;
        let names = if self.runbooks.is_empty() {
            catalog::list(&project.config).into_iter().map(|listed| listed.name).collect()
        } else {
            self.runbooks
        };
        let mut found = Vec::new();
        let mut unreadable = None;
        for name in &names {
            match catalog::sources(&project.config, name) {
                Ok(sources) => match runbook::load(&sources) {
                    Ok(loaded) => {
                        if loaded.declaration().plan == PlanRule::Required {
                            out.talk(&format!("{name}: begun only by a plan: runsheet run --plan FILE"));
                        }
                        found.extend(runbook::lint(&loaded));
                    }
                    Err(errors) => found.extend(errors),
                },
                Err(error) if names.len() == 1 => return Err(error),
                Err(error) => unreadable = Some(error),
            }
        }
        let errors = found.iter().filter(|finding| finding.severity == Severity::Error).count();
        if out.json {
            let rows: Vec<_> = found
                .iter()
                .map(|finding| {
                    json!({
                        "severity": if finding.severity == Severity::Error { "error" } else { "warning" },
                        "code": finding.code,
                        "message": finding.message,
                        "at": finding.location(),
                        "hint": finding.hint,
                    })
                })
                .collect();
            out.json(&rows);
        } else {
            for finding in &found {
                out.data(&format!("{}\n", finding.render(out.color)));
            }
            out.talk(&format!(
                "{}, {}, {}",
                show::count(names.len() as u64, "runbook"),
                show::count(errors as u64, "error"),
                show::count((found.len() - errors) as u64, "warning")
            ));
        }
        if let Some(error) = unreadable {
            return Err(error);
        }
        if errors > 0 {
            let names: String = names.iter().map(|name| format!(" {}", quoted(name))).collect();
            out.next(&format!("runsheet lint{names}"));
            return Ok(Verdict::Refused);
        }
        Ok(Verdict::Pass)
    }
}
