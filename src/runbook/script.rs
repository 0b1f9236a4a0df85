//! A loaded runbook: its text, its engine, its steps' closures, called one at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use rhai::{AST, Dynamic, Engine, EvalAltResult, ImmutableString, Module, NativeCallContext, Position, Scope, Shared};

use super::declare::{self, Body, StepDraft};
use super::diagnostic::Diagnostic;
use super::failure::{misuse, misuse_hinted};
use super::sources::{Sources, import_path};
use super::vocabulary::did_you_mean;
use super::walk::Facts;
use super::{convert, frames, profile, stage, walk};
use crate::model::Value;
use crate::model::declaration::Declaration;
use crate::model::host::Host;
use crate::model::ids::Phase;
use crate::model::script::{Location, Script, ScriptError};

/// What is known of a runbook's text; shared with every function registered for it.
pub(crate) struct Book {
    pub sources: Sources,
    facts: Facts,
    asts: BTreeMap<String, AST>,
    modules: std::sync::Mutex<BTreeMap<String, Shared<Module>>>,
    declaration: OnceLock<Declaration>,
}

impl Book {
    pub fn is_literal(&self, text: &str) -> bool {
        self.facts.literals.contains(text)
    }

    pub fn params_of(&self, function: &str) -> Option<&[String]> {
        self.facts.functions.get(function).map(|function| function.params.as_slice())
    }

    /// The first assignment to one of the `captured` first parameters of a closure.
    pub fn assigned(&self, function: &str, captured: usize) -> Option<(&str, &Location)> {
        let function = self.facts.functions.get(function)?;
        function.params.iter().take(captured).find_map(|name| Some((name.as_str(), function.assigned.get(name)?)))
    }
}

/// A loaded runbook.
pub struct Runbook {
    pub(crate) book: Arc<Book>,
    engine: Engine,
    declaration: Declaration,
    steps: Vec<StepDraft>,
}

impl std::fmt::Debug for Runbook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runbook").field("declaration", &self.declaration).finish_non_exhaustive()
    }
}

impl Runbook {
    /// The text it was loaded from.
    pub fn sources(&self) -> &Sources {
        &self.book.sources
    }

    pub(crate) fn asts(&self) -> impl Iterator<Item = (&String, &AST)> {
        self.book.asts.iter()
    }

    pub(crate) fn steps(&self) -> &[StepDraft] {
        &self.steps
    }

    fn run(
        &self,
        host: Arc<dyn Host>,
        body: impl FnOnce() -> Result<Dynamic, Box<EvalAltResult>>,
    ) -> Result<Value, Box<ScriptError>> {
        let _entered = stage::enter(host);
        body()
            .and_then(|value| convert::to_value(&value).map_err(|why| misuse(format!("what it answers: {why}"))))
            .map_err(|error| Box::new(frames::script_error(&self.book.sources, &error)))
    }
}

/// Parses and evaluates a runbook's top level. It acts on nothing: an effect at the top level is an error.
pub fn load(sources: &Sources) -> Result<Runbook, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let parser = profile::parser();
    let mut asts = BTreeMap::new();
    let mut facts = Facts::default();
    for (path, text) in &sources.files {
        if !path.ends_with(".rhai") {
            continue;
        }
        match profile::compile(&parser, path, text) {
            Ok(ast) => {
                walk::collect(path, &ast, &mut facts);
                facts.caught.extend(super::attempt::names(text).map(str::to_owned));
                asts.insert(path.clone(), ast);
            }
            Err(error) => problems.push(frames::parse_error(path, &sources.text(path), &error)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let Some(ast) = asts.get(&sources.main).cloned() else {
        return Err(vec![Diagnostic::error("file.missing", format!("there is no text for `{}`", sources.main))]);
    };
    let book = Arc::new(Book {
        sources: sources.clone(),
        facts,
        asts,
        modules: std::sync::Mutex::default(),
        declaration: OnceLock::new(),
    });
    let engine = profile::engine(&book);
    let (result, draft) = stage::declare(|| engine.run_ast(&ast));
    let declaration = result
        .and_then(|()| declare::finish(&draft))
        .map_err(|error| vec![frames::diagnostic(&book.sources, &error)])?;
    let _ = book.declaration.set(declaration.clone());
    Ok(Runbook { book, engine, declaration, steps: draft.steps })
}

/// Registers how imports and the resolved names work.
pub(crate) fn register(engine: &mut Engine, book: &Arc<Book>) {
    engine.set_module_resolver(Imports(Arc::clone(book)));
    engine.register_type_with_name::<Lookup>("runbook value");
    let owner = Arc::clone(book);
    engine.register_indexer_get(move |lookup: &mut Lookup, key: ImmutableString| lookup.get(&key, &owner));
    let owner = Arc::clone(book);
    #[expect(deprecated, reason = "marked volatile by rhai, whose version is pinned")]
    engine.on_var(move |name, _, context| {
        let found = match name {
            "params" => Lookup::Params,
            "done" => Lookup::Done,
            "took" => Lookup::Took,
            // A closure captures what its `catch` names before there is an error.
            _ if owner.facts.caught.contains(name) && !context.scope().contains(name) => {
                return Ok(Some(super::attempt::caught(name).unwrap_or(Dynamic::UNIT)));
            }
            _ => return Ok(None),
        };
        // Closures capture it when they are made, at the top level; it is only looked into once a step runs.
        Ok(Some(Dynamic::from(found)))
    });
    engine.on_print(log);
    engine.on_debug(|text, _, _| log(text));
}

/// `print` and `debug` write a log line: standard output is data, and not the runbook's.
fn log(text: &str) {
    if let Some(host) = stage::host() {
        let request = crate::model::request::LogLine { text: text.to_owned() };
        let action = crate::model::action::Action::read("log::info", &request, text, Vec::new());
        // A line that cannot be written is reported by the next action, which meets the same stop.
        let _ = host.perform(action);
    }
}

/// `params`, `done` or `took`, before a name was read from it.
#[derive(Clone, Copy, Debug)]
enum Lookup {
    Params,
    Done,
    Took,
}

impl Lookup {
    fn get(self, key: &str, book: &Book) -> Result<Dynamic, Box<EvalAltResult>> {
        let Some(host) = stage::host() else {
            return Err(misuse_hinted(
                format!("`{key}` has no value at the top level: nothing has run yet"),
                "read it inside a step",
            ));
        };
        let declaration = book.declaration.get();
        if let Self::Params = self {
            if let Some(value) = host.params().get(key) {
                return Ok(convert::from_value(value));
            }
            let names: Vec<String> =
                host.params().as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
            return Err(misuse(format!("there is no parameter `{key}`{}", did_you_mean(key, &names))));
        }
        let found = if let Self::Done = self { host.done(key) } else { host.took(key) };
        if let Some(value) = found {
            return Ok(convert::from_value(&value));
        }
        let names: Vec<String> =
            declaration.iter().flat_map(|known| &known.steps).map(|step| step.name.clone()).collect();
        let word = if let Self::Done = self { "done" } else { "took" };
        if names.iter().any(|name| name == key) {
            return Err(misuse(format!("`{word}.{key}`: step `{key}` has not run before this one, or was skipped")));
        }
        Err(misuse(format!("`{word}.{key}`: there is no step `{key}`{}", did_you_mean(key, &names))))
    }
}

/// Imports from the runbook's own text, each evaluated once.
struct Imports(Arc<Book>);

impl rhai::ModuleResolver for Imports {
    fn resolve(
        &self,
        engine: &Engine,
        _: Option<&str>,
        name: &str,
        _: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let path = import_path(&self.0.sources.main, name).map_err(misuse)?;
        let modules = || self.0.modules.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(module) = modules().get(&path) {
            return Ok(Shared::clone(module));
        }
        let Some(ast) = self.0.asts.get(&path) else {
            return Err(misuse(format!("`{path}` is not among the files of this runbook")));
        };
        // A marker against imports in a circle: the second time round, the file is being evaluated.
        thread_local!(static OPEN: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) });
        if OPEN.with_borrow(|open| open.contains(&path)) {
            return Err(misuse(format!("`{path}` imports itself, over other files perhaps")));
        }
        OPEN.with_borrow_mut(|open| open.push(path.clone()));
        let module = Module::eval_ast_as_new(Scope::new(), ast, engine);
        OPEN.with_borrow_mut(Vec::pop);
        let module = Shared::new(module?);
        modules().insert(path, Shared::clone(&module));
        Ok(module)
    }
}

/// Calls a closure of a step; `made` is given if the closure takes a value.
fn call(engine: &Engine, step: &StepDraft, body: &Body, made: Option<&Value>) -> Result<Dynamic, Box<EvalAltResult>> {
    let context: NativeCallContext<'_> = {
        #[expect(deprecated, reason = "marked volatile by rhai, whose version is pinned")]
        step.env.create_context(engine)
    };
    let args: Vec<Dynamic> =
        std::iter::repeat_with(|| made.map_or(Dynamic::UNIT, convert::from_value)).take(body.takes).collect();
    body.closure.call_raw(&context, None, args)
}

impl Script for Runbook {
    fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    fn call(
        &self,
        index: usize,
        phase: Phase,
        made: Option<&Value>,
        host: Arc<dyn Host>,
    ) -> Result<Value, Box<ScriptError>> {
        self.run(host, || {
            let step = self.steps.get(index).ok_or_else(|| misuse(format!("there is no step number {}", index + 1)))?;
            let body = match phase {
                Phase::Perform => Some(&step.perform),
                Phase::Undo => step.undo.as_ref(),
                Phase::Cleanup => step.cleanup.as_ref(),
                Phase::When => step.when.as_ref(),
            };
            let name = &step.spec.name;
            let body = body.ok_or_else(|| misuse(format!("step `{name}` has no `{}`", phase.as_str())))?;
            call(&self.engine, step, body, made)
        })
    }

    fn function(&self, name: &str, args: &[Value], host: Arc<dyn Host>) -> Result<Value, Box<ScriptError>> {
        self.run(host, || {
            let known = self.book.params_of(name);
            let Some(params) = known else {
                return Err(misuse(format!("the runbook has no function `{name}`")));
            };
            // A probe may leave away what it does not look at.
            let args: Vec<Dynamic> = args.iter().take(params.len()).map(convert::from_value).collect();
            let step = self.steps.first().ok_or_else(|| misuse("the runbook has no step"))?;
            #[expect(deprecated, reason = "marked volatile by rhai, whose version is pinned")]
            let context = step.env.create_context(&self.engine);
            rhai::FnPtr::new(name)?.call_raw(&context, None, args)
        })
    }
}
