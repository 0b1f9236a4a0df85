//! `runsheet doctor`.

use serde_json::json;

use super::super::Global;
use super::super::error::CliError;
use super::super::out::Out;
use super::super::session::Project;
use super::super::show;
use crate::engine::cancel::Urgency;
use crate::model::verdict::Verdict;

/// Look whether the project, its targets and its journal are in order, and print the identity of each target
#[derive(clap::Args)]
pub struct Args {}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let session = Project::open(global, out)?.session(out)?;
        let config = &session.project.config;
        let mut rows = Vec::new();
        let mut broken = Vec::new();
        for name in config.targets.keys() {
            let found = session
                .engine
                .wait(Urgency::Soft, session.engine.effects.identify(name))
                .map_err(|_| CliError::new(Verdict::Interrupted, "interrupted"))?;
            match found {
                Ok(moment) => {
                    let identity = &moment.identity;
                    rows.push(json!({ "target": name, "identity": identity }));
                    if !out.json {
                        out.data(&format!(
                            "{name}: ok, database {} at {}, timeline {}",
                            identity.database, identity.address, identity.timeline
                        ));
                        if let Some(tools) = &config.targets[name].tools {
                            out.data(&format!("    it is dumped {tools}"));
                        }
                        if config.targets[name].identity.is_none() {
                            let place = match &identity.branch {
                                Some(it) => format!("project = \"{}\", branch = \"{}\"", it.project, it.branch),
                                None => format!("system = \"{}\"", identity.system),
                            };
                            out.data(&format!(
                                "    so that no other database is ever taken for it, add beneath [targets.{name}]:\n    \
                                 identity = {{ {place}, database = \"{}\" }}",
                                identity.database
                            ));
                        }
                    }
                }
                Err(fault) => {
                    let hint = fault.hint.clone().map(|hint| format!("\n    help: {hint}")).unwrap_or_default();
                    if !out.json {
                        out.data(&format!("{name}: NOT OK, {fault}{hint}"));
                    }
                    rows.push(json!({ "target": name, "fault": fault }));
                    broken.push(name.clone());
                }
            }
        }
        for (name, error) in &config.unusable {
            let hint = error.hint().map(|hint| format!("\n    help: {hint}")).unwrap_or_default();
            if !out.json {
                out.data(&format!("{name}: NOT OK, {error}{hint}"));
            }
            rows.push(json!({ "target": name, "fault": { "message": error.to_string() } }));
            broken.push(name.clone());
        }
        let runs = session.engine.journal.runs()?.len();
        if out.json {
            out.json(&json!({ "targets": rows, "state": config.state, "runs": runs }));
        } else {
            if let Some(key) = &session.engine.effects.world().key {
                out.data(&format!("key: secrets of runs are sealed for {}", key.public()));
            }
            out.data(&format!("journal: {} in {}", show::count(runs as u64, "run"), config.state.display()));
        }
        if broken.is_empty() {
            out.next("runsheet list");
            return Ok(Verdict::Pass);
        }
        Err(CliError::new(Verdict::Failed, format!("cannot be used: {}", broken.join(", "))).next("runsheet doctor"))
    }
}
