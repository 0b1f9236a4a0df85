//! `runsheet plan`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::Global;
use super::super::error::CliError;
use super::super::out::{Out, quoted};
use super::super::session::{Project, Session};
use super::super::show;
use super::run::open_runbook;
use crate::engine::plan::{FORMAT, Plan, Planning};
use crate::engine::start::Beginning;
use crate::journal::entry::SecretSource;
use crate::model::Value;
use crate::model::declaration::{Declaration, PlanRule};
use crate::model::script::Script;
use crate::model::verdict::Verdict;
use crate::runbook::Sources;

/// Show what a run would do, changing nothing
#[derive(clap::Args)]
pub struct Args {
    /// Name of the runbook, or path of its file
    runbook: String,
    /// Parameters, as name=value
    params: Vec<String>,
    /// Write the plan to a file, for `runsheet run --plan FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print lines one could run by hand
    #[arg(long)]
    full: bool,
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        preview(global, out, &self.runbook, &self.params, self.out.as_deref(), self.full)
    }
}

/// Makes and shows a plan.
pub fn preview(
    global: &Global,
    out: &mut Out,
    runbook: &str,
    params: &[String],
    file: Option<&Path>,
    full: bool,
) -> Result<Verdict, CliError> {
    let Prepared { session, planning } = Prepared::open(global, out, runbook, params, None)?;
    let plan = on_thread(&session, planning.planning())?;
    session.terminal.quiet();
    if let Some(file) = file {
        let text = serde_json::to_string_pretty(&plan).unwrap_or_default();
        std::fs::write(file, format!("{text}\n"))
            .map_err(|error| CliError::refused(format!("the plan cannot be written to {}: {error}", file.display())))?;
    }
    match (out.json, full) {
        (true, _) => out.json(&plan),
        (false, true) => out.data(&show::full(&plan)),
        (false, false) => out.data(&show::render(&plan, &planning.declaration)),
    }
    let required = planning.declaration.plan == PlanRule::Required;
    let (anew, _) = commands(runbook, params);
    let params: String = params.iter().map(|param| format!(" {}", quoted(param))).collect();
    let runbook = quoted(runbook);
    if !plan.sound() {
        return Err(CliError::new(
            Verdict::Failed,
            "a step could not be previewed; see above, mend it, and plan again",
        )
        .next(format!("runsheet plan {runbook}{params}")));
    }
    match file {
        Some(file) => {
            let file = quoted(&file.to_string_lossy());
            out.next(&format!("runsheet run {runbook} --plan {file}"));
        }
        None if required => out.next(&anew),
        None => out.next(&format!("runsheet run {runbook}{params}")),
    }
    Ok(Verdict::Pass)
}

/// The two commands with which a runbook is planned and then run by that plan.
pub fn commands(runbook: &str, params: &[String]) -> (String, String) {
    let params: String = params.iter().map(|param| format!(" {}", quoted(param))).collect();
    let name = runbook.trim_end_matches(".rhai").rsplit('/').next().unwrap_or_default();
    let (runbook, file) = (quoted(runbook), quoted(&format!("{name}.plan.json")));
    (format!("runsheet plan {runbook}{params} --out {file}"), format!("runsheet run {runbook} --plan {file}"))
}

fn on_thread(session: &Session, planning: Planning) -> Result<Plan, CliError> {
    let engine = session.engine.clone();
    const STACK: usize = 16 << 20;
    let worker =
        std::thread::Builder::new().name("plan".into()).stack_size(STACK).spawn(move || Plan::make(&engine, planning));
    match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(plan)) => Ok(plan?),
        _ => Err(CliError::new(Verdict::Failed, "the preview stopped unexpectedly").next("runsheet doctor")),
    }
}

/// Reads a plan file, refusing what is none.
pub fn read(file: &Path, runbook: &str) -> Result<Plan, CliError> {
    let name = file.display();
    let anew = format!("runsheet plan {} --out {}", quoted(runbook), quoted(&file.to_string_lossy()));
    let text = std::fs::read_to_string(file)
        .map_err(|error| CliError::refused(format!("the plan {name} cannot be read: {error}")).next(&anew))?;
    let plan: Plan = serde_json::from_str(&text).map_err(|error| {
        CliError::refused(format!("{name} is not a plan: {error}"))
            .hinted("make one with `runsheet plan NAME --out FILE`")
            .next(&anew)
    })?;
    if plan.format != FORMAT {
        let message = format!("the plan {name} has format {}, and this program reads format {FORMAT}", plan.format);
        return Err(CliError::refused(message).hinted("make a new plan with this version").next(anew));
    }
    if !plan.intact() {
        let message = format!("the plan {name} was edited: its digest is not its own");
        return Err(CliError::new(Verdict::Drifted, message)
            .hinted("make a new plan; a plan is reviewed, not edited")
            .next(anew));
    }
    Ok(plan)
}

/// A runbook with its parameters, ready to be planned or begun.
pub struct Parts {
    /// Its text.
    pub sources: Sources,
    /// Digest of its text.
    pub digest: String,
    /// The runbook.
    pub script: Arc<dyn Script>,
    /// What it declares.
    pub declaration: Declaration,
    /// Parameters, secrets as handles.
    pub params: Value,
    /// Where secrets come from.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Label of every target.
    pub labels: BTreeMap<String, String>,
    /// Chosen environment.
    pub environment: Option<String>,
    /// Revision of the project.
    pub git: Option<String>,
    /// Warnings of the configuration.
    pub warnings: Vec<String>,
}

impl Parts {
    /// What a plan is made from.
    pub fn planning(&self) -> Planning {
        Planning {
            script: Arc::clone(&self.script),
            text: self.digest.clone(),
            params: self.params.clone(),
            secrets: self.secrets.clone(),
            labels: self.labels.clone(),
            environment: self.environment.clone(),
            warnings: self.warnings.clone(),
        }
    }

    /// What a run is begun with.
    pub fn beginning(&self, plan: Option<String>) -> Beginning {
        Beginning {
            script: Arc::clone(&self.script),
            main: self.sources.main.clone(),
            files: self.sources.files.clone(),
            digest: self.digest.clone(),
            params: self.params.clone(),
            secrets: self.secrets.clone(),
            labels: self.labels.clone(),
            environment: self.environment.clone(),
            git: self.git.clone(),
            plan,
        }
    }
}

/// A session and a runbook with its parameters.
pub struct Prepared {
    /// The session.
    pub session: Session,
    /// The runbook.
    pub planning: Parts,
}

impl Prepared {
    /// Opens the project and the runbook. Parameters that are not given come from the plan, if there is one.
    pub fn open(
        global: &Global,
        out: &mut Out,
        runbook: &str,
        params: &[String],
        approved: Option<&Plan>,
    ) -> Result<Self, CliError> {
        let mut project = Project::open(global, out)?;
        if let Some(plan) = approved {
            adopt(&mut project, plan);
        }
        let planning = open_runbook(&project, out, runbook, params)?;
        let session = project.session(out)?;
        Ok(Self { session, planning })
    }
}

/// Takes a plan's parameters for those of `runsheet.toml`; secrets by their source.
fn adopt(project: &mut Project, plan: &Plan) {
    let values = project.config.runbooks.entry(plan.runbook.clone()).or_default();
    for (name, value) in plan.params.as_object().into_iter().flatten() {
        let value = match plan.secrets.get(name) {
            Some(source) => Value::from(source.from.clone()),
            None => value.clone(),
        };
        if let Ok(value) = toml::Value::try_from(value) {
            values.insert(name.clone(), value);
        }
    }
}
