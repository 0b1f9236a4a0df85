//! Nothing ambient reaches a command, and nothing secret leaves it.

use runsheet::model::action::Recovery;

use super::{Bench, Book, action, command, until};

const CANARY: &str = "canary-91c4/ü\"x";

#[tokio::test]
async fn only_a_few_variables_are_inherited() {
    let bench =
        Bench::with(&[("AWS_SECRET_ACCESS_KEY", CANARY), ("DATABASE_URL", CANARY), ("LANG", "C"), ("HOME", "/h")]);
    let mut request = command(&["env"]);
    request.env.insert("GIVEN".into(), "yes".into());
    request.env.insert("PGAPPNAME".into(), "mine".into());
    let done = bench.perform(&action(Recovery::Ask, &request), &Book::default()).await.unwrap();
    let mut lines: Vec<_> = done.value["stdout"].as_str().unwrap().lines().collect();
    lines.sort_unstable();
    let path = "PATH=/usr/local/bin:/usr/bin:/bin";
    assert_eq!(lines, ["GIVEN=yes", "HOME=/h", "LANG=C", path, "PGAPPNAME=runsheet drill-7 move#3 a2"]);
}

#[tokio::test]
async fn a_secret_reaches_the_command_and_is_redacted_from_what_it_writes() {
    let bench = Bench::new();
    let mut request = command(&[
        "sh",
        "-c",
        "printf %s \"$TOKEN\" | wc -c; echo \"$TOKEN\"; echo \"$TOKEN\" | base64 >&2; exit $CODE",
    ]);
    request.env.insert("TOKEN".into(), bench.world.vault.keep("token", CANARY));
    request.env.insert("CODE".into(), "0".into());
    let done = bench.perform(&action(Recovery::Ask, &request), &Book::default()).await.unwrap();
    let stdout = done.value["stdout"].as_str().unwrap();
    assert_eq!(stdout.trim_start(), format!("{}\n(secret token)\n", CANARY.len()));
    assert!(done.value["stderr"].as_str().unwrap().contains("(secret token)"), "{}", done.value);
    request.env.insert("CODE".into(), "1".into());
    request.run[2] = "echo \"broken by $TOKEN\" >&2; exit 1".into();
    let fault = bench.perform(&action(Recovery::Ask, &request), &Book::default()).await.unwrap_err();
    assert_eq!(fault.message, "`sh` exited with 1: broken by (secret token)");
    assert!(!format!("{fault:?}").contains("canary"));
}

#[tokio::test]
async fn a_secret_is_refused_wherever_everybody_could_read_it() {
    let bench = Bench::new();
    let handle = bench.world.vault.keep("token", CANARY);
    let book = Book::default();
    let mut as_argument = command(&["echo"]);
    as_argument.run.push(format!("--password={handle}"));
    let mut as_folder = command(&["true"]);
    as_folder.cwd = Some(handle.clone());
    let mut as_host = command(&["true"]);
    as_host.ssh = Some(handle.clone());
    let mut on_host = command(&["true"]);
    on_host.ssh = Some("ops@host".into());
    on_host.env.insert("TOKEN".into(), handle);
    for request in [as_argument, as_folder, as_host, on_host] {
        let fault = bench.perform(&action(Recovery::Ask, &request), &book).await.unwrap_err();
        assert_eq!(fault.code, "secret.in-arguments");
        assert!(fault.hint.is_some());
    }
    assert_eq!(book.told(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_secret_stands_in_no_argument_list_and_in_the_environment_of_the_command_alone() {
    let bench = Bench::new();
    let (up, go) = (bench.path("up"), bench.path("go"));
    let script = format!("touch {}; until [ -e {} ]; do sleep 0.01; done", up.display(), go.display());
    let mut request = command(&["sh", "-c", &script]);
    request.env.insert("TOKEN".into(), bench.world.vault.keep("token", CANARY));
    let (action, book) = (action(Recovery::Ask, &request), Book::default());
    let looking = async {
        until("the command is at work", || up.exists()).await;
        let supervisor = book.holds()["session"].to_string();
        let (mut seen, mut holders) = (0, 0);
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let has = |file: &str| {
                let bytes = std::fs::read(entry.path().join(file)).unwrap_or_default();
                bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
            };
            if !entry.file_name().to_string_lossy().chars().all(|c| c.is_ascii_digit()) {
                continue;
            }
            seen += 1;
            assert!(!has("cmdline"), "in the arguments of {:?}", entry.file_name());
            if has("environ") {
                assert_ne!(entry.file_name().to_string_lossy(), supervisor);
                holders += 1;
            }
        }
        assert!(seen > 2 && holders >= 1, "saw {seen} processes, {holders} with the secret");
        std::fs::write(&go, "").unwrap();
    };
    let (done, ()) = tokio::join!(bench.perform(&action, &book), looking);
    done.unwrap();
}
