//! Branches that runs make: used as targets, made once, gone at the end, whatever is killed or lost in between.

use serde_json::json;

use super::bench::{Bench, seeds};

const LIFE: &str = r#"
step("make", || neon::create_branch(#{ ttl: "2h", annotation: #{ purpose: "a test" } })).cleanup(|made| neon::drop_branch(made));
step("look", || {
    let branch = neon::branch(done.make.id);
    gate::that("it is ready", branch.state == "ready", "");
    gate::that("it says whose it is", branch.annotation.runsheet != () && branch.annotation.purpose == "a test", "");
    gate::that("it ends by itself", branch.expires_at != (), "");
});
step("again", || {
    let second = neon::create_branch(#{ name: "$(rm -rf)'; drop", parent: "main", compute: false });
    neon::drop_branch(second)
});
"#;

#[test]
fn a_branch_is_a_target_with_the_same_database_and_role() {
    let bench = Bench::real(json!({}));
    bench.ours.runbook(
        "copy",
        r#"
step("copy", || neon::create_branch(#{ of: params.app })).cleanup(|made| neon::drop_branch(made));
step("change", || sql::exec(done.copy.target, "truncate customers cascade"));
step("compare", || {
    gate::that("the copy is empty", sql::value(done.copy.target, "select count(*) from customers") == 0, "");
    gate::that("the source is not", sql::value(params.app, "select count(*) from customers") == 500, "");
    gate::that("its branch", neon::branch_of(done.copy.target).id == done.copy.id, "");
    gate::that("the other's", neon::branch_of(params.app).name == "main", "");
    gate::that("both are on branches", neon::hosts(params.app) && neon::hosts(done.copy.target), "");
    let url = pg::url(done.copy.target);
    let said = command::run(["sh", "-c", "psql \"$URL\" -XAtc 'select count(*) from customers'"], #{ env: #{ URL: url }, repeatable: true });
    gate::that("by its URL", said.stdout.contains("0"), said.stdout);
});
"#,
    );
    let plan = bench.ours.run(&["plan", "copy"]).with_code(0);
    assert!(plan.out.contains("a child of `main`"), "{}", plan.out);
    assert_eq!(bench.theirs.made(), Vec::<String>::new(), "a plan makes nothing");
    bench.ours.run(&["run", "copy"]).with_code(0);
    assert_eq!((bench.theirs.made().len(), bench.theirs.names()), (1, vec!["main".to_owned()]));
    let doctor = bench.ours.run(&["doctor"]).with_code(0);
    let place = format!("project = \"{}\", branch = \"{}\"", bench.theirs.id, bench.theirs.branch);
    assert!(doctor.out.contains(&place), "{}", doctor.out);
}

#[test]
fn killed_at_every_journal_write_it_is_made_once_and_gone_at_the_end() {
    let bench = Bench::paper(json!({ "knobs": { "operation_ms": 1 } }));
    bench.runbook("life", LIFE);
    let mut runs = 0;
    for write in 1.. {
        let said = bench.ours.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["run", "life"]);
        if said.code == 0 {
            break;
        }
        if bench.ours.run(&["status", "--json"]).json()["unfinished"][0].is_null() {
            continue;
        }
        bench.ours.run(&["resume"]).with_code(0);
        runs += 1;
        assert_eq!(bench.theirs.names(), ["main"], "after:{write}");
        assert_eq!(bench.theirs.made().len() % 2, 0, "after:{write}: two a run, none twice: {:?}", bench.theirs.made());
    }
    assert!(runs > 10, "{runs} kills");
}

#[test]
fn under_every_misbehaviour_of_the_service_it_is_made_once_and_gone_at_the_end() {
    for seed in seeds() {
        let bench = Bench::paper(json!({ "knobs": { "operation_ms": 1, "retry_after": seed % 2 == 0 } }));
        bench.runbook("life", LIFE);
        bench.theirs.chaos(&json!({ "seed": seed, "all": 0.1 }));
        let said = bench.ours.run(&["run", "life"]);
        assert_eq!(said.code, 0, "seed {seed}:\n{}\n{}", said.out, said.err);
        assert_eq!(bench.theirs.names(), ["main"], "seed {seed}");
    }
}

#[test]
fn a_branch_limit_is_told_with_what_to_do_and_a_taken_name_is_nobodys_to_take() {
    let bench = Bench::paper(json!({ "knobs": { "branches_limit": 2 } }));
    bench.theirs.seed(&json!([{ "name": "theirs" }]));
    bench.runbook("full", "step(\"make\", || neon::create_branch()).cleanup(|made| neon::drop_branch(made));");
    let plan = bench.ours.run(&["plan", "full"]).with_code(1);
    assert!(plan.out.contains("has 2 branches, and may have 2"), "{}", plan.out);
    bench.ours.run(&["run", "full"]).with_code(1).saying("branch-purge");
    bench.ours.run(&["abandon", "--why", "full"]).with_code(0);
    bench.theirs.knobs(&json!({ "branches_limit": 10 }));
    bench.runbook("taken", "step(\"make\", || neon::create_branch(#{ name: \"theirs\" }));");
    bench.ours.run(&["run", "taken"]).with_code(1).saying("that this run did not make");
    assert_eq!(bench.theirs.names(), ["main", "theirs"]);
}

#[test]
fn a_sweep_takes_what_finished_runs_left_and_nothing_else() {
    let bench = Bench::paper(json!({}));
    bench.theirs.seed(&json!([{ "name": "theirs", "annotation": { "runsheet": "x-1", "stamp": "theirs", "at": "2026-01-01T00:00:00Z" } }]));
    bench.runbook(
        "leave",
        "step(\"make\", || { let one = neon::create_branch(#{ name: \"below\" }); neon::create_branch(#{ name: \"above\", parent: one.id }); neon::create_branch(#{ name: \"kept\", keep: true }); });",
    );
    bench.ours.run(&["run", "leave"]).with_code(0);
    bench.runbook("sweep", "step(\"sweep\", || { let swept = neon::sweep(); log::info(`${swept}`); });");
    let plan = bench.ours.run(&["plan", "sweep"]).with_code(0);
    assert!(plan.out.contains("would delete `above`"), "{}", plan.out);
    bench.ours.run(&["run", "sweep"]).with_code(0).saying("made it to be kept");
    assert_eq!(bench.theirs.names(), ["kept", "main", "theirs"]);
    assert_eq!(bench.theirs.removed(), ["above", "below"], "leaves first");
}
