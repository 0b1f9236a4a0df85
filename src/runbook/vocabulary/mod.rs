//! What an author can say. One table a family registers the words and documents them, so that the two cannot drift.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{Dynamic, Engine, FuncRegistration, Module, NativeCallContext, RhaiFunc, Shared};

use super::script::Book;

mod branching;
pub(crate) mod call;
pub(crate) mod chaining;
mod check;
mod command;
mod computes;
mod control;
mod copying;
pub(crate) mod declaring;
mod files;
mod flow;
mod freeze;
mod github;
mod http;
mod logical;
mod logical_proof;
mod login;
mod needed;
mod neon;
mod pg;
mod pgbouncer;
mod pgbouncer_users;
mod proving;
mod recovery;
mod secrets;
mod sql;
mod table;
mod time;
mod upkeep;
mod values;

pub(crate) use call::Call;

/// One argument or option of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Param {
    /// Its name; an option of the options map is written `#{name}`.
    pub name: &'static str,
    /// What it means, with its unit.
    pub about: &'static str,
}

/// One word, as `runsheet words` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Word {
    /// As authors write it: `sql::exec`; a method of a step begins with a dot.
    pub name: &'static str,
    /// How it is called and what it answers.
    pub signature: &'static str,
    /// What it does, in a sentence or three.
    pub summary: &'static str,
    /// Arguments and options, in order.
    pub params: &'static [Param],
    /// Codes of the faults it may end with, and what each means.
    pub errors: &'static [(&'static str, &'static str)],
    /// A line or a few that could stand in a runbook.
    pub example: &'static str,
}

/// A word and what it does.
pub(crate) struct Entry {
    pub word: Word,
    /// Fewest and most arguments, the step of a method included.
    pub least: usize,
    pub most: usize,
    pub run: fn(&Call<'_>) -> call::Answer,
}

/// Shorthand of the tables.
pub(crate) const fn param(name: &'static str, about: &'static str) -> Param {
    Param { name, about }
}

static FAMILIES: &[&[Entry]] = &[
    declaring::WORDS,
    chaining::METHODS,
    sql::WORDS,
    pg::WORDS,
    login::WORDS,
    control::WORDS,
    copying::WORDS,
    recovery::WORDS,
    logical::WORDS,
    logical_proof::WORDS,
    pgbouncer::WORDS,
    pgbouncer_users::WORDS,
    freeze::WORDS,
    command::WORDS,
    proving::WORDS,
    &check::TABLE,
    &proving::CHECKS,
    flow::WORDS,
    values::WORDS,
    secrets::WORDS,
    table::WORDS,
    time::WORDS,
    files::WORDS,
    http::WORDS,
    github::WORDS,
    neon::WORDS,
    branching::WORDS,
    upkeep::WORDS,
    computes::WORDS,
    needed::WORDS,
];

/// Every word, in the order of the reference.
pub fn words() -> Vec<Word> {
    FAMILIES.iter().flat_map(|family| family.iter().map(|entry| entry.word)).collect()
}

/// How many arguments a word takes, and its signature.
pub(crate) fn arguments(name: &str) -> Option<(std::ops::RangeInclusive<usize>, &'static str)> {
    let entry = FAMILIES.iter().flat_map(|family| family.iter()).find(|entry| entry.word.name == name)?;
    Some((entry.least..=entry.most, entry.word.signature))
}

/// Names of the families: the part before `::`.
pub(crate) fn families() -> std::collections::BTreeSet<&'static str> {
    words().iter().filter_map(|word| word.name.split_once("::")).map(|(family, _)| family).collect()
}

/// Registers all words but the methods of steps, which belong to their type.
pub(crate) fn register(engine: &mut Engine, book: &Arc<Book>) {
    let mut modules: BTreeMap<&str, Module> = BTreeMap::new();
    for entry in FAMILIES.iter().flat_map(|family| family.iter()) {
        if entry.word.name.starts_with('.') {
            continue;
        }
        let (family, name) = entry.word.name.split_once("::").unwrap_or(("", entry.word.name));
        for arity in entry.least..=entry.most {
            let types = vec![TypeId::of::<Dynamic>(); arity];
            let book = Arc::clone(book);
            let run = move |context: &NativeCallContext<'_>, args: &mut [&mut Dynamic]| {
                Call::new(context, entry, args, &book).run()
            };
            if family.is_empty() {
                engine.register_raw_fn(name, types, move |context: NativeCallContext, args: &mut [&mut Dynamic]| {
                    run(&context, args)
                });
                continue;
            }
            let func = Shared::new(move |context: Option<NativeCallContext<'_>>, args: &mut [&mut Dynamic]| {
                let context = context.ok_or_else(|| super::failure::misuse("called without a context"))?;
                run(&context, args)
            });
            let function = RhaiFunc::Pure { func, has_context: true, is_pure: true, is_volatile: true };
            FuncRegistration::new(name).set_into_module_raw(modules.entry(family).or_default(), types, function);
        }
    }
    for (family, module) in modules {
        engine.register_static_module(family, Shared::new(module));
    }
}

/// `, did you mean …?`, all the names when they are few, or nothing.
pub(crate) fn did_you_mean(given: &str, known: &[String]) -> String {
    let near = known.iter().map(|name| (strsim::damerau_levenshtein(given, name), name)).min();
    match near {
        Some((distance, name)) if distance <= 1 + given.chars().count() / 3 => format!(", did you mean `{name}`?"),
        _ if !known.is_empty() && known.len() <= 8 => format!("; there are: {}", known.join(", ")),
        _ => String::new(),
    }
}
