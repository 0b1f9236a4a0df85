//! What is read off the parsed text without running it: literals, closures' parameters, assignments.

use std::collections::{BTreeMap, HashSet};

use rhai::{AST, ASTNode, Expr, Stmt};

use super::profile::location;
use crate::model::script::Location;

/// Methods that change the list or map they are called on.
const CHANGES: [&str; 18] = [
    "append",
    "clear",
    "chop",
    "drain",
    "extract",
    "fill_with",
    "insert",
    "mixin",
    "pad",
    "pop",
    "push",
    "remove",
    "retain",
    "reverse",
    "set",
    "shift",
    "sort",
    "truncate",
];

/// A function or closure of one file.
pub(crate) struct Function {
    pub params: Vec<String>,
    /// First assignment to each of its parameters.
    pub assigned: BTreeMap<String, Location>,
}

/// What one file holds.
#[derive(Default)]
pub(crate) struct Facts {
    /// Every text that stands in the file as one literal.
    pub literals: HashSet<String>,
    /// Names that a `catch` gives to its error.
    pub caught: HashSet<String>,
    pub functions: BTreeMap<String, Function>,
}

/// Reads the facts of one file into `facts`.
pub(crate) fn collect(path: &str, ast: &AST, facts: &mut Facts) {
    let mut assignments = Vec::new();
    ast.walk(&mut |nodes| {
        match nodes.last() {
            // The parts of an interpolated text are no literals of their own.
            Some(ASTNode::Expr(Expr::StringConstant(text, _))) if !interpolated(nodes) => {
                facts.literals.insert(text.to_string());
            }
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => {
                let target = &assignment.1.lhs;
                if let Some(name) = root(target) {
                    assignments.push((name.to_owned(), target.start_position()));
                }
            }
            // A list or a map that changes itself is an assignment in disguise.
            Some(ASTNode::Expr(Expr::Dot(pair, _, _))) => {
                if let Expr::MethodCall(call, at) = &pair.rhs
                    && CHANGES.contains(&call.name.as_str())
                    && let Some(name) = root(&pair.lhs)
                {
                    assignments.push((name.to_owned(), *at));
                }
            }
            _ => {}
        }
        true
    });
    for function in ast.iter_fn_def() {
        let params: Vec<String> = function.params.iter().map(ToString::to_string).collect();
        // Rhai keeps bodies to itself but for where they begin and end.
        let within = function.body.start_position()..=function.body.end_position();
        let mut assigned = BTreeMap::new();
        for (name, at) in &assignments {
            if params.contains(name) && within.contains(at) {
                assigned.entry(name.clone()).or_insert_with(|| location(path, *at));
            }
        }
        facts.functions.insert(function.name.to_string(), Function { params, assigned });
    }
}

fn interpolated(nodes: &[ASTNode]) -> bool {
    nodes.len() > 1 && matches!(nodes[nodes.len() - 2], ASTNode::Expr(Expr::InterpolatedString(..)))
}

/// The variable that an assignment's left side begins with.
fn root(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Variable(variable, _, _) => Some(variable.1.as_str()),
        Expr::Dot(pair, _, _) | Expr::Index(pair, _, _) => root(&pair.lhs),
        _ => None,
    }
}
