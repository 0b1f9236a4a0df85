//! PostgreSQL's own programs: missing, too old, and disks too small for what they write.

use super::dump::application;
use super::{project, runbook};
use crate::program::project::{Project, Said};

const DUMP: &str =
    r#"step("dump", || pg::dump(params.app, #{ compress: "none" })).cleanup(|made| pg::drop_dump(made));"#;

/// Runs the program in mounts of its own that `mount` changes, with the project as `$0`.
fn in_mounts_of_its_own(project: &Project, mount: &str, path: &str) -> Said {
    let script = format!("{mount} && exec \"$1\" run dumps");
    let mut command = project.command(&[]);
    let program = command.get_program().to_owned();
    command = {
        let mut unshare = std::process::Command::new("/usr/bin/unshare");
        unshare.args(["-m", "sh", "-c", &script]).arg(project.path()).arg(program).env_clear();
        unshare.current_dir(project.path()).env("HOME", project.path()).env("USER", "tester").env("PATH", path);
        unshare.stdin(std::process::Stdio::null());
        unshare
    };
    command.output().expect("unshare runs").into()
}

/// A folder with links to these programs only.
fn path_with(project: &Project, programs: &[&str]) -> String {
    let folder = project.path().join("bin");
    std::fs::create_dir_all(&folder).expect("a folder");
    for program in programs {
        let found = ["/usr/bin", "/bin", "/usr/sbin"].map(|folder| std::path::Path::new(folder).join(program));
        let found = found.iter().find(|path| path.exists()).expect("a program");
        let _ = std::os::unix::fs::symlink(found, folder.join(program));
    }
    folder.display().to_string()
}

const WITHOUT_POSTGRESQL: &str = "mount -t tmpfs tmpfs /usr/lib/postgresql";

#[test]
fn without_pg_dump_nothing_is_dumped_and_what_to_install_is_said() {
    let project = project(&application("toolless"));
    runbook(&project, "dumps", DUMP);
    let path = path_with(&project, &["mount", "sh"]);
    let said = in_mounts_of_its_own(&project, WITHOUT_POSTGRESQL, &path).with_code(1);
    assert!(said.err.contains("there is no `pg_dump` on this machine"), "{}", said.err);
    assert!(said.err.contains("apt-get install postgresql-client-15"), "{}", said.err);
}

#[test]
fn a_pg_dump_older_than_the_server_is_refused_naming_both_versions() {
    let project = project(&application("aged"));
    runbook(&project, "dumps", DUMP);
    let path = path_with(&project, &["mount", "sh"]);
    let old = project.file("bin/pg_dump", "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n");
    std::fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let said = in_mounts_of_its_own(&project, WITHOUT_POSTGRESQL, &path).with_code(1);
    assert!(said.err.contains("`pg_dump` 9.6.24"), "{}", said.err);
    assert!(said.err.contains("older than the version 15"), "{}", said.err);
    // One that is new enough is taken instead where it is installed.
    project.run(&["abandon", "dumps-1", "--why", "a test"]).with_code(0);
    let all = format!("{path}:/usr/bin:/bin");
    project.command(&["run", "dumps"]).env("PATH", all).output().map(Said::from).expect("it runs").with_code(0);
}

#[test]
fn a_disk_without_room_is_refused_before_and_named_when_it_fills_in_the_middle() {
    let app = application("roomless");
    let project = project(&app);
    runbook(&project, "dumps", DUMP);
    std::fs::create_dir_all(project.path().join(".runsheet/dumps")).expect("a folder");
    let small = |size: &str| format!("mount -t tmpfs -o size={size},mode=700 tmpfs \"$0/.runsheet\"");
    let path = "/usr/bin:/bin:/usr/sbin:/sbin";
    let said = in_mounts_of_its_own(&project, &small("2m"), path).with_code(1);
    assert!(said.err.contains("takes up to"), "{}", said.err);
    // What the server counts is packed, what is dumped is not.
    app.sql(
        "create table packed (t text); insert into packed select repeat('packed ', 1000000) from generate_series(1, 8)",
    );
    let said = in_mounts_of_its_own(&project, &small("20m"), path).with_code(1);
    assert!(said.err.contains("No space left on device"), "{}", said.err);
    assert!(said.err.contains("make room"), "{}", said.err);
}

#[test]
fn a_warning_that_lost_something_is_a_failure_although_the_program_says_that_all_is_well() {
    let project = project(&application("lossy"));
    runbook(
        &project,
        "lossy",
        r#"
        step("dump", || pg::dump(params.app)).cleanup(|made| pg::drop_dump(made));
        step("scratch", || pg::scratch(params.server)).cleanup(|made| pg::drop_scratch(made));
        step("restore", || pg::restore(done.scratch, done.dump));
        "#,
    );
    let real = "for real in /usr/lib/postgresql/*/bin/pg_restore; do :; done; \"$real\" \"$@\" || exit $?";
    let lossy = project.file(
        "bin/pg_restore",
        &format!("#!/bin/sh\n{real}\ncase \"$*\" in *--dbname*) echo 'pg_restore: warning: one thing was left out' >&2;; esac\n"),
    );
    std::fs::set_permissions(&lossy, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let path = format!("{}:/usr/bin:/bin", project.path().join("bin").display());
    let mut command = project.command(&["run", "lossy"]);
    let said = command.env("PATH", path).output().map(Said::from).expect("it runs").with_code(1);
    assert!(
        said.err.contains("pg_restore left something out: pg_restore: warning: one thing was left out"),
        "{}",
        said.err
    );
}
