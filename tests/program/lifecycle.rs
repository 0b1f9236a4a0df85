//! The life of a run: resumed, undone, abandoned, approved, resolved, locked, taken over.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::project::Project;
use crate::support::{Cluster, Database, wait_until};

fn numbers() -> (Database, Project) {
    let database = Cluster::shared().database("life");
    database.sql("create table numbers (n int)");
    let project = Project::on(&database);
    (database, project)
}

const TWO_STEPS: &str = r#"
step("one", || sql::exec(params.app, "insert into numbers values (1)", #{}, #{ rows: 1 }))
    .undo(|made| sql::exec(params.app, "delete from numbers where n = 1", #{}, #{ rows: 1 }));
step("two", || sql::exec(params.app, "insert into numbers values (1 / (select 3 - count(*) from numbers where n = 3))"))
    .undo(|made| sql::exec(params.app, "delete from numbers where n <> 1"));
"#;

#[test]
fn a_run_that_ends_well_says_so_as_one_json_object() {
    let (_, project) = numbers();
    project.runbook("two", TWO_STEPS);
    let said = project.run(&["run", "two", "--json"]).with_code(0);
    let object = said.json();
    assert_eq!((&object["run"], &object["verdict"]), (&"two-1".into(), &"pass".into()));
    assert_eq!(object["steps"][1]["state"], "done");
    let head = object["journal_head"].as_str().expect("a head");
    let audit = project.run(&["audit", "verify", "two-1", "--head", head]).with_code(0);
    assert!(audit.out.starts_with("complete"), "{}", audit.out);
}

#[test]
fn a_failed_step_is_tried_anew_on_resume_and_what_was_done_is_not_repeated() {
    let (database, project) = numbers();
    project.runbook("two", TWO_STEPS);
    database.sql("insert into numbers values (3), (3), (3)");
    project.run(&["run", "two"]).with_code(1).saying("division by zero").saying("next: runsheet resume two-1");
    database.sql("delete from numbers where n = 3");
    project.run(&["resume"]).with_code(0);
    assert_eq!(database.sql("select count(*) from numbers where n = 1"), "1");
}

#[test]
fn a_run_that_asks_for_it_is_cleaned_up_and_ended_when_it_fails() {
    let (database, project) = numbers();
    let head = r#"runbook("drill", "1.0.0", #{ about: "a test", on_failure: "clean_up",
        params: #{ app: target("the database", #{ or: "app" }), how: text("what goes wrong") } });
    step("make", || sql::exec(params.app, "insert into numbers values (1)"))
        .cleanup(|made| sql::exec(params.app, "delete from numbers where n = 1"));
    "#;
    let step = r#"step("use", || {
        if params.how == "fails" { sql::exec(params.app, "insert into numbers values (1 / (select 0))"); }
        if params.how == "red" { gate::that("it is right", false, "0 of 1"); }
        if params.how == "killed" { command::run(["sh", "-c", "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat)"]); }
    });"#;
    project.file("runbooks/drill.rhai", &format!("{head}{step}"));
    for (number, how, code) in [(1, "fails", 1), (2, "red", 3)] {
        let said = project.run(&["run", "drill", &format!("how={how}"), "--json"]);
        let said = said.with_code(code).saying(&format!("next: runsheet report drill-{number}"));
        let object = said.json();
        assert_eq!((&object["state"], &object["steps"][1]["state"]), (&"abandoned".into(), &"failed".into()));
        assert_eq!(database.sql("select count(*) from numbers"), "0", "{how}");
        project.run(&["resume", &format!("drill-{number}")]).with_code(2);
    }
    assert!(project.run(&["report", "drill-2"]).with_code(0).out.starts_with("drill-2  FAIL (abandoned)"));
    // What was killed has not failed: it can be gone on with.
    project.run(&["run", "drill", "how=killed"]).with_code(-1);
    assert_eq!(database.sql("select count(*) from numbers"), "1");
    project.run(&["status"]).with_code(0).saying("next: runsheet re");
}

#[test]
fn what_can_be_done_again_and_was_cut_off_is_taken_back_as_if_it_had_been_done() {
    let (_database, project) = numbers();
    project.runbook(
        "cut",
        r#"
step("make", || command::run(["sh", "-c", "touch made; kill -9 $(cut -d' ' -f4 /proc/$PPID/stat)"], #{ repeatable: true }))
    .undo(|| command::run(["rm", "-f", "made"], #{ repeatable: true }));
"#,
    );
    project.run(&["run", "cut"]).with_code(-1);
    assert!(project.path().join("made").exists());
    project.run(&["undo"]).with_code(0).saying("it may have been done");
    assert!(!project.path().join("made").exists());
}

#[test]
fn an_undo_that_nobody_can_say_enough_for_goes_on_going_back_once_a_person_has_answered() {
    let (database, project) = numbers();
    project.runbook(
        "cmd",
        r#"step("before", || sql::exec(params.app, "insert into numbers values (1)")).undo(|made| sql::exec(params.app, "delete from numbers"));
        step("cmd", || command::run(["sh", "-c", "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat)"]));"#,
    );
    project.run(&["run", "cmd"]).with_code(-1);
    project.run(&["undo"]).with_code(6);
    project.run(&["resolve", "--as", "not-done", "--why", "I looked"]).with_code(0);
    project.run(&["resume"]).with_code(0);
    assert_eq!(database.sql("select count(*) from numbers"), "0");
}

#[test]
fn a_run_that_is_kept_once_it_has_changed_something_ends_when_it_fails_before_that() {
    let (database, project) = numbers();
    project.file(
        "runbooks/careful.rhai",
        r#"runbook("careful", "1.0.0", #{ about: "a test", on_failure: "keep_changed", params: #{ app: target("the database", #{ or: "app" }) } });
        step("look", || gate::that("it is there", sql::value(params.app, "select count(*) from numbers") > 0, "nothing yet"));
        step("change", || { sql::exec(params.app, "insert into numbers values (2)"); throw "broken"; });"#,
    );
    project.run(&["run", "careful"]).with_code(3).saying("next: runsheet report careful-1");
    project.run(&["status"]).with_code(0);
    database.sql("insert into numbers values (1)");
    project.run(&["run", "careful"]).with_code(1).saying("next: runsheet resume careful-2");
}

#[test]
fn undo_takes_the_steps_back_newest_first_and_is_one_way() {
    let (database, project) = numbers();
    project.runbook("two", TWO_STEPS);
    database.sql("insert into numbers values (3), (3), (3)");
    project.run(&["run", "two"]).with_code(1);
    project.run(&["undo", "--why", "not today"]).with_code(0);
    assert_eq!(database.sql("select string_agg(n::text, ',') from numbers"), "3,3,3");
    project.run(&["resume", "two-1"]).with_code(2).saying("undone");
    project.run(&["report", "two-1"]).with_code(0);
}

#[test]
fn an_unfinished_run_keeps_the_lock_across_runbooks_until_it_is_abandoned() {
    let (database, project) = numbers();
    project.runbook("two", TWO_STEPS);
    project.runbook("other", "step(\"look\", || sql::value(params.app, \"select 1\"));");
    database.sql("insert into numbers values (3), (3), (3)");
    project.run(&["run", "two"]).with_code(1);
    project.run(&["run", "other"]).with_code(7).saying("two-1").saying("next: runsheet resume two-1");
    project.run(&["abandon", "--why", "a test"]).with_code(0);
    project.run(&["run", "other"]).with_code(0);
    let listed = project.run(&["runs", "--json"]).json();
    assert_eq!(listed[1]["state"], "abandoned");
}

#[test]
fn cron_gives_up_the_unfinished_run_if_it_says_so() {
    let (database, project) = numbers();
    project.runbook("two", TWO_STEPS);
    database.sql("insert into numbers values (3), (3), (3)");
    project.run(&["run", "two"]).with_code(1);
    database.sql("delete from numbers where n = 3");
    project.run(&["run", "two", "--if-unfinished", "abandon"]).with_code(0);
    assert_eq!(project.run(&["runs", "--json"]).json()[0]["run"], "two-2");
}

#[test]
fn an_approval_is_waited_for_and_given_from_another_terminal() {
    let (database, project) = numbers();
    project.runbook(
        "ask",
        r#"step("ask", || { flow::approve("Really?"); sql::exec(params.app, "insert into numbers values (7)", #{}, #{ rows: 1 }) });"#,
    );
    project.run(&["run", "ask"]).with_code(5).saying("next: runsheet approve ask-1");
    project.run(&["resume"]).with_code(5);
    project.run(&["approve", "--why", "looks right"]).with_code(0);
    assert_eq!(database.sql("select count(*) from numbers"), "0");
    project.run(&["resume"]).with_code(0);
    assert_eq!(database.sql("select count(*) from numbers"), "1");
}

#[test]
fn a_command_cut_off_in_the_middle_is_unknown_until_a_person_resolves_it() {
    let (_, project) = numbers();
    project.runbook("cmd", r#"step("cmd", || command::run(["sh", "-c", "echo once >> made"]).code);"#);
    let mut killed = 0;
    for write in 4..8 {
        let said = project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["run", "cmd"]);
        if said.code == 0 {
            break;
        }
        let resumed = project.run(&["resume"]);
        if resumed.code == 6 {
            killed += 1;
            assert!(resumed.err.contains("next: runsheet resolve"), "{}", resumed.err);
            project.run(&["resume"]).with_code(6);
            project.run(&["resolve", "--as", "done", "--output", r#"{"code":0}"#, "--why", "I looked"]).with_code(0);
            project.run(&["resume"]).with_code(0);
        } else {
            assert_eq!(resumed.code, 0, "{}", resumed.err);
        }
    }
    assert!(killed > 0, "no kill fell between intent and outcome");
}

#[test]
fn a_stopped_engine_whose_run_was_taken_over_is_refused_its_next_change() {
    let (database, project) = numbers();
    project.runbook(
        "slow",
        r#"step("slow", || { for n in range(0, 8) { sql::exec(params.app, "insert into numbers select {{ n }} from pg_sleep(0.5)", #{ n: n }, #{ rows: 1 }); } });"#,
    );
    let first =
        project.command(&["run", "slow"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    wait_until("the first rows", || database.sql("select count(*) from numbers").as_str() >= "2");
    let pid = Pid::from_raw(first.id().cast_signed()).expect("a pid");
    kill_process(pid, Signal::STOP).expect("it is stopped");
    project.run(&["resume"]).with_code(7).saying("is being worked on");
    project.run(&["resume", "--take-over"]).with_code(0);
    kill_process(pid, Signal::CONT).expect("it goes on");
    let said = super::project::Said::from(first.wait_with_output().expect("it ends"));
    assert_eq!(said.code, 7, "{}", said.err);
    assert_eq!(database.sql("select string_agg(n::text, ',' order by n) from numbers"), "0,1,2,3,4,5,6,7");
    project.run(&["audit", "verify"]).with_code(0);
}

#[test]
fn two_engines_started_at_once_on_one_database_do_not_both_run() {
    let (database, project) = numbers();
    project
        .runbook("slow", r#"step("slow", || sql::exec(params.app, "insert into numbers select 1 from pg_sleep(2)"));"#);
    let start =
        || project.command(&["run", "slow"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let codes: Vec<_> = [start(), start()]
        .map(|child| super::project::Said::from(child.wait_with_output().expect("it ends")).code)
        .into();
    assert!(codes.contains(&0) && codes.contains(&7), "{codes:?}");
    assert_eq!(database.sql("select count(*) from numbers"), "1");
}

#[test]
fn an_interrupted_run_says_how_to_go_on_and_does() {
    let (database, project) = numbers();
    project.runbook(
        "slow",
        r#"step("slow", || { for n in range(0, 5) { sql::exec(params.app, "insert into numbers select {{ n }} from pg_sleep(0.2)", #{ n: n }, #{ rows: 1 }); } });"#,
    );
    let child =
        project.command(&["run", "slow"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    wait_until("the first row", || database.sql("select count(*) from numbers").as_str() >= "1");
    kill_process(Pid::from_raw(child.id().cast_signed()).expect("a pid"), Signal::TERM).expect("it is asked to stop");
    let said = super::project::Said::from(child.wait_with_output().expect("it ends"));
    said.with_code(130).saying("next: runsheet resume slow-1");
    project.run(&["resume"]).with_code(0);
    assert_eq!(database.sql("select string_agg(n::text, ',' order by n) from numbers"), "0,1,2,3,4");
}

#[test]
fn a_step_that_was_killed_took_as_long_as_it_was_worked_on() {
    let (database, project) = numbers();
    project.runbook(
        "slow",
        r#"step("slow", || {
            sql::exec(params.app, "insert into numbers select 1 from pg_sleep(0.6)", #{}, #{ rows: 1 });
            sql::exec(params.app, "insert into numbers select 2 from pg_sleep(0.8)", #{}, #{ rows: 1 });
        });
        step("look", || check::within("time", took.slow, "5m"));"#,
    );
    let begun = std::time::Instant::now();
    let mut child =
        project.command(&["run", "slow"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
    wait_until("the first row", || database.sql("select count(*) from numbers").as_str() >= "1");
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    let said = project.run(&["resume", "--json"]).with_code(0);
    let passed = u64::try_from(begun.elapsed().as_millis()).expect("a time");
    let took = said.json()["steps"][0]["took_ms"].as_u64().expect("a time");
    assert!((600..=passed).contains(&took), "{took} of {passed} ms");
}

#[test]
fn what_could_not_be_verified_is_never_a_pass_unless_it_is_tolerated_by_name() {
    let (_, project) = numbers();
    project.runbook(
        "gap",
        r#"step("look", || { check::that("it stands", true, ""); check::unverified("the moon", "no telescope") });"#,
    );
    project.run(&["run", "gap"]).with_code(4).saying("the moon");
    project.runbook(
        "known",
        r#"step("look", || { gate::unverified("the moon", "no telescope", #{ accept: ["the moon"] }) });"#,
    );
    let said = project.run(&["run", "known", "--json"]).with_code(0);
    assert_eq!(said.json()["checks"][0]["verdict"], "could-not-verify");
    assert_eq!(said.json()["checks"][0]["accepted"][0], "the moon");
}

#[test]
fn a_failed_check_is_recorded_and_a_failed_gate_stops() {
    let (database, project) = numbers();
    project.runbook(
        "checks",
        r#"step("check", || { check::that("one", false, "it is two"); sql::exec(params.app, "insert into numbers values (1)"); });"#,
    );
    project
        .run(&["run", "checks"])
        .with_code(3)
        .saying("FAIL one (it is two)")
        .saying("next: runsheet report checks-1");
    assert_eq!(database.sql("select count(*) from numbers"), "1");
    project.runbook(
        "gates",
        r#"step("gate", || { gate::that("empty", sql::value(params.app, "select count(*) from numbers") == 0, ""); sql::exec(params.app, "insert into numbers values (2)"); });"#,
    );
    project.run(&["run", "gates"]).with_code(3).saying("next: runsheet resume gates-1");
    assert_eq!(database.sql("select count(*) from numbers"), "1");
    database.sql("delete from numbers");
    project.run(&["resume"]).with_code(0);
    assert_eq!(database.sql("select string_agg(n::text, ',') from numbers"), "2");
}

#[test]
fn two_engines_resumed_at_once_on_one_run_do_not_both_go_on() {
    let (database, project) = numbers();
    project.runbook(
        "slow",
        r#"step("slow", || { for n in range(0, 3) { sql::exec(params.app, "insert into numbers select {{ n }} from pg_sleep(1)", #{ n: n }, #{ rows: 1 }); } });"#,
    );
    project.run_with("RUNSHEET_CRASH", "after:5", &["run", "slow"]).with_code(-1);
    let start =
        || project.command(&["resume"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let codes: Vec<_> = [start(), start()]
        .map(|child| super::project::Said::from(child.wait_with_output().expect("it ends")).code)
        .into();
    assert!(codes.contains(&0) && codes.contains(&7), "{codes:?}");
    assert_eq!(database.sql("select string_agg(n::text, ',' order by n) from numbers"), "0,1,2");
}

#[test]
fn past_the_point_of_no_return_there_is_no_undo_even_when_the_step_was_cut_off() {
    let (database, project) = numbers();
    project.runbook(
        "point",
        r#"step("before", || sql::exec(params.app, "insert into numbers values (1)", #{}, #{ rows: 1 }))
            .undo(|made| sql::exec(params.app, "delete from numbers where n = 1"));
        step("flip", || {
            gate::that("ready", sql::value(params.app, "select count(*) from numbers where n = 9") == 0, "");
            sql::exec(params.app, "insert into numbers values (2)", #{}, #{ rows: 1 });
            sql::exec(params.app, "insert into numbers values (1 / (select 1 - count(*) from numbers where n = 3))");
        }).point_of_no_return("customers see the new side");"#,
    );
    database.sql("insert into numbers values (9)");
    project.run(&["run", "point"]).with_code(3);
    project.run(&["undo"]).with_code(0);
    database.sql("delete from numbers; insert into numbers values (3)");
    project.run(&["run", "point"]).with_code(1).saying("division by zero");
    project.run(&["undo", "point-2"]).with_code(2).saying("customers see the new side");
    assert_eq!(database.sql("select string_agg(n::text, ',' order by n) from numbers"), "1,2,3");
}

#[test]
fn a_run_killed_at_its_point_of_no_return_goes_back_exactly_if_what_was_cut_off_was_not_done() {
    let (database, project) = numbers();
    project.runbook(
        "point",
        r#"step("before", || sql::exec(params.app, "insert into numbers values (1)"))
            .undo(|made| sql::exec(params.app, "delete from numbers where n = 1"));
        step("flip", || sql::exec(params.app, "insert into numbers values (2)")).point_of_no_return("customers see it");"#,
    );
    let (mut back, mut forward) = (0, 0);
    for point in (1..).flat_map(|write| [format!("before:{write}"), format!("after:{write}")]) {
        if project.run_with("RUNSHEET_CRASH", &point, &["run", "point"]).code == 0 {
            break;
        }
        if project.run(&["status", "--json"]).out.contains("\"unfinished\": []") {
            continue;
        }
        let made = database.sql("select count(*) from numbers where n = 2") == "1";
        let said = project.run(&["undo"]);
        assert_eq!(said.code != 0, made, "killed {point}: {}", said.err);
        if made {
            said.saying("customers see it");
            project.run(&["resume"]).with_code(0);
            forward += 1;
        } else {
            back += 1;
        }
        assert_eq!(database.sql("select count(*) from numbers"), if made { "2" } else { "0" }, "killed {point}");
        database.sql("delete from numbers");
    }
    assert!(back > 3 && forward > 2, "{back} went back, {forward} did not");
}

#[test]
fn a_run_whose_database_is_gone_for_good_is_given_up_and_what_it_left_is_written_down() {
    let cluster = Cluster::start(&[]);
    let database = cluster.database("gone");
    database.sql("create table numbers (n int)");
    let project = Project::on(&database);
    project.runbook(
        "left",
        r#"step("make", || sql::exec(params.app, "insert into numbers values (1) returning n", #{}, #{ rows: 1 }))
            .cleanup(|made| sql::exec(params.app, "delete from numbers"));
        step("fail", || throw "no further");"#,
    );
    project.run(&["run", "left"]).with_code(1);
    cluster.stop();
    let said = project.run(&["abandon", "--why", "the server is gone"]);
    assert_ne!(said.code, 0, "{}", said.err);
    project.run(&["abandon", "--why", "the server is gone", "--leave-behind"]).with_code(0).saying("left behind");
    let report = project.run(&["report", "left-1"]).with_code(0);
    assert!(report.out.contains("left behind: what step `make` made"), "{}", report.out);
    project.run(&["status"]).with_code(0);
    project.run(&["audit", "verify"]).with_code(0);
}
