//! Killed wherever it writes its journal, a run that is resumed comes to the same at every platform.

use serde_json::json;

use super::world::World;
use crate::support::{Cluster, Hyperdrive, Railway};

const FILE: &str =
    "[[consumers]]\nkind = \"env-file\"\nname = \"file\"\npath = \"app.env\"\nvariables = [\"DATABASE_URL\"]\n";
const WEB: &str = "service = \"web\"\nvariables = [\"DATABASE_URL\"]";

#[test]
fn all_of_them_arrive_whenever_it_is_killed() {
    let railway = Railway::with(&json!({ "services": { "web": {} }, "step_ms": 5 }));
    let hyperdrive = Hyperdrive::new(&Cluster::shared().open("postgres").url);
    let world = World::new(&format!("{FILE}{}{}", railway.toml("web", WEB), hyperdrive.toml("edge", "")));
    world.open_file("app.env", "PORT=1\n");
    let (mut killed, mut to) = (0, "old");
    for write in (2..).step_by(9) {
        to = if to == "old" { "new" } else { "old" };
        let given = format!("to={to}");
        let said = world.project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["run", "lead", &given]);
        if said.code != 0 {
            killed += 1;
            let unfinished = world.project.run(&["status", "--json"]).json()["unfinished"][0].is_object();
            let after = if unfinished { world.project.run(&["resume"]) } else { world.lead(to) };
            world.is_clean(&after.with_code(0));
        }
        assert_eq!(world.text("app.env"), format!("PORT=1\nDATABASE_URL={}\n", quoted(&world.url(to))));
        assert_eq!(railway.state()["running"]["web"]["DATABASE_URL"], json!(world.url(to)));
        assert_eq!(hyperdrive.config()["origin"]["user"], json!(world.url(to).split(['/', ':']).nth(3)));
        if said.code == 0 {
            break;
        }
    }
    assert!(killed > 2, "{killed} kills");
}

#[test]
fn a_preview_shows_what_becomes_of_each_of_them_to_the_end() {
    let railway = Railway::new(&json!({ "web": {} }));
    let hyperdrive = Hyperdrive::new(&Cluster::shared().open("postgres").url);
    let before = hyperdrive.config();
    let world = World::new(&format!("{}{FILE}{}", railway.toml("web", WEB), hyperdrive.toml("edge", "")));
    world.open_file("app.env", "PORT=1\n");
    let plan = world.project.run(&["plan", "lead", "to=new"]).with_code(0);
    world.is_clean(&plan);
    for line in ["web, service web leads to new", "file leads to new", "edge leads to new", "deploy web, service web"] {
        assert!(plan.out.contains(line), "{line}:\n{}", plan.out);
    }
    assert_eq!((world.text("app.env").as_str(), hyperdrive.config()), ("PORT=1\n", before));
}

/// As the file has it: plain where nothing in it needs quotes.
fn quoted(url: &str) -> String {
    let plain = url.chars().all(|c| c.is_ascii_alphanumeric() || "_./:@%+,-".contains(c));
    if plain { url.to_owned() } else { format!("'{url}'") }
}
