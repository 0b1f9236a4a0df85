//! A pair of roles on a server, and a runbook that says what `lib/roles` answers about them.

use std::sync::OnceLock;

use crate::program::project::Project;
use crate::support::{Cluster, Database};

const LOOK: &str = r#"
runbook("look", "1.0.0", #{
    about: "a test",
    params: #{ at: target("where", #{ or: "app" }), other: target("another way in", #{ or: "app" }), one: text("a role"), twin: text("its twin"), ask: text("what"), when: text("a time", #{ or: "" }) },
    lock: [],
});
import "lib/roles" as roles;
step("look", || {
    let said = if params.ask == "differences" { roles::differences(params.at, params.one, params.twin) }
        else if params.ask == "owned" { roles::owned(params.at, params.one) }
        else if params.ask == "about" { [roles::about(params.at, params.one)] }
        else if params.ask == "sessions" { roles::sessions([params.at, params.other], params.one) }
        else if params.ask == "count" { [roles::count([params.at, params.other], params.one)] }
        else if params.ask == "rotated" { [roles::rotated_at(params.at, params.one)] }
        else if params.ask == "mark" {
            roles::mark(params.at, params.one, params.when, "rotation-1");
            [roles::rotated_at(params.at, params.one)]
        } else { roles::verdict_on_admin(params.at, params.one, params.twin) };
    #{ said: said }
});
"#;

/// A server of these tests' own: elsewhere, settings of every role that may write come and go.
pub fn server() -> &'static Cluster {
    static SERVER: OnceLock<Cluster> = OnceLock::new();
    SERVER.get_or_init(|| Cluster::start(&["fsync=off"]))
}

/// A pair of roles, members of the owner of everything, in a database of their own. Roles belong to the whole server: their
/// names begin with the database's.
pub struct Pair {
    pub database: Database,
    pub project: Project,
    pub one: String,
    pub twin: String,
    pub owner: String,
}

impl Pair {
    /// Two that are equal in everything, and have everything in which two can differ.
    pub fn new() -> Self {
        let database = server().database("pair");
        let [one, twin, owner] = ["blue", "green", "owner"].map(|name| format!("{}_{name}", database.name));
        let pair = Self { project: project(&[("app", &database.url)]), database, one, twin, owner };
        pair.sql(
            "create role OWNER; create role ONE login password 'a' in role OWNER; create role TWIN nologin in role OWNER;
             grant pg_monitor to ONE, TWIN with admin option;
             create schema shop authorization OWNER; create table shop.orders (id integer, email text); create sequence shop.numbers;
             create function shop.total(integer) returns integer language sql as 'select 1'; create type shop.mood as enum ('good');
             create foreign data wrapper far; create server there foreign data wrapper far; select lo_create(4711);
             grant usage on schema shop to ONE, TWIN; grant select, insert on shop.orders to ONE, TWIN;
             grant update (email) on shop.orders to ONE, TWIN; grant usage on sequence shop.numbers to ONE, TWIN with grant option;
             grant execute on function shop.total(integer) to ONE, TWIN; grant usage on type shop.mood to ONE, TWIN;
             grant usage on language sql to ONE, TWIN; grant usage on foreign data wrapper far to ONE, TWIN;
             grant usage on foreign server there to ONE, TWIN; grant select on large object 4711 to ONE, TWIN;
             grant create on database DATABASE to ONE, TWIN;
             alter default privileges for role OWNER in schema shop grant select on tables to ONE, TWIN;
             alter default privileges for role ONE revoke execute on functions from public;
             alter default privileges for role TWIN revoke execute on functions from public;
             alter default privileges for role ONE grant select on tables to TWIN, OWNER;
             alter default privileges for role TWIN grant select on tables to ONE, OWNER;
             alter table shop.orders enable row level security; create policy theirs on shop.orders to ONE, TWIN using (true);
             create user mapping for ONE server there options (password 'm4pped'); create user mapping for TWIN server there;
             alter role ONE connection limit 9 valid until '2031-01-01'; alter role TWIN connection limit 9 valid until '2031-01-01';
             alter role ONE set search_path = shop, public; alter role TWIN set search_path = shop, public;
             alter role ONE set shop.token = 'h1dden-value'; alter role TWIN set shop.token = 'h1dden-value';
             alter role ONE in database DATABASE set work_mem = '8MB'; alter role TWIN in database DATABASE set work_mem = '8MB';",
        );
        if pair.has_parameters() {
            pair.sql("grant set on parameter DATABASE.colour to ONE, TWIN");
        }
        pair
    }

    /// Whether this server knows grants on parameters.
    pub fn has_parameters(&self) -> bool {
        self.sql("select current_setting('server_version_num')::int >= 150000") == "t"
    }

    /// Text in which ONE, TWIN, OWNER and DATABASE stand for the names here.
    pub fn named(&self, text: &str) -> String {
        let names =
            [("ONE", &self.one), ("TWIN", &self.twin), ("OWNER", &self.owner), ("DATABASE", &self.database.name)];
        names.into_iter().fold(text.to_owned(), |text, (stands, name)| text.replace(stands, name))
    }

    pub fn sql(&self, sql: &str) -> String {
        self.database.sql(&self.named(sql))
    }

    /// What the library answers, an element a line, with the names taken out again.
    #[track_caller]
    pub fn ask(&self, what: &str) -> Vec<String> {
        self.ask_with(&self.project, what, &[])
    }

    #[track_caller]
    pub fn ask_with(&self, project: &Project, what: &str, more: &[&str]) -> Vec<String> {
        let (ask, one, twin) = (format!("ask={what}"), format!("one={}", self.one), format!("twin={}", self.twin));
        let mut args = vec!["run", "look", "--json", &ask, &one, &twin];
        args.retain(|arg| !more.iter().any(|given| given.split('=').next() == arg.split('=').next()));
        let run = project.run(&[&args, more].concat()).with_code(0).json();
        let run = run["run"].as_str().expect("a run");
        let ended = project.entries(run).into_iter().map(|entry| serde_json::to_value(entry).expect("an entry"));
        let said = ended.filter_map(|entry| find(&entry, "said").cloned()).next_back().expect("an answer");
        let lines = said.as_array().expect("a list").iter();
        lines.map(|line| self.unnamed(line.as_str().map_or_else(|| line.to_string(), str::to_owned))).collect()
    }

    fn unnamed(&self, text: String) -> String {
        let names =
            [("ONE", &self.one), ("TWIN", &self.twin), ("OWNER", &self.owner), ("DATABASE", &self.database.name)];
        names.into_iter().fold(text, |text, (stands, name)| text.replace(name.as_str(), stands))
    }

    /// The URL of the same database for another login.
    pub fn login(&self, role: &str, password: &str) -> String {
        let (_, place) = self.database.url.split_once('@').expect("a host");
        format!("postgresql://{role}:{password}@{place}")
    }
}

/// A project with the runbook and these targets.
pub fn project(targets: &[(&str, &str)]) -> Project {
    let project = Project::with_url("postgresql://nobody@127.0.0.1:1/none");
    let tables = targets.iter().map(|(name, url)| format!("[targets.{name}]\nurl = \"{url}\"\nlabel = \"{name}\"\n"));
    project.file("runsheet.toml", &tables.collect::<String>());
    project.file("runbooks/look.rhai", LOOK);
    project
}

/// The value of a key, however deep.
fn find<'a>(value: &'a serde_json::Value, key: &str) -> Option<&'a serde_json::Value> {
    match value {
        serde_json::Value::Object(map) => map.get(key).or_else(|| map.values().find_map(|value| find(value, key))),
        serde_json::Value::Array(items) => items.iter().find_map(|value| find(value, key)),
        _ => None,
    }
}
