//! Values in SQL: what is quoted, what is refused, and that nothing gets out of its quotes.

use proptest::prelude::*;
use runsheet::model::param::ParamKind;
use runsheet::runbook::{Shape, read_param, shape};
use serde_json::{Value, json};

use super::desk::*;

fn rendered(sql: &str, args: &str) -> String {
    let (result, asked) = body(&format!("sql::exec(params.app, {}, {args})", json!(sql)), Desk::new());
    result.unwrap_or_else(|error| panic!("{sql}\n{}", error.shown));
    let statements: Vec<String> = serde_json::from_value(asked[0].request["statements"].clone()).unwrap();
    statements.join(";")
}

fn refused(sql: &str) -> String {
    failure(&format!("sql::exec(params.app, {}, #{{ x: \"v\", n: -1 }})", json!(sql))).shown
}

#[test]
fn values_become_literals() {
    for (arg, literal) in [
        ("\"'; drop table users; --\"", "'''; drop table users; --'"),
        ("5", "5"),
        ("1.5", "1.5"),
        ("-5", "(-5)"),
        ("true", "true"),
        ("()", "NULL"),
        ("[1, \"a\"]", "ARRAY[1, 'a']"),
        ("#{ a: \"it's\" }", "'{\"a\":\"it''s\"}'"),
        ("\"a\\\\\"", "'a\\'"),
    ] {
        assert_eq!(rendered("select {{ x }}", &format!("#{{ x: {arg} }}")), format!("select {literal}"));
    }
    assert_eq!(
        rendered("drop table {{ s | ident }}.{{ t | ident }}", "#{ s: \"a\", t: \"b\\\"c\" }"),
        "drop table \"a\".\"b\"\"c\""
    );
    assert_eq!(rendered("select 1{% for x in xs %} + {{ x }}{% endfor %}", "#{ xs: [1, 2] }"), "select 1 + 1 + 2");
}

#[test]
fn a_placeholder_stands_only_where_a_token_may() {
    for sql in [
        "select '{{ x }}'",
        "select E'{{ x }}'",
        "select \"{{ x }}\"",
        "select 1 -- {{ x }}",
        "select /* a /* {{ x }} */ b */ 1",
        "select $$ {{ x }} $$",
        "select $a$ {% if x %} $a$",
        "select E{{ x }}",
        "select E {{- x }}",
        "select E{% if x %}{{ x }}{% endif %}",
        "select {{ x }}'a'",
        "select U&{{ x }}",
        "select E'a'\n{{ x }}",
        "{% raw %}{{ x }}{% endraw %}",
        "{% macro a() %}{% endmacro %}",
        "select {{ x",
        "select 'open",
        "select {{ x }}{{ x }}",
    ] {
        refused(sql);
    }
    assert!(refused("select '{{ x }}'").contains("a placeholder inside a string"));
}

#[test]
fn transaction_control_and_several_statements_in_a_query_are_refused() {
    for sql in [
        "commit",
        "begin; select 1",
        "select 1; ROLLBACK",
        "/* x */ start transaction",
        "savepoint a",
        "end",
        "abort",
        "prepare transaction 'x'",
        "rollback prepared 'x'",
    ] {
        assert!(refused(sql).contains("transaction control"), "{sql}");
    }
    refused("copy t from stdin");
    assert!(failure("sql::query(params.app, \"select 1; select 2\")").shown.contains("one statement"));
    assert_eq!(
        rendered(
            "create function f() returns int begin atomic select case when true then 1 end; select 2; end; select ';'",
            "#{}"
        )
        .matches(';')
        .count(),
        4
    );
}

#[test]
fn a_template_without_its_variable_names_it() {
    assert!(refused("select {{ missing }}").contains("missing"));
    assert_eq!(rendered("select {{ x | safe }}", "#{ x: \"'\" }"), "select ''''");
    refused("select 1\0");
}

#[test]
fn row_contracts_are_read() {
    let (_, asked) =
        body("sql::exec(params.app, \"delete from t\", #{}, #{ rows: \"1..500\", timeout: \"10m\" })", Desk::new());
    assert_eq!(asked[0].request["rows"], json!([{ "least": 1, "most": 500 }]));
    assert_eq!(asked[0].timeout, Some(600.0));
    assert!(
        failure("sql::exec(params.app, \"delete from t\", #{}, #{ row: 1 })").shown.contains("did you mean `rows`?")
    );
}

#[test]
fn parameters_are_read_as_their_kind() {
    for (kind, text, value) in [
        (ParamKind::Duration, "30m", json!(1800.0)),
        (ParamKind::Duration, "1h30m", json!(5400.0)),
        (ParamKind::Size, "2GB", json!(2_147_483_648_i64)),
        (ParamKind::Share, "5%", json!(0.05)),
        (ParamKind::Time, "2026-03-01T02:00:00+01:00", json!("2026-03-01T01:00:00Z")),
        (ParamKind::List(Box::new(ParamKind::Integer)), "1, 2", json!([1, 2])),
        (ParamKind::List(Box::new(ParamKind::Text)), "", json!([])),
        (ParamKind::Command, "a 'b c'", json!(["a", "b c"])),
        (ParamKind::Boolean, "true", json!(true)),
        (ParamKind::Secret, "env:X", json!("env:X")),
    ] {
        assert_eq!(read_param(&kind, &Value::from(text)), Ok(value), "{text}");
    }
    for (kind, text) in [
        (ParamKind::Duration, "30"),
        (ParamKind::Duration, "-1s"),
        (ParamKind::Size, "2XB"),
        (ParamKind::Share, "101%"),
        (ParamKind::Time, "2026-03-01T02:00:00"),
        (ParamKind::Integer, "1.5"),
        (ParamKind::Secret, "hunter22"),
        (ParamKind::Text, "\u{F0000}x\u{F0001}"),
        (ParamKind::Command, "a 'b"),
        (ParamKind::Number, "NaN"),
    ] {
        let why = read_param(&kind, &Value::from(text)).unwrap_err();
        assert!(!why.contains("hunter22"), "{why}");
    }
}

#[test]
fn a_tag_whose_two_ends_share_a_sign_is_refused() {
    for text in ["select {%}", "select {{}", "select {#}"] {
        let (result, asked) = body(&format!("sql::exec(params.app, \"{text}\")"), Desk::new());
        assert!(result.is_err() && asked.is_empty(), "{text}");
    }
}

proptest! {
    #[test]
    fn the_lexer_never_panics(text in "(\\PC|[\\n'\"$/*\\-eE&{}%#;\\\\]){0,60}") {
        let _ = shape(&text);
        let _ = body(&format!("sql::exec(params.app, {}, #{{ x: \"v\" }})", json!(text.replace(['`'], ""))), Desk::new());
    }

    #[test]
    fn any_text_stays_one_literal(text in "(\\PC|[\\n'\"$/*\\-eE&{}%;\\\\]){0,40}") {
        prop_assume!(!text.contains(['\u{F0000}', '\u{F0001}', '\u{F0002}', '\u{F0003}', '\u{F0010}', '\u{F0011}']));
        let (result, asked) = body("sql::exec(params.app, \"select a, {{ x }} from t\", #{ x: params.text })", Desk::new().param("text", json!(text)));
        prop_assert!(result.is_ok());
        let sql = asked[0].request["statements"][0].as_str().unwrap().to_owned();
        let word = |word: &str| Shape::Word(word.into());
        prop_assert_eq!(shape(&sql).unwrap(), vec![word("SELECT"), word("A"), Shape::Symbol(','), Shape::Literal, word("FROM"), word("T")]);
    }
}
