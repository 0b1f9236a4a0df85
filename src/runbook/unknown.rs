//! A value that a preview cannot know yet, as the script sees it: it flows through expressions and stops conditions.

use std::any::TypeId;

use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Module, NativeCallContext, Position, Shared};

use super::failure::halt;
use super::stage;
use crate::model::fault::Halt;
use crate::model::unknown as handle;

/// How a script's `type_of` names an unknown, and how we find it in Rhai's own messages.
pub(crate) const TYPE_NAME: &str = "value known later";

/// Known only after the step it names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unknown(pub String);

impl Unknown {
    pub(crate) fn new(step: impl Into<String>) -> Self {
        let unknown = Self(step.into());
        stage::touched(&unknown.0);
        unknown
    }

    /// The unknown that a value is, or that its text contains.
    pub(crate) fn of(value: &Dynamic) -> Option<Self> {
        if let Some(unknown) = value.read_lock::<Self>() {
            stage::touched(&unknown.0);
            return Some(unknown.clone());
        }
        let text = value.read_lock::<ImmutableString>()?;
        handle::first(&text).map(Self::new)
    }

    /// The first unknown anywhere inside a value.
    pub(crate) fn within(value: &Dynamic) -> Option<Self> {
        Self::of(value).or_else(|| {
            if let Some(items) = value.read_lock::<rhai::Array>() {
                return items.iter().find_map(Self::within);
            }
            value.read_lock::<rhai::Map>().and_then(|map| map.values().find_map(Self::within))
        })
    }

    pub(crate) fn stop(self) -> Box<EvalAltResult> {
        halt(Halt::Unknowable { after: self.0 })
    }
}

/// Registers how unknowns behave.
pub(crate) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Unknown>(TYPE_NAME);
    engine.register_fn("to_string", |unknown: &mut Unknown| handle::handle(&unknown.0));
    engine.register_fn("to_debug", |unknown: &mut Unknown| handle::handle(&unknown.0));
    engine.register_indexer_get(|unknown: &mut Unknown, _: ImmutableString| unknown.clone());
    engine.register_indexer_get(|unknown: &mut Unknown, _: i64| unknown.clone());
    engine.register_indexer_get(|unknown: &mut Unknown, _: Unknown| unknown.clone());
    let (unknown, any) = (TypeId::of::<Unknown>(), TypeId::of::<Dynamic>());
    for operator in ["+", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "^", "..", "..=", "contains"] {
        for types in [[unknown, any], [any, unknown], [unknown, unknown]] {
            engine.register_raw_fn(operator, types, |_: NativeCallContext, args: &mut [&mut Dynamic]| first(args));
        }
    }
    // Reached when nothing else fits: any function of an unknown is unknown. An operator that assigns must not
    // answer here, or Rhai would not go on to `x = x + u` and would leave `x` as it was.
    #[expect(deprecated, reason = "marked volatile by rhai, whose version is pinned")]
    engine.on_missing_function(|name, args, _, _| {
        let assigns = name.ends_with('=') && !matches!(name, "==" | "!=" | "<=" | ">=");
        let found = args.iter().find_map(|arg| arg.read_lock::<Unknown>().map(|unknown| unknown.clone()));
        Ok(found.filter(|_| !assigns && !name.starts_with("set$") && name != "index$set$").map(Dynamic::from))
    });
    let mut module = Module::new();
    module.set_iter_result(unknown, |value| {
        let stop = value
            .try_cast::<Unknown>()
            .map_or_else(|| Box::new(EvalAltResult::ErrorFor(Position::NONE)), Unknown::stop);
        Box::new(std::iter::once(Err(stop)))
    });
    engine.register_global_module(Shared::new(module));
}

fn first(args: &mut [&mut Dynamic]) -> Result<Dynamic, Box<EvalAltResult>> {
    Ok(args.iter().find_map(|arg| Unknown::of(arg)).map_or(Dynamic::UNIT, Dynamic::from))
}
