//! Env files that others own: two lines of theirs change, and not a byte more.

use std::os::unix::fs::PermissionsExt;

use super::world::World;
use crate::program::project::Project;

const FILE: &str = "[[consumers]]\nkind = \"env-file\"\nname = \"app\"\npath = \"app.env\"\n\
                    variables = { DATABASE_URL = { url = \"direct\", parameters = { schema = \"public\" } }, DB_SSL_MODE = \"ssl_mode\", DB_CA_CERT = \"ca_cert\" }\n";

const THEIRS: &str = "# shop, do not touch\r\nexport PORT=8080 # http\r\n\r\nNOTE='two\r\nDATABASE_URL=not this one\r\nlines'\r\nDATABASE_URL=postgresql://before # moved in may\r\nBARE\r\nLAST=1";

#[test]
fn only_the_named_lines_change_and_what_was_there_is_kept() {
    let world = World::new(FILE);
    world.open_file("app.env", THEIRS);
    world.lead("new").with_code(0).saying("start it anew");
    let url = format!("{}?schema=public", world.url("new"));
    let quoted = format!("'{url}'");
    let expected = THEIRS.replace("postgresql://before", &quoted) + "\r\nDB_CA_CERT=''\r\nDB_SSL_MODE=disable\r\n";
    assert_eq!(world.text("app.env"), expected);
    assert_eq!(world.text("app.env.previous"), THEIRS);
    let mode =
        |path: &str| std::fs::metadata(world.project.path().join(path)).expect(path).permissions().mode() & 0o777;
    assert_eq!((mode("app.env"), mode("app.env.previous")), (0o600, 0o600));
}

#[test]
fn killed_at_every_write_it_ends_the_same_and_the_kept_file_is_theirs() {
    let world = World::new(FILE);
    for write in (1..).step_by(3) {
        world.open_file("app.env", THEIRS);
        let _ = std::fs::remove_file(world.project.path().join("app.env.previous"));
        let said = world.project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["run", "lead", "to=new"]);
        if said.code == 0 {
            assert!(write > 5, "{write} writes");
            break;
        }
        if !world.project.run(&["status", "--json"]).json()["unfinished"][0].is_null() {
            world.is_clean(&world.project.run(&["resume"]).with_code(0));
        } else {
            world.lead("new").with_code(0);
        }
        assert_eq!(world.text("app.env.previous"), THEIRS, "killed after write {write}");
        assert!(world.text("app.env").contains(&world.url("new")));
    }
}

#[test]
fn a_file_that_cannot_be_understood_or_is_not_there_is_left_alone() {
    let world = World::new(FILE);
    world.lead("new").with_code(1).saying("there is no");
    world.give_up("lead-1");
    let broken = "A=1\nB=\"open\nDATABASE_URL=x\n";
    world.open_file("app.env", broken);
    world.lead("new").with_code(1).saying("line 2: a quote is not closed");
    assert_eq!(world.text("app.env"), broken);
}

#[test]
fn a_name_that_stands_twice_is_set_at_both_places_and_a_link_is_followed() {
    let project = Project::with_url("");
    project.file("real/shop.env", "A=1\nB=2\nA=3\n");
    std::os::unix::fs::symlink("real/shop.env", project.path().join("app.env")).expect("a link");
    project.file("runbooks/set.rhai", "runbook(\"set\", \"1.0.0\", #{ about: \"a test\" });\nstep(\"set\", || { files::variables(\"app.env\", #{ A: \"it is $5\" }, #{ previous: false }); files::has(\"app.env\", #{ A: \"it is $5\", B: 2, C: \"\" }) });\nstep(\"told\", || log::info(`${done.set}`));");
    project.run(&["run", "set"]).with_code(0).saying("\"A\": true, \"B\": true, \"C\": false");
    let text = std::fs::read_to_string(project.path().join("real/shop.env")).expect("the file");
    assert_eq!(text, "A='it is $5'\nB=2\nA='it is $5'\n");
    assert!(!project.path().join("real/shop.env.previous").exists());
}
