//! What the words read, and what a plan says of them.

use serde_json::json;

use super::bench::Bench;

#[test]
fn every_branch_is_listed_whatever_the_pages_and_a_name_is_compared_exactly() {
    let bench = Bench::paper(json!({ "knobs": { "page_cap": 7 } }));
    let mut seeds: Vec<_> = (0..23).map(|number| json!({ "name": format!("preview/pr-{number}") })).collect();
    seeds
        .push(json!({ "name": "preview/pr-1/child", "parent": "preview/pr-1", "last_active": "2027-01-01T00:00:00Z" }));
    seeds.push(json!({ "name": "$(rm -rf)" }));
    seeds.push(json!({ "name": "'; drop table orders; --" }));
    bench.theirs.seed(&seeds.into());
    bench.runbook(
        "read",
        r#"
step("read", || {
    gate::that("all", neon::branches().len() == 27, `${neon::branches().len()}`);
    gate::that("those of a prefix", neon::branches(#{ prefix: "preview/pr-1" }).len() == 12, "");
    let one = neon::branch("preview/pr-1");
    gate::that("exactly this one", one.name == "preview/pr-1", one.name);
    gate::that("its child", one.children.len() == 1, "");
    gate::that("last use of a compute", neon::branch("preview/pr-1/child").used_at == "2027-01-01T00:00:00Z", "");
    gate::that("none of that name", neon::branch("preview/pr-") == (), "");
    gate::that("text of a stranger", neon::branch("$(rm -rf)").name == "$(rm -rf)", "");
    gate::that("and another", neon::branch("'; drop table orders; --").name == "'; drop table orders; --", "");
    let main = neon::branch("main");
    gate::that("the default", main["default"] && !main["protected"], "");
    gate::that("a root", main.parent == (), "");
    let project = neon::project();
    gate::that("project", project.default_branch == main.id && project.history_seconds > 0, `${project}`);
    gate::that("operations", neon::operations(#{ limit: 5 }).len() <= 5, "");
});
"#,
    );
    let plan = bench.ours.run(&["plan", "read"]).with_code(0);
    assert!(plan.out.contains("read"), "{}", plan.out);
    bench.ours.run(&["run", "read"]).with_code(0);
    assert_eq!(bench.theirs.made(), Vec::<String>::new(), "nothing was made");
}

#[test]
fn another_project_than_the_expected_one_is_refused_before_anything_is_read() {
    let bench = Bench::paper(json!({}));
    let toml = std::fs::read_to_string(bench.ours.path().join("runsheet.toml")).unwrap();
    bench.ours.file("runsheet.toml", &toml.replace("[neon]\n", "[neon]\nexpect_project_name = \"somebody-elses\"\n"));
    bench.runbook("read", "step(\"read\", || neon::branches().len());");
    bench.ours.run(&["run", "read"]).with_code(1).saying("`somebody-elses` is expected");
    assert_eq!(bench.theirs.asked("GET /projects/{project}/branches"), 0);
}

#[test]
fn a_wrong_key_and_one_without_rights_are_told_apart() {
    let bench = Bench::paper(json!({}));
    let toml = std::fs::read_to_string(bench.ours.path().join("runsheet.toml")).unwrap();
    bench.runbook("read", "step(\"read\", || neon::branches().len());");
    bench.ours.file("runsheet.toml", &toml.replace(&bench.theirs.key, "napi_of_nobody"));
    let said = bench.ours.run(&["run", "read"]).with_code(1).saying("neon.api_key");
    assert!(!format!("{}{}", said.out, said.err).contains("napi_of_nobody"));
    bench.ours.file("runsheet.toml", &toml.replace(&bench.theirs.key, &bench.theirs.key("none")));
    bench.ours.run(&["run", "read"]).with_code(1).saying("no right");
}

#[test]
fn which_form_an_answer_had_where_two_are_possible_is_told_on_request() {
    let bench = Bench::paper(json!({}));
    bench.runbook("read", "step(\"read\", || neon::operations(#{ limit: 5 }).len());");
    bench.ours.run(&["run", "read", "-v"]).with_code(0).saying("met: the last page of operations:");
}
