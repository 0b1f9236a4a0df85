//! A Railway project and a Hyperdrive account of the stand-in, each test's own.

use serde_json::{Value, json};

use super::StandIn;

/// A project on Railway.
pub struct Railway {
    /// What it is like: ids and tokens.
    pub made: Value,
}

/// An account with one Hyperdrive config.
pub struct Hyperdrive {
    /// What it is like: ids and the token.
    pub made: Value,
}

impl Railway {
    /// A project with these services: `{ NAME: { VAR: value } }`.
    pub fn new(services: &Value) -> Self {
        Self::with(&json!({ "services": services }))
    }

    /// The same with everything that can be wished.
    pub fn with(wish: &Value) -> Self {
        Self { made: StandIn::shared().told("POST", "/platforms/railway", wish) }
    }

    /// An entry of `[[consumers]]`, with more keys.
    pub fn toml(&self, name: &str, more: &str) -> String {
        let made = &self.made;
        let base = StandIn::shared().base();
        let token = if more.contains("project_token") { String::new() } else { format!("token = {}\n", made["token"]) };
        format!(
            "[[consumers]]\nkind = \"railway\"\nname = \"{name}\"\napi_base = \"{base}/railway/graphql/v2\"\n{token}\
             project = {}\nenvironment = {}\n{more}\n",
            made["project"], made["environment"]
        )
    }

    /// Everything: `services`, `running`, `deployments`, `asked`.
    pub fn state(&self) -> Value {
        StandIn::shared().told("GET", &self.path(""), &Value::Null)
    }

    /// What befalls the next requests: `[[what, mishap], …]`.
    pub fn mishaps(&self, what: &Value) {
        StandIn::shared().told("POST", &self.path("/mishaps"), what);
    }

    /// How the next deployments end.
    pub fn fates(&self, fates: &Value) {
        StandIn::shared().told("POST", &self.path("/fates"), fates);
    }

    /// Somebody deploys a service, and it runs.
    pub fn deploy(&self, service: &str) {
        let query = "mutation($e:String!,$s:String!){serviceInstanceDeployV2(environmentId:$e,serviceId:$s)}";
        let body = json!({ "query": query, "variables": { "e": self.made["environment"], "s": service } });
        let token = format!("Bearer {}", self.made["token"].as_str().expect("a token"));
        let headers = [("authorization", token.as_str()), ("user-agent", "a person")];
        StandIn::shared().post("/railway/graphql/v2", &headers, &body).with(200);
        let newest = || self.state()["deployments"].as_array().and_then(|all| all.last().cloned()).expect("one");
        super::wait_until("the deployment runs", || newest()["status"] == "SUCCESS");
    }

    /// How often something was asked.
    pub fn asked(&self, what: &str) -> usize {
        self.state()["asked"].as_array().expect("a list").iter().filter(|it| *it == what).count()
    }

    fn path(&self, rest: &str) -> String {
        format!("/platforms/railway/{}{rest}", self.made["project"].as_str().expect("an id"))
    }
}

impl Hyperdrive {
    /// An account whose config leads to a database.
    pub fn new(url: &str) -> Self {
        Self::with(url, &json!({ "disabled": true }))
    }

    /// The same with caching.
    pub fn with(url: &str, caching: &Value) -> Self {
        let config: tokio_postgres::Config = url.parse().expect("a URL");
        let origin = json!({
            "host": "127.0.0.1", "port": config.get_ports()[0], "database": config.get_dbname(),
            "user": config.get_user(), "password": "first",
        });
        let wish = json!({ "origin": origin, "caching": caching });
        Self { made: StandIn::shared().told("POST", "/platforms/hyperdrive", &wish) }
    }

    /// An entry of `[[consumers]]`, with more keys.
    pub fn toml(&self, name: &str, more: &str) -> String {
        let made = &self.made;
        let base = StandIn::shared().base();
        format!(
            "[[consumers]]\nkind = \"hyperdrive\"\nname = \"{name}\"\napi_base = \"{base}/cloudflare/client/v4\"\n\
             token = {}\naccount = {}\nconfig = {}\n{more}\n",
            made["token"], made["account"], made["config"]
        )
    }

    /// Its config, password and all.
    pub fn config(&self) -> Value {
        let state = StandIn::shared().told("GET", &self.path(""), &Value::Null);
        state["configs"][self.made["config"].as_str().expect("an id")].clone()
    }

    /// What befalls the next requests.
    pub fn mishaps(&self, what: &Value) {
        StandIn::shared().told("POST", &self.path("/mishaps"), what);
    }

    fn path(&self, rest: &str) -> String {
        format!("/platforms/hyperdrive/{}{rest}", self.made["account"].as_str().expect("an id"))
    }
}
