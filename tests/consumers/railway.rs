//! Services on Railway: set without deploying, deployed once, waited for, read back.

use serde_json::json;

use super::world::World;
use crate::support::Railway;

const TWO: &str = r#"pooled = true
services = [
  { id = "web", variables = ["DATABASE_URL"] },
  { id = "worker", variables = { DATABASE_URL = "direct", DB_SSL_MODE = "ssl_mode" } },
]"#;

fn two() -> Railway {
    Railway::new(&json!({ "web": { "PORT": "3000", "DATABASE_URL": "postgresql://a@before/x" }, "worker": {} }))
}

#[test]
fn every_service_is_deployed_once_with_all_its_new_values_and_goes_back_the_same_way() {
    let railway = two();
    let world = World::new(&railway.toml("shop", TWO));
    for to in ["new", "old"] {
        let before = railway.asked("serviceInstanceDeployV2");
        world.lead(to).with_code(0).saying("shop, service worker leads to");
        let state = railway.state();
        assert_eq!(state["running"]["web"]["DATABASE_URL"], json!(world.url(to)));
        assert_eq!(state["running"]["web"]["PORT"], "3000", "nothing else is replaced");
        assert_eq!(state["running"]["worker"], json!({ "DATABASE_URL": world.url(to), "DB_SSL_MODE": "disable" }));
        assert_eq!(railway.asked("serviceInstanceDeployV2") - before, 2, "one deployment a service");
    }
    assert_eq!(state_count(&railway), 6, "two at the beginning, and two each way");
}

fn state_count(railway: &Railway) -> usize {
    railway.state()["deployments"].as_array().expect("a list").len()
}

#[test]
fn a_preview_asks_and_changes_nothing_and_shows_lines_without_secrets() {
    let railway = two();
    let world = World::new(&railway.toml("shop", TWO));
    let plan = world.project.run(&["plan", "lead", "to=new", "--full"]).with_code(0);
    world.is_clean(&plan);
    assert!(plan.out.contains("$CONSUMER_SHOP_TOKEN"), "{}", plan.out);
    assert_eq!(railway.asked("variableCollectionUpsert") + railway.asked("serviceInstanceDeployV2"), 0);
    assert!(railway.asked("variables") > 0, "it really looked");
}

#[test]
fn lost_answers_limits_and_refusals_to_come_back_later_are_lived_through() {
    let railway = two();
    let world = World::new(&railway.toml("shop", TWO));
    railway.mishaps(&json!([
        ["variables", "dropped"],
        ["variableCollectionUpsert", "dropped"],
        ["variableCollectionUpsert", "limited"],
        ["serviceInstanceDeployV2", "dropped"],
        ["deployment", "unavailable"],
        ["serviceInstanceDeployV2", "broken"],
    ]));
    world.lead("new").with_code(0);
    let state = railway.state();
    assert_eq!(state["running"]["web"]["DATABASE_URL"], json!(world.url("new")));
    assert_eq!(state["running"]["worker"]["DATABASE_URL"], json!(world.url("new")));
}

#[test]
fn a_deployment_that_fails_says_so_and_the_old_values_run_on() {
    for fate in ["FAILED", "CRASHED"] {
        let railway = two();
        let world = World::new(&railway.toml("shop", TWO));
        railway.fates(&json!([fate]));
        world.lead("new").with_code(1).saying(&format!("ended as {fate}: what ran before goes on with the old values"));
        assert_eq!(railway.state()["running"]["web"]["DATABASE_URL"], "postgresql://a@before/x");
        world.project.run(&["resume"]).with_code(1).saying("mend it, deploy it there");
        railway.deploy("web");
        world.is_clean(&world.project.run(&["resume"]).with_code(0));
        assert_eq!(railway.state()["running"]["web"]["DATABASE_URL"], json!(world.url("new")));
    }
}

#[test]
fn one_that_never_ends_is_given_up_at_its_limit() {
    let railway = two();
    let world = World::new(&railway.toml("shop", &format!("{TWO}\ndeploy_timeout = \"1s\"")));
    railway.fates(&json!(["STUCK"]));
    world.lead("new").with_code(1).saying("is still BUILDING after 1s");
}

#[test]
fn a_platform_that_says_yes_and_keeps_the_old_value_is_found_out() {
    let railway = two();
    let world = World::new(&railway.toml("shop", TWO));
    railway.mishaps(&json!([["variableCollectionUpsert", "forgets"]]));
    world.lead("new").with_code(3).saying("other values of DATABASE_URL");
}

#[test]
fn a_reference_is_not_flattened_unless_that_is_said() {
    let services = json!({ "web": { "DATABASE_URL": "${{postgres.URL}}" }, "postgres": { "URL": "postgresql://u@db.railway.internal/x" } });
    let one = "service = \"web\"\nvariables = [\"DATABASE_URL\"]";
    let railway = Railway::new(&services);
    let world = World::new(&railway.toml("shop", one));
    world.lead("new").with_code(1).saying("DATABASE_URL refers to another variable");
    assert_eq!(railway.state()["services"]["web"]["DATABASE_URL"], "${{postgres.URL}}");
    let world = World::new(&railway.toml("shop", &format!("{one}\noverwrite_references = true")));
    world.lead("new").with_code(0);
    assert_eq!(railway.state()["running"]["web"]["DATABASE_URL"], json!(world.url("new")));
}

#[test]
fn a_project_token_is_for_one_environment_and_a_wrong_one_for_none() {
    let railway = two();
    let one = |token: &str| format!("project_token = \"{token}\"\nservice = \"web\"\nvariables = [\"DATABASE_URL\"]");
    let token = railway.made["project_token"].as_str().expect("a token").to_owned();
    World::new(&railway.toml("shop", &one(&token))).lead("new").with_code(0);
    World::new(&railway.toml("shop", &one("rwp_wrong"))).lead("new").with_code(1).saying("Project Token not found");
    let elsewhere = railway.toml("shop", &one(&token)).replace(
        railway.made["environment"].as_str().expect("an id"),
        railway.made["other_environment"].as_str().expect("an id"),
    );
    World::new(&elsewhere).lead("new").with_code(1).saying("is for another project or environment");
}

#[test]
fn a_host_of_railways_own_network_is_refused_before_anything_is_set() {
    let railway = two();
    let world = World::new(&railway.toml("shop", TWO));
    let toml = world.text("runsheet.toml");
    let inside = "[targets.new]\nssl_mode = \"disable\"\nurl = \"postgresql://u:p@db.railway.internal/x\"\ndirect_url";
    world.project.file("runsheet.toml", &toml.replacen("[targets.new]\nurl", inside, 1));
    world.lead("new").with_code(1).saying("only Railway's own network knows");
    assert_eq!(railway.asked("variableCollectionUpsert"), 0);
}
