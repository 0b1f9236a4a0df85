//! What must not be believed: names that strangers took, branches of other runs, answers that say nothing, text that a
//! terminal would obey.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::{Value, json};

use super::bench::Bench;
use crate::support::wait_until;

#[test]
fn a_branch_that_another_run_made_is_no_target_of_this_one() {
    let bench = Bench::real(json!({}));
    bench
        .ours
        .runbook("make", "step(\"make\", || neon::create_branch(#{ of: params.app, name: \"theirs\", keep: true }));");
    bench.ours.run(&["run", "make"]).with_code(0);
    let state = bench.theirs.state();
    let made = state["branches"].as_array().unwrap().iter().find(|it| it["name"] == "theirs").unwrap()["id"].clone();
    let target = format!("app:{}", made.as_str().unwrap());
    for word in ["sql::exec(TARGET, \"truncate customers cascade\")", "sql::value(TARGET, \"select 1\")"] {
        let name = if word.contains("exec") { "write" } else { "look" };
        bench.ours.runbook(name, &format!("step(\"s\", || {});", word.replace("TARGET", &format!("{target:?}"))));
        let said = bench.ours.run(&["run", name]).with_code(1).saying("it was made by run make-1");
        assert!(said.err.contains("configure it as a target"), "{}", said.err);
        bench.ours.run(&["abandon", "--why", "tried"]).with_code(0);
    }
}

#[test]
fn a_name_given_twice_in_a_run_is_refused_rather_than_answered_with_the_first_branch() {
    let bench = Bench::paper(json!({}));
    bench.runbook(
        "twice",
        r#"
step("first", || neon::create_branch(#{ name: "copy" })).cleanup(|made| neon::drop_branch(made));
step("second", || neon::create_branch(#{ name: "copy", compute: false }));
"#,
    );
    bench.ours.run(&["run", "twice"]).with_code(1).saying("this run made a branch `copy` already");
    bench.ours.run(&["abandon", "--why", "tried"]).with_code(0);
    assert_eq!(bench.theirs.names(), ["main"]);
}

#[test]
fn a_preserve_name_that_a_stranger_took_is_not_taken_for_a_restore() {
    let bench = Bench::paper(json!({ "knobs": { "operation_ms": 1 } }));
    bench.theirs.seed(&json!([{ "name": "staging" }]));
    bench.runbook(
        "reset",
        "step(\"reset\", || neon::restore_branch(\"staging\", #{ from: \"main\", preserve: \"before\" }));",
    );
    let staging = |state: &Value, name: &str| {
        let all = state["branches"].as_array().unwrap().clone();
        all.into_iter().find(|it| it["name"] == name && it["deleted"] == false).unwrap_or_default()
    };
    let mut doubted = 0;
    for write in 1.. {
        let said = bench.ours.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["run", "reset"]);
        if said.code == 0 {
            break;
        }
        bench.theirs.settle();
        let stranger = staging(&bench.theirs.state(), "before").is_null();
        if stranger {
            bench.theirs.seed(&json!([{ "name": "before" }]));
        }
        let before = staging(&bench.theirs.state(), "staging")["last_reset_at"].clone();
        if !bench.ours.run(&["status", "--json"]).json()["unfinished"][0].is_null() {
            let said = bench.ours.run(&["resume"]);
            let after = staging(&bench.theirs.state(), "staging")["last_reset_at"].clone();
            assert!(
                said.code != 0 || !stranger || after != before,
                "after:{write}: nothing was put back\n{}",
                said.err
            );
            if said.code == 6 {
                doubted += 1;
                assert!(said.err.contains("somebody may have given that name to another"), "{}", said.err);
                bench.ours.run(&["resolve", "--as", "not-done", "--why", "looked"]);
            }
            bench.ours.run(&["abandon", "--why", "tried"]);
        }
        bench.theirs.alter("before", &json!({ "removed": true }));
    }
    assert!(doubted > 0, "it was never in doubt");
}

#[test]
fn a_branch_that_became_another_while_the_service_was_busy_is_kept() {
    let bench = Bench::paper(json!({}));
    bench.theirs.seed(&json!([{ "name": "victim" }]));
    bench.runbook(
        "purge",
        r#"
step("list", || neon::branch("victim"));
step("purge", || {
    let answer = neon::delete_branch(done.list);
    gate::that("kept", !answer.deleted && answer.why.contains("protected"), `${answer}`);
});
"#,
    );
    bench.theirs.knobs(&json!({ "manual": true }));
    bench.theirs.lab("POST", "/operations", &json!({ "count": 1 }));
    std::thread::scope(|scope| {
        let run = scope.spawn(|| bench.ours.run(&["run", "purge"]));
        wait_until("it was asked to delete it", || {
            let asked = bench.theirs.state()["counts"].clone();
            asked
                .as_object()
                .unwrap()
                .iter()
                .any(|(route, count)| route.starts_with("DELETE ") && count.as_u64() > Some(0))
        });
        bench.theirs.alter("victim", &json!({ "protected": true }));
        bench.theirs.knobs(&json!({ "manual": false }));
        run.join().unwrap().with_code(0);
    });
    assert_eq!(bench.theirs.names(), ["main", "victim"]);
}

#[test]
fn an_answer_without_branches_is_no_project_without_branches() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
        }
    });
    let bench = Bench::paper(json!({}));
    let key = &bench.theirs.key;
    bench.ours.file(
        "runsheet.toml",
        &format!("[neon]\napi_base = \"http://127.0.0.1:{port}\"\napi_key = \"{key}\"\nproject = \"p\"\n"),
    );
    bench.runbook("list", "step(\"list\", || neon::branches(#{}));");
    bench.ours.run(&["run", "list"]).with_code(1).saying("is `neon.api_base` the address of the API?");
}

#[test]
fn names_of_strangers_move_no_cursor_and_turn_no_line() {
    let bench = Bench::paper(json!({}));
    bench.theirs.seed(&json!([{ "name": "pr\u{1b}[2J\u{1b}]0;t\u{7}\u{202e}gpj" }, { "name": "two\u{1b}[8m" }, { "name": "two\u{1b}[8m" }]));
    bench.runbook(
        "names",
        r#"
step("names", || {
    let all = neon::branches(#{}).filter(|branch| branch.name != "main");
    log::info(all[0].name);
    check::that(all[0].name, true, all[0].name);
    neon::delete_branch(all[0]);
    neon::branch(all[1].name)
});
"#,
    );
    let mut said = vec![bench.ours.run(&["plan", "names"]), bench.ours.run(&["run", "names"]).with_code(1)];
    for command in ["status", "runs", "report"] {
        said.push(bench.ours.run(&[command]));
    }
    for said in said {
        let shown = format!("{}{}", said.out, said.err);
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown:?}");
    }
}

#[test]
fn nothing_is_gone_because_a_proxy_or_a_project_out_of_sight_says_404() {
    let bench = Bench::paper(json!({}));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let page = "<html>404</html>";
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 4096]);
            let head = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", page.len());
            let _ = stream.write_all(format!("{head}{page}").as_bytes());
        }
    });
    bench.runbook("drop", "step(\"drop\", || neon::drop_branch(\"br-cold-moon-a1b2c3d4\"));");
    bench.ours.run(&["run", "drop"]).with_code(0);
    let (base, key, id) = (&bench.theirs.base, &bench.theirs.key, &bench.theirs.id);
    let elsewhere = format!("http://127.0.0.1:{port}");
    for (base, project, why) in
        [(&elsewhere, id.as_str(), "is no JSON"), (base, "not-our-project-1", "project not found")]
    {
        let text = format!("[neon]\napi_base = \"{base}\"\napi_key = \"{key}\"\nproject = \"{project}\"\n");
        bench.ours.file("runsheet.toml", &text);
        bench.ours.run(&["run", "drop"]).with_code(1).saying(why);
        bench.ours.run(&["abandon", "--why", "tried"]).with_code(0);
    }
}

#[test]
fn a_name_is_no_id_of_what_a_run_made() {
    let bench = Bench::paper(json!({}));
    bench.runbook("drop", "step(\"drop\", || neon::drop_branch(\"main\"));");
    bench.ours.run(&["run", "drop"]).with_code(1).saying("`main` is no id of a branch");
}
