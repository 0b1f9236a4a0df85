//! Rhai's traps, closed; previews with unknown values; secrets that stay handles.

use runsheet::model::fault::{Fault, Halt, Stop};
use runsheet::model::{secret, unknown};
use serde_json::{Value, json};

use super::desk::*;

#[test]
fn comparing_different_kinds_is_an_error() {
    for text in [
        "\"1\" == 1",
        "\"1\" != 1",
        "1 < \"2\"",
        "true == 1",
        "[1] == [\"1\"]",
        "1 in [\"1\"]",
        "#{ a: 1 } == #{ a: \"1\" }",
    ] {
        assert!(failure(text).shown.contains("cannot be compared"), "{text}");
    }
    assert_eq!(
        value("[1 == 1.0, 2 > 1.5, () == 5, 5 == (), () == (), \"a\" < \"b\", [1, 2] == [1, 2]]"),
        json!([true, true, false, false, true, true, true])
    );
}

#[test]
fn division_that_leaves_a_rest_is_an_error() {
    assert!(failure("5 / 2").shown.contains("leaves a rest"));
    assert!(failure("let a = 5; a /= 2; a").shown.contains("leaves a rest"));
    assert!(failure("5 / 0").shown.contains("division by zero"));
    assert_eq!(value("[6 / 2, 5.0 / 2]"), json!([3, 2.5]));
}

#[test]
fn ranges_contain_what_they_contain() {
    assert_eq!(value("[500 in 1..500, 500 in 1..=500, 7 in 1..500, 0 in 1..500]"), json!([false, true, true, false]));
}

#[test]
fn what_a_run_could_not_repeat_is_refused() {
    for text in ["timestamp()", "sleep(1)", "exit(1)"] {
        failure(text);
    }
    let (_, asked) = body("print(`hello ${1}`); debug(2);", Desk::new());
    assert_eq!(asked.iter().map(|action| action.word.as_str()).collect::<Vec<_>>(), ["log::info", "log::info"]);
    assert!(failure("loop { }").shown.contains("runs away"));
}

#[test]
fn captured_values_are_frozen() {
    let text = "let list = [1];\n".to_owned() + with_step("let mine = list; mine.push(2); mine").as_str();
    assert_eq!(perform(&text, Desk::new()).0.unwrap(), json!([1, 2]));
    let text = "let list = [1];\n".to_owned() + with_step("list.push(2); list").as_str();
    assert!(shown(&book(&text).unwrap_err()).contains("cannot be changed in it"));
    assert!(shown(&book(&with_step("let done = 1; done")).unwrap_err()).contains("the run's own"));
}

fn later(text: &str) -> Result<Value, Stop> {
    let desk = Desk::new().previewing().done("dump", json!({ "rows": unknown::handle("dump") }));
    let desk = desk.done("whole", json!(unknown::handle("dump")));
    body(text, desk).0.map_err(|error| error.stop)
}

#[test]
fn unknowns_flow_through_values() {
    let handle = unknown::handle("dump");
    for text in [
        "done.whole",
        "done.whole.x.y",
        "done.whole[0]",
        "done.whole[\"a\"]",
        "done.dump.rows + 1",
        "1 + done.dump.rows",
        "-done.whole",
        "!done.whole",
        "let n = 1; n += done.whole; n",
        "done.whole.len()",
        "parse_int(done.whole)",
        "max(done.whole, 3)",
        "done.whole.map(|r| r.x)",
        "done.whole == 5",
        "5 > done.whole",
        "done.whole == ()",
        "done.whole ?? 5",
        "`${done.whole}`",
        "1 in [done.whole]",
        "done.whole in [1, 2]",
        "[1, done.whole] == [1, 2]",
        "#{ a: done.whole } == #{ a: 1 }",
        "`${done.whole}` == \"x\"",
        "[1].contains(done.whole)",
    ] {
        assert_eq!(later(text), Ok(json!(handle)), "{text}");
    }
    assert_eq!(later("`a ${done.whole} b`"), Ok(json!(format!("a {handle} b"))));
    assert_eq!(later("\"a\" + done.whole"), Ok(json!(format!("a{handle}"))));
}

#[test]
fn a_decision_on_an_unknown_stops_the_preview() {
    let stop = Err(Stop::Halted(Halt::Unknowable { after: "dump".into() }));
    for text in [
        "if done.whole { 1 } else { 2 }",
        "if done.whole == 5 { 1 } else { 2 }",
        "while done.whole { }",
        "for x in done.whole { x }",
        "for i in 0..done.whole { i }",
        "[1, 2][done.whole]",
        "#{ a: 1 }[done.whole]",
        "#{ a: 1 }[`${done.whole}`]",
        "done.whole && true",
        "true && done.whole",
        "let s = `a ${done.whole}`; s.len()",
        "`${done.whole} x`.contains(\"x\")",
        "`${done.whole} x`.split(\" \")",
        "`${done.whole} x`.to_upper()",
        "parse_int(`${done.whole}`)",
        "[1, 2].filter(|x| x > done.whole)",
        "[1].some(|x| x == done.whole)",
        "[1].all(|x| x == done.whole)",
        "[1].find(|x| x == done.whole)",
        "[2, done.whole].sort()",
        "try { if done.whole { 1 } } catch { 2 }",
        "try { if done.whole.x == 1 { 1 } } catch (e) { return 2; }",
        "flow::each(done.whole, |x| x)",
        "flow::each([done.whole], |x| x)",
        "sql::query(params.app, \"select 1 {% if x %} + 1 {% endif %}\", #{ x: done.whole })",
    ] {
        assert_eq!(later(text), stop, "{text}");
    }
}

#[test]
fn an_unknown_stands_in_sql_and_in_checks_as_itself() {
    let handle = unknown::handle("dump");
    let desk = Desk::new().previewing().done("dump", json!({ "rows": handle }));
    let (result, asked) = body(
        "sql::exec(params.app, \"delete from t where n = {{ n }}\", #{ n: done.dump.rows }); check::that(\"equal\", done.dump.rows == 5, `${done.dump.rows} rows`)",
        desk,
    );
    assert_eq!(result.unwrap(), json!(handle));
    assert_eq!(asked[0].request["statements"][0], json!(format!("delete from t where n = {handle}")));
    assert!(asked[1].request["detail"].as_str().unwrap().contains(&handle));
}

#[test]
fn a_secret_is_neither_compared_nor_measured_nor_put_into_sql() {
    let pw = secret::handle("pw");
    let run = |text: &str| body(text, Desk::new().param("pw", json!(pw)));
    for text in [
        "params.pw == \"x\"",
        "params.pw.len()",
        "params.pw.contains(\"x\")",
        "params.pw < \"b\"",
        "params.pw in [\"x\"]",
        "params.pw.sub_string(0, 1)",
        "sql::exec(params.app, \"alter role x password {{ pw }}\", #{ pw: params.pw })",
        "command::run([\"echo\", params.pw])",
    ] {
        let error = run(text).0.expect_err(text);
        assert!(error.shown.contains("secret"), "{text}\n{}", error.shown);
        assert!(!error.shown.contains(secret::OPEN), "{text}");
    }
    let (_, asked) = run("sql::exec(params.app, \"alter role x password {{ pw | scram }}\", #{ pw: params.pw })");
    assert_eq!(
        asked[0].request["statements"][0],
        json!(format!("alter role x password '{}'", secret::handle("pw|scram")))
    );
    assert_eq!(run("`a ${params.pw}`").0.unwrap(), json!(format!("a {pw}")));
}

#[test]
fn an_error_shows_the_chain_of_calls() {
    let text = "fn inner(n) { n.missing }\nfn outer(n) { inner(n) }\n".to_owned() + with_step("outer(#{})").as_str();
    let error = perform(&text, Desk::new()).0.unwrap_err();
    for part in [
        "runbooks/try.rhai:1:",
        "there is no field `missing`",
        "in this call of `inner`",
        "in this call of `outer`",
        "n.missing",
    ] {
        assert!(error.shown.contains(part), "{part}\n{}", error.shown);
    }
}

#[test]
fn waiting_ends_at_its_limit() {
    let desk = Desk::new()
        .answers(json!("2026-01-01T00:00:00Z"))
        .answers(json!("2026-01-01T00:00:01Z"))
        .answers(json!("2026-01-01T00:00:09Z"));
    let (result, asked) = body("flow::wait_until(5, || false)", desk);
    let Stop::Failed(Fault { code, .. }) = result.unwrap_err().stop else { panic!() };
    assert_eq!(code, "wait.timeout");
    let words: Vec<&str> = asked.iter().map(|action| action.word.as_str()).collect();
    assert_eq!(words, ["now", "now", "flow::sleep", "now"]);
}

#[test]
fn checks_have_three_verdicts() {
    let (_, asked) = body(
        "check::that(\"a\", 1 == 1); check::that(\"b\", false, \"why\"); check::that(\"c\", ()); check::within(\"d\", 5, \"10s\"); gate::min_rows(\"e\", 3, 5, #{ accept: [\"gap\"] }); check::fresh(\"f\", \"2026-02-28T23:00:00+00:00\", \"2h\"); check::unverified(\"g\", \"no right\");",
        Desk::new(),
    );
    let verdicts: Vec<&str> = asked
        .iter()
        .filter(|action| action.word == "check::record")
        .map(|action| action.request["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts, ["pass", "fail", "could-not-verify", "pass", "fail", "pass", "could-not-verify"]);
}

#[test]
fn runaway_recursion_and_nesting_end_in_a_message() {
    let text = "fn deep(n) { deep(n + 1) }\n".to_owned() + with_step("deep(1)").as_str();
    let error = perform(&text, Desk::new()).0.unwrap_err();
    assert!(error.shown.contains("too deeply"), "{}", error.shown);
    let nested = format!("{}1{}", "(".repeat(2000), ")".repeat(2000));
    assert!(book(&with_step(&nested)).is_err());
}

#[test]
fn a_lane_that_fails_shows_its_own_line_and_keys_must_differ() {
    let error = failure("flow::each([1, 2], #{}, |n| n.missing)");
    assert!(error.shown.contains("runbooks/try.rhai:2:") && error.shown.contains("missing"), "{}", error.shown);
    assert!(failure("flow::each([1, 1], |n| n)").shown.contains("two items have the key `1`"));
    assert!(failure("flow::each([1], #{ at: 2 }, |n| n)").shown.contains("there is no option `at`"));
}

#[test]
fn a_command_says_how_it_is_recovered() {
    use runsheet::model::action::Recovery;
    for (options, class, writes) in [
        ("#{}", Recovery::Ask, 1),
        ("#{ repeatable: true, writes: [\"file/x\"] }", Recovery::Repeatable, 1),
        ("#{ read_only: true }", Recovery::Read, 0),
    ] {
        let (result, asked) = body(&format!("command::run([\"a\", 1], {options})"), Desk::new());
        result.unwrap();
        assert_eq!((asked[0].class, asked[0].writes.len()), (class, writes), "{options}");
    }
    assert!(failure("command::run(\"rm -rf /\")").shown.contains("no shell reads it"));
    assert!(failure("command::run([\"a\"], #{ probe: \"nope\" })").shown.contains("no function `nope`"));
    assert!(failure("sql::exce(params.app, \"select 1\")").shown.contains("did you mean `sql::exec`?"));
    assert!(failure("sql::query(params.app)").shown.contains("it is sql::query(target, sql"));
}
