//! The last good second is found, with as few copies as halving needs.

use super::world::World;

/// Copies that a search of so many seconds needs at most: among them, "none" and "all".
fn most(seconds: u32) -> usize {
    (1..).find(|probes| 1u32 << probes >= seconds + 2).expect("a number")
}

#[test]
fn a_bad_update_is_found_to_the_second_with_as_many_copies_as_halving_needs() {
    let world = World::with(
        "create table accounts (id int primary key, balance int); insert into accounts select n, 100 from generate_series(1, 50) n",
    );
    let from = world.second();
    world.second();
    let earliest = world.second();
    world.app.sql("update accounts set balance = 0 where id <= 20");
    let latest = world.second();
    world.second();
    let to = world.second();

    let good = "predicate=select min(balance) > 0 from accounts";
    let said = world.restore(&[good, &format!("from={from}"), &format!("to={to}")]);
    let said = said.with_code(0);
    let seconds = world.app.sql(&format!("select extract(epoch from '{to}'::timestamptz - '{from}')::int"));
    let most = most(seconds.parse().expect("a number"));
    // The update lies in the second that had begun before it, unless the machine was busy; the bad one is the next.
    let (_, told) = said.err.split_once("last good: ").expect("what was found");
    let (good, told) = told.split_once("; first bad: ").expect("what was found");
    let read = |text: &str| {
        let text = text.replacen(' ', "T", 1).replacen(" UTC", "Z", 1);
        text.get(..20).and_then(|text| text.parse::<chrono::DateTime<chrono::Utc>>().ok()).expect("a time")
    };
    let (good, bad) = (read(good), read(told));
    assert!(read(&earliest) <= good && bad <= read(&latest), "{earliest} to {latest}\n{}", said.err);
    assert_eq!(bad - good, chrono::TimeDelta::seconds(1), "{}", said.err);
    assert!(said.err.contains(&format!("probe 1 of at most {most}:")), "{most}: {}", said.err);
    // One copy a probe, and the one that was found.
    let copies = world.intents("pitr-restore-1", "pg::recover");
    assert!(copies - 1 <= most && copies > 2, "{copies} copies, at most {most} probes");
    assert_eq!(copies, world.intents("pitr-restore-1", "pg::drop_recovered") + 1);
    world.nothing_is_left();
    let report = world.project.run(&["report", "pitr-restore-1"]).with_code(0);
    assert!(report.out.contains("probes"), "{}", report.out);
}

#[test]
fn good_at_no_moment_and_good_at_every_moment_are_told_as_such() {
    let world = World::with("create table notes (id int primary key); insert into notes select generate_series(1, 10)");
    let before = world.second();
    let good_end = world.second();
    world.app.sql("delete from notes where id > 5");
    let bad = world.second();
    let end = world.second();
    let good = "predicate=select count(*) = 10 from notes";
    let never = world.restore(&[good, &format!("from={bad}"), &format!("to={end}")]).with_code(3);
    assert!(never.err.contains("good at no moment of"), "{}", never.err);
    let always = world.restore(&[good, &format!("from={before}"), &format!("to={good_end}")]).with_code(3);
    assert!(always.err.contains("good at every moment of"), "{}", always.err);
    world.nothing_is_left();
}

#[test]
fn a_day_needs_seventeen_copies_at_most_and_a_month_twenty_two() {
    let world = World::with("select 1");
    let spans = "[1, 60, 3600, 86400, 604800, 2592000]";
    let text = format!(
        r#"
        runbook("spans", "1.0.0", #{{ about: "How many copies a search needs", params: #{{}} }});
        import "lib/pitr" as pitr;
        step("tell", || {{ for span in {spans} {{ log::info(`${{span}} s: ${{pitr::most_probes(span + 1)}}`); }} }});
    "#
    );
    world.project.file("runbooks/spans.rhai", &text);
    let said = world.project.run(&["run", "spans"]).with_code(0);
    for (span, copies) in [(1, 1), (60, 6), (3600, 12), (86_400, 17), (604_800, 20), (2_592_000, 22)] {
        assert!(said.err.contains(&format!("{span} s: {copies}\n")), "{span}, {copies}: {}", said.err);
    }
}
