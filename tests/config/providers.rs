//! `[neon]` and `[github]`: what they come to, and what is said of a broken one, without a value of it.

use super::Project;

const BOTH: &str = r#"
[neon]
api_key = "${NEON_API_KEY}"
project = "calm-river-12345678"
expect_project_name = "shop"

[github]
token = "${GITHUB_TOKEN}"
repo = "acme/shop"

[env.staging.neon]
project = "quiet-lake-87654321"

[env.staging.github]
repo = "acme/shop-staging"

[env.lab.neon]
api_base = "${NEON_API_BASE}/"
"#;

fn with_keys() -> Project {
    Project::new(BOTH).var("NEON_API_KEY", "napi_hunter2").var("GITHUB_TOKEN", "ghp_hunter2")
}

#[test]
fn services_are_read_with_their_own_addresses() {
    let config = with_keys().loaded();
    let neon = config.providers.neon().unwrap();
    assert_eq!(neon.api_base, "https://console.neon.tech/api/v2");
    assert_eq!((neon.api_key.as_str(), neon.project.as_str()), ("napi_hunter2", "calm-river-12345678"));
    assert_eq!(neon.expect_project_name.as_deref(), Some("shop"));
    let github = config.providers.github().unwrap();
    assert_eq!(github.api_base, "https://api.github.com");
    assert_eq!((github.token.as_deref(), github.repo.as_str()), (Some("ghp_hunter2"), "acme/shop"));
    let hidden: Vec<&str> = config.passwords().map(|(_, value)| value).collect();
    assert_eq!(hidden, ["napi_hunter2", "ghp_hunter2"], "what the vault is told to hide");
}

#[test]
fn an_environment_overrides_key_by_key() {
    let config = with_keys().environment("staging").loaded();
    let neon = config.providers.neon().unwrap();
    assert_eq!((neon.api_key.as_str(), neon.project.as_str()), ("napi_hunter2", "quiet-lake-87654321"));
    assert_eq!(neon.expect_project_name, None, "the name belonged to the other project");
    assert_eq!(config.providers.github().unwrap().repo, "acme/shop-staging");
    let config = with_keys().environment("lab").var("NEON_API_BASE", "http://127.0.0.1:4010/api/v2").loaded();
    let neon = config.providers.neon().unwrap();
    assert_eq!(neon.api_base, "http://127.0.0.1:4010/api/v2");
    assert_eq!(neon.expect_project_name.as_deref(), Some("shop"));
}

#[test]
fn a_missing_variable_refuses_only_what_needs_the_service() {
    let config = Project::new(BOTH).var("NEON_API_KEY", "napi_hunter2").loaded();
    assert!(config.providers.neon().is_ok());
    let Err(fault) = config.providers.github() else { panic!("there is no token") };
    assert_eq!(fault.code, "github.config");
    assert_eq!(fault.message, "`github.token` needs the variable `GITHUB_TOKEN`, which is not set");
    assert_eq!(
        fault.hint.unwrap(),
        "set `GITHUB_TOKEN`; looked in the process environment, .env.local (none), .env (none)"
    );
}

#[test]
fn without_a_table_it_is_said_what_to_write() {
    let config = Project::new("").loaded();
    let Err(fault) = config.providers.neon() else { panic!("there is no table") };
    assert_eq!(fault.code, "neon.config");
    assert_eq!(fault.message, "this project has no `[neon]`");
    assert!(fault.hint.unwrap().contains("NEON_API_KEY"));
}

#[test]
fn a_mistyped_key_of_a_service_is_answered_with_the_closest_one() {
    let error = Project::new("[neon]\napi_kee = 'hunter2'\n").refused();
    assert!(error.to_string().ends_with("runsheet.toml:2:1: unknown key `api_kee`"), "{error}");
    assert_eq!(error.hint().unwrap(), "did you mean `api_key`?");
    let error = Project::new("neon = 'hunter2'\n").refused();
    assert!(!format!("{error} {:?}", error.hint()).contains("hunter2"), "{error}");
}

#[test]
fn what_cannot_be_a_service_is_refused_without_showing_it() {
    for (neon, why) in [
        ("project = 'p'", "`[neon]` has no `api_key`"),
        ("api_key = 'hunter2'", "`[neon]` has no `project`"),
        ("api_key = ''\nproject = 'p'", "`[neon]` has no `api_key`"),
        ("api_key = 'hunter2'\nproject = '../hunter2'", "`neon.project` is not the id of a project"),
        ("api_key = 'hun ter2'\nproject = 'p'", "`neon.api_key` has white space"),
        ("api_key = 'hunter2'\nproject = 'p'\napi_base = 'http://hunter2.example'", "`neon.api_base` is not encrypted"),
        ("api_key = 'hunter2'\nproject = 'p'\napi_base = 'hunter2.example'", "`neon.api_base` does not begin with"),
        ("api_key = 'hunter2'\nproject = 'p'\napi_base = 'https://u:hunter2@x'", "`neon.api_base` is not the address"),
        ("api_key = 'hunter2'\nproject = 'p'\napi_base = 'https://'", "`neon.api_base` does not begin with"),
    ] {
        let config = Project::new(&format!("[neon]\n{neon}\n")).loaded();
        let Err(fault) = config.providers.neon() else { panic!("accepted: {neon}") };
        assert!(fault.message.starts_with(why), "{fault}");
        assert!(!format!("{fault} {:?}", fault.hint).contains("hunter2"), "{fault}");
    }
    for repo in ["acme", "acme/shop/x", "../shop", "acme/..", "https://github.com/acme/shop"] {
        let config = Project::new(&format!("[github]\nrepo = '{repo}'\n")).loaded();
        let Err(fault) = config.providers.github() else { panic!("accepted: {repo}") };
        assert_eq!(fault.message, "`github.repo` is not a repository");
    }
}
