//! What can be found in a runbook without running it.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

use super::diagnostic::{Diagnostic, Severity};
use super::profile::location;
use super::script::Runbook;
use super::sources::template_path;
use super::template;
use super::vocabulary::{self, declaring, did_you_mean};
use crate::model::script::{Location, Script};

const SQL_WORDS: [&str; 4] = ["query", "value", "exec", "admin"];

/// Errors and warnings of a loaded runbook, in the order of their places.
pub fn lint(runbook: &Runbook) -> Vec<Diagnostic> {
    let mut lint = Lint { runbook, found: Vec::new(), read: BTreeSet::new() };
    for (path, ast) in runbook.asts() {
        lint.file(path, ast);
    }
    for (path, text) in &runbook.sources().files {
        if path.ends_with(".rhai") {
            continue;
        }
        let placeholders = template::check(text).map_err(|error| ("sql.placeholder", error));
        if let Err((code, error)) =
            placeholders.and_then(|()| template::check_statements(text).map_err(|error| ("sql.statement", error)))
        {
            let at = Location { file: path.clone(), line: error.line, column: error.column };
            lint.found.push(Diagnostic::error(code, error.message).at(at, "", runbook.sources().text(path)));
        }
    }
    lint.unread();
    lint.found.sort_by_key(|problem| {
        let place = problem.location().map(|at| (at.file.clone(), at.line, at.column));
        (problem.severity != Severity::Error, place)
    });
    lint.found
}

struct Lint<'a> {
    runbook: &'a Runbook,
    found: Vec<Diagnostic>,
    read: BTreeSet<String>,
}

/// One file, with what is looked up again and again while it is walked.
struct Page<'a> {
    path: &'a str,
    ast: &'a AST,
    /// Names under which its imports are known.
    imports: BTreeSet<String>,
    /// Steps whose closure ends without a value, and the statement it ends with.
    valueless: Vec<(String, Position)>,
}

impl Lint<'_> {
    fn file(&mut self, path: &str, ast: &AST) {
        let page = Page { path, ast, imports: imports(ast), valueless: self.valueless(path, ast) };
        ast.walk(&mut |nodes| {
            match nodes.last() {
                Some(ASTNode::Expr(Expr::FnCall(call, at)) | ASTNode::Stmt(Stmt::FnCall(call, at))) => {
                    self.call(&page, call, *at);
                }
                Some(ASTNode::Expr(Expr::Dot(pair, ..) | Expr::Index(pair, ..))) => {
                    if let Expr::Variable(variable, _, _) = &pair.lhs
                        && let Some((key, at)) = key(&pair.rhs)
                    {
                        self.lookup(&page, &variable.1, key, at);
                    }
                }
                _ => {}
            }
            true
        });
    }

    fn add(&mut self, path: &str, at: Position, label: &str, problem: Diagnostic) {
        self.found.push(problem.at(location(path, at), label, self.runbook.sources().text(path)));
    }

    fn call(&mut self, page: &Page<'_>, call: &FnCallExpr, at: Position) {
        let path = page.path;
        if call.is_qualified() {
            self.family(page, call, at);
            self.word(path, call, at);
            if call.namespace.root() == "sql" && SQL_WORDS.contains(&call.name.as_str()) && call.args.len() > 1 {
                self.sql(path, &call.args[1]);
                self.values(path, &call.args[1], call.args.get(2));
            }
            return;
        }
        let declares = matches!(call.name.as_str(), "step" | "runbook")
            && declaring::WORDS.iter().any(|entry| entry.word.name == call.name.as_str());
        if declares && inside_function(page.ast, at) {
            let problem = Diagnostic::error("phase", format!("`{}` declares, and a step only acts", call.name));
            self.add(path, at, "", problem.hinted("move it to the top level"));
        }
    }

    /// A family that is neither ours nor an import; Rhai itself finds out only when it is called.
    fn family(&mut self, page: &Page<'_>, call: &FnCallExpr, at: Position) {
        let family = call.namespace.root();
        let families = vocabulary::families();
        if !families.contains(family) && !page.imports.contains(family) {
            let known: Vec<String> = families.into_iter().map(str::to_owned).collect();
            let message = format!("there is no family of words and no import `{family}`");
            let message = format!("{message}{}", did_you_mean(family, &known));
            self.add(page.path, at, "", Diagnostic::error("word.unknown", message));
        }
    }

    /// A call into one of our families that names no word of it, or gives it too few or too many arguments.
    fn word(&mut self, path: &str, call: &FnCallExpr, at: Position) {
        let family = call.namespace.root();
        if call.namespace.path.len() != 1 || !vocabulary::families().contains(family) {
            return;
        }
        let name = format!("{family}::{}", call.name);
        match vocabulary::arguments(&name) {
            None => {
                let known: Vec<String> = vocabulary::words().iter().map(|word| word.name.to_owned()).collect();
                let message = format!("there is no word `{name}`{}", did_you_mean(&name, &known));
                let problem = Diagnostic::error("word.unknown", message).hinted("`runsheet words` lists them all");
                self.add(path, at, "", problem);
            }
            Some((arguments, signature)) if !arguments.contains(&call.args.len()) => {
                let message = format!("`{name}` is not called with {} arguments; it is {signature}", call.args.len());
                self.add(path, at, "", Diagnostic::error("word.arguments", message));
            }
            Some(_) => {}
        }
    }

    /// Values that SQL text asks for and that are not among those given, where both can be read off.
    fn values(&mut self, path: &str, sql: &Expr, given: Option<&Expr>) {
        let text = match sql {
            Expr::StringConstant(text, _) => Some(text.to_string()),
            Expr::FnCall(call, _) if call.name == "template" => match call.args.as_slice() {
                [Expr::StringConstant(file, _)] => {
                    template_path(file).ok().and_then(|file| self.runbook.sources().files.get(&file).cloned())
                }
                _ => None,
            },
            _ => None,
        };
        let given: Vec<&str> = match given {
            None => Vec::new(),
            Some(Expr::Map(map, _)) => map.0.iter().map(|(name, _)| name.name.as_str()).collect(),
            Some(_) => return,
        };
        for name in text.as_deref().map(template::names).unwrap_or_default() {
            if !given.contains(&name.as_str()) {
                let known: Vec<String> = given.iter().map(|&name| name.to_owned()).collect();
                let message = format!(
                    "the SQL needs `{name}`, which is not among the values given{}",
                    did_you_mean(&name, &known)
                );
                let problem = Diagnostic::error("sql.value", message);
                self.add(path, sql.start_position(), "", problem.hinted(format!("give it: #{{ {name}: … }}")));
            }
        }
    }

    fn sql(&mut self, path: &str, sql: &Expr) {
        let at = sql.start_position();
        let joined = match sql {
            Expr::InterpolatedString(..) => true,
            Expr::FnCall(call, _) => call.is_operator_call(),
            Expr::StringConstant(text, _) => {
                if let Err(error) = template::check(text) {
                    self.add(path, at, "in this text", Diagnostic::error("sql.placeholder", error.message));
                } else if let Err(error) = template::check_statements(text) {
                    self.add(path, at, "in this text", Diagnostic::error("sql.statement", error.message));
                }
                return;
            }
            _ => false,
        };
        if joined {
            let problem = Diagnostic::error("sql.joined", "SQL must not be joined or interpolated in the runbook");
            let hint = "write one literal and give the values as args: `… where id = {{ id }}`, #{ id: … }";
            self.add(path, at, "this text is put together at run time", problem.hinted(hint));
        }
    }

    fn lookup(&mut self, page: &Page<'_>, of: &str, key: &str, at: Position) {
        let path = page.path;
        let declaration = self.runbook.declaration();
        if of == "params" {
            self.read.insert(key.to_owned());
            let names: Vec<String> = declaration.params.iter().map(|param| param.name.clone()).collect();
            if !names.iter().any(|name| name == key) {
                let message = format!("there is no parameter `{key}`{}", did_you_mean(key, &names));
                self.add(path, at, "", Diagnostic::error("param.unknown", message));
            }
            return;
        }
        if of != "done" && of != "took" {
            return;
        }
        let names: Vec<String> = declaration.steps.iter().map(|step| step.name.clone()).collect();
        let Some((index, _)) = declaration.step(key) else {
            let message = format!("there is no step `{key}`{}", did_you_mean(key, &names));
            self.add(path, at, "", Diagnostic::error("step.unknown", message));
            return;
        };
        if self.owner(page, at).is_some_and(|owner| index > owner) {
            let message = format!("step `{key}` runs after this one: it has no value yet");
            self.add(path, at, "", Diagnostic::error("step.later", message));
        } else if of == "done"
            && let Some((_, last)) = page.valueless.iter().find(|(step, _)| step == key)
        {
            let problem = Diagnostic::error("step.no_value", format!("step `{key}` has no value to read"))
                .at(location(path, at), "read here", self.runbook.sources().text(path))
                .hinted("end the step's closure with the value itself, without `let`");
            self.add(path, *last, "the closure ends with this, which answers nothing", problem);
        }
    }

    /// The step in whose declaration a place stands; none inside of a named function.
    fn owner(&self, page: &Page<'_>, at: Position) -> Option<usize> {
        if page.path != self.runbook.sources().main || inside_named(page.ast, at) {
            return None;
        }
        let place = (at.line()?, at.position()?);
        let steps = &self.runbook.declaration().steps;
        steps.iter().rposition(|step| (step.at.line, step.at.column) <= place)
    }

    /// Steps whose closure ends with a statement that has no value, and where that statement stands.
    fn valueless(&self, path: &str, ast: &AST) -> Vec<(String, Position)> {
        if path != self.runbook.sources().main {
            return Vec::new();
        }
        let spans: Vec<(String, Position, Position)> = ast
            .iter_fn_def()
            .map(|function| (function.name.to_string(), function.body.start_position(), function.body.end_position()))
            .collect();
        let mut last: Vec<(usize, Position, bool)> = Vec::new();
        ast.walk(&mut |nodes| {
            if let [ASTNode::Stmt(statement)] = nodes {
                let at = statement.position();
                // The innermost body around a statement is the one it belongs to.
                let around = spans.iter().enumerate().filter(|(_, (_, from, to))| *from <= at && at <= *to);
                if let Some((index, _)) = around.max_by_key(|(_, (_, from, _))| *from) {
                    let silent = matches!(
                        statement,
                        Stmt::Var(..) | Stmt::Assignment(..) | Stmt::While(..) | Stmt::For(..) | Stmt::Do(..)
                    );
                    match last.iter_mut().find(|(known, ..)| *known == index) {
                        Some(entry) if entry.1 <= at => *entry = (index, at, silent),
                        Some(_) => {}
                        None => last.push((index, at, silent)),
                    }
                }
            }
            true
        });
        let steps = self.runbook.steps().iter();
        steps
            .filter_map(|step| {
                let name = step.perform.closure.fn_name();
                let (_, at, silent) = last.iter().find(|(index, ..)| spans[*index].0 == name)?;
                silent.then(|| (step.spec.name.clone(), *at))
            })
            .collect()
    }

    fn unread(&mut self) {
        let declaration = self.runbook.declaration();
        let unread: Vec<&str> = declaration
            .params
            .iter()
            .map(|param| param.name.as_str())
            .filter(|name| !self.read.contains(*name))
            .collect();
        let main = &self.runbook.sources().main;
        for name in unread {
            let text = self.runbook.sources().text(main);
            let at = Location { file: main.clone(), ..declared_at(&text, name) };
            self.found.push(
                Diagnostic::warning("param.unread", format!("parameter `{name}` is never read"))
                    .at(at, "", text)
                    .hinted(format!("remove it, or read it as params.{name}")),
            );
        }
    }
}

/// Names under which a file's imports are known.
fn imports(ast: &AST) -> BTreeSet<String> {
    let mut aliases = BTreeSet::new();
    ast.walk(&mut |nodes| {
        if let Some(ASTNode::Stmt(Stmt::Import(import, _))) = nodes.last() {
            aliases.insert(import.1.name.to_string());
        }
        true
    });
    aliases
}

/// Where a parameter is declared: the first `name:` of the text. Rhai keeps no place of a map's keys.
fn declared_at(text: &str, name: &str) -> Location {
    let found = text.lines().enumerate().find_map(|(index, line)| {
        let (before, _) = line.match_indices(name).map(|(at, _)| line.split_at(at)).find(|(before, rest)| {
            let whole = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            whole && rest[name.len()..].trim_start().starts_with(':') && !before.trim_start().starts_with("//")
        })?;
        Some((index + 1, before.chars().count() + 1))
    });
    let (line, column) = found.unwrap_or_default();
    Location { file: String::new(), line, column }
}

/// The name behind `params.` or inside `params["…"]`.
fn key(rest: &Expr) -> Option<(&str, Position)> {
    match rest {
        Expr::Property(property, at) => Some((property.2.as_str(), *at)),
        Expr::StringConstant(text, at) => Some((text.as_str(), *at)),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => key(&pair.lhs),
        _ => None,
    }
}

fn inside(ast: &AST, at: Position, named: bool) -> bool {
    ast.iter_fn_def().any(|function| {
        let counts = !named || !function.name.starts_with("anon$");
        counts && function.body.start_position() <= at && at <= function.body.end_position()
    })
}

fn inside_function(ast: &AST, at: Position) -> bool {
    inside(ast, at, false)
}

fn inside_named(ast: &AST, at: Position) -> bool {
    inside(ast, at, true)
}
