//! Functions on text and lists, written so that none looks inside a secret or guesses at an unknown.
//!
//! Rhai's own text package is not loaded: it would measure, split and compare handles. Its functions on lists
//! that call a closure take an answer that is neither true nor false for false, so they are replaced.

use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, NativeCallContext};

use super::convert::{display, kind};
use super::failure::{misuse, misuse_hinted};
use super::operators;
use super::unknown::Unknown;
use crate::model::{secret, unknown};

type Answer<T> = Result<T, Box<EvalAltResult>>;

/// Refuses to look inside text that holds a handle.
fn known(text: &str) -> Answer<&str> {
    if text.contains([secret::OPEN, secret::CLOSE]) {
        return Err(misuse("a secret cannot be looked into: only effects open it"));
    }
    match unknown::first(text) {
        Some(step) => Err(Unknown::new(step).stop()),
        None => Ok(text),
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Registers them.
pub(crate) fn register(engine: &mut Engine) {
    type Text = ImmutableString;
    let length = |text: Text| -> Answer<i64> { Ok(whole(known(&text)?.chars().count())) };
    engine.register_fn("len", length).register_get("len", move |text: &mut Text| length(text.clone()));
    let empty = |text: Text| -> Answer<bool> { Ok(known(&text)?.is_empty()) };
    engine.register_fn("is_empty", empty).register_get("is_empty", move |text: &mut Text| empty(text.clone()));
    let two = |test: fn(&str, &str) -> bool| {
        move |text: Text, part: Text| -> Answer<bool> { Ok(test(known(&text)?, known(&part)?)) }
    };
    engine.register_fn("contains", two(|text, part| text.contains(part)));
    engine.register_fn("starts_with", two(|text, part| text.starts_with(part)));
    engine.register_fn("ends_with", two(|text, part| text.ends_with(part)));
    engine.register_fn("index_of", |text: Text, part: Text| -> Answer<i64> {
        let text = known(&text)?;
        Ok(text.find(known(&part)?).map_or(-1, |at| whole(text[..at].chars().count())))
    });
    engine.register_fn("split", |text: Text, separator: Text| -> Answer<Array> {
        if separator.is_empty() {
            return Err(misuse("split needs a separator that is not empty"));
        }
        Ok(known(&text)?.split(known(&separator)?).map(|part| part.to_owned().into()).collect())
    });
    engine.register_fn("lines", |text: Text| -> Answer<Array> {
        Ok(known(&text)?.lines().map(|line| line.to_owned().into()).collect())
    });
    engine.register_fn("trim", |text: Text| -> Answer<String> { Ok(known(&text)?.trim().to_owned()) });
    engine.register_fn("to_upper", |text: Text| -> Answer<String> { Ok(known(&text)?.to_uppercase()) });
    engine.register_fn("to_lower", |text: Text| -> Answer<String> { Ok(known(&text)?.to_lowercase()) });
    engine.register_fn("replace", |text: Text, from: Text, to: Text| -> Answer<String> {
        Ok(known(&text)?.replace(known(&from)?, &to))
    });
    engine.register_fn("sub_string", |text: Text, start: i64, length: i64| -> Answer<String> {
        let (start, length) = (usize::try_from(start), usize::try_from(length));
        let (Ok(start), Ok(length)) = (start, length) else {
            return Err(misuse("sub_string needs a start and a length that are not negative"));
        };
        Ok(known(&text)?.chars().skip(start).take(length).collect())
    });
    engine.register_fn("parse_int", |text: Text| -> Answer<i64> {
        let text = known(&text)?;
        text.trim().parse().map_err(|_| misuse(format!("`{text}` is not an integer")))
    });
    engine.register_fn("parse_float", |text: Text| -> Answer<f64> {
        let text = known(&text)?;
        let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| misuse(format!("`{text}` is not a number")))
    });
    engine.register_fn("join", |items: &mut Array, separator: Text| -> String {
        items.iter().map(display).collect::<Vec<_>>().join(&separator)
    });
    // Text with anything else is joined as interpolation would join it; handles stay whole.
    engine.register_fn("+", |left: Text, right: Text| -> String { format!("{left}{right}") });
    engine.register_fn("+", |left: Text, right: Dynamic| -> String { format!("{left}{}", display(&right)) });
    engine.register_fn("+", |left: Dynamic, right: Text| -> String { format!("{}{right}", display(&left)) });
    lists(engine);
}

fn lists(engine: &mut Engine) {
    engine.register_fn("filter", |context: NativeCallContext, items: Array, test: FnPtr| -> Answer<Array> {
        let mut kept = Array::new();
        for item in items {
            if holds(&context, &test, &item)? {
                kept.push(item);
            }
        }
        Ok(kept)
    });
    engine.register_fn("some", |context: NativeCallContext, items: Array, test: FnPtr| -> Answer<bool> {
        for item in &items {
            if holds(&context, &test, item)? {
                return Ok(true);
            }
        }
        Ok(false)
    });
    engine.register_fn("all", |context: NativeCallContext, items: Array, test: FnPtr| -> Answer<bool> {
        for item in &items {
            if !holds(&context, &test, item)? {
                return Ok(false);
            }
        }
        Ok(true)
    });
    engine.register_fn("find", |context: NativeCallContext, items: Array, test: FnPtr| -> Answer<Dynamic> {
        for item in items {
            if holds(&context, &test, &item)? {
                return Ok(item);
            }
        }
        Ok(Dynamic::UNIT)
    });
    engine.register_fn("index_of", |context: NativeCallContext, items: Array, test: FnPtr| -> Answer<i64> {
        for (index, item) in items.iter().enumerate() {
            if holds(&context, &test, item)? {
                return Ok(whole(index));
            }
        }
        Ok(-1)
    });
    engine.register_fn("sort", |items: &mut Array| -> Answer<()> {
        let mut wrong = None;
        items.sort_by(|left, right| match operators::order(left, right) {
            Ok(Ok(order)) => order,
            Ok(Err(later)) => {
                wrong.get_or_insert(later.stop());
                std::cmp::Ordering::Equal
            }
            Err(error) => {
                wrong.get_or_insert(error);
                std::cmp::Ordering::Equal
            }
        });
        wrong.map_or(Ok(()), Err)
    });
    let refused = || -> Box<EvalAltResult> {
        misuse_hinted("this function on lists is not available in runbooks", "use filter, find, map or sort instead")
    };
    for name in ["retain", "drain", "dedup", "sort", "sort_by", "order", "order_by", "split", "zip", "find_map"] {
        engine.register_fn(name, move |_: &mut Array, _: FnPtr| -> Answer<Dynamic> { Err(refused()) });
    }
    for name in ["dedup", "order", "order_desc", "sort_desc"] {
        engine.register_fn(name, move |_: &mut Array| -> Answer<Dynamic> { Err(refused()) });
    }
}

/// Whether a closure says yes to an item; anything but true or false is an error.
fn holds(context: &NativeCallContext, test: &FnPtr, item: &Dynamic) -> Answer<bool> {
    let answer: Dynamic = test.call_within_context(context, (item.clone(),))?;
    if let Some(later) = Unknown::of(&answer) {
        return Err(later.stop());
    }
    answer.as_bool().map_err(|_| misuse(format!("the closure must answer true or false, not {}", kind(&answer))))
}
