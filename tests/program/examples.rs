//! What a newcomer copies works: every example, the runbook that is built in and the one that `new` writes are linted,
//! previewed, and executed on a real database as their first lines say; and every word of the language has an example.

use std::collections::BTreeMap;
use std::path::Path;

use super::project::Project;
use crate::support::{Cluster, Database, Hyperdrive, Lab, PgBouncer, Railway, StandIn};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Text of every example, by name.
fn examples() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("examples")).expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "rhai") {
            continue;
        }
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        found.insert(name, std::fs::read_to_string(&path).expect("its text"));
    }
    assert!(found.len() >= 15, "{} examples", found.len());
    found
}

/// One `// run: runsheet …  # exit N` line: its arguments and the exit code that is expected.
fn told(line: &str) -> (Vec<String>, i32) {
    let (command, comment) = line.split_once(" #").unwrap_or((line, ""));
    let code = comment.trim().strip_prefix("exit ").map(|rest| rest.split(':').next().unwrap_or_default());
    let code = code.map_or(0, |code| code.parse().expect("an exit code"));
    let words = shlex::split(command).expect("words of a shell");
    assert_eq!(words.first().map(String::as_str), Some("runsheet"), "{line}");
    (words[1..].to_vec(), code)
}

/// A project with the templates of this repository.
fn project(database: &Database) -> Project {
    let project = Project::on(database);
    for entry in std::fs::read_dir(root().join("templates")).expect("the templates") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        project.file(&format!("templates/{name}"), &std::fs::read_to_string(&path).expect("its text"));
    }
    project
}

#[track_caller]
fn without_findings(project: &Project, name: &str) {
    let linted = project.run(&["lint", name, "--json"]).with_code(0);
    assert_eq!(linted.json(), serde_json::json!([]), "{name}");
}

#[test]
fn every_example_is_linted_previewed_and_executed_as_its_first_lines_say() {
    for (name, text) in examples().into_iter().filter(|(_, text)| !on_a_branch(text)) {
        // What goes back in time needs a server that keeps its history.
        let lab = text.contains("pg::recover(").then(Lab::with_history);
        let mut database = lab.as_ref().map_or_else(|| Cluster::shared().database("examples"), Lab::app);
        let project = project(&database);
        if let Some(lab) = &lab {
            project.file("runsheet.toml", &lab.toml());
        }
        if text.contains("consumers()") {
            let config = std::fs::read_to_string(project.path().join("runsheet.toml")).expect("the file");
            let railway = Railway::new(&serde_json::json!({ "web": {} })).toml("web", "service = \"web\"");
            let hyperdrive = Hyperdrive::new(&database.url).toml("hyperdrive", "");
            project.file("runsheet.toml", &format!("{config}\n{railway}\n{hyperdrive}"));
        }
        if text.contains("logical::publish(") {
            let project = live(&mut database);
            as_told(&project, &database, &name, &text);
            continue;
        }
        let _pooler = text.contains("[pgbouncer]").then(|| behind_a_pooler(&project, &database));
        as_told(&project, &database, &name, &text);
    }
}

/// A project with a database that can be followed, and an empty one on another server. What they are called is in `database`.
fn live(database: &mut Database) -> Project {
    *database = crate::logical::world::old().database("followed");
    let copy = crate::logical::world::new().database("copy");
    let project = project(database);
    let target = |name: &str, url: &str| format!("[targets.{name}]\nurl = \"{url}\"\n");
    project.file("runsheet.toml", &format!("{}{}", target("app", &database.url), target("copy", &copy.url)));
    project
}

/// A pooler before the database, which the project knows, and whose configuration and user list lie in it.
fn behind_a_pooler(project: &Project, database: &Database) -> PgBouncer {
    let pooler = PgBouncer::before(Cluster::shared(), database, "transaction", &["postgres"]);
    let toml = std::fs::read_to_string(project.path().join("runsheet.toml")).expect("the configuration");
    project.file("runsheet.toml", &format!("{toml}\n[pgbouncer]\nadmin_url = \"{}\"\n", pooler.admin_url()));
    for (file, name) in [(pooler.config(), "pgbouncer.ini"), (pooler.users(), "userlist.txt")] {
        std::os::unix::fs::symlink(file, project.path().join(name)).expect("a link");
    }
    pooler
}

/// Whether an example needs branches to work on.
fn on_a_branch(text: &str) -> bool {
    text.lines().any(|line| !line.starts_with("//") && line.contains("neon::") && !line.contains("neon::needed("))
}

#[test]
fn every_example_on_branches_is_linted_previewed_and_executed_as_its_first_lines_say() {
    for (name, text) in examples().into_iter().filter(|(_, text)| on_a_branch(text)) {
        let theirs = StandIn::shared().project(&serde_json::json!({ "databases": true }));
        let database = Database { name: "app".into(), url: theirs.uri.clone() };
        let project = project(&database);
        project.file("runsheet.toml", &format!("{}\n{}", theirs.target_toml("app"), theirs.toml()));
        as_told(&project, &database, &name, &text);
    }
}

/// Runs an example as its first lines say.
fn as_told(project: &Project, database: &Database, name: &str, text: &str) {
    project.file(&format!("runbooks/{name}.rhai"), text);
    without_findings(project, name);
    let lines: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("// run: ")).collect();
    assert!(!lines.is_empty(), "{name} does not say how it is run");
    let mut previewed = false;
    for line in lines {
        let (args, code) = told(line);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        if args[0] == "run" {
            assert_eq!(args[1], name, "{line}");
            let before = database.dump();
            let plan = project.run(&[&["plan"], &args[1..]].concat());
            assert_eq!(plan.code, 0, "{name}, plan:\n{}\n{}", plan.out, plan.err);
            assert_eq!(database.dump(), before, "{name}: its preview changed the database");
            previewed = true;
        }
        let said = project.run(&args);
        assert_eq!(said.code, code, "{name}, {line}:\n{}\n{}", said.out, said.err);
    }
    assert!(previewed, "{name} is not run");
    project.run(&["audit", "verify"]).with_code(0);
    let unfinished = project.run(&["status", "--json"]).json();
    assert_eq!(unfinished["unfinished"], serde_json::json!([]), "{name} leaves a run behind");
}

#[test]
fn the_built_in_runbook_and_the_template_of_new_are_executed_and_taken_as_they_are() {
    let database = Cluster::shared().database("newcomer");
    let project = Project::on(&database);
    project.run(&["new", "mine"]).with_code(0).saying("next: runsheet plan mine target=app");
    for (nth, name) in ["hello", "mine"].into_iter().enumerate() {
        without_findings(&project, name);
        project.run(&["plan", name, "target=app"]).with_code(0);
        project.run(&["run", name, "target=app", "note=it's done"]).with_code(0);
        let notes = database.sql("select count(*) from maintenance_notes where note = 'it''s done'");
        assert_eq!(notes, (nth + 1).to_string());
    }
}

#[test]
fn the_template_of_new_is_taken_back_wherever_it_was_cut_off() {
    let database = Cluster::shared().database("cut_off");
    let project = Project::on(&database);
    project.run(&["new", "mine"]).with_code(0);
    let mut undone = 0;
    for write in 1.. {
        database.sql("drop table if exists maintenance_notes");
        let said = project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["run", "mine", "target=app"]);
        if said.code == 0 {
            break;
        }
        if project.run(&["status", "--json"]).json()["unfinished"][0].is_null() {
            continue;
        }
        let taken_back = project.run(&["undo"]);
        assert_eq!(taken_back.code, 0, "killed after write {write}: {}", taken_back.err);
        undone += 1;
        if database.sql("select to_regclass('maintenance_notes') is not null") == "t" {
            assert_eq!(database.sql("select count(*) from maintenance_notes"), "0", "killed after write {write}");
        }
    }
    assert!(undone > 8, "{undone} runs were taken back");
}

#[test]
fn every_word_has_an_example() {
    let text: String = examples().into_values().collect();
    let project = Project::with_url("postgresql://nobody@127.0.0.1:1/none");
    let words = project.run(&["words", "--json"]).with_code(0).json();
    let words: Vec<&str> = words.as_array().expect("a list").iter().filter_map(|word| word["name"].as_str()).collect();
    assert!(words.len() > 40, "{words:?}");
    let called = |word: &str| {
        text.match_indices(&format!("{word}(")).any(|(at, _)| {
            // `text(` is not `context(`, and `value(` not `sql::value(`.
            word.starts_with('.') || !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_:.".contains(c))
        })
    };
    let missing: Vec<&str> = words.into_iter().filter(|word| !called(word)).collect();
    assert!(missing.is_empty(), "no file in examples/ uses {missing:?}");
}
