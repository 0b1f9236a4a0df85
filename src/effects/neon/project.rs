//! The project: is it the expected one, how far back does its history reach, how many branches may it have.

use reqwest::Method;
use serde_json::{Value, json};

use super::http::{Api, PATIENCE, path};
use super::{branches, wire};
use crate::model::fault::Fault;

impl Api {
    /// Refuses another project than the configured name says; asked once.
    pub(super) async fn require_expected(&self) -> Result<(), Fault> {
        let access = self.access()?;
        let Some(expected) = &access.expect_project_name else { return Ok(()) };
        let ask = || async {
            let answer: Value = self.send(Method::GET, "", None, "reading the project", PATIENCE).await?;
            let found = answer["project"]["name"].as_str().unwrap_or_default();
            if found == expected {
                return Ok(());
            }
            Err(Fault::fatal(
                "neon.project",
                format!("project {} is called `{found}`, and `{expected}` is expected", access.project),
            )
            .hinted("check `neon.project` and `neon.expect_project_name` of this environment"))
        };
        self.expected.get_or_try_init(ask).await.map(|_| ())
    }
}

/// The project as the API shows it.
async fn raw(api: &Api) -> Result<Value, Fault> {
    let answer = api.get("", "reading the project").await?;
    wire::part(&answer, "project", "reading the project")
}

/// What `neon::project` answers.
pub async fn read(api: &Api) -> Result<Value, Fault> {
    let project = raw(api).await?;
    let default = branches::Collection::read(api).await?.default().map(|branch| branch.id.clone());
    let settings = &project["settings"];
    Ok(json!({
        "id": project["id"],
        "name": project["name"],
        "name_expected": api.access()?.expect_project_name.is_some(),
        "pg_version": project["pg_version"],
        "region": project["region_id"],
        "history_seconds": project["history_retention_seconds"],
        "branches_limit": project["owner"]["branches_limit"],
        "subscription": project["owner"]["subscription_type"],
        "quota": if settings["quota"].is_object() { settings["quota"].clone() } else { json!({}) },
        "logical_replication": settings["enable_logical_replication"].as_bool().unwrap_or(false),
        "store_passwords": project["store_passwords"].as_bool().unwrap_or(true),
        "created_at": project["created_at"],
        "default_branch": default,
    }))
}

/// How many branches there may be, if the API says so.
pub async fn branches_limit(api: &Api) -> Result<Option<u64>, Fault> {
    Ok(raw(api).await?["owner"]["branches_limit"].as_u64())
}

/// How far back the history reaches, in seconds, if the API says so.
pub async fn history_seconds(api: &Api) -> Result<Option<u64>, Fault> {
    Ok(raw(api).await?["history_retention_seconds"].as_u64())
}

/// Sets how far back the history reaches. Answers `{ before, after }`.
pub async fn set_history(api: &Api, seconds: u64, before: u64) -> Result<Value, Fault> {
    let what = "setting the history window";
    let body = json!({ "project": { "history_retention_seconds": seconds } });
    let _one = api.changing.lock().await;
    api.repeat(Method::PATCH, &path(&[]), Some(&body), what).await?;
    let after = history_seconds(api).await?.unwrap_or(seconds);
    if after != seconds {
        return Err(Fault::fatal(
            "neon.plan",
            format!("{what}: {seconds} s were asked for, and the project keeps {after} s"),
        )
        .hinted("the plan limits it: 6 hours, 7 days or 30 days"));
    }
    Ok(json!({ "before": before, "after": after }))
}
