//! The engine that runbooks are read and run with: Rhai with its traps closed.

use std::sync::Arc;

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
    BasicStringPackage, LanguageCorePackage, LogicPackage, Package,
};
use rhai::{AST, Dynamic, Engine, EvalAltResult, OptimizationLevel, ParseError, Position, Scope};

use super::failure::misuse_hinted;
use super::script::Book;
use super::{attempt, declare, operators, script, text, unknown, vocabulary};
use crate::model::script::Location;

/// Names that the engine resolves when they are read; never variables, so that closures do not capture them.
pub(crate) const RESOLVED: [&str; 3] = ["params", "done", "took"];

/// Enough for any runbook, and reached within seconds by one that runs away.
const MAX_OPERATIONS: u64 = 50_000_000;
const MAX_CALLS: usize = 64;
const MAX_TEXT: usize = 16 << 20;
const MAX_ITEMS: usize = 1 << 20;
/// How deep an expression may nest; the parser works on the stack.
const MAX_DEPTH: usize = 48;

/// An engine that only parses.
pub(crate) fn parser() -> Engine {
    let mut engine = Engine::new_raw();
    // Folding constants would turn joined text into a literal.
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_strict_variables(true);
    engine.set_max_expr_depths(MAX_DEPTH, MAX_DEPTH);
    engine.set_max_string_size(MAX_TEXT);
    engine.disable_symbol("eval").disable_symbol("switch");
    attempt::register(&mut engine);
    // A variable of such a name would never be read.
    #[expect(deprecated, reason = "marked volatile by rhai, whose version is pinned")]
    engine.on_def_var(|_, variable, _| Ok(!RESOLVED.contains(&variable.name())));
    for family in vocabulary::families() {
        engine.register_static_module(family, rhai::Shared::new(rhai::Module::new()));
    }
    engine
}

/// An engine for one runbook.
pub(crate) fn engine(book: &Arc<Book>) -> Engine {
    let mut engine = parser();
    // Rhai's packages for text, time and bytes stay out: ours do not look into handles, and time is journaled.
    for package in [
        LanguageCorePackage::new().as_shared_module(),
        ArithmeticPackage::new().as_shared_module(),
        LogicPackage::new().as_shared_module(),
        BasicMathPackage::new().as_shared_module(),
        BasicStringPackage::new().as_shared_module(),
        BasicIteratorPackage::new().as_shared_module(),
        BasicFnPackage::new().as_shared_module(),
        BasicArrayPackage::new().as_shared_module(),
        BasicMapPackage::new().as_shared_module(),
    ] {
        engine.register_global_module(package);
    }
    engine.set_fast_operators(false);
    engine.set_fail_on_invalid_map_property(true);
    engine.set_max_operations(MAX_OPERATIONS);
    engine.set_max_call_levels(MAX_CALLS);
    engine.set_max_array_size(MAX_ITEMS);
    engine.set_max_map_size(MAX_ITEMS);
    refuse(&mut engine);
    operators::register(&mut engine);
    unknown::register(&mut engine);
    text::register(&mut engine);
    declare::register(&mut engine, book);
    vocabulary::register(&mut engine, book);
    script::register(&mut engine, book);
    engine
}

/// What Rhai offers and a run could not repeat.
fn refuse(engine: &mut Engine) {
    type Nothing = Result<Dynamic, Box<EvalAltResult>>;
    let sleep = || misuse_hinted("`sleep` is not recorded", "use flow::wait_until(limit, || condition)");
    engine.register_fn("sleep", move |_: i64| -> Nothing { Err(sleep()) });
    engine.register_fn("sleep", move |_: f64| -> Nothing { Err(sleep()) });
    let exit = || misuse_hinted("`exit` would end the run without a verdict", "use `return`, or throw an error");
    engine.register_fn("exit", move || -> Nothing { Err(exit()) });
    engine.register_fn("exit", move |_: Dynamic| -> Nothing { Err(exit()) });
    engine.register_fn("timestamp", || -> Nothing {
        Err(misuse_hinted("`timestamp` is not recorded", "use now(), which answers the same again on a resume"))
    });
}

/// Parses one file. The names that are resolved when read are known to it.
pub(crate) fn compile(engine: &Engine, path: &str, text: &str) -> Result<AST, ParseError> {
    let mut scope = Scope::new();
    for name in RESOLVED.into_iter().chain(attempt::names(text)) {
        scope.push_constant(name, ());
    }
    let mut ast = engine.compile_with_scope(&scope, text)?;
    ast.set_source(path);
    Ok(ast)
}

/// A place in a file.
pub(crate) fn location(file: &str, at: Position) -> Location {
    Location { file: file.to_owned(), line: at.line().unwrap_or(0), column: at.position().unwrap_or(0) }
}
