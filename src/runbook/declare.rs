//! What a top level declares: the runbook's head, its parameters, its steps with their closures.

use std::any::TypeId;
use std::sync::Arc;

#[expect(deprecated, reason = "marked volatile by rhai, whose version is pinned")]
use rhai::NativeCallContextStore;
use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, NativeCallContext};

use super::failure::{misuse, misuse_hinted};
use super::profile;
use super::script::Book;
use super::stage;
use super::vocabulary::call::Error;
use super::vocabulary::{Call, chaining};
use crate::model::Value;
use crate::model::declaration::{Declaration, StepSpec};
use crate::model::param::ParamKind;

/// A parameter as its constructor made it; the map that names it loses its order, so its place is kept.
#[derive(Clone, Debug)]
pub(crate) struct ParamDraft {
    pub kind: ParamKind,
    pub about: String,
    pub or: Option<Value>,
    pub place: (usize, usize),
}

/// A closure of a step, with what it needs to be called later.
#[derive(Clone)]
pub(crate) struct Body {
    pub closure: FnPtr,
    pub takes: usize,
}

/// A step with its closures.
#[derive(Clone)]
pub(crate) struct StepDraft {
    pub spec: StepSpec,
    /// Keeps imports, functions and constants: without it an import of the top level is not found in a closure.
    #[expect(deprecated, reason = "marked volatile by rhai, whose version is pinned")]
    pub env: Arc<NativeCallContextStore>,
    pub perform: Body,
    pub undo: Option<Body>,
    pub cleanup: Option<Body>,
    pub when: Option<Body>,
}

/// Everything declared so far.
#[derive(Clone, Default)]
pub(crate) struct Draft {
    pub head: Option<Declaration>,
    pub steps: Vec<StepDraft>,
}

/// What `step(…)` answers, for the chained methods.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepHandle(pub usize);

/// Registers the types of the declaring words; the words themselves stand in the vocabulary.
pub(crate) fn register(engine: &mut Engine, book: &Arc<Book>) {
    engine.register_type_with_name::<StepHandle>("step").register_type_with_name::<ParamDraft>("parameter");
    for entry in chaining::METHODS {
        for arity in entry.least..=entry.most {
            let mut types = vec![TypeId::of::<StepHandle>()];
            types.resize(arity, TypeId::of::<Dynamic>());
            let book = Arc::clone(book);
            let name = entry.word.name.trim_start_matches('.');
            engine.register_raw_fn(name, types, move |context: NativeCallContext, args: &mut [&mut Dynamic]| {
                Call::new(&context, entry, args, &book).run()
            });
        }
    }
}

/// Takes a closure for later: what it captured is frozen, so that a resume which skips a step sees the same.
pub(crate) fn keep(call: &Call<'_>, closure: FnPtr, most: usize) -> Result<Body, Error> {
    let mut closure = closure;
    // Nothing is left writable but the empty place that a `catch` will lend its error.
    let frozen = |value: Dynamic| if value.is_unit() { value } else { value.into_read_only() };
    let curry: Vec<Dynamic> = closure.curry().iter().map(|value| frozen(value.flatten_clone())).collect();
    let captured = curry.len();
    let Some(params) = call.book.params_of(closure.fn_name()) else {
        closure.set_curry(curry);
        return Ok(Body { closure, takes: 0 });
    };
    if let Some((name, at)) = call.book.assigned(closure.fn_name(), captured) {
        return Err(misuse_hinted(
            format!("line {}: `{name}` is captured by the step and cannot be changed in it", at.line),
            "a resume skips finished steps, so what they change would be lost; let the step answer a value and read done.NAME",
        ));
    }
    let takes = params.len().saturating_sub(captured);
    if takes > most {
        return Err(misuse(format!("this closure takes {takes} values and is given {most}")));
    }
    closure.set_curry(curry);
    Ok(Body { closure, takes })
}

/// Changes the step of a chained method.
pub(crate) fn change(handle: StepHandle, apply: impl FnOnce(&mut StepDraft)) -> Result<(), Error> {
    let changed = stage::draft(|draft| draft.steps.get_mut(handle.0).map(apply)).flatten();
    changed.ok_or_else(|| misuse("a step is declared at the top level, not inside another step"))
}

/// The declaration, once the top level ended.
pub(crate) fn finish(draft: &Draft) -> Result<Declaration, Box<EvalAltResult>> {
    let Some(mut declaration) = draft.head.clone() else {
        return Err(misuse_hinted(
            "this file declares no runbook",
            "begin it with runbook(\"name\", \"1.0.0\", #{ about: \"what it is for\" });",
        ));
    };
    if draft.steps.is_empty() {
        return Err(misuse_hinted("this runbook declares no step", "add one: step(\"name\", || sql::query(…));"));
    }
    declaration.steps = draft.steps.iter().map(|step| step.spec.clone()).collect();
    Ok(declaration)
}

/// The place of a call as a location.
pub(crate) fn here(context: &NativeCallContext, book: &Book) -> crate::model::script::Location {
    let file = context.global_runtime_state().source().unwrap_or(&book.sources.main);
    profile::location(file, context.call_position())
}
