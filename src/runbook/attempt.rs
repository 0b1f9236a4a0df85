//! `try { … } catch (error) { … }`, catching only what a runbook may act on: a failed action, or its own `throw`.
//!
//! Rhai's `try` also catches mistakes of the runbook and, in a preview, a condition on something unknown, which
//! would preview the wrong branch. It is switched off, and this stands in its place under the same name.

use std::cell::RefCell;

use super::failure::{self, Carried};
use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, LexError, ParseError, ParseErrorType, Position};

thread_local! {
    static CAUGHT: RefCell<Vec<(String, Dynamic)>> = const { RefCell::new(Vec::new()) };
}

/// The error that a handler now running calls by this name.
pub(crate) fn caught(name: &str) -> Option<Dynamic> {
    CAUGHT.with_borrow(|caught| caught.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
}

/// Registers it.
pub(crate) fn register(engine: &mut Engine) {
    engine.disable_symbol("try").disable_symbol("catch");
    engine.register_custom_syntax_with_state_raw(
        "try",
        |symbols, look_ahead, state| {
            let next = match (symbols.len(), symbols.last().map(ImmutableString::as_str)) {
                (1, _) => "$block$",
                (2, _) => "catch",
                (3, _) if look_ahead == "(" => "(",
                (3, _) => "$block$",
                (4, Some("(")) => "$ident$",
                (5, _) => ")",
                (6, _) => "$block$",
                (4 | 7, _) => {
                    *state = Dynamic::from_bool(symbols.len() == 7);
                    return Ok(None);
                }
                _ => {
                    let error = LexError::ImproperSymbol(look_ahead.into(), "expected `catch`".into());
                    return Err(ParseError(Box::new(ParseErrorType::BadInput(error)), Position::NONE));
                }
            };
            Ok(Some(next.into()))
        },
        false,
        |context, parts, state| {
            let error = match context.eval_expression_tree(&parts[0]) {
                Ok(_) => return Ok(Dynamic::UNIT),
                Err(error) => error,
            };
            let Some(value) = thrown(&error) else { return Err(error) };
            let named = state.as_bool().unwrap_or_default();
            let handler = &parts[usize::from(named) + 1];
            let name = if named { parts[1].get_string_value().unwrap_or_default().to_owned() } else { String::new() };
            // Rhai counts variables from the top of its stack, so nothing may be pushed there: the error is lent the
            // place of a variable of its name, or is found by `caught`.
            let lent = context.scope_mut().get_mut(&name).map(|place| std::mem::replace(place, value.clone()));
            CAUGHT.with_borrow_mut(|caught| caught.push((name.clone(), value)));
            let result = context.eval_expression_tree(handler);
            CAUGHT.with_borrow_mut(Vec::pop);
            if let (Some(lent), Some(place)) = (lent, context.scope_mut().get_mut(&name)) {
                *place = lent;
            }
            result.map(|_| Dynamic::UNIT)
        },
    );
}

/// The names that `catch (name)` gives in a text: the parser, strict about variables, must know them beforehand.
pub(crate) fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split("catch").skip(1).filter_map(|rest| {
        let name = rest.trim_start().strip_prefix('(')?.split(')').next()?.trim();
        rhai::is_valid_identifier(name).then_some(name)
    })
}

/// What was thrown, if a script may catch it. A text has its `message` like what a word throws, so that nobody who catches
/// both needs to tell them apart.
fn thrown(error: &EvalAltResult) -> Option<Dynamic> {
    match error {
        EvalAltResult::ErrorRuntime(value, _) if value.is::<Carried>() => None,
        EvalAltResult::ErrorRuntime(value, _) if value.is_string() => Some(failure::to_map(&failure::thrown(value))),
        EvalAltResult::ErrorRuntime(value, _) => Some(value.clone()),
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => thrown(inner),
        _ => None,
    }
}
