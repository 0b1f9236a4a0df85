//! The words as lines for a shell. The key stands there as a variable, and names are encoded: they are anybody's text.

use serde_json::{Value, json};

use super::Neon;
use super::http::{path, with};
use crate::model::action::Action;
use crate::model::request::Request;
use crate::model::request::neon::{
    NeonBranch, NeonBranchOf, NeonBranches, NeonCompareSchema, NeonCreateBranch, NeonDatabases, NeonDeleteBranch,
    NeonDisableEndpoint, NeonDropBranch, NeonEndpoints, NeonOperations, NeonProject, NeonRecoverBranch,
    NeonResetPassword, NeonRestoreBranch, NeonRevealPassword, NeonRoles, NeonSetHistory, NeonStartEndpoint,
    NeonSuspendEndpoint, NeonUpdateBranch, NeonUrl,
};
use crate::model::target;
use crate::model::unknown;

/// One line, for the words that are one request. Nothing is contacted.
pub fn by_hand(neon: &Neon<'_>, action: &Action) -> Vec<String> {
    let Ok(access) = neon.api().access() else { return Vec::new() };
    let Some((method, place, body)) = request(action) else { return Vec::new() };
    let url = format!("{}/projects/{}{}", access.api_base, access.project, place);
    let mut words = vec!["curl", "-sS"].into_iter().map(str::to_owned).collect::<Vec<_>>();
    if method != "GET" {
        words.extend(["-X".to_owned(), method.to_owned()]);
    }
    words.push("-H".to_owned());
    words.push("\"Authorization: Bearer $NEON_API_KEY\"".to_owned());
    if let Some(body) = body {
        words.extend(["--json".to_owned(), quoted(&body.to_string())]);
    }
    words.push(quoted(&url));
    vec![unknown::readable(&words.join(" "))]
}

fn quoted(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| "''".to_owned(), std::borrow::Cow::into_owned)
}

/// The end of a length of life, which counts from when the line is run.
fn end(ttl: f64) -> Value {
    if ttl == 0.0 { Value::Null } else { json!(format!("NOW+{ttl}s")) }
}

/// Method, place below the project, and body.
fn request(action: &Action) -> Option<(&'static str, String, Option<Value>)> {
    let given = &action.request;
    let text = |key: &str| given[key].as_str().map(|text| target::made_branch(text).map_or(text, |(_, id)| id));
    let branch =
        || text("branch").or_else(|| text("made")).or_else(|| given["branch"]["id"].as_str()).unwrap_or("BRANCH");
    let endpoint = || text("endpoint").unwrap_or("ENDPOINT");
    let below = |rest: &[&str]| path(&[&["branches", branch()], rest].concat());
    let get = |place: String| Some(("GET", place, None));
    let post = |place: String, body: Option<Value>| Some(("POST", place, body));
    match action.word.as_str() {
        NeonProject::WORD => get(String::new()),
        NeonBranches::WORD | NeonBranchOf::WORD => get(with(path(&["branches"]), &[("limit", Some("1000"))])),
        NeonBranch::WORD => get(with(path(&["branches"]), &[("search", text("branch"))])),
        NeonEndpoints::WORD => get(below(&["endpoints"])),
        NeonRoles::WORD => get(below(&["roles"])),
        NeonDatabases::WORD => get(below(&["databases"])),
        NeonRevealPassword::WORD => get(below(&["roles", text("role")?, "reveal_password"])),
        NeonOperations::WORD => get(path(&["operations"])),
        NeonUrl::WORD => get(with(
            path(&["connection_uri"]),
            &[
                ("branch_id", Some(branch())),
                ("database_name", text("database").or(Some("DATABASE"))),
                ("role_name", text("role").or(Some("ROLE"))),
                ("pooled", given["pooled"].as_bool().filter(|it| *it).map(|_| "true")),
            ],
        )),
        NeonCompareSchema::WORD => get(with(
            below(&["compare_schema"]),
            &[("db_name", text("database").or(Some("DATABASE"))), ("base_branch_id", text("base"))],
        )),
        NeonCreateBranch::WORD => {
            let mut branch = json!({ "name": text("name").unwrap_or("NAME") });
            for (key, theirs) in [("parent", "parent_id"), ("at", "parent_timestamp"), ("lsn", "parent_lsn")] {
                if let Some(value) = text(key) {
                    branch[theirs] = json!(value);
                }
            }
            if let Some(ttl) = given["ttl"].as_f64() {
                branch["expires_at"] = end(ttl);
            }
            let mut body = json!({ "branch": branch });
            if given["compute"].as_bool() == Some(true) {
                body["endpoints"] = json!([{ "type": "read_write" }]);
            }
            post(path(&["branches"]), Some(body))
        }
        NeonDropBranch::WORD | NeonDeleteBranch::WORD => Some(("DELETE", below(&[]), None)),
        NeonRecoverBranch::WORD => post(below(&["recover"]), None),
        NeonUpdateBranch::WORD => {
            let mut change = json!({});
            for key in ["name", "protected", "expires_at"] {
                if !given[key].is_null() {
                    change[key] = given[key].clone();
                }
            }
            if let Some(ttl) = given["ttl"].as_f64() {
                change["expires_at"] = end(ttl);
            }
            Some(("PATCH", below(&[]), Some(json!({ "branch": change }))))
        }
        NeonRestoreBranch::WORD => {
            let source = text("from").unwrap_or_else(branch);
            let mut body = json!({ "source_branch_id": source, "preserve_under_name": text("preserve") });
            for (key, theirs) in [("at", "source_timestamp"), ("lsn", "source_lsn")] {
                if let Some(value) = text(key) {
                    body[theirs] = json!(value);
                }
            }
            post(below(&["restore"]), Some(body))
        }
        NeonStartEndpoint::WORD => post(path(&["endpoints", endpoint(), "start"]), None),
        NeonSuspendEndpoint::WORD => post(path(&["endpoints", endpoint(), "suspend"]), None),
        NeonDisableEndpoint::WORD => {
            let body = json!({ "endpoint": { "disabled": given["disabled"] } });
            Some(("PATCH", path(&["endpoints", endpoint()]), Some(body)))
        }
        NeonResetPassword::WORD => post(below(&["roles", text("role")?, "reset_password"]), None),
        NeonSetHistory::WORD => {
            let body = json!({ "project": { "history_retention_seconds": given["seconds"] } });
            Some(("PATCH", String::new(), Some(body)))
        }
        _ => None,
    }
}
