//! A recovered server stands still, harms nobody, is nobody's but its run's, and goes with it.

use super::world::World;
use crate::program::project::Project;
use crate::support::Lab;

const NOTES: &str = "create table notes (id int primary key); insert into notes select generate_series(1, 3)";

#[test]
fn a_copy_is_read_only_archives_nothing_and_stays_when_its_engine_dies() {
    let world = World::with(NOTES);
    let at = world.second();
    world.app.sql("delete from notes");
    world.project.runbook(
        "look",
        &format!(
            r#"step("copy", || pg::recover("app", #{{ at: "{at}" }})).cleanup(|made| pg::drop_recovered(made));
               step("count", || gate::that("rows of then", sql::value(done.copy.target, "select count(*) from notes") == 3, ""));
               step("settings", || gate::that("harmless", sql::value(done.copy.target, "select string_agg(setting, ',' order by name) from pg_settings where name in ('archive_mode', 'listen_addresses', 'max_logical_replication_workers')") == "off,127.0.0.1,0", ""));
               step("write", || {{
                   try {{ sql::exec(done.copy.target, "insert into notes values (9)"); }} catch (problem) {{ return problem.code; }}
                   "written"
               }});
               step("told", || gate::that("refused", done.write == "target.standby", done.write));
               step("wait", || flow::approve("go on?"));"#
        ),
    );
    world.project.run(&["run", "look"]).with_code(5);
    assert_eq!(world.servers().len(), 1, "it stays while the run waits and no engine is at work");
    // The sweep of another run leaves it alone, and says why.
    let sweep = r#"runbook("other", "1.0.0", #{ about: "", params: #{} });
        step("sweep", || { let swept = pg::sweep_recovered(); log::info(`dropped ${swept.dropped.len()}, kept ${swept.kept.len()}`); });"#;
    world.project.file("runbooks/other.rhai", sweep);
    world.project.run(&["run", "other"]).with_code(0).saying("dropped 0, kept 1");
    assert_eq!(world.servers().len(), 1, "it stays");
    world.project.run(&["abandon", "--why", "enough"]).with_code(0);
    world.nothing_is_left();
}

#[test]
fn restore_points_and_positions_are_moments_too() {
    let world = World::with(NOTES);
    let lsn = world.app.sql("select pg_create_restore_point('before it')");
    world.app.sql("delete from notes");
    let absent = "absent=select not exists (select from notes)";
    world.restore(&["at=name:before it", absent, "tables=notes"]).with_code(5);
    world.approved().with_code(0);
    assert_eq!(world.app.sql("select count(*) from notes"), "3");
    world.app.sql("delete from notes");
    world.restore(&[&format!("at={lsn}"), absent]).with_code(0);
    world.restore(&["at=name:never made", absent]).with_code(1).saying("restore point `never made`");
    world.nothing_is_left();
}

#[test]
fn the_backup_of_another_server_is_refused() {
    let world = World::with(NOTES);
    let other = Lab::with_history();
    let app = Project::on(&other.app());
    let strange = other.toml().split("[targets.app.recovery]").nth(1).expect("a table").to_owned();
    let own = std::fs::read_to_string(world.path().join("runsheet.toml")).expect("the file");
    let head = own.split("[targets.app.recovery]").next().expect("a table");
    app.file("runsheet.toml", &format!("{head}[targets.app.recovery]{strange}"));
    let said = app.run(&["run", "pitr-restore", "source=app", "at=2026-03-01T00:00:00Z"]).with_code(1);
    assert!(said.err.contains("is a backup of system"), "{}", said.err);
}

#[test]
fn a_lab_with_history_says_what_a_target_needs() {
    let lab = super::world::lab();
    let up = lab.run(&["up", "--pitr"]).with_code(0);
    assert!(
        up.out.contains("export LAB_RECOVERY_BASE=") && up.out.contains("export LAB_RECOVERY_COMMAND="),
        "{}",
        up.out
    );
    let plain = Lab::small();
    plain.run(&["up", "--pitr"]).with_code(2).saying("no history");
}
