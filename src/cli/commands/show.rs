//! `runsheet show`.

use super::super::Global;
use super::super::catalog;
use super::super::error::CliError;
use super::super::out::Out;
use super::super::session::Project;
use crate::model::declaration::{KeyRule, PlanRule};
use crate::model::script::Script;
use crate::model::verdict::Verdict;

/// Show a runbook's parameters and steps
#[derive(clap::Args)]
pub struct Args {
    /// Name of the runbook, or path of its file
    runbook: String,
    /// Print its text instead
    #[arg(long)]
    text: bool,
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let project = Project::open(global, out)?;
        let sources = catalog::sources(&project.config, &self.runbook)?;
        if self.text {
            out.data(sources.files.get(&sources.main).map(String::as_str).unwrap_or_default());
            return Ok(Verdict::Pass);
        }
        let runbook = catalog::load(&sources, out.color)?;
        let declaration = runbook.declaration();
        if out.json {
            out.json(declaration);
            return Ok(Verdict::Pass);
        }
        let mut lines =
            vec![format!("{} {}: {}", declaration.name, declaration.version, declaration.about), String::new()];
        lines.push("parameters:".into());
        for spec in &declaration.params {
            let or = match &spec.or {
                None => "required".to_owned(),
                Some(value) => match spec.kind.show(value) {
                    shown if shown.is_empty() => "may be left out".to_owned(),
                    shown => format!("or {shown}"),
                },
            };
            lines.push(format!("  {:<16} {} ({}; {or})", spec.name, spec.about, spec.kind.describe()));
        }
        if declaration.plan == PlanRule::Required {
            lines.push("begun only by a plan: runsheet run --plan FILE".into());
        }
        if declaration.key == KeyRule::Required {
            lines.push("seals secrets in the journal: needs a key (runsheet key new)".into());
        }
        lines.push("steps:".into());
        for step in &declaration.steps {
            let mut marks = Vec::new();
            if step.when {
                marks.push("conditional".to_owned());
            }
            if step.undo {
                marks.push("can be taken back".to_owned());
            }
            if step.cleanup {
                marks.push("cleans up".to_owned());
            }
            if let Some(why) = &step.point_of_no_return {
                marks.push(format!("point of no return: {why}"));
            }
            let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join("; ")) };
            lines.push(format!("  {}{marks}", step.name));
        }
        out.data(&lines.join("\n"));
        let given = project.config.runbooks.get(&declaration.name);
        let needed = declaration
            .params
            .iter()
            .filter(|spec| spec.or.is_none() && given.is_none_or(|values| !values.contains_key(&spec.name)));
        let needed: String = needed.map(|spec| format!(" {}=…", spec.name)).collect();
        out.next(&format!("runsheet plan {}{needed}", self.runbook));
        Ok(Verdict::Pass)
    }
}
