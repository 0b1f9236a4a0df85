//! Branches of others, changed: deleted as they were, put back, renamed; computes and passwords.

use serde_json::json;

use super::bench::{Bench, seeds};

#[test]
fn a_branch_is_deleted_only_as_it_was_read() {
    let bench = Bench::paper(json!({}));
    bench.theirs.seed(&json!([
        { "name": "plain" }, { "name": "guarded", "protected": true }, { "name": "busy", "active": true },
        { "name": "parent" }, { "name": "child", "parent": "parent" }, { "name": "renamed" },
    ]));
    bench.runbook(
        "purge",
        r#"
step("purge", || {
    let renamed = neon::branch("renamed");
    neon::update_branch(renamed.id, #{ name: "another" });
    for name in ["main", "guarded", "busy", "parent"] {
        let answer = neon::delete_branch(neon::branch(name));
        gate::that(`${name} is kept`, !answer.deleted && !answer.gone, `${answer.why}`);
    }
    let answer = neon::delete_branch(renamed);
    gate::that("not the one that was read", !answer.deleted && answer.why.contains("name was renamed"), `${answer}`);
    let plain = neon::branch("plain");
    gate::that("deleted", neon::delete_branch(plain).deleted, "");
    gate::that("gone", neon::delete_branch(plain).gone, "");
    gate::that("it can be had back", neon::recover_branch(plain.id).name == "plain", "");
    gate::that("protected", neon::update_branch("plain", #{ protect: true })["protected"], "");
    gate::that("with an end", neon::update_branch("child", #{ ttl: "1d" }).expires_at != (), "");
    gate::that("without one", neon::update_branch("child", #{ ttl: 0 }).expires_at == (), "");
});
"#,
    );
    bench.ours.run(&["run", "purge"]).with_code(0);
    assert_eq!(bench.theirs.names(), ["another", "busy", "child", "guarded", "main", "parent", "plain"]);
}

#[test]
fn a_branch_is_put_back_once_and_its_target_is_still_itself() {
    let bench = Bench::real(json!({}));
    bench.ours.runbook(
        "rewind",
        r#"
step("before", || sql::value(params.app, "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"));
step("damage", || sql::exec(params.app, "truncate customers cascade"));
step("rewind", || neon::restore_branch(neon::branch_of(params.app), #{ at: done.before, preserve: "main_old", target: params.app }));
step("verify", || {
    gate::that("the rows are back", sql::value(params.app, "select count(*) from customers") == 500, "");
    gate::that("what it held is kept", done.rewind.preserved.name == "main_old", "");
    sql::exec(params.app, "update customers set name = name where id = 1", #{}, #{ rows: 1 });
});
"#,
    );
    bench.ours.run(&["plan", "rewind"]).with_code(0);
    bench.ours.run(&["run", "rewind"]).with_code(0);
    assert_eq!(bench.theirs.names(), ["main", "main_old"]);
    bench.ours.run(&["run", "rewind"]).with_code(1).saying("there is a branch `main_old`");
}

#[test]
fn passwords_and_urls_are_handed_on_and_never_shown() {
    let bench = Bench::real(json!({}));
    bench.ours.runbook(
        "secrets",
        r#"
step("url", || {
    let branch = neon::branch_of(params.app);
    gate::that("databases", neon::databases(branch).len() == 1 && neon::roles(branch).len() >= 1, "");
    let url = neon::url(branch, #{ schema: "app" });
    let said = command::run(["sh", "-c", "echo \"$URL\""], #{ env: #{ URL: url }, repeatable: true });
    log::info(said.stdout);
    let before = neon::reveal_password(branch, "app_owner");
    let after = neon::reset_password(branch, "app_owner");
    let said = command::run(["sh", "-c", "echo \"$BEFORE $AFTER\"; test \"$BEFORE\" != \"$AFTER\""], #{ env: #{ BEFORE: before, AFTER: after }, repeatable: true });
    log::info(said.stdout);
    let said = command::run(["sh", "-c", "psql \"$URL\" -XAtc 'select 41 + 1'"], #{ env: #{ URL: neon::url(branch) }, repeatable: true });
    gate::that("the new one works", said.stdout.contains("42"), said.stdout);
});
"#,
    );
    let said = bench.ours.run(&["run", "secrets"]).with_code(0);
    let journal = std::fs::read(bench.ours.path().join(".runsheet/journal.db")).unwrap();
    let journal = String::from_utf8_lossy(&journal).into_owned();
    let shown = format!("{}{}{journal}", said.out, said.err);
    assert!(!shown.contains("npg_"), "{}", said.out);
    assert!(said.out.contains("(secret") || said.err.contains("(secret"), "{}\n{}", said.out, said.err);
}

#[test]
fn a_compute_is_started_suspended_and_kept_from_starting() {
    let bench = Bench::real(json!({}));
    bench.ours.runbook(
        "compute",
        r#"
step("compute", || {
    let id = neon::endpoints(neon::branch_of(params.app))[0].id;
    gate::that("started", neon::start_endpoint(id).active, "");
    gate::that("suspended", !neon::suspend_endpoint(id).active, "");
    gate::that("woken by a query", sql::value(params.app, "select 1") == 1, "");
    gate::that("disabled", neon::disable_endpoint(id, true).disabled, "");
    gate::that("enabled", !neon::disable_endpoint(id, false).disabled, "");
    gate::that("and woken again", sql::value(params.app, "select 1") == 1, "");
});
"#,
    );
    bench.ours.run(&["run", "compute"]).with_code(0);
}

#[test]
fn under_every_misbehaviour_of_the_service_a_branch_is_put_back_once_and_deleted_once() {
    for seed in seeds() {
        let bench = Bench::paper(json!({ "knobs": { "operation_ms": 1 } }));
        bench.runbook(
            "storm",
            r#"
step("make", || neon::create_branch(#{ compute: false })).cleanup(|made| neon::drop_branch(made));
step("rewind", || neon::restore_branch(done.make.id, #{ from: "main", preserve: "as-it-was" }));
step("rename", || neon::update_branch("as-it-was", #{ name: "old" }));
step("delete", || {
    let answer = neon::delete_branch(neon::branch("old"));
    gate::that("deleted", answer.deleted, `${answer}`);
});
"#,
        );
        bench.theirs.chaos(&json!({ "seed": seed, "all": 0.1 }));
        let said = bench.ours.run(&["run", "storm"]);
        assert_eq!(said.code, 0, "seed {seed}:\n{}\n{}", said.out, said.err);
        assert_eq!(bench.theirs.names(), ["main"], "seed {seed}");
    }
}

#[test]
fn a_branch_known_by_its_id_is_changed_with_small_requests_and_its_plan_asks_nothing() {
    let bench = Bench::paper(json!({}));
    let ids = bench.theirs.seed(&json!([{ "name": "one" }, { "name": "two" }]));
    bench.runbook(
        "change",
        &format!("step(\"end\", || neon::update_branch(\"{}\", #{{ ttl: \"7d\" }}).expires_at);", ids[0]),
    );
    let route = |end: &str| format!("/projects/{{project}}{end}");
    let lists = || {
        bench.theirs.asked(&format!("GET {}", route("/branches")))
            + bench.theirs.asked(&format!("GET {}", route("/endpoints")))
    };
    let of_it = || bench.theirs.asked(&format!("GET {}", route("/branches/{branch}")));
    bench.ours.run(&["plan", "change"]).with_code(0);
    assert_eq!((lists(), of_it()), (0, 0));
    bench.ours.run(&["run", "change"]).with_code(0);
    assert_eq!((lists(), of_it()), (0, 2), "{}", bench.theirs.state()["counts"]);
}
