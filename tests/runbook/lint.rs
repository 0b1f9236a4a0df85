//! What is found before anything runs.

use std::collections::BTreeMap;

use proptest::prelude::*;
use runsheet::model::param::ParamKind;
use runsheet::model::script::Script;
use runsheet::runbook::{Sources, gather, lint, load, words};
use serde_json::json;

use super::desk::*;

fn codes(text: &str) -> Vec<&'static str> {
    let book = book(text).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    lint(&book).into_iter().map(|problem| problem.code).collect()
}

fn refused(text: &str) -> String {
    shown(&book(text).expect_err("must be refused"))
}

#[test]
fn a_sound_runbook_has_no_findings() {
    assert_eq!(codes(&with_step("sql::value(params.app, \"select {{ x }}\", #{ x: 1 })")), [] as [&str; 0]);
}

#[test]
fn joined_and_interpolated_sql_is_refused_at_lint_and_at_the_door() {
    for sql in ["\"select \" + \"1\"", "`select ${1}`"] {
        let body = format!("sql::query(params.app, {sql})");
        assert_eq!(codes(&with_step(&body)), ["sql.joined"], "{sql}");
        assert!(failure(&body).shown.contains("joined or interpolated"), "{sql}");
    }
    // Through a variable lint cannot see it; the door does.
    assert!(failure("let q = \"select \" + 1; sql::query(params.app, q)").shown.contains("joined or interpolated"));
    value("let q = \"select 1\"; sql::query(params.app, q)");
    let (_, asked) = body("sql::query(params.app, sql::raw(\"select \" + 1, \"a test\"))", Desk::new());
    assert_eq!(asked[0].request["raw"], "a test");
}

#[test]
fn reading_a_later_unknown_or_silent_step_is_refused() {
    let text = |reads: &str| {
        format!(
            "runbook(\"try\", \"1.0.0\", #{{ params: #{{ app: target(\"d\") }} }});\nstep(\"one\", || {{ let x = params.app; }});\nstep(\"two\", || {{ {reads} }});\nstep(\"three\", || 3);\n"
        )
    };
    assert_eq!(codes(&text("done.three")), ["step.later"]);
    assert_eq!(codes(&text("took.three")), ["step.later"]);
    assert_eq!(codes(&text("done.tree")), ["step.unknown"]);
    assert_eq!(codes(&text("done.one")), ["step.no_value"]);
    assert_eq!(codes(&text("took.one")), [] as [&str; 0]);
    assert_eq!(codes(&text("params.ap")), ["param.unknown"]);
}

#[test]
fn declaring_and_acting_are_never_mixed() {
    let text = refused("sql::exec(\"app\", \"delete from t\");\nrunbook(\"x\", \"1\");");
    assert!(text.contains("runbooks/try.rhai:1:6") && text.contains("only declares"), "{text}");
    let inside = with_step("step(\"more\", || 1)");
    assert_eq!(codes(&inside), ["phase", "param.unread"]);
    assert!(failure("step(\"more\", || 1)").shown.contains("declares, and a step only acts"));
}

#[test]
fn what_is_wrong_is_said_in_words() {
    for (text, says) in [
        ("step(\"a\", || 1);", "declares no runbook"),
        ("runbook(\"a\", \"1\");", "declares no step"),
        ("runbook(\"A b\", \"1\"); step(\"a\", || 1);", "is not a name"),
        ("runbook(\"a\", \"1\", #{ abuot: \"x\" }); step(\"a\", || 1);", "did you mean `about`?"),
        ("runbook(\"a\", \"1\"); step(\"a\", || 1); step(\"a\", || 2);", "there is a step `a` already"),
        ("runbook(\"a\", \"1\"); step(\"a\", || parms.x);", "did you mean `params`?"),
        ("runbook(\"a\", \"1\", #{ lock: [\"x\"] }); step(\"a\", || 1);", "is not a target parameter"),
        (
            "runbook(\"a\", \"1\", #{ params: #{ d: duration(\"x\", #{ or: \"3 parsecs\" }) } }); step(\"a\", || 1);",
            "a duration, such as",
        ),
        ("runbook(\"a\", \"1\"); step(\"a\", || switch 1 { 1 => 2 });", "if … else if"),
        ("let n = 1; runbook(\"a\", \"1\"); step(\"a\", || { n += 1; n });", "cannot be changed in it"),
        ("runbook(\"a\", \"1\"); step(\"a\", |x| x);", "takes 1 values and is given 0"),
        ("runbook(\"a\", \"1\"); step(\"a\", || 1).hold(\"h\", \"nope\");", "no function `nope`"),
    ] {
        let found = refused(text);
        assert!(found.contains(says), "{text}\n{found}");
        assert!(found.contains("runbooks/try.rhai") || says.contains("declares no"), "{text}\n{found}");
    }
}

#[test]
fn parameters_keep_their_order_and_defaults_are_read() {
    let text = "runbook(\"a\", \"1\", #{ params: #{\n zeta: target(\"z\"),\n alpha: duration(\"a\", #{ or: \"30m\" }),\n many: list(size(\"s\"), #{ or: [\"1kB\"] }), how: one_of([\"x\", \"y\"], \"h\", #{ or: \"y\" }) } });\nstep(\"a\", || 1).retry(#{ attempts: 2, wait: \"1s\" }).timeout(\"10m\").point_of_no_return(\"why\").when(|| true);";
    let book = book(text).unwrap();
    let declaration = book.declaration();
    let names: Vec<&str> = declaration.params.iter().map(|param| param.name.as_str()).collect();
    assert_eq!(names, ["zeta", "alpha", "many", "how"]);
    assert_eq!(declaration.params[1].or, Some(json!(1800.0)));
    assert_eq!(declaration.params[2].or, Some(json!([1024])));
    assert_eq!(declaration.params[3].kind, ParamKind::OneOf(vec!["x".into(), "y".into()]));
    assert_eq!(declaration.lock, ["zeta"]);
    let step = &declaration.steps[0];
    assert_eq!((step.retry.attempts, step.retry.wait, step.timeout, step.when), (2, 1.0, Some(600.0), true));
}

#[test]
fn imports_and_templates_are_gathered_by_their_names() {
    let files = BTreeMap::from([
        (
            "runbooks/main.rhai",
            "import \"lib/util\" as util;\nrunbook(\"main\", \"1\", #{ params: #{ app: target(\"d\") } });\nstep(\"a\", || util::rows(params.app));",
        ),
        ("runbooks/lib/util.rhai", "fn rows(target) { sql::exec(target, template(\"x.sql\"), #{ n: 1 }) }"),
        ("templates/x.sql", "delete from t where n = {{ n }};\nselect 1;\n"),
    ]);
    let read = |path: &str| files.get(path).map(ToString::to_string);
    let sources = gather("runbooks/main.rhai", &read).unwrap();
    assert_eq!(sources.files.len(), 3);
    let book = load(&sources).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    assert!(lint(&book).is_empty(), "{}", shown(&lint(&book)));
    let (result, asked) = call(&book, 0, runsheet::model::ids::Phase::Perform, None, Desk::new());
    result.unwrap_or_else(|error| panic!("{}", error.shown));
    assert_eq!(asked[0].request["statements"], json!(["delete from t where n = 1", "select 1"]));
    assert_eq!(asked[0].at.as_ref().unwrap().file, "runbooks/lib/util.rhai");
    let up = |_: &str| Some("import \"../secrets\" as s;".to_owned());
    assert!(gather("runbooks/main.rhai", &up).unwrap_err().message.contains("no `..`"));
}

#[test]
fn every_word_has_its_reference() {
    for word in words() {
        assert!(!word.summary.is_empty() && !word.example.is_empty() && !word.signature.is_empty(), "{}", word.name);
    }
    assert!(words().iter().any(|word| word.name == "sql::exec"));
}

proptest! {
    #[test]
    fn garbage_never_panics(text in "\\PC{0,200}") {
        if let Ok(book) = load(&Sources::single("runbooks/x.rhai", text)) { lint(&book); }
    }

    #[test]
    fn a_mutated_runbook_never_panics(at in 0usize..400, cut in 0usize..20, with in "[(){}\\[\\]|;,.#\"`a-z0-9+= ]{0,6}") {
        let text = with_step("let rows = sql::query(params.app, \"select {{ x }}\", #{ x: 1 }); try { rows[0].a } catch (e) { e } for r in rows { check::that(`a ${r}`, true); }");
        let chars: Vec<char> = text.chars().collect();
        let at = at.min(chars.len());
        let mutated: String = chars[..at].iter().copied().chain(with.chars()).chain(chars[(at + cut).min(chars.len())..].iter().copied()).collect();
        match load(&Sources::single("runbooks/x.rhai", mutated)) {
            Ok(book) => { lint(&book); }
            Err(problems) => { for problem in problems { problem.render(true); } }
        }
    }
}
