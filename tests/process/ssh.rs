//! Commands on another host. What stands in for ssh hands the line to a shell, as the far side does.

use runsheet::model::action::Recovery;
use runsheet::model::fault::FaultClass;

use super::{Bench, Book, action, command};

/// A bench whose `ssh` writes its arguments down and runs the last one.
fn bench() -> Bench {
    use std::os::unix::fs::PermissionsExt;
    let tools = tempfile::tempdir().unwrap().keep();
    let ssh = tools.join("ssh");
    let log = tools.join("arguments");
    let script =
        format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > {}\nfor line; do :; done\nexec sh -c \"$line\"\n", log.display());
    std::fs::write(&ssh, script).unwrap();
    std::fs::set_permissions(&ssh, PermissionsExt::from_mode(0o755)).unwrap();
    let mut bench = Bench::with(&[("PATH", &format!("{}:/usr/bin:/bin", tools.display()))]);
    bench.world.project = bench.folder.path().to_owned();
    bench
}

#[tokio::test]
async fn every_word_survives_the_shell_on_the_far_side() {
    let bench = bench();
    let odd = "a 'b' \"c\" $HOME; touch x & \n *";
    let mut request = command(&["sh", "-c", "printf '%s|' \"$1\" \"$V\"; pwd", "sh", odd]);
    request.ssh = Some("ops@db.example".into());
    request.env.insert("V".into(), odd.into());
    request.cwd = Some("/usr/lib".into());
    let done = bench.perform(&action(Recovery::Ask, &request), &Book::default()).await.unwrap();
    assert_eq!(done.value["stdout"], format!("{odd}|{odd}|/usr/lib\n"));
}

#[tokio::test]
async fn ssh_never_asks_and_a_host_is_never_an_option() {
    let bench = bench();
    let mut request = command(&["true"]);
    request.ssh = Some("ssh://ops@db.example:2222".into());
    bench.perform(&action(Recovery::Ask, &request), &Book::default()).await.unwrap();
    let tools = bench.world.environment.get("PATH").unwrap().split(':').next().unwrap().to_owned();
    let words = std::fs::read_to_string(format!("{tools}/arguments")).unwrap();
    assert!(
        words.contains("-o\nBatchMode=yes\n") && words.ends_with("--\nssh://ops@db.example:2222\nexec true\n"),
        "{words}"
    );
    request.ssh = Some("-oProxyCommand=touch x".into());
    let fault = bench.perform(&action(Recovery::Ask, &request), &Book::default()).await.unwrap_err();
    assert_eq!(fault.code, "command.ssh");
}

#[tokio::test]
async fn a_failing_connection_leaves_it_open_whether_the_command_ran() {
    let bench = bench();
    let mut request = command(&["sh", "-c", "echo 'Connection reset' >&2; exit 255"]);
    request.ssh = Some("db.example".into());
    let fault = bench.perform(&action(Recovery::Ask, &request), &Book::default()).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.class), ("command.ssh", FaultClass::Unknown));
    assert_eq!(fault.detail.as_deref(), Some("Connection reset"));
}
