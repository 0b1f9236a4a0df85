//! The words that ask this host.

use std::time::{Duration, Instant};

use runsheet::effects::local;
use runsheet::model::Value;
use runsheet::model::action::{Action, Recovery};
use runsheet::model::event::Event;
use runsheet::model::preview::Level;
use runsheet::model::request::{EnvVar, LogLine, Now, RandomPassword, Request, Sleep};

use super::{Bench, Book, ticket};

fn change<R: Request>(request: R) -> Action {
    Action::change(R::WORD, &request, "a word", Recovery::Repeatable, vec![])
}

fn read<R: Request>(request: R) -> Action {
    Action::read(R::WORD, &request, "a word", vec![])
}

#[tokio::test]
async fn passwords_are_long_different_plain_characters_and_only_their_handle_is_seen() {
    let bench = Bench::new();
    let mut seen = std::collections::BTreeSet::new();
    for seq in 1..=50 {
        let mut ticket = ticket();
        ticket.key.seq = seq;
        let book = Book::default();
        let done = local::perform(&bench.world, &change(RandomPassword { length: 40 }), &ticket, &book).await.unwrap();
        assert_eq!(book.told(), ["intent"]);
        let handle = done.value.as_str().unwrap().to_owned();
        assert_eq!(handle, runsheet::model::secret::handle(&format!("random:drill-7/move#{seq}")));
        let password = bench.world.vault.open(&handle).unwrap();
        assert_eq!(password.len(), 40);
        assert!(password.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{password}");
        assert_eq!(bench.world.vault.redact(&password), format!("(secret random:drill-7/move#{seq})"));
        assert!(seen.insert(password));
    }
    let all: std::collections::BTreeSet<char> = seen.iter().flat_map(|password| password.chars()).collect();
    assert!(all.len() > 60, "2000 characters show nearly all 64 of the alphabet: {all:?}");
    for length in [0, 7, 1025, u64::MAX] {
        let fault = local::perform(&bench.world, &change(RandomPassword { length }), &ticket(), &Book::default()).await;
        assert_eq!(fault.unwrap_err().code, "random.length");
        assert!(local::preview(&bench.world, &change(RandomPassword { length })).await.is_err());
    }
}

#[tokio::test]
async fn a_variable_is_a_secret_and_a_missing_one_is_named() {
    let bench = Bench::with(&[("TOKEN", "canary-value"), ("EMPTY", "")]);
    let book = Book::default();
    let done = local::perform(&bench.world, &read(EnvVar { name: "TOKEN".into() }), &ticket(), &book).await.unwrap();
    assert_eq!(book.told(), Vec::<&str>::new());
    assert_eq!(bench.world.vault.open(done.value.as_str().unwrap()).unwrap(), "canary-value");
    for name in ["EMPTY", "GONE"] {
        let action = read(EnvVar { name: name.into() });
        let fault = local::perform(&bench.world, &action, &ticket(), &Book::default()).await.unwrap_err();
        assert_eq!((fault.code.as_str(), fault.message.contains(name)), ("env.missing", true));
        assert_eq!(local::preview(&bench.world, &action).await.unwrap_err().code, "env.missing");
    }
}

#[tokio::test]
async fn time_is_read_in_utc_and_waiting_takes_its_time() {
    let bench = Bench::new();
    let done = local::perform(&bench.world, &read(Now {}), &ticket(), &Book::default()).await.unwrap();
    let text = done.value.as_str().unwrap();
    let read_back = chrono::DateTime::parse_from_rfc3339(text).unwrap();
    assert!(text.ends_with('Z') && (chrono::Utc::now() - read_back.to_utc()).num_seconds().abs() < 60, "{text}");
    let began = Instant::now();
    local::perform(&bench.world, &read(Sleep { seconds: 0.2 }), &ticket(), &Book::default()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(200));
    for seconds in [-1.0, 1e300] {
        let fault = local::perform(&bench.world, &read(Sleep { seconds }), &ticket(), &Book::default()).await;
        assert_eq!(fault.unwrap_err().code, "flow.sleep");
    }
}

#[tokio::test]
async fn a_line_reaches_the_sink_without_secrets() {
    let bench = Bench::new();
    let handle = bench.world.vault.keep("token", "canary-value");
    let text = format!("using {handle} or canary-value");
    local::perform(&bench.world, &change(LogLine { text }), &ticket(), &Book::default()).await.unwrap();
    let events = bench.events.0.lock().unwrap();
    assert_eq!(*events, [Event::Log("using (secret token) or (secret token)".into())]);
}

#[tokio::test]
async fn a_preview_reads_what_can_be_read_and_makes_nothing_up() {
    let bench = Bench::with(&[("TOKEN", "canary-value")]);
    let shown = async |action: Action| {
        let shown = local::preview(&bench.world, &action).await.unwrap();
        (shown.level, shown.value)
    };
    assert_eq!(shown(change(RandomPassword { length: 20 })).await, (Level::Rendered, None));
    assert_eq!(shown(change(LogLine { text: "x".into() })).await, (Level::Rendered, Some(Value::Null)));
    let (level, value) = shown(read(EnvVar { name: "TOKEN".into() })).await;
    assert_eq!((level, value), (Level::Read, Some(runsheet::model::secret::handle("env:TOKEN").into())));
    assert_eq!(shown(read(Now {})).await.0, Level::Read);
    assert!(bench.events.0.lock().unwrap().is_empty());
}
