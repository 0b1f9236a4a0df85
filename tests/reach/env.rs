//! Env files on other hosts: edited as those of this host are, and nothing of them is seen on the way.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::program::project::Project;
use crate::support::{Sshd, wait_until};

/// What an application's file looks like that somebody else wrote.
const THERE: &str = "# the shop\nexport NAME='shop'\nDATABASE_URL=postgresql://old\nLAST=1";

const STEPS: &str = r#"
    step("write", || files::variables(`${params.folder}/link`, #{ DATABASE_URL: env("NEW_URL"), DB_SSL_MODE: "require" }, #{ ssh: "droplet" }));
    step("again", || files::variables(`${params.folder}/link`, #{ DATABASE_URL: env("NEW_URL"), DB_SSL_MODE: "require" }, #{ ssh: "droplet" }));
    step("read", || {
        let same = files::has(`${params.folder}/link`, #{ DATABASE_URL: env("NEW_URL"), DB_SSL_MODE: "other" }, #{ ssh: "droplet" });
        gate::that("read back", same.DATABASE_URL && !same.DB_SSL_MODE, "");
    });
"#;

const URL: &str = "postgresql://app:s3cr3t-of-the-new@new.example/app?sslmode=verify-full";

/// A project that runs [`STEPS`] on a folder of the far side, which is on this machine as well.
fn project(sshd: &Sshd, folder: &Path) -> Project {
    std::fs::write(folder.join("app env"), THERE).expect("a file");
    std::fs::set_permissions(folder.join("app env"), PermissionsExt::from_mode(0o640)).expect("its mode");
    std::os::unix::fs::symlink("app env", folder.join("link")).expect("a link");
    let project = Project::with_url("postgresql://nobody@127.0.0.1:1/none");
    let toml = project.path().join("runsheet.toml");
    let text = std::fs::read_to_string(&toml).expect("the project's file");
    project.file("runsheet.toml", &format!("[ssh]\nconfig = \"{}\"\n{text}", sshd.config().display()));
    let head = "runbook(\"far\", \"1.0.0\", #{ about: \"a test\", params: #{ folder: text(\"where\") } });\n";
    project.file("runbooks/far.rhai", &format!("{head}{STEPS}"));
    project
}

fn listed(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A daemon that writes down each command line it is given, and has it run by `run`.
fn watched(seen: &Path, run: &str) -> Sshd {
    let command = format!("ForceCommand printf '%s\\n' \"$SSH_ORIGINAL_COMMAND\" >> {}; {run}", seen.display());
    Sshd::with(&[&command])
}

#[test]
fn variables_are_set_on_another_host_and_no_command_line_has_seen_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let seen = folder.path().with_extension("seen");
    let sshd = watched(&seen, "exec sh -c \"$SSH_ORIGINAL_COMMAND\"");
    let project = project(&sshd, folder.path());
    let given = format!("folder={}", folder.path().display());
    let said = project.run_with("NEW_URL", URL, &["run", "far", &given]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let text = std::fs::read_to_string(folder.path().join("app env")).expect("the file");
    assert_eq!(text, THERE.replace("postgresql://old", &format!("'{URL}'")) + "\nDB_SSL_MODE=require\n");
    assert_eq!(listed(folder.path()), ["app env", "app env.previous", "link"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("app env.previous")).expect("what was there"), THERE);
    for name in ["app env", "app env.previous"] {
        let mode = std::fs::metadata(folder.path().join(name)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}: {mode:o}");
    }
    let seen = std::fs::read_to_string(&seen).expect("command lines");
    assert!(seen.contains("mktemp") && !seen.contains("s3cr3t"), "{seen}");
    assert!(!format!("{}{}", said.out, said.err).contains("s3cr3t"));
    let journal = serde_json::to_string(&project.entries("far-1")).expect("text");
    assert!(!journal.contains("s3cr3t") && !journal.contains("the shop"), "{journal}");
    wait_until("no ssh is left", || sshd.clients().is_empty());
}

#[test]
fn a_file_of_which_not_all_arrives_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let seen = folder.path().with_extension("seen");
    // As when the connection breaks half-way.
    let sshd = watched(&seen, "head -c 20 | sh -c \"$SSH_ORIGINAL_COMMAND\"");
    let project = project(&sshd, folder.path());
    let given = format!("folder={}", folder.path().display());
    let said = project.run_with("NEW_URL", URL, &["run", "far", &given]).with_code(1);
    assert!(said.err.contains("not all of it arrived"), "{}", said.err);
    assert_eq!(std::fs::read_to_string(folder.path().join("app env")).expect("the file"), THERE);
    assert_eq!(listed(folder.path()), ["app env", "link"], "nothing half-done is left");
}

#[test]
fn what_is_not_there_and_who_is_not_let_in_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let sshd = Sshd::start();
    let project = project(&sshd, folder.path());
    let said = project.run_with("NEW_URL", URL, &["run", "far", "folder=/nowhere"]).with_code(1);
    assert!(said.err.contains("there is no droplet:/nowhere/link"), "{}", said.err);
    project.run(&["abandon", "far-1", "--why", "a test"]).with_code(0);
    let toml = project.path().join("runsheet.toml");
    let text = std::fs::read_to_string(&toml).expect("the project's file");
    let other = sshd.config_without_host_key();
    std::fs::write(&toml, text.replace(&*sshd.config().to_string_lossy(), &other.to_string_lossy())).expect("a file");
    let given = format!("folder={}", folder.path().display());
    let said = project.run_with("NEW_URL", URL, &["run", "far", &given]).with_code(1);
    assert!(said.err.contains("the host key of droplet is not known here"), "{}", said.err);
}
