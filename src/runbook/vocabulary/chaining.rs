//! What a step may have, said behind it: `step(…).undo(…).when(…)`.

use rhai::Dynamic;

use super::super::declare::{self, StepDraft, StepHandle};
use super::call::Answer;
use super::declaring::declaring;
use super::{Call, Entry, Param, Word, param};
use crate::model::declaration::{HoldSpec, RetryPolicy};

const STEP: Param = param("step", "the step before the dot");

pub(crate) const METHODS: &[Entry] = &[
    Entry {
        word: Word {
            name: ".undo",
            signature: "step(…).undo(|made| …)",
            summary: "Takes the step back, on `runsheet undo`. `made` is the step's output; of a step that was cut off, the answer of its last change, or `()` if that gave none.",
            params: &[STEP, param("body", "closure with one parameter or none")],
            errors: &[],
            example: "step(\"on\", || set(true)).undo(|made| set(false));",
        },
        least: 2,
        most: 2,
        run: undo,
    },
    Entry {
        word: Word {
            name: ".cleanup",
            signature: "step(…).cleanup(|made| …)",
            summary: "Runs when the run ends, however it ended, once the step has begun to change anything. `made` is what an undo would be given.",
            params: &[STEP, param("body", "closure with one parameter or none")],
            errors: &[],
            example: "step(\"make\", || make()).cleanup(|made| drop_it(made));",
        },
        least: 2,
        most: 2,
        run: cleanup,
    },
    Entry {
        word: Word {
            name: ".when",
            signature: "step(…).when(|| …)",
            summary: "The step is skipped unless the closure answers true.",
            params: &[STEP, param("test", "closure that answers true or false")],
            errors: &[],
            example: "step(\"index\", || reindex()).when(|| params.thorough);",
        },
        least: 2,
        most: 2,
        run: when,
    },
    Entry {
        word: Word {
            name: ".point_of_no_return",
            signature: "step(…).point_of_no_return(why)",
            summary: "From this step on there is no way back; plans and undo say so.",
            params: &[STEP, param("why", "in one sentence")],
            errors: &[],
            example: "step(\"switch\", || switch_over()).point_of_no_return(\"clients write to the new server\");",
        },
        least: 2,
        most: 2,
        run: point_of_no_return,
    },
    Entry {
        word: Word {
            name: ".retry",
            signature: "step(…).retry(#{ attempts, wait })",
            summary: "How often an action of the step that failed without changing anything is tried again.",
            params: &[
                STEP,
                param("#{attempts}", "attempts in all, the first included; 4 without it"),
                param(
                    "#{wait}",
                    "seconds, or text such as \"2s\", before the second; doubled for each further one; 0.2 without it",
                ),
            ],
            errors: &[],
            example: "step(\"call\", || call()).retry(#{ attempts: 10, wait: \"1s\" });",
        },
        least: 2,
        most: 2,
        run: retry,
    },
    Entry {
        word: Word {
            name: ".timeout",
            signature: "step(…).timeout(duration)",
            summary: "The longest the step may take.",
            params: &[STEP, param("duration", "seconds, or text such as \"10m\"")],
            errors: &[],
            example: "step(\"copy\", || copy()).timeout(\"10m\");",
        },
        least: 2,
        most: 2,
        run: timeout,
    },
    Entry {
        word: Word {
            name: ".hold",
            signature: "step(…).hold(name, probe)",
            summary: "Names what must stay true from here on. It is proved again on every resume and before every later change. Once it is broken, the run goes back to this step, and this and every later step is performed anew, changes that were committed included: write them so that a second time does no harm.",
            params: &[
                STEP,
                param("name", "as in messages"),
                param(
                    "probe",
                    "name of a function of the runbook that takes what the step made and answers true while it holds, and otherwise false, or a text that says why not",
                ),
            ],
            errors: &[],
            example: "step(\"freeze\", || freeze()).hold(\"writes frozen\", \"still_frozen\");",
        },
        least: 3,
        most: 3,
        run: hold,
    },
];

fn chained(call: &Call<'_>, apply: impl FnOnce(&mut StepDraft)) -> Answer {
    declaring(call)?;
    let handle = call.arg(0).try_cast::<StepHandle>().ok_or_else(|| call.misuse("stands behind step(…)"))?;
    declare::change(handle, apply)?;
    Ok(Dynamic::from(handle))
}

fn undo(call: &Call<'_>) -> Answer {
    let body = declare::keep(call, call.closure(1)?, 1)?;
    chained(call, |step| {
        step.undo = Some(body);
        step.spec.undo = true;
    })
}

fn cleanup(call: &Call<'_>) -> Answer {
    let body = declare::keep(call, call.closure(1)?, 1)?;
    chained(call, |step| {
        step.cleanup = Some(body);
        step.spec.cleanup = true;
    })
}

fn when(call: &Call<'_>) -> Answer {
    let body = declare::keep(call, call.closure(1)?, 0)?;
    chained(call, |step| {
        step.when = Some(body);
        step.spec.when = true;
    })
}

fn point_of_no_return(call: &Call<'_>) -> Answer {
    let why = call.text(1)?;
    chained(call, |step| step.spec.point_of_no_return = Some(why))
}

fn retry(call: &Call<'_>) -> Answer {
    let options = call.options(1, &["attempts", "wait"])?;
    let mut policy = RetryPolicy::default();
    if let Some(attempts) = options.whole("attempts")? {
        let attempts = u32::try_from(attempts).ok().filter(|attempts| (1..=1000).contains(attempts));
        policy.attempts = attempts.ok_or_else(|| call.misuse("option `attempts` must be 1 to 1000"))?;
    }
    if let Some(wait) = options.seconds("wait")? {
        policy.wait = wait;
    }
    chained(call, |step| step.spec.retry = policy)
}

fn timeout(call: &Call<'_>) -> Answer {
    let seconds = call.seconds(1)?;
    if seconds <= 0.0 {
        return Err(call.misuse("a time limit must be more than nothing"));
    }
    chained(call, |step| step.spec.timeout = Some(seconds))
}

fn hold(call: &Call<'_>) -> Answer {
    let (name, probe) = (call.text(1)?, call.text(2)?);
    if call.book.params_of(&probe).is_none() {
        return Err(call.misuse(format!("the runbook has no function `{probe}`: write `fn {probe}(made) {{ … }}`")));
    }
    chained(call, |step| step.spec.holds.push(HoldSpec { name, probe }))
}
