//! The purge of many branches beside the least that the service's rate allows, against the stand-in with its limit on.
//!
//! What is necessary for a deletion: the branch is read once more by id, it is deleted, its operation is asked for once, and
//! it is looked for afterwards. Everything beyond is waste: which computes are active is asked for many at once.

#[path = "../shared/measure.rs"]
#[allow(dead_code, reason = "the other ratios use the rest of it")]
mod measure;
#[path = "../shared/program.rs"]
mod program;
mod standin;

use std::path::Path;

use measure::Bars;
use serde_json::json;
use standin::StandIn;

/// Branches that are deleted.
const BRANCHES: u32 = 1000;
/// Requests that each takes, and how many an account may make in a minute.
const NECESSARY: u32 = 4;
const A_MINUTE: u32 = 700;
/// When all of them were made and their pull requests closed.
const LONG_AGO: &str = "2026-01-01T00:00:00Z";

fn main() {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR")).join("purge");
    let _ = std::fs::remove_dir_all(&tmp);
    std::fs::create_dir_all(&tmp).expect("the folder for temporary files");
    let standin = StandIn::start(&tmp);
    let project = standin.lab("POST", "/projects", &json!({}));
    let text = |name: &str| project[name].as_str().expect("text").to_owned();
    let (id, key) = (text("id"), text("key"));
    let closed = json!({ "state": "closed", "closed_at": LONG_AGO, "merged": true });
    let pulls: serde_json::Map<String, serde_json::Value> =
        (1..=BRANCHES).map(|number| (number.to_string(), closed.clone())).collect();
    standin.lab("POST", "/github/acme/shop", &json!({ "token": "t", "pulls": pulls }));
    let branches: Vec<serde_json::Value> = (1..=BRANCHES)
        .map(|number| json!({ "name": format!("preview/pr-{number}"), "created_at": LONG_AGO }))
        .collect();
    standin.lab("POST", &format!("/projects/{id}/branches"), &json!(branches));
    let knobs = json!({ "rate_per_minute": A_MINUTE, "rate_burst": 40, "route_per_second": 40, "operation_ms": 50 });
    standin.lab("PATCH", &format!("/projects/{id}/knobs"), &knobs);
    let port = standin.port;
    let toml = format!(
        "[neon]\napi_base = \"http://127.0.0.1:{port}/api/v2\"\napi_key = \"{key}\"\nproject = \"{id}\"\n\
         [github]\napi_base = \"http://127.0.0.1:{port}/github\"\ntoken = \"t\"\nrepo = \"acme/shop\"\n"
    );
    std::fs::write(tmp.join("runsheet.toml"), toml).expect("the configuration");

    let count = format!("max_count={BRANCHES}");
    let plan = ["plan", "branch-purge", &count, "max_share=100%", "--out", "p.json"];
    let planned = program::measure(&mut program::command(&tmp, &plan), &tmp);
    assert_eq!(planned.code, 0, "{}", said(&tmp));
    let ran = program::measure(&mut program::command(&tmp, &["run", "branch-purge", "--plan", "p.json"]), &tmp);
    assert_eq!(ran.code, 0, "{}", said(&tmp));

    let least = f64::from(BRANCHES * NECESSARY) * 60.0 / f64::from(A_MINUTE);
    println!("plan {:.1} s, run {:.1} s, least {least:.1} s", planned.took, ran.took);
    let mut bars = Bars::default();
    bars.ratio("a purge of 1,000 branches / the least that the rate allows", ran.took / least, 1.1);
    bars.at_most("peak RSS of the purge, MB", ran.peak_mb, 50.0);
    bars.print();
}

fn said(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("stderr")).unwrap_or_default()
}
