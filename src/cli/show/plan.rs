//! A plan as a reviewer reads it, and as lines one could run by hand.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::effects::postgres::preview::url_variable;
use crate::engine::door::preview::Line;
use crate::engine::plan::{Plan, PlannedStep};
use crate::model::Value;
use crate::model::declaration::{Declaration, KeyRule, PlanRule};
use crate::model::figures::millis;
use crate::model::preview::Level;

/// The plan for a reader, of a runbook that declares this.
pub fn render(plan: &Plan, declaration: &Declaration) -> String {
    let kinds = &declaration.params;
    let mut text = String::new();
    let _ =
        writeln!(text, "plan of {} {}, made {}", plan.runbook, plan.version, plan.at.format("%Y-%m-%d %H:%M:%S UTC"));
    for (name, value) in plan.params.as_object().into_iter().flatten() {
        let kind = kinds.iter().find(|spec| spec.name == *name);
        let _ = writeln!(text, "  {name} = {}", kind.map_or_else(|| inline(value), |spec| spec.kind.show(value)));
    }
    for (name, target) in &plan.targets {
        let identity = &target.seen.identity;
        let label = if target.seen.label == *name { String::new() } else { format!(" ({})", target.seen.label) };
        let _ = writeln!(
            text,
            "  target {name}{label}: database {} at {}, PostgreSQL {}, {}",
            identity.database,
            identity.address,
            target.server.split(' ').next().unwrap_or_default(),
            identity.place()
        );
    }
    if declaration.plan == PlanRule::Required {
        let _ = writeln!(text, "  begun only by this plan: runsheet run --plan FILE");
    }
    if declaration.key == KeyRule::Required {
        let _ = writeln!(text, "  seals secrets in the journal: needs the key of RUNSHEET_KEY_FILE (runsheet key new)");
    }
    for warning in &plan.warnings {
        let _ = writeln!(text, "  warning: {warning}");
    }
    for (index, step) in plan.steps.iter().enumerate() {
        let back = step.undo.then(|| "can be taken back".to_owned());
        let cleanup = step.cleanup.then(|| "cleans up when the run ends".to_owned());
        let took = step.took_ms.map(|ms| format!("took {} last time", millis(ms)));
        let marks: Vec<String> = [back, cleanup, took].into_iter().flatten().collect();
        let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join("; ")) };
        let _ = writeln!(text, "\nstep {} of {}: {}{marks}", index + 1, plan.steps.len(), step.name);
        if let Some(why) = &step.point_of_no_return {
            let _ = writeln!(text, "  POINT OF NO RETURN: {why}");
        }
        if step.skipped {
            let _ = writeln!(text, "  does not apply");
        }
        for line in &step.lines {
            write_line(&mut text, line);
        }
        if let Some(ends) = &step.ends {
            let _ = writeln!(text, "  preview ends here: {ends}");
        }
    }
    text.push('\n');
    summary(&mut text, plan);
    let _ = write!(text, "digest {}", plan.digest);
    text
}

/// What a reviewer looks for first: how much is changed, until when it can be taken back, how long it may take.
fn summary(text: &mut String, plan: &Plan) {
    let names = |wanted: &dyn Fn(&PlannedStep) -> bool| {
        let names: Vec<&str> = plan.steps.iter().filter(|step| wanted(step)).map(|step| step.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let changes = |step: &PlannedStep| step.lines.iter().any(|line| line.change);
    match names(&changes) {
        None => {
            let _ = writeln!(text, "changes: none that can be foreseen");
        }
        Some(steps) => {
            let _ = writeln!(text, "changes (~): in {steps}");
        }
    }
    if let Some(steps) = names(&|step| step.ends.is_some()) {
        let _ = writeln!(text, "not foreseen to the end: {steps}");
    }
    let until = match plan.steps.iter().find(|step| step.point_of_no_return.is_some()) {
        Some(step) => format!("until `{}` changes something", step.name),
        None => "until the run is done".to_owned(),
    };
    let _ = match names(&|step| step.undo) {
        None => writeln!(text, "no step has an undo"),
        Some(steps) => writeln!(text, "way back, {until}: undo of {steps}"),
    };
    if let Some(steps) = names(&|step| step.cleanup) {
        let _ = writeln!(text, "cleaned up when the run ends, however it ends: {steps}");
    }
    if let Some(steps) = names(&|step| changes(step) && !step.undo && !step.cleanup) {
        let _ = writeln!(text, "stays as it is after an undo: {steps}");
    }
    let known: Vec<u64> = plan.steps.iter().filter_map(|step| step.took_ms).collect();
    if !known.is_empty() {
        let _ = writeln!(text, "last time: {} in all", millis(known.iter().sum()));
    }
    let levels: BTreeSet<Level> = plan.steps.iter().flat_map(|step| step.lines.iter().map(|line| line.level)).collect();
    for level in levels {
        let meaning = match level {
            Level::Rendered => "put together here; no server has seen it",
            Level::Prepared => "the server checked names and types; nothing was executed",
            Level::Read => "really read, just now",
            Level::Rehearsed => "run in a transaction that was rolled back",
        };
        let _ = writeln!(text, "  {:<9} {meaning}", level.as_str());
    }
}

fn write_line(text: &mut String, line: &Line) {
    let mark = if line.change { "~" } else { " " };
    let lane = if line.lane.is_empty() { String::new() } else { format!("[{}] ", line.lane) };
    let _ = write!(text, "  {mark} {:<9} {lane}{}", line.level.as_str(), line.title);
    match (&line.known_after, &line.seen) {
        (Some(after), _) => {
            let _ = write!(text, ": known after `{after}`");
        }
        (None, Some(seen)) => {
            let _ = write!(text, ": {}", shorten(&inline(seen)));
        }
        (None, None) => {}
    }
    text.push('\n');
    for note in &line.notes {
        let _ = writeln!(text, "              {note}");
    }
}

/// The plan as lines one could run by hand.
pub fn full(plan: &Plan) -> String {
    let mut text = format!("# {} {}: what it would run, by hand\n", plan.runbook, plan.version);
    for name in plan.targets.keys() {
        let _ = writeln!(text, "# {}: the URL of target {name}", url_variable(name));
    }
    for step in &plan.steps {
        let _ = writeln!(text, "\n# step {}", step.name);
        if step.skipped {
            let _ = writeln!(text, "# does not apply");
        }
        for line in &step.lines {
            let later = line.known_after.as_ref().map(|after| format!(" (known after `{after}`)")).unwrap_or_default();
            let _ = writeln!(text, "# {}{later}", line.title);
            if line.known_after.is_some() && line.by_hand.iter().any(|by_hand| by_hand.contains("known after")) {
                let _ = writeln!(text, "# put in what was not known yet:");
            }
            for by_hand in &line.by_hand {
                let _ = writeln!(text, "{by_hand}");
            }
        }
        if let Some(ends) = &step.ends {
            let _ = writeln!(text, "# the preview ends here: {}", ends.lines().next().unwrap_or_default());
        }
    }
    text
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn shorten(text: &str) -> String {
    const LONGEST: usize = 100;
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}
