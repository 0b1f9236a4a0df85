//! Dump and restore: what comes out is what went in, and what could not be copied is never called a copy.

use std::path::{Path, PathBuf};

use super::{made, project, runbook};
use crate::program::project::{Project, Said};
use crate::support::{Cluster, Database};

/// Steps that copy `app` whole and drop everything again.
const COPY: &str = r#"
step("dump", || pg::dump(params.app, #{ jobs: 2 })).cleanup(|made| pg::drop_dump(made));
step("scratch", || pg::scratch(params.server, #{ like: params.app, apart: params.app })).cleanup(|made| pg::drop_scratch(made));
step("restore", || pg::restore(done.scratch, done.dump, #{ jobs: 2 }));
step("verify", || gate::that("rows", sql::value(done.scratch, "select count(*) from \"Users\"") == 500, ""));
"#;

/// A small application.
pub fn application(name: &str) -> Database {
    let app = Cluster::shared().database(name);
    app.sql(
        "create table \"Users\" (id serial primary key, email text not null unique);
         insert into \"Users\" (email) select 'user' || n || '@example.org' from generate_series(1, 500) n;
         create table issues (id int primary key, who int references \"Users\", body text);
         insert into issues select n, n, repeat('x', 200) from generate_series(1, 300) n;
         create view open_issues as select * from issues; create extension pgcrypto;
         create publication everything for all tables; select lo_from_bytea(0, '\\x00ff')",
    );
    app
}

/// Everything below the folder of dumps.
pub fn dumps(project: &Project) -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            found.push(entry.path());
            below(&entry.path(), found);
        }
    }
    let mut found = Vec::new();
    below(&project.path().join(".runsheet/dumps"), &mut found);
    found
}

#[track_caller]
fn failed(project: &Project, name: &str, code: &str) -> Said {
    let said = project.run(&["run", name]).with_code(1);
    let entries = serde_json::to_string(&project.entries(&format!("{name}-1"))).expect("text");
    assert!(entries.contains(&format!("\"code\":\"{code}\"")), "{code}: {}", said.err);
    said
}

#[test]
fn a_copy_has_everything_and_nothing_is_left_of_it() {
    let app = application("copied");
    let project = project(&app);
    runbook(&project, "copy", COPY);
    let plan = project.run(&["plan", "copy"]).with_code(0);
    assert!(plan.out.contains("would dump 2 tables"), "{}", plan.out);
    let plan = project.run(&["plan", "copy", "--full"]).with_code(0);
    assert!(plan.out.contains("pg_dump -Fd -j2 --no-owner"), "{}", plan.out);
    project.run(&["run", "copy"]).with_code(0);
    assert!(made("_copy_1_").is_empty());
    let left: Vec<PathBuf> = dumps(&project).into_iter().filter(|path| path.is_file()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_kept_copy_is_the_same_database() {
    let app = application("kept");
    let project = project(&app);
    let kept =
        COPY.replace(".cleanup(|made| pg::drop_scratch(made))", "").replace(".cleanup(|made| pg::drop_dump(made))", "");
    runbook(&project, "kept", &kept);
    project.run(&["run", "kept"]).with_code(0);
    // A copy takes no part in replication.
    app.sql("drop publication everything");
    let name = made("_kept_1_").pop().expect("the copy");
    assert_eq!(Cluster::second().open(&name).dump(), app.dump());
    Cluster::second().open("postgres").sql(&format!("drop database {name}"));
    // Rows are personal data.
    use std::os::unix::fs::PermissionsExt;
    let folder = project.path().join(".runsheet/dumps/kept-1/dump-1-a1");
    let mode = std::fs::metadata(&folder).expect("the dump").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(folder.join("stderr.log").is_file(), "what pg_dump said is kept");
}

#[test]
fn only_a_database_that_the_run_made_is_restored_into() {
    let app = application("precious");
    let project = project(&app);
    for (name, into, code) in
        [("configured", "params.server", "target.not-made"), ("stranger", "\"server:postgres\"", "scratch.not-ours")]
    {
        let steps =
            format!("step(\"dump\", || pg::dump(params.app)); step(\"restore\", || pg::restore({into}, done.dump));");
        runbook(&project, name, &steps);
        failed(&project, name, code);
    }
    assert_eq!(app.sql("select count(*) from \"Users\""), "500");
}

#[test]
fn an_extension_that_the_other_server_lacks_is_named_before_anything_is_restored() {
    let app = application("extended");
    let project = project(&app);
    let lacking = r#"
        step("dump", || pg::dump(params.app));
        step("scratch", || pg::scratch(params.server)).cleanup(|made| pg::drop_scratch(made));
        step("lie", || command::run(["sed", "-i", "s/pgcrypto/pgmissin/g", `${done.dump.archive}/toc.dat`], #{ repeatable: true }));
        step("restore", || pg::restore(done.scratch, pg::artefact(done.dump.archive)));
    "#;
    runbook(&project, "lacking", lacking);
    let said = failed(&project, "lacking", "extension.missing");
    assert!(said.err.contains("extension pgmissin"), "{}", said.err);
    project.run(&["abandon", "lacking-1", "--why", "a test"]).with_code(0);
    assert!(made("_lacking_1_").is_empty());
}

#[test]
fn a_dump_that_changed_or_was_cut_off_is_never_restored() {
    let app = application("damaged");
    let project = project(&app);
    let steps = |damage: &str, what: &str| {
        format!(
            r#"
            step("dump", || pg::dump(params.app, #{{ compress: "none" }}));
            step("scratch", || pg::scratch(params.server)).cleanup(|made| pg::drop_scratch(made));
            step("damage", || command::run(["sh", "-c", `cd ${{done.dump.archive}} && {damage}`], #{{ repeatable: true }}));
            step("restore", || pg::restore(done.scratch, {what}));
            "#
        )
    };
    let cut = "for f in *.dat; do case $f in toc.dat) ;; *) truncate -s -40 $f;; esac; done";
    runbook(&project, "changed", &steps(cut, "done.dump"));
    failed(&project, "changed", "artefact.changed");
    // Somebody else's dump, that was cut off before it was ever described.
    runbook(&project, "cut", &steps("pg_dump --version; rm -f [0-9]*.dat", "pg::artefact(done.dump.archive)"));
    failed(&project, "cut", "artefact.broken");
    let custom = steps("true", r#"pg::artefact("cut.dump")"#);
    runbook(&project, "custom", &custom);
    app.dump_into(&project.path().join("whole.dump"), &["-Fc"]);
    let whole = std::fs::read(project.path().join("whole.dump")).expect("a dump");
    std::fs::write(project.path().join("cut.dump"), &whole[..whole.len() - 2000]).expect("a cut dump");
    let said = failed(&project, "custom", "artefact.broken");
    assert!(said.err.contains("pg_restore"), "{}", said.err);
    for run in ["changed-1", "cut-1", "custom-1"] {
        project.run(&["abandon", run, "--why", "a test"]).with_code(0);
    }
}

#[test]
fn an_artefact_is_found_now_and_described_and_nothing_is_an_error() {
    let app = application("archived");
    let project = project(&app);
    std::fs::create_dir_all(project.path().join("backups")).expect("a folder");
    std::fs::create_dir_all(project.path().join("none")).expect("a folder");
    app.dump_into(&project.path().join("backups/monday.dump"), &["-Fc"]);
    app.sql("create table later ()");
    app.dump_into(&project.path().join("backups/tuesday"), &["-Fd"]);
    app.dump_into(&project.path().join("plain.sql"), &[]);
    project.file("backups/README", "not a dump");
    let empty = Cluster::shared().database("nothing_in_it");
    empty.dump_into(&project.path().join("empty.dump"), &["-Fc"]);
    let described = r#"
        step("look", || pg::artefact("backups"));
        step("verify", || {
            let it = done.look;
            gate::that("newest", it.path.contains("tuesday"), it.path);
            gate::that("tables", it.tables == 3, `${it.tables}`);
            gate::that("digest", it.sha256.len() == 64, it.sha256);
            gate::that("age", it.age >= 0 && it.age < 600, `${it.age}`);
            gate::that("nothing was counted", it.measured == (), "");
        });
    "#;
    runbook(&project, "described", described);
    project.run(&["plan", "described"]).with_code(0);
    project.run(&["run", "described"]).with_code(0);
    let one = |name: &str, what: &str| runbook(&project, name, &format!("step(\"look\", || pg::artefact({what}));"));
    for (name, what, code) in [
        ("missing", "\"nowhere\"", "artefact.missing"),
        ("none", "\"none\"", "artefact.empty"),
        ("empty", "\"empty.dump\"", "artefact.empty"),
        ("plain", "\"plain.sql\"", "artefact.plain"),
    ] {
        one(name, what);
        failed(&project, name, code);
    }
    one("meant", "\"empty.dump\", #{ may_be_empty: true }");
    project.run(&["run", "meant"]).with_code(0);
}

#[test]
fn a_sabotaged_dump_restores_without_a_complaint_and_lacks_one_row() {
    let app = application("sabotaged");
    let project = project(&app);
    let steps = r#"
        step("dump", || pg::dump(params.app, #{ compress: "none" })).cleanup(|made| pg::drop_dump(made));
        step("broken", || pg::sabotage(done.dump)).cleanup(|made| pg::drop_dump(made));
        step("scratch", || pg::scratch(params.server)).cleanup(|made| pg::drop_scratch(made));
        step("restore", || pg::restore(done.scratch, done.broken));
        step("count", || #{ users: sql::value(done.scratch, "select count(*) from \"Users\""), issues: sql::value(done.scratch, "select count(*) from issues") });
        step("verify", || gate::that("one row less, of the table that nothing points to", done.count.users == 500 && done.count.issues == 299, `${done.count}`));
    "#;
    runbook(&project, "sabotaged", steps);
    let said = project.run(&["run", "sabotaged"]).with_code(0);
    assert!(said.err.contains("SABOTAGE, as asked: one row of public.issues is missing"), "{}", said.err);
    runbook(
        &project,
        "packed",
        r#"step("dump", || pg::dump(params.app, #{ compress: "gzip:1" })); step("broken", || pg::sabotage(done.dump));"#,
    );
    failed(&project, "packed", "sabotage.format");
}

#[test]
fn only_dumps_of_this_run_are_removed() {
    let app = application("removed");
    let project = project(&app);
    std::fs::create_dir_all(project.path().join("backups")).expect("a folder");
    app.dump_into(&project.path().join("backups/theirs.dump"), &["-Fc"]);
    runbook(
        &project,
        "theirs",
        r#"step("look", || pg::artefact("backups")); step("drop", || pg::drop_dump(done.look));"#,
    );
    failed(&project, "theirs", "dump.not-ours");
    assert!(project.path().join("backups/theirs.dump").is_file());
}

#[test]
fn rows_counted_while_somebody_writes_are_exactly_those_of_the_dump_and_a_lost_one_is_noticed() {
    let app = application("written");
    let project = project(&app);
    let steps = |what: &str| {
        format!(
            r#"
            step("dump", || pg::dump(params.app, #{{ count: true, compress: "none" }})).cleanup(|made| pg::drop_dump(made));
            step("broken", || pg::sabotage(done.dump)).cleanup(|made| pg::drop_dump(made));
            step("scratch", || pg::scratch(params.server)).cleanup(|made| pg::drop_scratch(made));
            step("restore", || pg::restore(done.scratch, {what}));
            step("verify", || check::same_rows(done.dump, done.scratch, #{{ contents: true }}));
            "#
        )
    };
    runbook(&project, "whole", &steps("done.dump"));
    runbook(&project, "broken", &steps("done.broken"));
    let writing = "do $$ begin for i in 1..100000 loop insert into \"Users\" (email) values (i || '@new'); update issues set body = i where id = 7; commit; perform pg_sleep(0.002); end loop; end $$";
    let mut writer = app.psql(writing).stderr(std::process::Stdio::null()).spawn().expect("psql starts");
    crate::support::wait_until("somebody writes", || app.sql("select count(*) > 510 from \"Users\"") == "t");
    project.run(&["run", "whole"]).with_code(0);
    let said = project.run(&["run", "broken"]).with_code(3);
    assert!(said.err.contains("public.issues"), "{}", said.err);
    let _ = writer.kill();
    let _ = writer.wait();
    assert!(made("_whole_1_").is_empty() && made("_broken_1_").is_empty());
}

#[test]
fn a_role_that_may_only_create_databases_and_read_will_do() {
    let app = application("unprivileged");
    let role = |server: &Database| {
        // Other tests may have made it.
        let _ = server.try_sql("create role copier login createdb password 'copier-password'");
        server.sql("grant pg_read_all_data to copier; alter role copier createdb; grant execute on function pg_control_system(), pg_control_checkpoint() to copier");
        let address = server.url.split_once('@').expect("an address").1;
        Database { name: server.name.clone(), url: format!("postgresql://copier:copier-password@{address}") }
    };
    app.sql("select lo_unlink(oid) from pg_largeobject_metadata");
    let server = Cluster::second().open("postgres");
    let project = super::project_on(&role(&app), &role(&server));
    runbook(&project, "plain", COPY);
    project.run(&["run", "plain"]).with_code(0);
    assert!(made("_plain_1_").is_empty());
    server.sql("alter role copier nocreatedb");
    let said = project.run(&["plan", "plain"]);
    assert!(
        said.out.contains("may not create databases") || said.err.contains("may not create databases"),
        "{}{}",
        said.out,
        said.err
    );
}

#[test]
fn a_dump_of_another_database_restores_and_is_noticed() {
    let (app, other) = (application("right"), application("wrong"));
    other.sql("update issues set body = 'y' where id = 300");
    let project = project(&app);
    other.dump_into(&project.path().join("wrong.dump"), &["-Fc"]);
    let steps = r#"
        step("scratch", || pg::scratch(params.server)).cleanup(|made| pg::drop_scratch(made));
        step("restore", || pg::restore(done.scratch, pg::artefact("wrong.dump")));
        step("verify", || check::same_rows(params.app, done.scratch, #{ contents: true }));
    "#;
    runbook(&project, "wrong", steps);
    let said = project.run(&["run", "wrong"]).with_code(3);
    assert!(said.err.contains("public.issues"), "{}", said.err);
    assert!(made("_wrong_1_").is_empty());
}
