//! Rotations whose engine is killed around its writes to the journal, and which come to their end all the same: one new password,
//! which everybody has, the old one dead, and a client that logs in all the while and never fails.
//!
//! A few kills in the suite; with `RUNSHEET_EVERY=1` a rotation is killed at each write.

use std::process::{Child, Command, Stdio};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::judging::Watch;
use crate::chaos::kills::{moments, when};
use crate::support::{Rotation, Said, every, seed, wait_until};

/// A whole rotation: nobody is asked, and the client's sessions are short.
pub const ROTATE: [&str; 5] = ["run", "credential-rotation", "grace=1s", "apart=0s", "sessions=end"];
/// A rotation and a resume write to the journal about so often; half of these moments lie before a write.
const ROTATION: usize = 460;
const UNDOING: usize = 80;
/// The first writes of every process that goes on say that it is at work and what it locks.
const OWN: usize = 8;

/// Runs the program, killed at a moment around its writes.
fn killed_at(world: &Rotation, moment: usize, args: &[&str]) -> Said {
    world.command(args).env("RUNSHEET_CRASH", when(moment)).output().expect("the program runs").into()
}

/// The run that is not at its end, if there is one.
pub fn unfinished(world: &Rotation) -> Option<String> {
    let status = world.run(&["status", "--json"]).json();
    Some(status["unfinished"][0]["run"].as_str()?.to_owned())
}

#[test]
fn a_rotation_comes_to_its_end_whatever_write_it_is_killed_at() {
    let world = Rotation::up(&[]);
    let mut dice = StdRng::seed_from_u64(seed());
    let (mut rotations, mut kills) = (0, 0);
    for moment in moments(4, ROTATION / 4) {
        let what = format!("killed {}", when(moment));
        let watch = Watch::over(&world);
        let said = killed_at(&world, moment, &ROTATE);
        let Some(run) = unfinished(&world) else {
            // Before its first entry nothing has begun; behind its last there is nothing left to be killed.
            if said.code == -1 && moment < 10 {
                watch.end(&what).as_before(&world, &what);
                continue;
            }
            watch.end(&what);
            break;
        };
        assert_eq!(said.code, -1, "{what}: {}", said.err);
        kills += 1;
        let again = dice.random_range(1..=60);
        let what = format!("{what}, then {}", when(again));
        let said = killed_at(&world, again, &["resume"]);
        if said.code == -1 {
            kills += 1;
        }
        if unfinished(&world).is_some() {
            let said = world.run(&["resume"]);
            assert_eq!(said.code, 0, "{what}: {}", said.err);
        } else {
            assert!([-1, 0].contains(&said.code), "{what}: {}", said.err);
        }
        watch.end(&what).rotated(&world, &run, &what);
        rotations += 1;
    }
    world.attempts_more(5);
    let (attempts, failed) = world.logins();
    println!("{rotations} rotations, {kills} kills, {attempts} logins");
    assert_eq!(failed, Vec::<String>::new());
    assert!(kills > 0, "nothing was killed");
}

#[test]
fn a_rotation_is_taken_back_whatever_write_that_is_killed_at() {
    let world = Rotation::up(&[]);
    let (mut undone, mut kills) = (0, 0);
    for moment in moments(2, UNDOING / 2) {
        let what = format!("undo killed {}", when(moment));
        let watch = Watch::over(&world);
        let holder = Holder::of(&world);
        let said = world.run(&["run", "credential-rotation", "grace=1s", "apart=0s", "sessions=fail"]).with_code(3);
        assert_ne!(world.current(), holder.role, "{what}: {}", said.err);
        let run = unfinished(&world).expect("a run");
        let said = killed_at(&world, moment, &["undo"]);
        if unfinished(&world).is_some() {
            // A client that is slow to go back keeps the new login open, and is named.
            let slow = |said: &Said| said.code == 3 && said.err.contains("they have not gone back to the old login");
            assert!(said.code == -1 || slow(&said), "{what}: {}", said.err);
            kills += usize::from(said.code == -1);
            let mut said = world.run(&["undo"]);
            for _ in 0..3 {
                if slow(&said) {
                    said = world.run(&["undo"]);
                }
            }
            assert_eq!(said.code, 0, "{what}: {}", said.err);
        }
        let seen = watch.end(&what);
        assert!(seen.new.is_some(), "{what}: nothing was published");
        seen.as_before(&world, &what);
        assert!(super::judging::sealed(&world, &run) <= 1, "{what}");
        undone += 1;
        if said.code == 0 {
            break;
        }
    }
    world.attempts_more(5);
    let (attempts, failed) = world.logins();
    println!("{undone} taken back, {kills} kills, {attempts} logins");
    assert_eq!(failed, Vec::<String>::new());
    assert!(kills > 0, "nothing was killed");
}

#[test]
fn publishing_goes_on_where_it_was_killed_while_consumers_are_told_at_once() {
    let world = Rotation::up(&[]);
    // Told, and then the end of whoever told it, three times over; the parent of its parent is the engine.
    let told = "printf %s \"$DATABASE_URL\" > told.new && mv told.new told; n=$(ls killed-* 2>/dev/null | wc -l); \
                test $n -ge 3 || { : > killed-$n; kill -9 $(cut -d' ' -f4 /proc/$PPID/stat); sleep 60; }";
    let same = "test \"$(cat told)\" = \"$DATABASE_URL\"";
    world.configure(&format!(
        "[[consumers]]\nkind = \"command\"\nname = \"deploy\"\nvariables = {{ DATABASE_URL = \"pooled\" }}\nrepeatable = true\n\
         run = [\"sh\", \"-c\", '''{told}''']\nread_back = [\"sh\", \"-c\", '''{same}''']\n\n"
    ));
    let mut dice = StdRng::seed_from_u64(seed());
    let watch = Watch::over(&world);
    assert_eq!(world.run(&ROTATE).code, -1);
    let run = unfinished(&world).expect("a run");
    for _ in 0..2 {
        assert_eq!(world.run(&["resume"]).code, -1);
    }
    let mut kills = 3;
    let further = every().unwrap_or(6);
    loop {
        // No process may come less far than the one before it for long.
        let moment = OWN + dice.random_range(1..=4 * further);
        let said = killed_at(&world, moment, &["resume"]);
        if said.code != -1 {
            assert_eq!(said.code, 0, "{}", said.err);
            break;
        }
        kills += 1;
        assert!(kills < 1000, "it does not come to its end");
        if unfinished(&world).is_none() {
            break;
        }
    }
    watch.end("publish").rotated(&world, &run, "publish");
    let told = std::fs::read_to_string(world.lab().path().join("told")).expect("what it was told");
    assert!(world.file("web.env").contains(&told), "the command was told something else");
    world.attempts_more(5);
    println!("{kills} kills");
    assert_eq!(world.logins().1, Vec::<String>::new());
}

/// A session of the login of today, which nobody has told to go.
struct Holder {
    role: String,
    psql: Child,
}

impl Holder {
    fn of(world: &Rotation) -> Self {
        let role = world.current().to_owned();
        let direct = world.direct();
        let psql = Command::new("psql")
            .args(["-X", "-q", &direct.url])
            .env("PGAPPNAME", "a batch job")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let holder = Self { role, psql: psql.expect("psql runs") };
        let there = format!(
            "select count(*) from pg_stat_activity where usename = '{}' and application_name = 'a batch job'",
            holder.role
        );
        wait_until("the batch job is connected", || world.admin().sql(&there) != "0");
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}
