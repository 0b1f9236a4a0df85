//! The same by the program: exit codes, plans and reports.

use super::harness::twins;
use crate::program::project::Project;
use crate::support::Database;

const TABLES: &str =
    "create table orders as select i as id from generate_series(1, 10) i; create table small as select 1 as a;
    create table \"pipe|d\" as select 1 as a";

/// A project of two databases, and a runbook `compare` with these steps.
fn project(left: &Database, right: &Database, steps: &str) -> Project {
    let project = Project::on(left);
    let targets = format!("[targets.app]\nurl = \"{}\"\n[targets.copy]\nurl = \"{}\"\n", left.url, right.url);
    project.file("runsheet.toml", &targets);
    let head = "runbook(\"compare\", \"1.0.0\", #{ about: \"a test\", params: #{ app: target(\"a\", #{ or: \"app\" }), copy: target(\"b\", #{ or: \"copy\" }) } });";
    project.file("runbooks/compare.rhai", &format!("{head}\n{steps}\n"));
    project
}

#[test]
fn a_difference_fails_the_run_and_the_report_has_the_table_of_counts() {
    let (left, right) = twins("reported", TABLES);
    let steps = "step(\"compare\", || { check::same_rows(params.app, params.copy, #{ contents: true }); check::same_objects(params.app, params.copy); });";
    let project = project(&left, &right, steps);
    project.run(&["run", "compare"]).with_code(0).saying("3 of 3 tables equal in rows and contents");
    right.sql("delete from orders where id = 3; alter table small add b int");
    project
        .run(&["run", "compare"])
        .with_code(3)
        .saying("public.orders (10 rows on the left, 9 on the right)")
        .saying("column public.small.b (missing on the left)");
    let text = project.run(&["report", "compare-2"]).with_code(0).out;
    assert!(text.contains("Rows of app and copy: 3 tables, 12 rows and 11 rows"), "{text}");
    let rows: Vec<&str> =
        text.lines().map(str::trim).filter(|line| line.contains("public.") && !line.contains('(')).collect();
    assert_eq!(
        rows,
        [
            "differs                10            9  public.orders",
            "differs                 1            1  public.small",
            "equal                   1            1  public.pipe|d",
        ],
        "{text}"
    );
    let markdown = project.run(&["report", "compare-2", "--markdown"]).with_code(0).out;
    assert!(markdown.contains("| public.orders | 10 | 9 | differs |"), "{markdown}");
    assert!(markdown.contains("| public.pipe\\|d | 1 | 1 | equal |"), "{markdown}");
}

#[test]
fn a_gate_stops_at_a_difference_and_an_uncounted_dump_is_never_a_pass() {
    let (left, right) = twins("gated", TABLES);
    right.sql("insert into small values (2)");
    let steps =
        "step(\"compare\", || gate::same_rows(params.app, params.copy)); step(\"after\", || log::info(\"went on\"));";
    project(&left, &right, steps).run(&["run", "compare"]).with_code(3).saying("gate `same rows` failed");
    let steps = "step(\"compare\", || check::same_rows(#{ path: \"x\", measured: (), digest: () }, params.copy));";
    project(&left, &right, steps).run(&["run", "compare"]).with_code(4).saying("dump with `count: true`");
    let steps = "step(\"compare\", || check::same_rows(7, params.copy));";
    project(&left, &right, steps).run(&["run", "compare"]).with_code(1).saying("a side is the name of a target");
}

#[test]
fn a_measure_of_one_step_is_compared_in_a_later_one_and_a_plan_reads_nothing_heavy() {
    let (left, right) = twins("later", TABLES);
    let steps = "step(\"before\", || pg::measure(params.app, #{ contents: true }));
        step(\"change\", || sql::exec(params.app, \"update orders set id = id + 1 where id = 10\"));
        step(\"compare\", || { check::same_rows(done.before, params.app, #{ contents: true }); check::sequences_ahead(params.app); });";
    let project = project(&left, &right, steps);
    let plan = project.run(&["plan", "compare"]).with_code(0).out;
    assert!(plan.contains("rendered  measure rows and contents of app"), "{plan}");
    assert!(plan.contains("known after `before`") && plan.contains("known after `change`"), "{plan}");
    project.run(&["run", "compare"]).with_code(3).saying("public.orders (10 rows on both sides, but contents differ)");
    let files: Vec<_> = std::fs::read_dir(project.path().join(".runsheet/measured")).unwrap().flatten().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&files[0].metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}
