//! The drill as cron runs it: the lines of `examples/cron` as they stand there, in an environment as poor as cron's.

use std::process::{Command, Stdio};

use super::world::World;
use crate::program::project::Said;

/// The commands of the example, in order: the quarterly drill, the daily look at its age.
fn lines() -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/cron/restore-drill.crontab");
    let text = std::fs::read_to_string(path).expect("the example");
    let jobs = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    jobs.map(|line| line.split_once("  runsheet  ").expect("a user").1.trim().to_owned()).collect()
}

/// What cron gives: four variables, no terminal, no input; both outputs go into one mail.
fn mail(world: &World, line: &str) -> Said {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_runsheet")).parent().expect("a folder");
    let line = line.replace("/srv/shop-ops", &world.project.path().display().to_string());
    let output = Command::new("/bin/sh")
        .args(["-c", &format!("{{ {line} ; }} 2>&1")])
        .env_clear()
        .env("HOME", world.project.path())
        .env("LOGNAME", "runsheet")
        .env("SHELL", "/bin/sh")
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", program.display()))
        .current_dir("/")
        .stdin(Stdio::null())
        .output();
    Said::from(output.expect("sh runs"))
}

#[test]
fn the_quarterly_drill_runs_from_cron_and_the_switch_beside_it_notices_when_it_does_not() {
    let world = World::new();
    let path = world.project.path().join("runsheet.toml");
    let text = std::fs::read_to_string(&path).expect("the project");
    world.project.file("runsheet.toml", &format!("{text}\n[env.prod.targets.app]\nlabel = \"production\"\n"));
    let secret = format!("DATABASE_URL={}\n", world.source.url);
    world.project.file(".env.prod.local", &secret);
    let [quarterly, daily] = <[String; 2]>::try_from(lines()).expect("two lines");

    let never = mail(&world, &daily).with_code(1);
    assert!(never.out.contains("no pass within 100d of: restore-drill"), "{}", never.out);
    let drilled = mail(&world, &quarterly).with_code(0);
    assert!(drilled.out.contains("restore-drill-1 pass"), "{}", drilled.out);
    assert!(drilled.out.len() < 4000 && !drilled.out.contains(['\u{1b}', '\r']), "{:?}", drilled.out);
    assert_eq!(mail(&world, &daily).with_code(0).out, "", "cron sends a mail for every word");

    let red = mail(&world, &quarterly.replace("restore-drill ", "restore-drill sabotage=true ")).with_code(3);
    assert!(red.out.contains("public.issues") && red.out.contains("next: "), "{}", red.out);
    assert!(red.out.len() < 8000, "{}", red.out.len());
    world.nothing_is_left();
}

#[test]
fn a_drill_that_was_killed_is_cleaned_up_by_the_next_one() {
    let world = World::new();
    world.project.run_with("RUNSHEET_CRASH", "after:22", &["run", "restore-drill"]).with_code(-1);
    world.drill(&["--if-unfinished", "abandon"]).with_code(0);
    world.nothing_is_left();
}
