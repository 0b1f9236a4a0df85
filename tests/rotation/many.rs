//! Fifty consumers of every kind at once: each told, each named, and none lost to a provider's limit.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::pair::{FIRST, Pair, as_login};
use crate::roles::world::server;
use crate::support::{Database, Hyperdrive, Railway};

/// Requests a second that the stand-in for Railway takes, and that a consumer is told to make.
const TAKEN: u64 = 50;
const MADE: u64 = 40;

fn railway_toml(railway: &Railway, name: &str, more: &str) -> String {
    railway.toml(name, &format!("per_second = {MADE}\n{more}"))
}

fn env_file(name: &str) -> String {
    format!("[[consumers]]\nkind = 'env-file'\nname = '{name}'\npath = '{name}.env'\nvariables = ['DATABASE_URL']\n")
}

fn begun() -> (Database, [String; 2], String) {
    let database = server().database("many");
    let roles = Pair::of(&database);
    let today = as_login(&database.url, &roles[0], FIRST);
    (database, roles, today)
}

#[test]
fn fifty_consumers_of_every_kind_are_told_at_once_and_the_one_that_refuses_is_named() {
    let (database, roles, today) = begun();
    let services: Map<String, Value> =
        (0..20).map(|at| (format!("s{at}"), json!({ "DATABASE_URL": today, "OTHER_URL": today }))).collect();
    let shop = Railway::with(&json!({ "services": services, "per_second": TAKEN }));
    let last = Railway::new(&json!({ "web": { "DATABASE_URL": today } }));
    let edges: Vec<Hyperdrive> = (0..5).map(|_| Hyperdrive::new(&today)).collect();
    let mut toml = String::new();
    for at in 0..28 {
        toml += &env_file(&format!("file{at}"));
    }
    for at in 0..10 {
        let one = |at| format!("{{ id = 's{at}', variables = ['DATABASE_URL', 'OTHER_URL'] }}");
        toml += &railway_toml(&shop, &format!("railway{at}"), &format!("services = [{}, {}]", one(at), one(at + 10)));
    }
    for (at, edge) in edges.iter().enumerate() {
        toml += &edge.toml(&format!("edge{at}"), "");
    }
    for at in 0..5 {
        // Of the last one nobody can say whether it took what it was told.
        let looks = if at < 4 { "read_back = ['true']\n" } else { "" };
        toml += &format!(
            "[[consumers]]\nkind = 'command'\nname = 'command{at}'\nvariables = ['URL']\nrepeatable = true\n{looks}\
             run = ['sh', '-c', 'echo \"APP_URL=$URL\" > command{at}.out']\n"
        );
    }
    toml += &railway_toml(&last, "last", "service = 'web'\nvariables = ['DATABASE_URL']");
    // The project's own `.env` is the fiftieth.
    assert_eq!(toml.matches("[[consumers]]").count(), 49);
    let pair = Pair::new(roles, &database.url, &today, "", &toml);
    for at in 0..28 {
        pair.project.file(&format!("file{at}.env"), &format!("OTHER=1\nDATABASE_URL='{today}'\n"));
    }

    last.fates(&json!(["FAILED"]));
    let said = pair.rotate(&[]).with_code(1).saying("last: ").saying("ended as FAILED");
    assert!(said.err.contains("not told of app@"), "{}", said.err);
    let wanted = pair.today().url;
    assert_ne!(wanted, today);
    assert!(!said.err.contains("railway0: ") && !said.err.contains("edge0: "), "one refused: {}", said.err);
    let told = || {
        let files = (0..28).map(|at| pair.told(&format!("file{at}.env"), "DATABASE_URL"));
        let commands = (0..5).map(|at| pair.told(&format!("command{at}.out"), "APP_URL"));
        let running = shop.state()["running"].clone();
        let text = |at: usize, name: &str| running[&format!("s{at}")][name].as_str().unwrap_or_default().to_owned();
        let services = (0..20).flat_map(|at| [text(at, "DATABASE_URL"), text(at, "OTHER_URL")]);
        let urls: Vec<String> = files.chain(commands).chain(services).collect();
        let user = |edge: &Hyperdrive| edge.config()["origin"]["user"].as_str().unwrap_or_default().to_owned();
        urls.iter().all(|url| *url == wanted) && edges.iter().all(|edge| user(edge) == pair.roles[1])
    };
    assert!(told(), "the others were told all the same");
    // A busy machine may let what left one by one arrive together; what is refused then is asked again, and none is lost.
    let (limited, asked) = (shop.state()["limited"].as_u64(), shop.state()["asked"].as_array().map_or(0, Vec::len));
    println!("{limited:?} beyond the limit of {asked}");
    assert!(
        limited.is_some_and(|limited| limited < asked as u64 / 4),
        "the provider's limit is kept: {limited:?} of {asked}"
    );
    let deployed = shop.asked("serviceInstanceDeployV2");
    assert_eq!(deployed, 20, "each service once");

    last.deploy("web");
    let said = pair.run(&["resume"]).with_code(4);
    assert!(told());
    assert_eq!(last.state()["running"]["web"]["DATABASE_URL"], json!(wanted));
    assert_eq!(shop.asked("serviceInstanceDeployV2"), deployed, "who was told is not told again");
    for name in ["file27 leads to", "railway9, service s19 leads to", "edge4 leads to", "last, service web leads to"] {
        let report = pair.run(&["report", "credential-rotation-1"]).with_code(0).out;
        assert!(report.contains(name) || said.err.contains(name), "{name} is in no report: {report}");
    }
    assert_eq!(pair.today().sql("select current_user"), pair.roles[1]);
    let old = Database { name: "old".into(), url: today };
    assert!(old.try_sql("select 1").is_err());
}

#[test]
fn fifty_of_a_kind_take_little_longer_than_one() {
    let time = |count: usize, railway: bool| {
        let (database, roles, today) = begun();
        let services: Map<String, Value> =
            (0..count).map(|at| (format!("s{at}"), json!({ "DATABASE_URL": today }))).collect();
        let shop = Railway::with(&json!({ "services": services }));
        let toml: String = (0..count)
            .map(|at| match railway {
                true => {
                    let more = format!("per_second = 1000\nservice = 's{at}'\nvariables = ['DATABASE_URL']");
                    shop.toml(&format!("railway{at}"), &more)
                }
                false => env_file(&format!("file{at}")),
            })
            .collect();
        let pair = Pair::new(roles, &database.url, &today, "", &toml);
        for at in 0..count {
            pair.project.file(&format!("file{at}.env"), &format!("DATABASE_URL='{today}'\n"));
        }
        let begun = Instant::now();
        pair.run(&["run", "credential-rotation", "grace=0s", "apart=0s"]).with_code(0);
        let asked = shop.state()["asked"].as_array().map_or(0, Vec::len);
        (begun.elapsed(), asked)
    };
    for (kind, railway) in [("env files", false), ("services", true)] {
        let ((one, _), (fifty, asked)) = (time(1, railway), time(50, railway));
        let ratio = fifty.as_secs_f64() / one.as_secs_f64();
        println!("{kind}: one {one:?}, fifty {fifty:?}, {ratio:.1} times; {asked} requests");
    }
}
