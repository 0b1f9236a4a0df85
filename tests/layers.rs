//! The import table: who may know whom, which crates have one home, and who may print or read the environment.
//!
//! Reads the sources as text. A name inside a string or a comment does not count, one inside a macro does.

use std::collections::BTreeSet;
use std::path::Path;

/// Which of our modules each module may name, besides itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("journal", &["model"]),
    ("effects", &["model"]),
    ("runbook", &["model"]),
    ("engine", &["model", "effects", "journal"]),
    ("report", &["model", "journal"]),
    ("lab", &["model", "effects"]),
    ("cli", &["model", "journal", "effects", "runbook", "engine", "report", "lab"]),
    // The program itself: the supervisor's entry and the command line.
    ("main", &["effects", "cli"]),
    ("lib", &[]),
];

/// Names that may stand only below the given places.
const HOMES: &[(&str, &[&str])] = &[
    ("rhai::", &["runbook"]),
    ("minijinja::", &["runbook"]),
    ("rusqlite::", &["journal"]),
    ("tokio_postgres::", &["effects", "lab/session", "lab/neon/storage/ask", "lab/platforms/connect"]),
    ("reqwest::", &["effects"]),
    ("axum::", &["lab/neon", "lab/platforms"]),
    ("clap::", &["cli"]),
    ("indicatif::", &["cli"]),
    ("println!", &["cli", "main"]),
    ("print!", &["cli", "main"]),
    ("eprintln!", &["cli", "main"]),
    ("eprint!", &["cli", "main"]),
    ("dbg!", &[]),
    ("std::env", &["cli", "main", "effects/process/supervise"]),
    ("Utc::now", &["effects/local"]),
    ("Local::now", &[]),
    ("SystemTime::now", &["effects/local"]),
    ("rand::", &["effects/local"]),
];

/// What a source file at `path` (relative to `src`, without `.rs`) does against the rules.
fn offences(path: &str, source: &str) -> Vec<String> {
    let text = code_only(source);
    let module = path.split('/').next().unwrap_or_default();
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
        return vec![format!("src/{path}.rs: `{module}` stands in no table; add it to tests/layers.rs")];
    };
    let mut found = Vec::new();
    for named in ours(path, &text) {
        if named != module && MAY_IMPORT.iter().any(|(name, _)| *name == named) && !allowed.contains(&named.as_str()) {
            found.push(format!("src/{path}.rs: `{module}` may not know `{named}`"));
        }
    }
    for (name, homes) in HOMES {
        let at_home = homes.iter().any(|home| path == *home || path.starts_with(&format!("{home}/")));
        if !at_home && occurs(&text, name) {
            found.push(format!("src/{path}.rs: `{name}` is only for {homes:?}"));
        }
    }
    found
}

/// The modules of ours that a text names: `crate::x`, `runsheet::x`, `crate::{x::…, y}`, and as many `super::` as lead there.
fn ours(path: &str, text: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let depth = path.strip_suffix("/mod").unwrap_or(path).split('/').count();
    for root in ["crate::", "runsheet::", &"super::".repeat(depth)] {
        for (at, _) in text.match_indices(root) {
            if text[..at].ends_with(is_name) {
                continue;
            }
            let rest = &text[at + root.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                named.extend(first_names(group));
            } else {
                named.extend(first_name(rest));
            }
        }
    }
    named
}

/// The first name of every member of a `{…}` group.
fn first_names(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut members = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(String::new()),
            _ => {}
        }
        if let Some(last) = members.last_mut().filter(|_| c != ',') {
            last.push(c);
        }
    }
    members.iter().filter_map(|member| first_name(member)).collect()
}

fn first_name(text: &str) -> Option<String> {
    let name: String = text.trim_start().chars().take_while(|c| is_name(*c)).collect();
    (!name.is_empty()).then_some(name)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether a name occurs as a whole: `rhai::` in `use rhai::Engine`, not in `my_rhai::x`. `use x;` counts as `x::`.
fn occurs(text: &str, name: &str) -> bool {
    let whole = |needle: &str| text.match_indices(needle).any(|(at, _)| !text[..at].ends_with(is_name));
    whole(name)
        || name
            .strip_suffix("::")
            .is_some_and(|name| whole(&format!("use {name};")) || whole(&format!("use {name} as")))
}

/// A source without comments, strings and characters, and with `std::{env, …}` written out.
fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string_end(rest),
            'r' if !code.ends_with(is_name) && (rest.starts_with("r\"") || rest.starts_with("r#")) => {
                raw_end(rest).unwrap_or(0)
            }
            '\'' => char_end(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            rest = &rest[skipped..];
        }
    }
    let grouped: Vec<String> = code
        .match_indices("std::{")
        .flat_map(|(at, found)| first_names(&code[at + found.len()..]))
        .map(|name| format!(" std::{name} "))
        .collect();
    code + grouped.concat().as_str()
}

fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The end of a raw string; `None` for a raw identifier.
fn raw_end(text: &str) -> Option<usize> {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    let inner = text[1 + hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(2 + hashes + inner.find(&close).map_or(inner.len(), |at| at + close.len()))
}

/// The end of a character; 0 for a lifetime.
fn char_end(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, _))) => text[at + 1..].find('\'').map_or(0, |end| at + 2 + end),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

fn sources(folder: &Path, root: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("src").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, root, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).expect("below src").with_extension("");
            found.push((name.display().to_string(), std::fs::read_to_string(&path).expect("a source")));
        }
    }
}

#[test]
fn every_source_keeps_to_the_import_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &root, &mut found);
    assert!(found.len() > 20, "the sources were found: {}", found.len());
    let offences: Vec<String> = found.iter().flat_map(|(path, source)| offences(path, source)).collect();
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

#[test]
fn a_source_that_breaks_a_rule_is_found() {
    for (path, source) in [
        ("model/action", "use crate::journal::entry::Entry;"),
        ("journal/sqlite", "use crate::effects;"),
        ("effects/local", "use crate::{model::Value, journal::Journal};"),
        ("effects/local", "use crate::{\n    model::{Value, digest},\n    engine,\n};"),
        ("effects/local", "fn f() { crate::cli::main(); }"),
        ("runbook/load", "pub(crate) fn f(x: &crate::engine::X) {}"),
        ("report/text", "use crate::engine::state;"),
        ("main", "use runsheet::journal;"),
        ("newcomer/x", ""),
        ("effects/mod", "use super::journal::Journal;"),
        ("effects/process/child", "use super::super::super::engine;"),
        ("engine/run", "use rhai::Engine;"),
        ("engine/run", "use rhai as script;"),
        ("engine/run", "let x: rusqlite::Connection;"),
        ("journal/mod", "use tokio_postgres::Client;"),
        ("engine/run", "fn f() { println!(\"{}\", 1) }"),
        ("effects/mod", "std::env::var(\"X\")"),
        ("effects/process/child", "use std::{collections::BTreeMap, env};"),
        ("engine/run", "let x = 'a'; let y = \"\\\"\"; let s = r#\"\"#; use rhai::X;"),
        ("engine/run", "fn f<'a>(x: &'a str) { dbg!(x) }"),
        ("journal/mod", "let now = chrono::Utc::now();"),
    ] {
        assert!(!offences(path, source).is_empty(), "{path}: {source}");
    }
}

#[test]
fn a_source_that_keeps_the_rules_is_left_alone() {
    for (path, source) in [
        ("model/action", "//! See crate::engine and rhai::Engine.\nuse super::digest;"),
        ("engine/run", "/* println! */ let x = \"crate::cli and rhai::\"; let y = r#\"std::env \" \"#;"),
        ("engine/run", "use crate::{journal::{Journal, entry}, effects, model};"),
        ("effects/mod", "let x = env!(\"CARGO_PKG_VERSION\"); mycrate::cli::x();"),
        ("effects/process/child", "use super::super::World;"),
        ("cli/mod", "use std::env; use crate::engine; println!(\"x\");"),
        ("runbook/vocabulary/sql", "use rhai::Engine;"),
        ("effects/process/supervise", "std::env::current_exe()"),
    ] {
        assert_eq!(offences(path, source), Vec::<String>::new(), "{path}: {source}");
    }
}
