//! The five words, on a server that misbehaves.

use serde_json::json;

use super::server::{Say, Server};
use crate::program::project::{Project, Said};

const CANARY: &str = "canary&6a/41=f";

fn project(steps: &str) -> Project {
    let project = Project::with_url("");
    project.runbook("ask", "");
    let head = "runbook(\"ask\", \"1.0.0\", #{ about: \"a test\" });\n";
    project.file("runbooks/ask.rhai", &format!("{head}{steps}\n"));
    project
}

fn run(project: &Project, args: &[&str]) -> Said {
    let said: Said = project.command(args).env("TOKEN", CANARY).output().expect("it runs").into();
    let journal = std::fs::read(project.path().join(".runsheet/journal.db")).unwrap_or_default();
    for (place, text) in [("stdout", said.out.as_bytes()), ("stderr", said.err.as_bytes()), ("journal", &journal)] {
        for form in [CANARY.to_owned(), crate::support::neon::encoded(CANARY)] {
            let found = text.windows(form.len()).any(|part| part == form.as_bytes());
            assert!(!found, "{form} in {place}: {}", String::from_utf8_lossy(text));
        }
    }
    said
}

#[test]
fn secrets_go_where_they_are_sent_and_nowhere_else() {
    let server = Server::json(&json!({ "echo": CANARY, "token": "made-by-the-service-77", "n": 7 }));
    let url = &server.url;
    let project = project(&format!(
        r#"step("ask", || {{
            let token = env("TOKEN");
            let all = http::post(`{url}/a/b?key=${{token}}&x=1`, #{{ deep: [#{{ password: `pw:${{token}}` }}] }}, #{{ headers: #{{ authorization: `Bearer ${{token}}` }}, read_only: true, take: #{{ echo: "/echo" }} }});
            check::that("redacted", all.echo.contains("secret"), "");
            let part = http::get("{url}/part", #{{ headers: #{{ authorization: token }}, take: #{{ n: "/n", none: "/nope" }}, secret: #{{ token: "/token" }}, same: #{{ echoed: #{{ at: "/echo", value: token }}, begins: #{{ at: "/echo", has: "canary&" }}, not: #{{ at: "/n", value: 8 }} }} }});
            check::that("parts", part.n == 7 && part.none == () && part.echoed && part.begins && !part["not"] && part.keys().len() == 7, "");
            http::put("{url}/put", `text ${{part.token}}`, #{{ repeatable: true }});
        }});"#
    ));
    run(&project, &["run", "ask"]).with_code(0);
    let asked = server.asked();
    assert!(asked[0].starts_with("POST /a/b?key=canary%266a%2F41%3Df&x=1 "), "{}", asked[0]);
    assert!(asked[0].contains(&format!("authorization: Bearer {CANARY}")), "{}", asked[0]);
    assert!(
        asked[0].ends_with(&json!({ "deep": [{ "password": format!("pw:{CANARY}") }] }).to_string()),
        "{}",
        asked[0]
    );
    assert!(asked[0].contains("user-agent: runsheet/"), "{}", asked[0]);
    assert!(asked[2].ends_with("text made-by-the-service-77"), "{}", asked[2]);
    let kept = format!("{:?}", project.entries("ask-1"));
    assert!(!kept.contains("made-by-the-service-77"), "{kept}");
}

#[test]
fn a_secret_that_was_read_is_read_again_when_a_run_is_resumed() {
    let server = Server::json(&json!({ "token": "made-by-the-service-78" }));
    let url = &server.url;
    let project = project(&format!(
        r#"step("ask", || {{
            let token = http::get("{url}", #{{ secret: #{{ token: "/token" }} }}).token;
            flow::approve("go on?");
            http::post("{url}/use", #{{ token: token }}, #{{ repeatable: true }});
        }});"#
    ));
    run(&project, &["run", "ask"]).with_code(5);
    run(&project, &["approve", "ask-1"]);
    run(&project, &["resume", "ask-1"]).with_code(0);
    assert!(server.asked().last().expect("a request").ends_with(r#"{"token":"made-by-the-service-78"}"#));
}

#[test]
fn a_lost_answer_is_settled_by_the_class_of_the_request() {
    let lost = [Say::Nothing, Say::This("200 OK", "{}".into())];
    for (options, code, sent) in [
        ("", 6, 1),
        ("#{ repeatable: true }", 0, 2),
        ("#{ key: \"Idempotency-Key\" }", 0, 2),
        ("#{ read_only: true }", 0, 2),
        ("#{ probe: \"arrived\" }", 0, 1),
    ] {
        let server = Server::saying(&lost);
        let given = if options.is_empty() { String::new() } else { format!(", {options}") };
        let project = project(&format!(
            "fn arrived(request) {{ true }}\nstep(\"ask\", || {{ http::post(\"{}\", #{{ a: 1 }}{given}); }});",
            server.url
        ));
        run(&project, &["run", "ask"]).with_code(code);
        let asked = server.asked();
        assert_eq!(asked.len(), sent, "{options}");
        let keys: Vec<&str> =
            asked.iter().filter_map(|it| it.lines().find(|line| line.starts_with("idempotency-key"))).collect();
        assert!(keys.windows(2).all(|two| two[0] == two[1]), "{keys:?}");
        assert_eq!(keys.len(), if options.contains("key:") { 2 } else { 0 });
        if code == 6 {
            run(&project, &["resume", "ask-1"]).with_code(6);
            run(&project, &["resolve", "ask-1", "--as", "done", "--why", "looked"]).with_code(0);
            run(&project, &["resume", "ask-1"]).with_code(0);
            assert_eq!(server.asked().len(), 1, "nothing is sent twice");
        }
    }
}

#[test]
fn killed_in_the_middle_of_a_post_a_person_is_asked_or_it_is_sent_again() {
    for (options, code) in [("#{}", 6), ("#{ repeatable: true }", 0)] {
        let server = Server::saying(&[Say::Silence, Say::This("200 OK", "{}".into())]);
        let project =
            project(&format!("step(\"ask\", || {{ http::post(\"{}\", #{{ a: 1 }}, {options}); }});", server.url));
        let mut child = project.command(&["run", "ask"]).spawn().expect("it starts");
        crate::support::wait_until("the request arrived", || server.asked().len() == 1);
        child.kill().expect("it is killed");
        child.wait().expect("it ended");
        run(&project, &["resume", "ask-1"]).with_code(code);
        assert_eq!(server.asked().len(), if code == 6 { 1 } else { 2 });
    }
}

#[test]
fn who_asks_too_often_is_waited_for_whatever_the_request_and_a_server_in_trouble_only_where_it_is_harmless() {
    let later = |head: &'static str| [Say::This(head, "later".into()), Say::This("200 OK", "{}".into())];
    for (head, options, code, sent) in [
        ("429 Too Many\r\nretry-after: 0", "#{}", 0, 2),
        ("503 Unavailable\r\nretry-after: 0", "#{ repeatable: true }", 0, 2),
        ("503 Unavailable\r\nretry-after: 0", "#{}", 6, 1),
        ("429 Too Many\r\nretry-after: 86400", "#{}", 1, 1),
        ("500 Oh", "#{}", 6, 1),
        ("500 Oh", "#{ read_only: true }", 0, 2),
    ] {
        let server = Server::saying(&later(head));
        let project = project(&format!("step(\"ask\", || {{ http::post(\"{}\", #{{}}, {options}); }});", server.url));
        run(&project, &["run", "ask"]).with_code(code);
        assert_eq!(server.asked().len(), sent, "{head} {options}");
    }
}

#[test]
fn a_refusal_carries_its_status_and_a_short_body_without_secrets() {
    let body = format!("no right for {CANARY} {}", "x".repeat(5000));
    let server = Server::saying(&[Say::This("403 Forbidden", body)]);
    let project = project(&format!(
        r#"step("ask", || {{
            try {{ http::get("{url}/x?token=${{1}}" + env("TOKEN")); }} catch (e) {{ log::info(`${{e.code}} ${{e.detail}}`); check::that("short", e.detail.len() < 400, ""); }}
            http::get(`{url}/y?q=${{env("TOKEN")}}`);
        }});"#,
        url = server.url
    ));
    let said = run(&project, &["run", "ask"])
        .with_code(1)
        .saying("http.403 no right for (secret env:TOKEN)")
        .saying("/y: HTTP 403");
    assert!(!said.err.contains("q=(secret"), "{}", said.err);
}

#[test]
fn what_graphql_reports_with_status_200_is_a_fault() {
    let server = Server::json(&json!({ "data": null, "errors": [{ "message": "Not Authorized", "path": ["x"] }] }));
    let project = project(&format!(
        "step(\"ask\", || {{ http::post(\"{}\", #{{ query: \"x\" }}, #{{ fail: \"/errors\" }}); }});",
        server.url
    ));
    run(&project, &["run", "ask"]).with_code(1).saying("Not Authorized");
}

#[test]
fn a_secret_goes_to_tls_or_this_host_alone_and_credentials_are_not_written_out() {
    let refused = |line: &str, why: &str| {
        let project = project(&format!("step(\"ask\", || {{ {line}; }});"));
        let said = run(&project, &["run", "ask"]).saying(why);
        assert_ne!(said.code, 0);
    };
    refused("http::get(\"http://192.0.2.1/\", #{ headers: #{ authorization: env(\"TOKEN\") } })", "is not encrypted");
    refused("http::post(\"http://192.0.2.1/\", #{ a: env(\"TOKEN\") })", "is not encrypted");
    refused(
        "http::get(\"https://192.0.2.1/\", #{ headers: #{ Authorization: \"Bearer abc\" } })",
        "stands in the clear",
    );
    refused("http::get(\"https://me:word@192.0.2.1/\")", "in the clear");
    refused("http::get(\"ftp://192.0.2.1/\")", "begins with neither");
    refused("http::get(\"http://127.0.0.1:1/\").retry", "cannot be reached");
    refused("http::post(\"http://127.0.0.1/\", #{}, #{ repeatable: true, key: \"K\" })", "give one of");
    refused("http::get(\"http://127.0.0.1/\", #{ take: #{ a: \"b\" } })", "a JSON pointer looks like");
}

#[test]
fn an_answer_too_large_for_the_journal_is_refused_and_parts_of_it_are_not() {
    let server = Server::json(&json!({ "large": "x".repeat(1_100_000), "small": 1 }));
    let project = project(&format!(
        "step(\"part\", || http::get(\"{url}\", #{{ take: #{{ small: \"/small\" }} }}).small);\nstep(\"all\", || http::get(\"{url}\"));",
        url = server.url
    ));
    run(&project, &["run", "ask"]).with_code(1).saying("too large for the journal");
}

#[test]
fn a_preview_reads_and_only_shows_what_would_change() {
    let server = Server::json(&json!({ "n": 1 }));
    let project = project(&format!(
        r#"step("ask", || {{ let n = http::get("{url}/n", #{{ take: #{{ n: "/n" }} }}).n; http::post("{url}/go", #{{ n: n, t: env("TOKEN") }}, #{{ headers: #{{ "x-api-key": `k ${{env("TOKEN")}}` }} }}); }});"#,
        url = server.url
    ));
    let plan = run(&project, &["plan", "ask", "--full"]).with_code(0);
    assert_eq!(server.asked().len(), 1, "{:?}", server.asked());
    assert!(plan.out.contains(r#"-H 'x-api-key: k '"$TOKEN""#), "{}", plan.out);
    assert!(plan.out.contains(r#"--json '{"n":1,"t":"'"$TOKEN"'"}'"#), "{}", plan.out);
}
