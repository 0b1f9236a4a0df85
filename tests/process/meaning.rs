//! What a command is given, and what its end means.

use runsheet::effects::process;
use runsheet::model::action::Recovery;
use runsheet::model::event::Event;
use runsheet::model::fault::FaultClass;
use serde_json::json;

use super::{Bench, Book, action, alive, command, pids, until};

#[tokio::test]
async fn a_command_answers_its_code_and_what_it_wrote() {
    let bench = Bench::new();
    let done = bench.shell("echo out; echo err >&2; pwd").await.unwrap();
    let folder = bench.folder.path().canonicalize().unwrap();
    let stdout = format!("out\n{}\n", folder.display());
    assert_eq!(done.value, json!({ "code": 0, "stdout": stdout, "stderr": "err\n" }));
    assert_eq!(done.rows, None);
}

#[tokio::test]
async fn arguments_reach_the_command_as_they_are() {
    let words = ["printf", "%s|", "$HOME", "a b", "*", "; rm -rf x", "'\"", "", "\n", "ü"];
    let done = Bench::new().run(&words).await.unwrap();
    assert_eq!(done.value["stdout"], "$HOME|a b|*|; rm -rf x|'\"||\n|ü|");
}

#[tokio::test]
async fn standard_input_is_empty() {
    let done = Bench::new().shell("cat; readlink /proc/self/fd/0").await.unwrap();
    assert_eq!(done.value["stdout"], "/dev/null\n");
}

#[tokio::test]
async fn no_descriptor_of_the_engine_is_inherited() {
    // What a plain child of this process gets: the standard streams, what `ls` itself opens, what our own parent left open.
    let plain = std::process::Command::new("ls").arg("/proc/self/fd").output().unwrap().stdout;
    let done = Bench::new().run(&["ls", "/proc/self/fd"]).await.unwrap();
    assert_eq!(done.value["stdout"], String::from_utf8(plain).unwrap());
}

#[tokio::test]
async fn started_and_intent_are_written_once_before_the_command_begins() {
    let bench = Bench::new();
    let marker = bench.path("marker");
    let book = Book { not_yet: Some(marker.clone()), ..Book::default() };
    let request = command(&["touch", marker.to_str().unwrap()]);
    bench.perform(&action(Recovery::Ask, &request), &book).await.unwrap();
    assert_eq!(book.told(), ["started", "intent"]);
    assert!(marker.exists());
}

#[tokio::test]
async fn a_command_whose_intent_cannot_be_written_never_begins() {
    let bench = Bench::new();
    let marker = bench.path("marker");
    let book = Book { refuse: true, ..Book::default() };
    let request = command(&["touch", marker.to_str().unwrap()]);
    let fault = bench.perform(&action(Recovery::Ask, &request), &book).await.unwrap_err();
    assert_eq!(fault.code, "journal");
    let session = u32::try_from(book.holds()["session"].as_u64().unwrap()).unwrap();
    until("the supervisor is gone", || !alive(session)).await;
    assert!(!marker.exists());
}

#[tokio::test]
async fn a_read_writes_neither() {
    let book = Book::default();
    Bench::new().perform(&action(Recovery::Read, &command(&["true"])), &book).await.unwrap();
    assert_eq!(book.told(), Vec::<&str>::new());
}

#[tokio::test]
async fn an_exit_code_is_a_fault_unless_it_was_named() {
    let bench = Bench::new();
    let fault = bench.shell("echo first >&2; echo 'no such table' >&2; echo >&2; exit 3").await.unwrap_err();
    assert_eq!((fault.class, fault.code.as_str()), (FaultClass::Fatal, "command.exit"));
    assert_eq!(fault.message, "`sh` exited with 3: no such table");
    assert_eq!(fault.detail.as_deref(), Some("first\nno such table"));
    let mut request = command(&["sh", "-c", "exit 3"]);
    request.ok = vec![0, 3];
    let done = bench.perform(&action(Recovery::Ask, &request), &Book::default()).await.unwrap();
    assert_eq!(done.value["code"], 3);
    request.ok = vec![3];
    request.run[2] = "exit 0".into();
    let fault = bench.perform(&action(Recovery::Ask, &request), &Book::default()).await.unwrap_err();
    assert_eq!(fault.message, "`sh` exited with 0");
    let fault = bench.shell("kill -9 $$").await.unwrap_err();
    assert_eq!(fault.message, "`sh` was ended by signal 9");
}

#[tokio::test]
async fn what_cannot_be_started_is_told_apart() {
    let bench = Bench::new();
    let fault = bench.run(&["no-such-program-anywhere"]).await.unwrap_err();
    assert_eq!((fault.class, fault.code.as_str()), (FaultClass::Fatal, "command.not-found"), "{fault}");
    std::fs::write(bench.path("plain"), "#!/bin/sh\n").unwrap();
    let fault = bench.run(&["./plain"]).await.unwrap_err();
    assert_eq!((fault.class, fault.code.as_str()), (FaultClass::Fatal, "command.permission"), "{fault}");
    let mut request = command(&["true"]);
    request.cwd = Some("nowhere".into());
    let fault = bench.perform(&action(Recovery::Ask, &request), &Book::default()).await.unwrap_err();
    assert_eq!(fault.code, "command.not-found", "{fault}");
    for (run, code) in [(vec![], "command.empty"), (vec!["a\0b"], "command.nul")] {
        assert_eq!(bench.run(&run).await.unwrap_err().code, code);
    }
}

#[tokio::test]
async fn a_supervisor_that_cannot_be_started_means_that_nothing_was_done() {
    let mut bench = Bench::new();
    bench.world.program = "/nowhere/runsheet".into();
    let book = Book::default();
    let fault = bench.perform(&action(Recovery::Ask, &command(&["true"])), &book).await.unwrap_err();
    assert_eq!((fault.class, fault.code.as_str()), (FaultClass::Retryable, "command.start"));
    assert_eq!(book.told(), Vec::<&str>::new());
}

#[tokio::test]
async fn too_much_output_is_refused_after_the_command_came_to_its_end() {
    let bench = Bench::new();
    let marker = bench.path("marker");
    let script = format!("head -c 3000000 /dev/zero; touch {}", marker.display());
    let fault = bench.shell(&script).await.unwrap_err();
    assert_eq!((fault.class, fault.code.as_str()), (FaultClass::Fatal, "result.large"));
    assert!(fault.message.contains("exited with 0") && fault.message.contains("3000000"), "{fault}");
    assert!(marker.exists());
    let half = "head -c 600000 /dev/zero | tr '\\0' x";
    let done = bench.shell(&format!("{half}; {half} | head -c 400000 >&2")).await.unwrap();
    assert_eq!(done.value["stdout"].as_str().unwrap().len(), 600_000);
    assert_eq!(bench.shell(&format!("{half}; {half} >&2")).await.unwrap_err().code, "result.large", "together");
    let fault = bench.shell("head -c 3000000 /dev/zero >&2; echo >&2; echo the end >&2; exit 1").await.unwrap_err();
    assert_eq!(fault.message, "`sh` exited with 1: the end");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_replaced_and_handle_characters_refused() {
    let bench = Bench::new();
    let done = bench.shell("printf 'a\\377b'").await.unwrap();
    assert_eq!(done.value["stdout"], "a\u{FFFD}b");
    let fault = bench.run(&["printf", "\u{F0000}random:x\u{F0001}"]).await.unwrap_err();
    assert_eq!(fault.code, "secret.in-arguments");
    let fault = bench.shell("printf '\\363\\260\\200\\200random:x\\363\\260\\200\\201'").await.unwrap_err();
    assert_eq!(fault.code, "data.handle");
    let fault = bench.shell("printf '\\363\\260\\200\\200x' >&2; exit 1").await.unwrap_err();
    assert_eq!(fault.message, "`sh` exited with 1: \u{FFFD}x");
}

#[tokio::test]
async fn what_a_command_leaves_behind_in_its_session_is_ended() {
    let bench = Bench::new();
    let file = bench.path("pids");
    let script = format!("sh -c 'echo $$ > {}; exec sleep 1000' & until [ -s {0} ]; do :; done", file.display());
    bench.shell(&script).await.unwrap();
    for pid in pids(&file, 1).await {
        assert!(!alive(pid));
    }
}

#[tokio::test]
async fn a_daemon_lives_on_and_holds_nobody_up() {
    let bench = Bench::new();
    let file = bench.path("pids");
    // It leaves the session as daemons do, and keeps the command's streams open.
    let script =
        format!("setsid sh -c 'echo $$ > {}; exec sleep 1000' & until [ -s {0} ]; do :; done; echo up", file.display());
    let done = tokio::time::timeout(std::time::Duration::from_secs(15), bench.shell(&script)).await;
    assert_eq!(done.expect("no waiting for the daemon").unwrap().value["stdout"], "up\n");
    let daemon = pids(&file, 1).await[0];
    assert!(alive(daemon));
    super::kill("-9", daemon);
}

#[tokio::test]
async fn the_preview_shows_a_line_that_can_be_typed_and_runs_nothing() {
    let bench = Bench::new();
    let marker = bench.path("marker");
    let mut request = command(&["touch", marker.to_str().unwrap(), "a b"]);
    let handle = bench.world.vault.keep("env:TOKEN", "canary-value");
    request.env.insert("TOKEN".into(), handle);
    request.cwd = Some("sub dir".into());
    let shown = process::preview(&bench.world, &action(Recovery::Ask, &request)).await.unwrap();
    let line = format!("cd 'sub dir' && TOKEN=\"$TOKEN\" touch {} 'a b'", marker.display());
    assert_eq!(shown.by_hand, [line]);
    assert_eq!(shown.value, None);
    assert_eq!(shown.notes.len(), 1);
    assert!(!marker.exists());
    assert!(bench.events.0.lock().unwrap().iter().all(|event| !matches!(event, Event::Warning(_))));
}
