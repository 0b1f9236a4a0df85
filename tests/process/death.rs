//! Whatever dies, nothing of a command is left at work, and no stranger is hit.

use std::process::{Command, Stdio};
use std::time::Duration;

use runsheet::effects::{Doubt, Resolution, process};
use runsheet::model::Value;
use runsheet::model::action::{Action, Recovery};
use runsheet::model::fault::FaultClass;
use serde_json::json;

use super::{Bench, Book, action, alive, command, kill, pids, ticket, tree, until};

/// Names the folder in which [`stands_in_for_an_engine`] works.
const FOLDER: &str = "RUNSHEET_TEST_FOLDER";

fn tree_action(bench: &Bench, class: Recovery) -> Action {
    action(class, &command(&["bash", "-c", &tree(&bench.path("pids"))]))
}

/// A process of its own that performs a command and can be killed.
#[tokio::test]
#[ignore = "started by the tests below"]
async fn stands_in_for_an_engine() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = std::path::PathBuf::from(folder);
    let book = Book::default();
    let bench = Bench::new();
    let action = action(Recovery::Repeatable, &command(&["bash", "-c", &tree(&folder.join("pids"))]));
    let noting = async {
        pids(&folder.join("pids"), 4).await;
        std::fs::write(folder.join("holds.new"), book.holds().to_string()).unwrap();
        std::fs::rename(folder.join("holds.new"), folder.join("holds")).unwrap();
    };
    let _ = tokio::join!(bench.perform(&action, &book), noting);
}

/// Starts an engine that runs the tree; answers it, the tree and what it holds.
async fn engine(bench: &Bench) -> (std::process::Child, Vec<u32>, Value) {
    let engine = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "process::death::stands_in_for_an_engine"])
        .env(FOLDER, bench.folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the engine wrote down what it holds", || bench.path("holds").exists()).await;
    let holds = serde_json::from_str(&std::fs::read_to_string(bench.path("holds")).unwrap()).unwrap();
    let tree = pids(&bench.path("pids"), 4).await;
    assert!(tree.iter().all(|pid| alive(*pid)), "the tree stands");
    (engine, tree, holds)
}

fn supervisor(holds: &Value) -> u32 {
    u32::try_from(holds["session"].as_u64().unwrap()).unwrap()
}

#[tokio::test]
async fn when_the_engine_is_killed_the_whole_session_goes() {
    let bench = Bench::new();
    let (mut engine, tree, holds) = engine(&bench).await;
    engine.kill().unwrap();
    engine.wait().unwrap();
    until("the session is gone", || tree.iter().all(|pid| !alive(*pid)) && !alive(supervisor(&holds))).await;
}

#[tokio::test]
async fn when_engine_and_supervisor_are_killed_the_next_engine_ends_what_is_left() {
    let bench = Bench::new();
    let (mut engine, tree, holds) = engine(&bench).await;
    // The supervisor must not see the engine go.
    kill("-STOP", supervisor(&holds));
    engine.kill().unwrap();
    engine.wait().unwrap();
    kill("-KILL", supervisor(&holds));
    until("the supervisor is gone", || !alive(supervisor(&holds))).await;
    assert!(tree.iter().all(|pid| alive(*pid)), "the tree outlives both");
    let doubt = Doubt { holds: Some(holds), proof: Some(Value::Null) };
    let action = tree_action(&bench, Recovery::Repeatable);
    let resolution = process::resolve(&bench.world, &action, &ticket(), &doubt).await.unwrap();
    assert_eq!(resolution, Resolution::NotDone);
    assert!(tree.iter().all(|pid| !alive(*pid)), "gone before the answer, not some time later");
}

#[tokio::test]
async fn the_command_of_a_stopped_engine_is_ended_by_the_engine_that_takes_over() {
    let bench = Bench::new();
    let (mut engine, tree, holds) = engine(&bench).await;
    kill("-STOP", engine.id());
    // Another engine takes the run over: it ends the session itself.
    process::end_group(&holds).await.unwrap();
    assert!(tree.iter().all(|pid| !alive(*pid)));
    engine.kill().unwrap();
    engine.wait().unwrap();
}

#[tokio::test]
async fn dropping_the_future_ends_the_session() {
    let bench = Bench::new();
    let (action, book, file) = (tree_action(&bench, Recovery::Ask), Book::default(), bench.path("pids"));
    let tree = tokio::select! {
        ended = bench.perform(&action, &book) => panic!("{ended:?}"),
        tree = pids(&file, 4) => tree,
    };
    until("the session is gone", || tree.iter().all(|pid| !alive(*pid))).await;
}

#[tokio::test]
async fn a_time_limit_ends_the_session_before_it_answers() {
    let limited = async |class, wanted| {
        let bench = Bench::new();
        let mut action = tree_action(&bench, class);
        action.timeout = Some(5.0);
        let fault = bench.perform(&action, &Book::default()).await.unwrap_err();
        assert_eq!((fault.code.as_str(), fault.class), ("command.timeout", wanted), "{class:?}");
        assert_eq!(fault.message, "`bash` took longer than 5 s and was ended");
        let tree = pids(&bench.path("pids"), 4).await;
        assert!(tree.iter().all(|pid| !alive(*pid)));
    };
    tokio::join!(
        limited(Recovery::Read, FaultClass::Fatal),
        limited(Recovery::Repeatable, FaultClass::Fatal),
        limited(Recovery::Provable, FaultClass::Unknown),
        limited(Recovery::Ask, FaultClass::Unknown),
    );
}

#[tokio::test]
async fn when_the_supervisor_is_killed_the_session_goes_and_the_fault_says_so() {
    let bench = Bench::new();
    let (action, book, file) = (tree_action(&bench, Recovery::Ask), Book::default(), bench.path("pids"));
    let killing = async {
        let tree = pids(&file, 4).await;
        kill("-KILL", supervisor(&book.holds()));
        tree
    };
    let (done, tree) = tokio::join!(bench.perform(&action, &book), killing);
    let fault = done.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.class), ("command.lost", FaultClass::Unknown));
    assert!(tree.iter().all(|pid| !alive(*pid)));
}

#[tokio::test]
async fn a_number_that_belongs_to_a_stranger_by_now_is_left_alone() {
    let bench = Bench::new();
    let book = Book::default();
    bench.perform(&action(Recovery::Ask, &command(&["true"])), &book).await.unwrap();
    let real = book.holds();
    // A stranger that leads a session, as a supervisor does.
    let mut stranger = Command::new("setsid").args(["sleep", "1000"]).spawn().unwrap();
    let leads = |pid: u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<String> = text.split(' ').map(str::to_owned).collect();
        fields.get(5) == Some(&pid.to_string())
    };
    until("the stranger leads its session", || leads(stranger.id())).await;
    let with = |key: &str, value: Value| {
        let mut holds = real.clone();
        holds["session"] = json!(stranger.id());
        holds[key] = value;
        holds
    };
    let start = real["start"].as_u64().unwrap();
    process::end_group(&with("start", json!(start - 1))).await.unwrap();
    process::end_group(&with("boot", json!("another"))).await.unwrap();
    let elsewhere = process::end_group(&with("namespace", json!("pid:[1]"))).await.unwrap_err();
    assert_eq!((elsewhere.code.as_str(), elsewhere.class), ("command.elsewhere", FaultClass::Unknown));
    let mut other_host = with("boot", json!("another"));
    other_host["host"] = json!("db-ops-2");
    let elsewhere = process::end_group(&other_host).await.unwrap_err();
    assert!(elsewhere.message.contains("db-ops-2"), "{elsewhere}");
    assert!(alive(stranger.id()));
    // With its true start it is taken for ours: the proof that the comparison is what spared it.
    let text = std::fs::read_to_string(format!("/proc/{}/stat", stranger.id())).unwrap();
    let its_start: u64 = text.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap();
    process::end_group(&with("start", json!(its_start))).await.unwrap();
    assert!(!alive(stranger.id()));
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_doubt_is_resolved_by_its_class() {
    let bench = Bench::new();
    let book = Book::default();
    bench.perform(&action(Recovery::Ask, &command(&["true"])), &book).await.unwrap();
    let begun = Doubt { holds: Some(book.holds()), proof: Some(Value::Null) };
    let not_begun = Doubt { holds: Some(book.holds()), proof: None };
    let mut remote = command(&["true"]);
    remote.ssh = Some("host".into());
    let ask = async |class, request, doubt: &Doubt| {
        process::resolve(&bench.world, &action(class, request), &ticket(), doubt).await.unwrap()
    };
    let here = command(&["true"]);
    assert_eq!(ask(Recovery::Repeatable, &here, &begun).await, Resolution::NotDone);
    assert_eq!(ask(Recovery::Provable, &here, &begun).await, Resolution::NotDone);
    assert!(matches!(ask(Recovery::Ask, &here, &begun).await, Resolution::Unknown(_)));
    assert!(matches!(ask(Recovery::Repeatable, &remote, &begun).await, Resolution::Unknown(_)));
    for class in [Recovery::Ask, Recovery::Repeatable, Recovery::Provable] {
        assert_eq!(ask(class, &remote, &not_begun).await, Resolution::NotDone);
    }
}

#[tokio::test]
async fn many_commands_at_once_do_not_hear_of_each_others_end() {
    let bench = Bench::new();
    let slow = bench.shell("sleep 1; echo slow");
    let quick = futures_util::future::join_all((0..20).map(|n| {
        let bench = &bench;
        async move { bench.shell(&format!("echo {n}")).await.unwrap().value["stdout"].as_str().unwrap().to_owned() }
    }));
    let (slow, quick) =
        tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(slow, quick) }).await.unwrap();
    assert_eq!(slow.unwrap().value["stdout"], "slow\n");
    assert_eq!(quick, (0..20).map(|n| format!("{n}\n")).collect::<Vec<_>>());
}
