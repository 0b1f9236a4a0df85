//! Railway: variables that reach a process only with a new deployment, and deployments that take their time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::graphql::{self, Query};
use super::mishaps::{self, Mishap, Mishaps};
use super::rendering::{Services, rendered};
use super::{Platforms, Shared};

/// A project with one environment.
pub struct Project {
    /// Its id.
    pub id: String,
    /// What is to befall it.
    pub mishaps: Mishaps,
    environment: String,
    other: String,
    token: String,
    project_token: String,
    /// By the name of the service, which is its id too.
    services: Services,
    deployments: Vec<Deployment>,
    fates: VecDeque<String>,
    step_ms: i64,
    /// Most requests within a second; 0 is without end.
    per_second: usize,
    /// When those of the last second came.
    lately: VecDeque<DateTime<Utc>>,
    /// How many came beyond that.
    limited: usize,
}

struct Deployment {
    id: String,
    service: String,
    at: DateTime<Utc>,
    variables: BTreeMap<String, String>,
    fate: String,
}

impl Deployment {
    fn status(&self, now: DateTime<Utc>, step_ms: i64) -> &str {
        match ((now - self.at).num_milliseconds() / step_ms.max(1), self.fate.as_str()) {
            (0, _) => "INITIALIZING",
            (1, _) | (_, "STUCK") => "BUILDING",
            (2, _) => "DEPLOYING",
            _ => &self.fate,
        }
    }

    fn told(&self, now: DateTime<Utc>, step_ms: i64) -> Value {
        json!({ "id": self.id, "status": self.status(now, step_ms), "createdAt": self.at.to_rfc3339() })
    }
}

impl Project {
    /// Makes one, each of its services deployed.
    pub fn new(platforms: &Platforms, wish: &Value) -> Self {
        let services: Services = serde_json::from_value(wish["services"].clone()).unwrap_or_default();
        let mut project = Self {
            id: platforms.id(),
            mishaps: Mishaps::default(),
            environment: platforms.id(),
            other: platforms.id(),
            token: format!("rw_{}", platforms.id()),
            project_token: format!("rwp_{}", platforms.id()),
            deployments: Vec::new(),
            fates: VecDeque::new(),
            step_ms: wish["step_ms"].as_i64().unwrap_or(30),
            per_second: wish["per_second"].as_u64().and_then(|most| most.try_into().ok()).unwrap_or(0),
            lately: VecDeque::new(),
            limited: 0,
            services,
        };
        for service in project.services.keys().cloned().collect::<Vec<_>>() {
            project.deploy(platforms, &service);
        }
        project
    }

    /// What a client needs to know.
    pub fn described(&self) -> Value {
        json!({
            "project": self.id, "environment": self.environment, "other_environment": self.other,
            "token": self.token, "project_token": self.project_token,
        })
    }

    /// All of it.
    pub fn shown(&self, now: DateTime<Utc>) -> Value {
        let running: BTreeMap<&String, Value> = self
            .services
            .keys()
            .map(|service| {
                let done = |it: &&Deployment| it.service == *service && it.status(now, self.step_ms) == "SUCCESS";
                let newest = self.deployments.iter().rfind(done);
                (service, newest.map_or(Value::Null, |it| json!(it.variables)))
            })
            .collect();
        let deployments: Vec<Value> = self.deployments.iter().map(|it| it.told(now, self.step_ms)).collect();
        json!({ "services": self.services, "running": running, "deployments": deployments, "asked": self.mishaps.asked, "limited": self.limited })
    }

    /// Says how the next deployments end.
    pub fn fated(&mut self, wish: &Value) -> Value {
        self.fates.extend(serde_json::from_value::<Vec<String>>(wish.clone()).unwrap_or_default());
        json!({ "fates": self.fates })
    }

    /// Whether one more may come now.
    fn within_limit(&mut self, now: DateTime<Utc>) -> bool {
        self.lately.retain(|at| (now - *at).num_milliseconds() < 1000);
        if self.per_second > 0 && self.lately.len() >= self.per_second {
            self.limited += 1;
            return false;
        }
        self.lately.push_back(now);
        true
    }

    fn deploy(&mut self, platforms: &Platforms, service: &str) -> String {
        let id = platforms.id();
        self.deployments.push(Deployment {
            id: id.clone(),
            service: service.to_owned(),
            at: platforms.clock.now(),
            variables: rendered(&self.services, service),
            fate: self.fates.pop_front().unwrap_or_else(|| "SUCCESS".to_owned()),
        });
        id
    }

    /// What a root field comes to.
    fn perform(&mut self, platforms: &Platforms, query: &Query, forgets: bool) -> Result<Value, String> {
        let now = platforms.clock.now();
        match (query.mutation, query.field.as_str()) {
            (false, "projectToken") => {
                Ok(json!({ "id": "t", "name": "token", "projectId": self.id, "environmentId": self.environment }))
            }
            (false, "variables") => {
                let service = self.service(&query.text("serviceId")?)?;
                match query.args.get("unrendered") {
                    Some(Value::Bool(true)) => Ok(json!(self.services[&service])),
                    _ => Ok(json!(rendered(&self.services, &service))),
                }
            }
            (false, "variablesForServiceDeployment") => {
                Ok(json!(rendered(&self.services, &self.service(&query.text("serviceId")?)?)))
            }
            (false, "serviceInstance") => {
                let service = self.service(&query.text("serviceId")?)?;
                let latest = self.deployments.iter().rfind(|it| it.service == service);
                let latest = latest.map_or(Value::Null, |it| it.told(now, self.step_ms));
                Ok(json!({ "id": service, "serviceName": service, "latestDeployment": latest }))
            }
            (false, "deployment") => {
                let id = query.text("id")?;
                let found = self.deployments.iter().find(|it| it.id == id).ok_or("Deployment not found")?;
                Ok(found.told(now, self.step_ms))
            }
            (true, "variableUpsert" | "variableCollectionUpsert" | "variableDelete") => {
                self.change(platforms, query, forgets)
            }
            (true, "serviceInstanceDeployV2") => {
                let service = self.service(&query.text("serviceId")?)?;
                Ok(self.deploy(platforms, &service).into())
            }
            (true, "serviceInstanceRedeploy") => {
                let service = self.service(&query.text("serviceId")?)?;
                self.deploy(platforms, &service);
                Ok(true.into())
            }
            // The process starts again with what it had: variables reach it only in a new deployment.
            (true, "deploymentRestart") => Ok(true.into()),
            _ => Err("Problem processing request".to_owned()),
        }
    }

    fn change(&mut self, platforms: &Platforms, query: &Query, forgets: bool) -> Result<Value, String> {
        let input = query.args.get("input").cloned().unwrap_or_default();
        let service = self.service(input["serviceId"].as_str().unwrap_or_default())?;
        let name = || input["name"].as_str().map(str::to_owned).ok_or("Problem processing request");
        let mut variables = self.services[&service].clone();
        match query.field.as_str() {
            "variableUpsert" => {
                let value = input["value"].as_str().ok_or("Problem processing request")?;
                variables.insert(name()?, value.to_owned());
            }
            "variableDelete" => drop(variables.remove(&name()?)),
            _ => {
                let given: BTreeMap<String, String> = serde_json::from_value(input["variables"].clone())
                    .map_err(|_| "Problem processing request".to_owned())?;
                if input["replace"] == true {
                    variables.clear();
                }
                variables.extend(given);
            }
        }
        if !forgets {
            self.services.insert(service.clone(), variables);
        }
        if input["skipDeploys"] != true {
            self.deploy(platforms, &service);
        }
        Ok(true.into())
    }

    fn service(&self, id: &str) -> Result<String, String> {
        if self.services.contains_key(id) { Ok(id.to_owned()) } else { Err("Service not found".to_owned()) }
    }

    /// Whether a token is good for what is asked.
    fn allows(&self, query: &Query, scoped: bool) -> bool {
        let asked = |name: &str| {
            let of = |value: &Value| value.as_str().map(str::to_owned);
            query.args.get(name).and_then(of).or_else(|| query.args.get("input").and_then(|it| of(&it[name])))
        };
        let project = asked("projectId").is_none_or(|id| id == self.id);
        let environment = asked("environmentId").is_none_or(|id| id == self.environment || !scoped && id == self.other);
        project && environment && (query.field != "projectToken" || scoped)
    }
}

/// `POST /graphql/v2`.
pub async fn ask(State(platforms): Shared, headers: HeaderMap, body: String) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let agent = text(header::USER_AGENT.as_str());
    if agent.is_empty() || agent.starts_with("Python-urllib") {
        return (StatusCode::FORBIDDEN, "error code: 1010").into_response();
    }
    let Ok(body) = serde_json::from_str::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, axum::Json(graphql::failed("", "Problem processing request")))
            .into_response();
    };
    let query = match graphql::read(&body) {
        Ok(query) => query,
        Err(message) => {
            return (StatusCode::BAD_REQUEST, axum::Json(graphql::failed("", &message))).into_response();
        }
    };
    let bearer = text("authorization").strip_prefix("Bearer ").unwrap_or_default().to_owned();
    let answered = answered(&platforms, &query, &bearer, text("project-access-token"));
    let (mishap, value) = match answered {
        Ok(answered) => answered,
        Err(mishap) => match mishaps::refused(mishap) {
            Some(refusal) => return refusal,
            None => (None, Value::Null),
        },
    };
    mishaps::spoilt(mishap, axum::Json(value).into_response())
}

/// The answer, and what befalls it; the error is what befell the request.
fn answered(
    platforms: &Arc<Platforms>,
    query: &Query,
    bearer: &str,
    scoped: &str,
) -> Result<(Option<Mishap>, Value), Mishap> {
    let mut all = platforms.railway();
    let found = all.values_mut().find(|project| {
        !bearer.is_empty() && project.token == bearer || !scoped.is_empty() && project.project_token == scoped
    });
    let not_authorized = || (None, graphql::failed(&query.field, "Not Authorized"));
    let Some(project) = found else {
        let message = if scoped.is_empty() { "Not Authorized" } else { "Project Token not found" };
        return Ok((None, graphql::failed(&query.field, message)));
    };
    if !project.within_limit(platforms.clock.now()) {
        return Err(Mishap::Limited);
    }
    let mishap = project.mishaps.of(&query.field);
    if let Some(mishap @ (Mishap::Limited | Mishap::Unavailable | Mishap::Cut)) = mishap {
        return Err(mishap);
    }
    if !project.allows(query, bearer.is_empty()) {
        return Ok(not_authorized());
    }
    let value = project.perform(platforms, query, mishap == Some(Mishap::Forgets));
    let value = value.and_then(|value| query.answered(&value));
    Ok((mishap, value.unwrap_or_else(|message| graphql::failed(&query.field, &message))))
}
