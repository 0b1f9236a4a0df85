//! The exact text of a runbook with all it imports: what a run keeps, so that `resume` sees the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{ASTNode, Expr, Stmt};

use super::diagnostic::Diagnostic;
use super::profile;
use crate::model::script::Location;

/// The text of a runbook, its imports and its templates, by path relative to the project.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sources {
    /// Path of the runbook itself, as shown to people.
    pub main: String,
    /// Path to text.
    pub files: BTreeMap<String, String>,
}

impl Sources {
    /// Sources that consist of one file.
    pub fn single(main: impl Into<String>, text: impl Into<String>) -> Self {
        let main = main.into();
        Self { files: BTreeMap::from([(main.clone(), text.into())]), main }
    }

    pub(crate) fn text(&self, path: &str) -> Arc<str> {
        self.files.get(path).map(String::as_str).unwrap_or_default().into()
    }
}

/// The path of an imported file: `import "lib/x"` reads `runbooks/lib/x.rhai`, wherever the import stands.
pub(crate) fn import_path(main: &str, name: &str) -> Result<String, String> {
    let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder);
    let root = if folder == "runbooks" || folder.starts_with("runbooks/") { "runbooks" } else { folder };
    join(root, name).map(|path| format!("{}.rhai", path.trim_end_matches(".rhai")))
}

/// The path of a template: `template("x.sql")` reads `templates/x.sql`.
pub(crate) fn template_path(name: &str) -> Result<String, String> {
    join("templates", name)
}

fn join(root: &str, name: &str) -> Result<String, String> {
    let sound = !name.is_empty()
        && !name.starts_with('/')
        && !name.contains(['\\', '\0', ':'])
        && name.split('/').all(|part| !part.is_empty() && part != ".." && part != ".");
    if !sound {
        return Err(format!("`{name}` is not a path inside `{root}/`: no `..`, no absolute path, no empty part"));
    }
    Ok(if root.is_empty() { name.to_owned() } else { format!("{root}/{name}") })
}

/// Collects a runbook with everything that it imports and every template that it names, through `read`.
///
/// Names are found without running anything: an import or a template whose name is not a literal is refused.
pub fn gather(main: &str, read: &dyn Fn(&str) -> Option<String>) -> Result<Sources, Diagnostic> {
    let text = read(main).ok_or_else(|| Diagnostic::error("file.missing", format!("`{main}` cannot be read")))?;
    let mut sources = Sources::single(main, text);
    let mut waiting = vec![main.to_owned()];
    while let Some(path) = waiting.pop() {
        for need in needs(&sources, &path)? {
            if sources.files.contains_key(&need.path) {
                continue;
            }
            let Some(text) = read(&need.path) else {
                return Err(Diagnostic::error("file.missing", format!("`{}` cannot be read", need.path)).at(
                    need.at,
                    "named here",
                    sources.text(&path),
                ));
            };
            if need.path.ends_with(".rhai") {
                waiting.push(need.path.clone());
            }
            sources.files.insert(need.path, text);
        }
    }
    Ok(sources)
}

struct Need {
    path: String,
    at: Location,
}

fn needs(sources: &Sources, path: &str) -> Result<Vec<Need>, Diagnostic> {
    let text = sources.text(path);
    let engine = profile::parser();
    // A file that does not parse names nothing; loading it says what is wrong with it.
    let Ok(ast) = profile::compile(&engine, path, &text) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let mut wrong = None;
    ast.walk(&mut |nodes| {
        let (name, at, template) = match nodes.last() {
            Some(ASTNode::Stmt(Stmt::Import(import, at))) => (&import.0, *at, false),
            Some(ASTNode::Expr(Expr::FnCall(call, at)) | ASTNode::Stmt(Stmt::FnCall(call, at)))
                if call.name == "template" && call.args.len() == 1 && !call.is_qualified() =>
            {
                (&call.args[0], *at, true)
            }
            _ => return true,
        };
        let at = profile::location(path, at);
        let what = if template { "template" } else { "import" };
        let resolved = match name {
            Expr::StringConstant(name, _) if template => template_path(name),
            Expr::StringConstant(name, _) => import_path(&sources.main, name),
            _ => Err(format!("the name of {what} must be a literal, so that it is known before anything runs")),
        };
        match resolved {
            Ok(path) => found.push(Need { path, at }),
            Err(message) => {
                wrong.get_or_insert(Diagnostic::error("file.name", message).at(at, "", text.clone()));
            }
        }
        wrong.is_none()
    });
    wrong.map_or(Ok(found), Err)
}
