//! Configurations that cannot be used: each gets one clear message, and none shows a value.

use super::Project;

#[test]
fn a_mistyped_key_is_answered_with_its_place_and_the_closest_one() {
    let error = Project::new("# one\n[targets.prod]\nurll = 'postgres://u:hunter2@x/a'\n").refused();
    assert!(error.to_string().ends_with("runsheet.toml:3:1: unknown key `urll`"), "{error}");
    assert_eq!(error.hint().unwrap(), "did you mean `url`?");
    let error = Project::new("[target.prod]\n").refused();
    assert!(error.to_string().contains(":1:2: unknown key `target`"), "{error}");
    assert_eq!(error.hint().unwrap(), "did you mean `targets`?");
    let error = Project::new("[env.x.targets.prod]\nwhatever = 1\n").refused();
    assert!(error.hint().unwrap().starts_with("known here: url, direct_url"), "{:?}", error.hint());
}

#[test]
fn no_message_shows_a_configured_value() {
    for toml in [
        "[targets.t]\nprotected = 'postgres://u:hunter2@x/a'\n",
        "[targets.t]\nurl = 'postgres://u:hunter2@x/a' 'again'\n",
        "[targets.t]\nurl = 'postgres://u:hunter2@x/a\n",
        "[targets.t]\nurl = { password = 'hunter2' }\n",
        "targets = 'hunter2'\n",
        "[targets.t]\nidentity = 'hunter2'\n",
    ] {
        let error = Project::new(toml).refused();
        let shown = format!("{error} {:?} {error:?}", error.hint());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("runsheet.toml:"), "{shown}");
    }
    for url in [
        "mysql://u:hunter2@x/a",
        "hunter2",
        "postgres://u:hun/ter2@x/a",
        "postgres://u:hun@ter2@x/a",
        "postgres://u:hunter2 @x/a",
        "postgres://u:hunter2@x/a?sslmode=hunter2",
        "${hunter2:-hunter2}",
        "${hunter2",
    ] {
        let config = Project::new("[targets.t]\nurl = 'REPLACED'".replace("REPLACED", url).as_str()).loaded();
        let Err(error) = config.target("t") else { panic!("accepted {url}") };
        let shown = format!("{error} {:?}", error.hint());
        assert!(!shown.contains("hunter2") && !shown.contains("ter2"), "{shown}");
        assert!(shown.starts_with("`targets.t.url` "), "{shown}");
    }
}

#[test]
fn garbage_is_refused_with_its_place() {
    let error = Project::new("\0\u{1}garbage ]]").refused();
    assert!(error.to_string().contains("runsheet.toml:1:"), "{error}");
    let error = Project::new("").with("runsheet.toml", b"a = \"\xff\xfe\"").refused();
    assert!(error.to_string().ends_with("cannot be read: it is not UTF-8 text"), "{error}");
    let error = Project::new("").with(".env", b"A=\xff").refused();
    assert!(error.to_string().ends_with(".env cannot be read: it is not UTF-8 text"), "{error}");
    for (text, line, why) in [
        ("A=1\nhello\n", 2, "no `=`"),
        ("A=1\n\nB='x\n", 3, "not closed"),
        ("1 2=3", 1, "not a variable's name"),
        ("A='x' y", 1, "behind the closing"),
    ] {
        let error = Project::new("").with(".env", text).refused().to_string();
        assert!(error.contains(&format!(".env:{line}:1: ")) && error.contains(why), "{error}");
    }
}

#[test]
fn a_folder_instead_of_the_file_is_named_as_one() {
    let project = Project::new("");
    std::fs::remove_file(project.path().join("runsheet.toml")).unwrap();
    std::fs::create_dir(project.path().join("runsheet.toml")).unwrap();
    assert!(project.refused().to_string().ends_with("cannot be read: it is a folder"));
}

#[test]
fn a_folder_called_env_is_somebody_elses() {
    let project = Project::new("");
    std::fs::create_dir(project.path().join(".env")).unwrap();
    project.loaded();
}

#[test]
fn a_variable_in_a_parameter_is_refused_since_parameters_are_journaled() {
    let error = Project::new("[runbooks.x]\nhook = ['${WEBHOOK}']\n").refused();
    assert_eq!(error.to_string(), "`runbooks.x.hook` has a `${…}`, which is only expanded in targets and services");
    assert!(error.hint().unwrap().contains("env:NAME"));
}

#[test]
fn passwords_are_handed_over_as_written_and_as_meant() {
    let toml = "[targets.t]\nurl = 'postgres://u:p%40ss%2Fword@localhost/a?password=sec%20ond'\ndirect_url = '${D}'\nreplication_url = 'postgres://u:fourth@localhost/a'\n";
    let config = Project::new(toml).var("D", "postgres://u:third-one@localhost/a").loaded();
    let passwords: Vec<_> = config.passwords().map(|(name, value)| format!("{name}={value}")).collect();
    for wanted in ["p%40ss%2Fword", "p@ss/word", "sec%20ond", "sec ond", "third-one", "fourth"] {
        assert!(passwords.contains(&format!("password of t={wanted}")), "{passwords:?}");
    }
}

proptest::proptest! {
    // A failing case prints its seed and is kept nowhere: the input itself is shown.
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(
        toml in "(\\[|\\]|targets|env|\\.|t|=|url|'|\"|\\$\\{|\\}|A|postgres://|@|:|/|\\?|%|ü|\n| ){0,30}",
        env in "(A|=|'|\"|`|\\\\|\\$|#|export |ü|\u{FEFF}|\r|\n| ){0,30}",
        url in "(postgres://|u|:|@|/|%|4|\\?|host=|,|\\[|\\]|&|=|ü|sslmode=|password=){0,20}",
    ) {
        let _ = Project::new(&toml).with(".env", &env).load();
        let config = Project::new("[targets.t]\nurl = '${U}'\n").var("U", &url).loaded();
        let _ = config.target("t");
    }
}
