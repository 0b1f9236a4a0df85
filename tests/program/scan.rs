//! `secret::scan` finds what was planted, wherever and in whatever form, and nothing where nothing was.

use base64::Engine as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::project::{Project, Said};

const SECRET: &str = "canary-pl4nted/ü\"x&y";
const SCAN: &str = r#"
runbook("scan", "1.0.0", #{ params: #{ pw: secret("a password"), also: list(text("a path"), #{ or: [] }) }, lock: [] });
step("scan", || secret::scan(#{ also: params.also }));
"#;

fn project() -> Project {
    let project = Project::with_url("postgresql://nobody:another-s3cret@127.0.0.1:1/none");
    project.file("runbooks/scan.rhai", SCAN);
    project
}

/// What a scan answers; the search knows [`SECRET`] as `pw`.
#[track_caller]
fn scan(project: &Project, more: &[&str]) -> Value {
    let run = [&["run", "scan", "--json", "pw=env:APP_PW"], more].concat();
    let said = Said::from(project.command(&run).env("APP_PW", SECRET).output().expect("it runs")).with_code(0).json();
    let entries = project.entries(said["run"].as_str().expect("a run")).into_iter();
    let values = entries.map(|entry| serde_json::to_value(entry).expect("an entry"));
    values.filter_map(|entry| with_files(&entry).cloned()).next_back().expect("an answer")
}

fn with_files(value: &Value) -> Option<&Value> {
    match value {
        Value::Object(map) if map.contains_key("unread") => Some(value),
        Value::Object(map) => map.values().find_map(with_files),
        _ => None,
    }
}

fn found(secret: &str, place: &str) -> Value {
    json!({ "secret": secret, "place": place })
}

#[test]
fn a_secret_is_found_in_each_form_and_named_with_its_file_and_nothing_is_found_where_nothing_is() {
    let project = project();
    let clean = scan(&project, &[]);
    assert_eq!((&clean["found"], &clean["unread"]), (&json!([]), &json!([])), "{clean}");
    assert!(clean["files"].as_u64() >= Some(2) && clean["bytes"].as_u64() > Some(10_000), "{clean}");

    let text = Value::from(SECRET).to_string();
    let forms = [
        ("plain", SECRET.to_owned()),
        ("json", text[1..text.len() - 1].to_owned()),
        ("url", utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string()),
        ("base64", base64::prelude::BASE64_STANDARD.encode(format!("user:{SECRET}:x"))),
        ("base64url", base64::prelude::BASE64_URL_SAFE.encode(format!("{SECRET}, and more"))),
    ];
    for (name, form) in &forms {
        let path = project.file(&format!(".runsheet/deep/er/{name}"), &format!("before {form} after"));
        let place = format!(".runsheet/deep/er/{name}");
        assert_eq!(scan(&project, &[])["found"], json!([found("pw", &place)]), "{name}");
        std::fs::remove_file(path).expect("it goes");
    }
    // A password inside a URL is one as well; what stands beside the secret is told from it.
    project.file(".runsheet/url", "postgresql://nobody:another-s3cret@");
    let password = scan(&project, &[])["found"].clone();
    assert_eq!(password[0]["place"], ".runsheet/url", "{password}");
    assert!(password[0]["secret"].as_str().is_some_and(|name| name.contains("app")), "{password}");
    std::fs::remove_file(project.path().join(".runsheet/url")).expect("it goes");

    // Data is left out, and so is the key.
    project.file(".runsheet/dumps/run/toc.dat", SECRET);
    project.file(".runsheet/recovered/base/1", SECRET);
    assert_eq!(scan(&project, &[])["found"], json!([]));
}

#[test]
fn a_secret_across_the_edges_of_what_is_read_at_once_is_found() {
    let project = project();
    scan(&project, &[]);
    let edge = 1 << 20;
    for at in [edge - SECRET.len(), edge - SECRET.len() + 1, edge - 1, edge, 2 * edge - 3] {
        let text = format!("{}{SECRET}", ".".repeat(at));
        let path = project.file(".runsheet/large", &text);
        assert_eq!(scan(&project, &[])["found"], json!([found("pw", ".runsheet/large")]), "at {at}");
        std::fs::remove_file(path).expect("it goes");
    }
}

#[test]
fn a_secret_in_the_journal_is_found_although_a_long_entry_lies_there_in_pieces() {
    let project = project();
    // Whoever writes this does not know it for a secret.
    let step = format!("step(\"say\", || log::info(`{}{SECRET}`));", ".".repeat(30_000));
    project.file("runbooks/say.rhai", &format!("runbook(\"say\", \"1.0.0\", #{{ lock: [] }});\n{step}"));
    project.run(&["run", "say"]).with_code(0);
    let answer = scan(&project, &[]);
    let all = answer["found"].as_array().expect("a list");
    assert!(all.contains(&found("pw", "journal of say-1")), "{answer}");
    assert!(all.iter().any(|one| one["place"].as_str().is_some_and(|place| place.contains("journal.db"))), "{answer}");
}

#[test]
fn what_is_not_read_is_named_and_other_files_are_looked_through_if_asked() {
    let project = project();
    scan(&project, &[]);
    project.file("plans/one.json", SECRET);
    project.file(".runsheet/log", "nothing");
    std::os::unix::fs::symlink("/etc/hostname", project.path().join(".runsheet/elsewhere")).expect("a link");
    let answer = scan(&project, &["also=plans,gone.json"]);
    assert_eq!(answer["found"], json!([found("pw", "plans/one.json")]));
    let unread = answer["unread"].as_array().expect("a list");
    let named: Vec<_> = unread.iter().filter_map(|one| one["place"].as_str()).collect();
    assert_eq!(named, [".runsheet/elsewhere", "gone.json"], "{answer}");
}
