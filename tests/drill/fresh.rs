//! Drills of a fresh dump.

use super::world::World;
use crate::program::project::Project;
use crate::support::cluster::PASSWORD;
use crate::support::lab::Lab;
use crate::support::wait_until;

#[test]
fn a_drill_of_a_fresh_dump_proves_every_row_and_leaves_nothing_behind() {
    let world = World::new();
    world.drill(&["least=issues=1000,users=200"]).with_code(0);
    world.nothing_is_left();
    let report = world.project.run(&["report"]).with_code(0);
    for line in ["public.issues", "public.visits", "pass  same rows", "pass  same objects", "pass  restore time"] {
        assert!(report.out.contains(line), "`{line}` is not in\n{}", report.out);
    }
    assert!(!report.out.contains("sealed-world-password"));
    world.project.run(&["audit", "verify"]).with_code(0);
    world.project.run(&["status", "restore-drill", "--max-age", "100d", "--quiet"]).with_code(0);
}

#[test]
fn a_plan_of_the_drill_changes_nothing_and_says_what_it_would_do() {
    let world = World::new();
    let before = world.source.dump();
    let plan = world.project.run(&["plan", "restore-drill"]).with_code(0);
    for line in ["dump app", "known after `scratch`", "restore"] {
        assert!(plan.out.contains(line), "`{line}` is not in\n{}", plan.out);
    }
    assert_eq!(world.source.dump(), before);
    world.nothing_is_left();
}

#[test]
fn the_negative_control_turns_red_and_names_the_table() {
    let world = World::new();
    let said = world.drill(&["sabotage=true"]).with_code(3);
    assert!(said.err.contains("public.issues"), "{}", said.err);
    world.nothing_is_left();
    world.project.run(&["status", "restore-drill", "--max-age", "100d", "--quiet"]).with_code(1);
}

#[test]
fn a_materialised_view_that_is_older_than_its_tables_is_no_alarm() {
    let world = World::new();
    world.source.sql("create materialized view paid as select count(*) from issues where payout > 0");
    world.source.sql("insert into issues (owner, title, payout) values (1, 'new', 5)");
    world.drill(&[]).with_code(0);
    assert!(world.project.run(&["report"]).with_code(0).out.contains("filled anew"));
}

#[test]
fn a_database_that_is_legitimately_empty_passes() {
    let world = World::with("");
    world.drill(&["fresh="]).with_code(0);
    world.nothing_is_left();
}

#[test]
fn rows_that_are_too_old_or_too_few_turn_it_red() {
    let world = World::new();
    world.source.sql("update issues set created_at = now() - interval '3 days'");
    world.drill(&["least=visits=301"]).with_code(3).saying("newest issues.created_at").saying("visits");
    world.nothing_is_left();
}

#[test]
fn a_slip_in_the_parameters_is_told_before_anything_is_dumped() {
    let world = World::new();
    for slip in ["fresh=issues", "least=users", "least=users=many"] {
        let said = world.drill(&[slip]).with_code(1).saying(slip.rsplit('=').next().expect("a value"));
        assert!(!said.err.contains("✓ backup") && !said.err.contains("out of bounds"), "{slip}: {}", said.err);
    }
    world.nothing_is_left();
}

#[test]
fn queries_of_the_application_must_answer_on_the_copy_and_can_only_read() {
    let world = World::new();
    world.drill(&["smoke=select greeting(name) from users limit 3"]).with_code(0).saying("3 rows");
    world.drill(&["smoke=select * from users where id = 0"]).with_code(3).saying("where id = 0");
    world.drill(&["smoke=select lost(1)"]).with_code(3).saying("function lost(integer) does not exist");
    let said = world.drill(&["smoke=delete from users"]);
    assert!([1, 3].contains(&said.code) && said.err.contains("is not a read"), "{}: {}", said.code, said.err);
    world.nothing_is_left();
}

#[test]
fn a_role_that_may_not_read_everything_is_told_what_it_lacks() {
    let world = World::new();
    let role = format!("reader_{}", world.source.name);
    world.source.sql(&format!(
        "create role {role} login password '{PASSWORD}' in role pg_read_all_data;
         alter table visits enable row level security; create policy own on visits using (who = 1)"
    ));
    let url = world.source.url.replace("//postgres:", &format!("//{role}:"));
    let text = std::fs::read_to_string(world.project.path().join("runsheet.toml")).expect("the project");
    world.project.file("runsheet.toml", &text.replace("${DATABASE_URL}", &url));
    world.drill(&[]).with_code(1).saying("visits").saying("BYPASSRLS");
    world.nothing_is_left();
    world.source.sql(&format!("drop owned by {role}; drop role {role}"));
}

#[test]
fn migrations_run_on_the_copy_after_it_was_proved_and_never_on_the_source() {
    let world = World::new();
    let script = world.project.file("migrate.sh", "psql -X -v ON_ERROR_STOP=1 -c \"$1\" \"$DATABASE_URL\"");
    let migrate = format!("migrate=sh,{},alter table users add column age int", script.display());
    world.drill(&[&migrate]).with_code(0);
    assert_eq!(world.source.sql("select count(*) from information_schema.columns where column_name = 'age'"), "0");
    let broken = format!("migrate=sh,{},alter table nowhere add column age int", script.display());
    world.drill(&[&broken]).with_code(1).saying("nowhere");
    world.nothing_is_left();
}

#[test]
fn the_sources_own_server_is_refused_for_the_copy_unless_it_is_allowed() {
    let world = World::new();
    let refused = world.drill(&["server=app"]).with_code(1).saying("same_server=true");
    assert!(!refused.err.contains("backup"), "it was dumped before the server was looked at: {}", refused.err);
    world.nothing_is_left();
    world.drill(&["server=app", "same_server=true"]).with_code(0);
}

#[test]
fn a_source_that_is_written_to_all_the_while_is_proved_exactly_with_every_awkward_table_of_the_lab() {
    let lab = Lab::new();
    lab.run(&["up", "--small", "--writer"]).with_code(0);
    let (app, scratch) = (lab.app(), lab.scratch());
    let project = Project::with_url(&app.url);
    project.file(
        "runsheet.toml",
        &format!(
            "[targets.app]\nurl = \"${{DATABASE_URL}}\"\n[targets.scratch]\nurl = \"{}\"\n\
             [runbooks.restore-drill]\nsource = \"app\"\nserver = \"scratch\"\nfresh = [\"public.issues.created_at\"]\n",
            scratch.url
        ),
    );
    let rows = || app.sql("select count(*) from issues").parse::<u64>().expect("a number");
    let before = rows();
    wait_until("the writer writes", || rows() > before);
    let begun = rows();
    project.run(&["run", "restore-drill"]).with_code(0);
    assert!(rows() > begun + 20, "nobody wrote while the drill was at work");
    assert_eq!(scratch.sql("select count(*) from pg_database where datname like 'runsheet%'"), "0");
}
