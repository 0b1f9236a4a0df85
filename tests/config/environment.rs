//! Projects, environments, variables and overrides.

use std::collections::BTreeMap;

use runsheet::cli::config::{ConfigError, Options, load};

use super::Project;

const TWO: &str = r#"
[targets.prod]
url = "${DATABASE_URL}"
direct_url = "postgres://u:direct-pw@prod.example/app"
replication_url = "postgres://u@10.0.0.7/app"
label = "production"
protected = true
identity = { system = "7412", database = "app" }

[runbooks.restore-drill]
source = "prod"
fresh = ["orders.at"]

[env.staging.targets.prod]
url = "${STAGING_DATABASE_URL}"

[env.staging.runbooks.restore-drill]
rto = "10m"

[env.production]
"#;

#[test]
fn a_project_is_found_from_a_folder_below_it() {
    let project = Project::new("");
    let below = project.path().join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    let config = load(&Options::default(), BTreeMap::new(), &below).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.project, project.path());
    assert_eq!(config.state, project.path().join(".runsheet"));
}

#[test]
fn without_a_project_the_next_command_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let Err(error) = load(&Options::default(), BTreeMap::new(), folder.path()) else { panic!("found one") };
    assert!(matches!(error, ConfigError::NoProject { .. }), "{error}");
    assert!(error.hint().unwrap().contains("runsheet init"));
}

#[test]
fn an_environment_overrides_a_url_and_drops_what_belonged_to_the_old_one() {
    let project =
        Project::new(TWO).environment("staging").var("STAGING_DATABASE_URL", "postgres://u@stage.example/app");
    let config = project.loaded();
    let target = config.target("prod").unwrap();
    assert_eq!(target.url, "postgres://u@stage.example/app");
    assert_eq!(target.direct(), target.url, "the direct URL of production must not be used for staging");
    assert_eq!(target.replication_url, None, "nor the way other servers reach it");
    assert_eq!(target.identity, None);
    assert!(target.protected);
    assert_eq!(target.label, "production");
    let drill = &config.runbooks["restore-drill"];
    assert_eq!(drill["source"].as_str(), Some("prod"));
    assert_eq!(drill["rto"].as_str(), Some("10m"));
    assert_eq!(config.environment_line(), "environment: staging (from -e)");
    assert!(config.environment.unwrap().explicit());
}

#[test]
fn without_an_environment_the_base_holds() {
    let project = Project::new(TWO).var("DATABASE_URL", "postgres://u@prod.example/app");
    let config = project.loaded();
    assert_eq!(config.target("prod").unwrap().direct(), "postgres://u:direct-pw@prod.example/app");
    assert_eq!(config.environment_line(), "environment: none chosen (there are: production, staging)");
}

#[test]
fn the_flag_comes_before_environment_and_that_before_node_env() {
    let both = || Project::new(TWO).var("NODE_ENV", "production").var("ENVIRONMENT", "staging");
    assert_eq!(both().loaded().environment_line(), "environment: staging (from $ENVIRONMENT)");
    assert_eq!(both().environment("production").loaded().environment_line(), "environment: production (from -e)");
    let node = Project::new(TWO).var("ENVIRONMENT", "").var("NODE_ENV", "production").loaded();
    assert_eq!(node.environment_line(), "environment: production (from $NODE_ENV)");
    assert!(!node.environment.unwrap().explicit());
}

#[test]
fn an_undeclared_environment_is_refused_with_the_closest_one() {
    let error = Project::new(TWO).environment("stagin").refused();
    assert_eq!(error.to_string(), "environment `stagin` (from -e) is not declared in `runsheet.toml`");
    assert!(error.hint().unwrap().starts_with("did you mean `staging`?"));
    Project::new("").environment("anything").loaded();
    assert!(Project::new("").environment("../../etc/x").load().is_err());
}

#[test]
fn the_process_comes_first_then_the_files_from_special_to_general() {
    let toml = r#"
        [targets.a]
        url = "postgres://localhost/${A}"
        [targets.b]
        url = "postgres://localhost/${B}"
        [targets.c]
        url = "postgres://localhost/${C}"
        [targets.d]
        url = "postgres://localhost/${D}"
    "#;
    let project = Project::new(toml)
        .with(".env", "A=env\nB=env\nC=env\nD=env\n")
        .with(".env.local", "A=local\nB=local\nC=local\n")
        .with(".env.staging.local", "A=staging\nB=staging\n")
        .var("A", "process")
        .environment("staging");
    let config = project.loaded();
    for (name, from) in [("a", "process"), ("b", "staging"), ("c", "local"), ("d", "env")] {
        assert_eq!(config.targets[name].url, format!("postgres://localhost/{from}"));
    }
    assert_eq!(config.variables.get("D"), Some("env"));
    assert_eq!(config.warnings, ["A of the process environment overrides a different value in .env.staging.local"]);
}

#[test]
fn equal_values_in_process_and_file_are_no_warning() {
    let config = Project::new("").with(".env", "A=same").var("A", "same").loaded();
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn a_missing_variable_refuses_only_the_target_that_needs_it_and_names_the_files() {
    let project = Project::new(TWO).with(".env", "OTHER=1").environment("production");
    let config = project.loaded();
    let Err(error) = config.target("prod") else { panic!("resolved") };
    assert_eq!(error.to_string(), "`targets.prod.url` needs the variable `DATABASE_URL`, which is not set");
    assert_eq!(
        error.hint().unwrap(),
        "set `DATABASE_URL`; looked in the process environment, .env.production.local (none), .env.local (none), .env"
    );
}

#[test]
fn env_files_are_read_as_their_writers_meant_them() {
    let text = "\u{FEFF}# comment\n\nexport A=plain # comment\r\nB='single $x \\n'\nC=\"line\\none \\\"q\\\"\" # c\nD=\"first\nsecond\"\nE=\nF=a=b\n G = spaced \nH=ab#cd\nA2=`tick`\n";
    let config = Project::new("").with(".env", text).loaded();
    let get = |name: &str| config.variables.get(name).map(str::to_owned);
    assert_eq!(get("A").as_deref(), Some("plain"));
    assert_eq!(get("B").as_deref(), Some("single $x \\n"));
    assert_eq!(get("C").as_deref(), Some("line\none \"q\""));
    assert_eq!(get("D").as_deref(), Some("first\nsecond"));
    assert_eq!(get("E"), None);
    assert_eq!(get("F").as_deref(), Some("a=b"));
    assert_eq!(get("G").as_deref(), Some("spaced"));
    assert_eq!(get("H").as_deref(), Some("ab#cd"));
    assert_eq!(get("A2").as_deref(), Some("tick"));
    assert!(config.warnings.iter().any(|line| line.starts_with(".env: the value of H ")), "{:?}", config.warnings);
}

#[test]
fn an_unknown_target_is_answered_with_the_closest_one() {
    let config = Project::new("[targets.production]\nurl = 'postgres://localhost/a'").loaded();
    let Err(error) = config.target("prodution") else { panic!("found") };
    assert_eq!(error.hint().unwrap(), "did you mean `production`?");
}

#[test]
fn the_revision_is_known_and_says_when_something_is_not_committed() {
    let project = Project::new("").with(".gitignore", "");
    assert_eq!(project.loaded().git, None);
    let git = |args: &[&str]| {
        let done = std::process::Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(args)
            .current_dir(project.path())
            .output()
            .expect("git");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    let head = git(&["rev-parse", "--short=12", "HEAD"]);
    let path = std::env::var("PATH").expect("PATH");
    let project = project.var("PATH", &path);
    assert_eq!(project.loaded().git, Some(head.clone()));
    let project = project.with("new.rhai", "");
    assert_eq!(project.loaded().git, Some(format!("{head}+")));
}
