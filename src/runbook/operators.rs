//! Comparison and division as an operator at 2 a.m. expects them.
//!
//! Rhai says that `"7411" != 7411` is true and that `5 / 2` is 2, both without a word; each has passed a gate.
//! Here a comparison of different kinds is an error, and so is a division of integers that leaves a rest. A
//! comparison with something unknown is unknown, and one with a secret is refused.

use std::any::TypeId;
use std::cmp::Ordering;

use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, Map, NativeCallContext};

use super::convert::kind;
use super::failure::{misuse, misuse_hinted};
use super::unknown::Unknown;
use crate::model::{secret, unknown};

type Answer<T> = Result<T, Box<EvalAltResult>>;

/// Registers the operators. They count only with Rhai's fast operators off.
pub(crate) fn register(engine: &mut Engine) {
    let (any, array, map) = (TypeId::of::<Dynamic>(), TypeId::of::<Array>(), TypeId::of::<Map>());
    // A more exact signature wins, so the ones that Rhai's packages bring are registered as well.
    for types in [[any, any], [array, array], [map, map]] {
        engine.register_raw_fn("==", types, |_: NativeCallContext, args: &mut [&mut Dynamic]| {
            Ok(equal(args[0], args[1])?.map_or_else(Dynamic::from, Dynamic::from_bool))
        });
        engine.register_raw_fn("!=", types, |_: NativeCallContext, args: &mut [&mut Dynamic]| {
            Ok(equal(args[0], args[1])?.map_or_else(Dynamic::from, |same| Dynamic::from_bool(!same)))
        });
    }
    type Test = fn(Ordering) -> bool;
    let tests: [(&str, Test); 4] =
        [("<", Ordering::is_lt), ("<=", Ordering::is_le), (">", Ordering::is_gt), (">=", Ordering::is_ge)];
    for (operator, test) in tests {
        engine.register_raw_fn(operator, [any, any], move |_: NativeCallContext, args: &mut [&mut Dynamic]| {
            Ok(order(args[0], args[1])?.map_or_else(Dynamic::from, |order| Dynamic::from_bool(test(order))))
        });
    }
    engine.register_fn("/", divide);
    engine.register_fn("/=", |left: &mut i64, right: i64| -> Answer<()> {
        *left = divide(*left, right)?;
        Ok(())
    });
    engine.register_fn("contains", |items: &mut Array, wanted: Dynamic| contains(items, &wanted));
    engine.register_fn("contains", |range: std::ops::Range<i64>, wanted: i64| range.contains(&wanted));
    engine.register_fn("contains", |range: std::ops::RangeInclusive<i64>, wanted: i64| range.contains(&wanted));
    engine.register_fn("contains", |map: &mut Map, key: ImmutableString| -> Answer<Dynamic> {
        if let Some(step) = unknown::first(&key) {
            return Ok(Dynamic::from(Unknown::new(step)));
        }
        Ok(map.contains_key(key.as_str()).into())
    });
    engine.register_fn("index_of", |items: &mut Array, wanted: Dynamic| -> Answer<Dynamic> {
        for (index, item) in items.iter().enumerate() {
            match equal(item, &wanted)? {
                Ok(true) => return Ok(Dynamic::from_int(i64::try_from(index).unwrap_or(i64::MAX))),
                Ok(false) => {}
                Err(later) => return Ok(Dynamic::from(later)),
            }
        }
        Ok(Dynamic::from_int(-1))
    });
}

fn contains(items: &Array, wanted: &Dynamic) -> Answer<Dynamic> {
    let mut later = None;
    for item in items {
        match equal(item, wanted)? {
            Ok(true) => return Ok(true.into()),
            Ok(false) => {}
            Err(unknown) => later = Some(unknown),
        }
    }
    Ok(later.map_or(false.into(), Dynamic::from))
}

fn divide(left: i64, right: i64) -> Answer<i64> {
    if right == 0 {
        return Err(misuse(format!("{left} / 0: division by zero")));
    }
    if left.checked_rem(right) != Some(0) {
        return Err(misuse_hinted(
            format!("{left} / {right} leaves a rest"),
            format!(
                "write {left}.0 / {right} for the exact value, or ({left} - {left} % {right}) / {right} to round down"
            ),
        ));
    }
    Ok(left / right)
}

/// Whether two values are equal; the inner error is what their equality waits for.
pub(crate) fn equal(left: &Dynamic, right: &Dynamic) -> Answer<Result<bool, Unknown>> {
    if let Some(later) = later(left, right)? {
        return Ok(Err(later));
    }
    if left.is_unit() || right.is_unit() {
        return Ok(Ok(left.is_unit() && right.is_unit()));
    }
    if let (Some(left), Some(right)) = (left.read_lock::<Array>(), right.read_lock::<Array>()) {
        if left.len() != right.len() {
            return Ok(Ok(false));
        }
        return all(left.iter().zip(right.iter()));
    }
    if let (Some(left), Some(right)) = (left.read_lock::<Map>(), right.read_lock::<Map>()) {
        if !left.keys().eq(right.keys()) {
            return Ok(Ok(false));
        }
        return all(left.values().zip(right.values()));
    }
    if left.is::<FnPtr>() || right.is::<FnPtr>() {
        return Err(misuse("closures cannot be compared"));
    }
    Ok(order(left, right)?.map(Ordering::is_eq))
}

fn all<'a>(pairs: impl Iterator<Item = (&'a Dynamic, &'a Dynamic)>) -> Answer<Result<bool, Unknown>> {
    let mut pending = None;
    for (left, right) in pairs {
        match equal(left, right)? {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(false)),
            Err(unknown) => pending = Some(unknown),
        }
    }
    Ok(pending.map_or(Ok(true), Err))
}

/// The order of two values of one kind; integers and numbers are one kind here.
pub(crate) fn order(left: &Dynamic, right: &Dynamic) -> Answer<Result<Ordering, Unknown>> {
    if let Some(later) = later(left, right)? {
        return Ok(Err(later));
    }
    let number = |value: &Dynamic| {
        #[expect(clippy::cast_precision_loss, reason = "only where the other side is a float already")]
        value.as_float().ok().or_else(|| value.as_int().ok().map(|number| number as f64))
    };
    let found = if let (Ok(left), Ok(right)) = (left.as_int(), right.as_int()) {
        Some(left.cmp(&right))
    } else if let (Some(left), Some(right)) = (number(left), number(right)) {
        left.partial_cmp(&right)
    } else if let (Some(left), Some(right)) = (text(left), text(right)) {
        Some(left.cmp(&right))
    } else if let (Ok(left), Ok(right)) = (left.as_bool(), right.as_bool()) {
        Some(left.cmp(&right))
    } else {
        None
    };
    found.map(Ok).ok_or_else(|| {
        misuse_hinted(
            format!("{} cannot be compared with {}", kind(left), kind(right)),
            "make both the same kind first, with `parse_int(text)`, `parse_float(text)` or `to_string(value)`",
        )
    })
}

fn text(value: &Dynamic) -> Option<String> {
    value
        .as_char()
        .ok()
        .map(String::from)
        .or_else(|| value.read_lock::<ImmutableString>().map(|text| text.as_str().to_owned()))
}

/// What a comparison waits for; an error if it would look at a secret.
fn later(left: &Dynamic, right: &Dynamic) -> Answer<Option<Unknown>> {
    for side in [left, right] {
        if text(side).is_some_and(|text| text.contains([secret::OPEN, secret::CLOSE])) {
            return Err(misuse("a secret cannot be compared"));
        }
    }
    Ok(Unknown::of(left).or_else(|| Unknown::of(right)))
}
