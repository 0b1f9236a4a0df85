//! A plan as a reviewer reads it, and as lines one could run by hand.

use std::fmt::Write;

use super::duration;
use crate::engine::door::preview::Line;
use crate::engine::plan::Plan;
use crate::model::Value;

/// The plan for a reader.
pub fn render(plan: &Plan) -> String {
    let mut text = String::new();
    let _ =
        writeln!(text, "plan of {} {}, made {}", plan.runbook, plan.version, plan.at.format("%Y-%m-%d %H:%M:%S UTC"));
    for (name, value) in plan.params.as_object().into_iter().flatten() {
        let _ = writeln!(text, "  {name} = {}", inline(value));
    }
    for (name, target) in &plan.targets {
        let identity = &target.seen.identity;
        let _ = writeln!(
            text,
            "  target {name}: {} (database {} at {}, PostgreSQL {}, system {})",
            target.seen.label, identity.database, identity.address, target.server, identity.system
        );
    }
    for warning in &plan.warnings {
        let _ = writeln!(text, "  warning: {warning}");
    }
    for (index, step) in plan.steps.iter().enumerate() {
        let took = step.took_ms.map(|ms| format!(", took {} last time", duration(millis(ms)))).unwrap_or_default();
        let back = match (step.undo, step.cleanup) {
            (true, true) => ", can be taken back, cleans up",
            (true, false) => ", can be taken back",
            (false, true) => ", cleans up",
            (false, false) => "",
        };
        let _ = writeln!(text, "\nstep {} of {}: {}{back}{took}", index + 1, plan.steps.len(), step.name);
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
    let taken_back: Vec<&str> = plan.steps.iter().filter(|step| step.undo).map(|step| step.name.as_str()).collect();
    let way_back = if taken_back.is_empty() {
        "none: no step can be taken back".to_owned()
    } else {
        format!("undo of {}", taken_back.join(", "))
    };
    let _ = writeln!(text, "\nway back: {way_back}");
    let _ = write!(text, "digest {}", plan.digest);
    text
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
    for step in &plan.steps {
        let _ = writeln!(text, "\n# step {}", step.name);
        for line in &step.lines {
            let _ = writeln!(text, "# {}", line.title);
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

#[expect(clippy::cast_precision_loss, reason = "no step takes 2^53 milliseconds")]
fn millis(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
