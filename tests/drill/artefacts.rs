//! Drills of backups that were made by somebody else.

use std::time::{Duration, SystemTime};

use super::world::World;

const KNOWN: &str = "accept=contents of the backup";

fn age(file: &std::path::Path, hours: u64) {
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    std::fs::File::options().write(true).open(file).expect("the dump").set_modified(then).expect("its time");
}

#[test]
fn a_backup_of_somebody_else_is_restored_and_what_it_cannot_prove_is_named() {
    let world = World::new();
    world.source.sql("select lo_from_bytea(0, 'x')");
    let file = world.dump("backups/app.dump", &["--format=custom"]);
    let artefact = format!("artefact={}", file.display());
    world.drill(&[&artefact]).with_code(4).saying("contents of the backup");
    world.drill(&[&artefact, KNOWN]).with_code(0);
    // The application goes on; a little more than was saved is no alarm, a lot is one.
    world.source.sql("insert into visits select 1, 'more' from generate_series(1, 10)");
    world.source.sql("insert into users (name) values ('who came later'); select lo_from_bytea(0, 'x')");
    world.drill(&[&artefact, KNOWN]).with_code(0);
    world.source.sql("insert into visits select 1, 'more' from generate_series(1, 200)");
    world.drill(&[&artefact, KNOWN]).with_code(3).saying("public.visits");
    assert!(file.exists(), "a backup that was given is nobody's to remove");
    world.nothing_is_left();
}

#[test]
fn of_a_folder_of_backups_the_newest_is_taken_and_a_stale_one_turns_it_red() {
    let world = World::new();
    let old = world.dump("backups/monday.dump", &["--format=custom"]);
    world.source.sql("insert into users (name) values ('the last')");
    let new = world.dump("backups/tuesday.dump", &["--format=custom"]);
    age(&old, 40);
    age(&new, 2);
    let artefact = format!("artefact={}", new.parent().expect("a folder").display());
    world.drill(&[&artefact, KNOWN, "least=users=201"]).with_code(0);
    age(&new, 30);
    world.drill(&[&artefact, KNOWN, "fresh="]).with_code(3).saying("age of the backup");
    world.nothing_is_left();
}

#[test]
fn a_truncated_a_wrong_and_a_missing_backup_never_pass() {
    let world = World::new();
    let file = world.dump("backups/app.dump", &["--format=custom"]);
    let artefact = format!("artefact={}", file.display());
    let whole = std::fs::read(&file).expect("the dump");
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("half of it");
    let said = world.drill(&[&artefact, KNOWN]);
    assert!([1, 3].contains(&said.code), "{}: {}", said.code, said.err);
    std::fs::write(&file, "CREATE TABLE users (id int);").expect("a script");
    world.drill(&[&artefact, KNOWN]).with_code(1);
    let other = World::with("create table users (id int); create table others (id int)");
    let wrong = format!("artefact={}", other.dump("backups/other.dump", &["--format=custom"]).display());
    world.drill(&[&wrong, KNOWN, "fresh="]).with_code(3).saying("public.issues");
    std::fs::remove_file(&file).expect("it is removed");
    let empty = format!("artefact={}", file.parent().expect("a folder").display());
    world.drill(&[&empty, KNOWN]).with_code(1).saying("backups");
    world.nothing_is_left();
}
