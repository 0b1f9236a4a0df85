//! Steps are called, and their words become actions.

use runsheet::model::action::Recovery;
use runsheet::model::fault::{Fault, Halt, Stop};
use runsheet::model::ids::Phase;
use runsheet::model::script::Script;
use serde_json::json;

use super::desk::*;

#[test]
fn a_query_becomes_a_read_with_its_values_quoted() {
    let (result, asked) = body(
        "sql::query(params.app, \"select * from t where name = {{ name }}\", #{ name: \"O'Neil\" })",
        Desk::new().answers(json!([{ "id": 1 }])),
    );
    assert_eq!(result.unwrap(), json!([{ "id": 1 }]));
    assert_eq!(asked[0].word, "sql::query");
    assert_eq!(asked[0].class, Recovery::Read);
    assert_eq!(asked[0].request["sql"], "select * from t where name = 'O''Neil'");
    assert_eq!(asked[0].title, "select * from t where name = 'O''Neil' on app");
    let at = asked[0].at.as_ref().unwrap();
    assert_eq!((at.file.as_str(), at.line), ("runbooks/try.rhai", 2));
}

#[test]
fn an_uncaught_fault_is_handed_back_whole_and_shown_at_its_call() {
    let fault = Fault::retryable("sql.40001", "could not serialize access").detailed("row 7").hinted("try again");
    let (result, _) = body("sql::exec(params.app, \"delete from t\")", Desk::new().stops(fault.clone()));
    let error = result.unwrap_err();
    assert_eq!(error.stop, Stop::Failed(fault));
    assert!(error.shown.contains("runbooks/try.rhai:2:"), "{}", error.shown);
    assert!(error.shown.contains("could not serialize access"), "{}", error.shown);
}

#[test]
fn a_script_may_catch_a_fault_and_not_a_halt() {
    let text = "try { sql::exec(params.app, \"delete from t\"); } catch (error) { return error.code; } 1";
    let (result, _) = body(text, Desk::new().stops(Fault::fatal("sql.23505", "duplicate")));
    assert_eq!(result.unwrap(), json!("sql.23505"));
    let (result, _) = body(text, Desk::new().stops(Halt::Interrupted));
    assert_eq!(result.unwrap_err().stop, Stop::Halted(Halt::Interrupted));
}

#[test]
fn params_done_and_took_are_read_in_closures_and_in_functions() {
    let text = "fn twice() { done.before.rows * 2 }\n".to_owned()
        + with_step("[twice(), params.app, took.before, [1, 5, 9].filter(|n| n > params.least)]").as_str();
    let desk = Desk::new().done("before", json!({ "rows": 21 })).took("before", json!(1.5)).param("least", json!(4));
    assert_eq!(perform(&text, desk).0.unwrap(), json!([42, "app", 1.5, [5, 9]]));
}

#[test]
fn undo_gets_what_the_step_made() {
    let text = with_step("1").trim_end().trim_end_matches(';').to_owned()
        + ".undo(|made| sql::exec(params.app, \"delete from t where id = {{ id }}\", #{ id: made.id })).cleanup(|| ());";
    let book = book(&text).unwrap();
    assert!(book.declaration().steps[0].undo && book.declaration().steps[0].cleanup);
    let (result, asked) = call(&book, 0, Phase::Undo, Some(&json!({ "id": 7 })), Desk::new());
    result.unwrap();
    assert_eq!(asked[0].request["statements"], json!(["delete from t where id = 7"]));
    call(&book, 0, Phase::Cleanup, Some(&json!(1)), Desk::new()).0.unwrap();
}

#[test]
fn lanes_run_on_their_own_threads_with_their_own_host() {
    let (result, asked) = body(
        "let factor = 10; flow::each([#{ id: 1 }, #{ id: 2 }], #{ key: \"id\", at_once: 2 }, |row| { log::info(`at ${row.id}`); row.id * factor })",
        Desk::new(),
    );
    assert_eq!(result.unwrap(), json!([10, 20]));
    assert_eq!(asked.len(), 2);
}

#[test]
fn a_probe_is_called_by_its_name() {
    let text = "fn vacuumed(action) { sql::value(params.app, \"select true\") }\n".to_owned() + with_step("1").as_str();
    let book = book(&text).unwrap();
    let host = std::sync::Arc::new(Desk::new().answers(json!(true)));
    assert_eq!(book.function("vacuumed", &[json!({})], host).unwrap(), json!(true));
}

#[test]
fn try_sees_the_variables_around_it() {
    assert_eq!(
        value(
            "let a = 1; let f = |x| { let b = x; try { b += a; throw b; } catch (e) { let g = || e + b; g.call() + 100 } b }; try { a += 1; } catch { a = 50; }; [f.call(5), a]"
        ),
        json!([7, 2])
    );
    let text =
        "fn risky(n) { let m = n + 1; try { throw #{ code: `c${m}` }; } catch (problem) { return problem.code; } 0 }\n";
    assert_eq!(perform(&(text.to_owned() + with_step("risky(1)").as_str()), Desk::new()).0.unwrap(), json!("c2"));
}

#[test]
fn whoever_catches_a_text_reads_it_like_what_a_word_throws() {
    let told = r#"let told = []; for what in ["text", "map"] { try { if what == "map" { throw #{ message: "a map" }; } throw "a text"; }
        catch (problem) { told.push(problem.message); } } told"#;
    assert_eq!(value(told), json!(["a text", "a map"]));
}

#[test]
fn try_does_not_catch_a_mistake() {
    let error = failure("try { let a = #{}; a.missing } catch (e) { 5 }");
    assert!(error.shown.contains("there is no field `missing`"), "{}", error.shown);
}
