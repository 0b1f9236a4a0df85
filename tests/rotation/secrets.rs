//! A rotation leaves no secret behind: neither password, no platform's token, nor the key, in whatever form, in anything that
//! was said, written, logged or shown to other processes; not even where a consumer throws back all that it was given.

use std::collections::BTreeSet;

use serde_json::json;

use super::judging::login;
use super::kills::unfinished;
use crate::http::server::{Say, Server};
use crate::support::canaries::{Eyes, Glimpse, clean, clean_folder, stands_in};
use crate::support::{Rotation, Said};

/// How every verifier begins.
const VERIFIER: &str = "SCRAM-SHA-256$4096:";
/// Files of a project that are meant to hold secrets: its login, its configuration, its key, and the lab's book.
const MEANT: [&str; 6] = [".env", ".env.previous", "runsheet.toml", "ops.key", "lab", "told"];
/// A consumer that says all it knows, in every form it can think of, and fails unless it is told to go on.
const ECHO: &str = "env; env >&2; printf %s \"$DATABASE_URL\" | base64 -w0; printf '%s' \"$DATABASE_URL\" > told; \
                    sleep 0.2; echo \"$DATABASE_URL is what I got\" >&2; test -e go || exit 1";

/// All that was said, and by what.
struct Heard<'a> {
    world: &'a Rotation,
    said: Vec<(String, Vec<u8>)>,
}

impl Heard<'_> {
    fn run(&mut self, code: i32, args: &[&str]) -> Said {
        self.hear(code, args, self.world.command(args))
    }

    fn hear(&mut self, code: i32, args: &[&str], mut command: std::process::Command) -> Said {
        let said = Said::from(command.output().expect("the program runs")).with_code(code);
        self.said.push((format!("stdout of {args:?}"), said.out.clone().into_bytes()));
        self.said.push((format!("stderr of {args:?}"), said.err.clone().into_bytes()));
        said
    }

    /// Everything that can be said of what happened until now.
    fn told(&mut self) {
        for args in [
            &["report"][..],
            &["report", "--markdown"],
            &["report", "--json"],
            &["audit", "show"],
            &["audit", "show", "--json"],
            &["audit", "export"],
            &["audit", "export", "--out", "export.jsonl"],
            &["audit", "verify", "export.jsonl"],
            &["audit", "verify", "-v"],
            &["runs", "--json"],
            &["status"],
            &["status", "--json"],
            &["show", "credential-rotation", "--json"],
        ] {
            self.run(0, args);
        }
    }
}

fn new_password(world: &Rotation) -> String {
    let text = world.file("web.env");
    let (_, password) = login(text.trim().split_once('=').expect("a variable").1.trim_matches('\''));
    password
}

/// The verifiers that the pooler lets people in with.
fn verifiers(world: &Rotation) -> Vec<String> {
    let list = world.file("users.txt");
    list.split('"').filter(|it| it.starts_with(VERIFIER)).map(str::to_owned).collect()
}

#[test]
fn no_secret_of_a_rotation_stands_anywhere_but_where_it_is_meant_to() {
    let world = Rotation::up(&["--neon"]);
    let lab = world.lab().path().to_owned();
    let echoes = format!(
        "[[consumers]]\nkind = \"command\"\nname = \"deploy\"\nvariables = {{ DATABASE_URL = \"pooled\" }}\nrepeatable = true\n\
         run = [\"sh\", \"-c\", '''{ECHO}''']\nread_back = [\"sh\", \"-c\", '''test \"$(cat told)\" = \"$DATABASE_URL\" ''']\n\n"
    );
    world.configure(&echoes);
    let mut secrets = secrets_of(&world);
    assert!(secrets.len() >= 5, "old password, administrator, two tokens, key: {}", secrets.len());
    let mut made: BTreeSet<String> = verifiers(&world).into_iter().collect();
    let eyes = Eyes::open();
    let mut heard = Heard { world: &world, said: Vec::new() };
    let rotate = ["run", "credential-rotation", "grace=1s", "apart=0s", "sessions=end", "-v"];
    for more in [&[][..], &["--full"], &["--out", "plan.json"], &["--json"], &["-v"]] {
        heard.run(0, &[&["plan", "credential-rotation", "apart=0s"][..], more].concat());
    }

    // One that fails in the middle, is told of, gone on with by another process, and comes to its end.
    let said = heard.run(1, &rotate);
    assert!(said.err.contains("deploy") && said.err.contains("is what I got"), "{}", said.err);
    secrets.push(new_password(&world));
    made.extend(verifiers(&world));
    heard.told();
    heard.run(0, &["resume", "--plan"]);
    heard.run(1, &["resume", "-v"]);
    std::fs::write(lab.join("go"), "").expect("go");
    // The key itself in the environment, as a machine in the cloud has it.
    let mut resume = world.command(&["resume", "-v"]);
    resume.env_remove("RUNSHEET_KEY_FILE").env("RUNSHEET_KEY", key(&world));
    heard.hear(0, &["resume", "-v"], resume);
    heard.told();

    // One that fails and is taken back, which fails at first too.
    std::fs::remove_file(lab.join("go")).expect("stop");
    heard.run(1, &rotate);
    secrets.push(new_password(&world));
    made.extend(verifiers(&world));
    heard.run(1, &["undo", "-v"]);
    std::fs::write(lab.join("go"), "").expect("go");
    heard.run(0, &["undo", "-v"]);
    heard.told();

    // One whose platform throws back the whole request, token and all.
    let service = echoing(&world);
    heard.run(1, &rotate);
    secrets.push(new_password(&world));
    made.extend(verifiers(&world));
    heard.told();
    heard.run(1, &["undo", "-v"]);
    let run = unfinished(&world).expect("a run");
    heard.run(0, &["abandon", &run, "--why", "a test"]);
    heard.told();
    let asked = service.asked().concat();
    let sent = login(&world.direct().url);
    assert!(asked.contains(&sent.1), "it was never sent what it is to throw back");

    let seen = eyes.close();
    drop(world.run(&["status"]));
    check(&world, &heard, &seen, &secrets, &made);
}

/// The secrets that a world has before anything is rotated.
fn secrets_of(world: &Rotation) -> Vec<String> {
    let toml = world.file("runsheet.toml");
    let tokens =
        toml.lines().filter_map(|line| line.strip_prefix("token = ")).map(|it| it.trim_matches('"').to_owned());
    let admin =
        toml.lines().find_map(|line| line.strip_prefix("url = \"postgresql://lab:")).expect("the administrator");
    let admin = admin.split_once('@').expect("a URL").0.to_owned();
    tokens.chain([new_password(world), admin, key(world)]).collect()
}

fn key(world: &Rotation) -> String {
    let text = world.file("ops.key");
    text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).expect("a key").to_owned()
}

/// Adds a platform that takes no change, and throws back what it was asked.
fn echoing(world: &Rotation) -> Server {
    let config: tokio_postgres::Config = world.direct().url.parse().expect("a URL");
    let origin =
        json!({ "host": "127.0.0.1", "port": config.get_ports()[0], "database": "app", "user": world.current() });
    let found = json!({ "success": true, "result": { "origin": origin, "caching": { "disabled": true } } });
    let service = Server::saying(&[Say::Echo(found.to_string())]);
    world.configure(&format!(
        "[[consumers]]\nkind = \"hyperdrive\"\nname = \"thrower\"\napi_base = \"{}\"\ntoken = \"canary-t0ken-of-the-thrower\"\n\
         account = \"a\"\nconfig = \"c\"\n\n",
        service.url
    ));
    service
}

#[track_caller]
fn check(
    world: &Rotation,
    heard: &Heard<'_>,
    seen: &BTreeSet<Glimpse>,
    secrets: &[String],
    verifiers: &BTreeSet<String>,
) {
    let mut secrets = secrets.to_vec();
    secrets.push("canary-t0ken-of-the-thrower".to_owned());
    // Three old ones were new before; all that were made are of the alphabet that needs no quoting anywhere.
    let made: BTreeSet<&String> =
        secrets.iter().filter(|it| it.len() == 32 && it.contains(|c: char| c.is_ascii_uppercase())).collect();
    assert_eq!(made.len(), 3, "three rotations made three passwords");
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    assert!(made.iter().all(|it| it.chars().all(plain)));

    let hidden: Vec<String> = secrets.iter().cloned().chain([VERIFIER.to_owned()]).collect();
    for (place, bytes) in &heard.said {
        clean(bytes, &hidden, place);
    }
    assert!(clean_folder(world.lab().path(), &hidden, &MEANT) > 5);
    // What the lab keeps beside its book: logs of the servers, the pooler and the client.
    let server = world.server_log();
    assert!(server.contains(VERIFIER), "the server did not log its statements");
    clean(server.as_bytes(), &secrets, "the server's log");
    for name in ["pooler.log", "logins.log", "scratch.log"] {
        clean(world.file(name).as_bytes(), &hidden, name);
    }
    assert!(world.file("users.txt").contains(VERIFIER), "the user list has no verifiers");
    clean(world.file("users.txt").as_bytes(), &made.iter().map(|it| it.as_str()).collect::<Vec<_>>(), "the user list");

    // Whoever else is at work on this machine has verifiers of their own.
    assert!(verifiers.len() > 3, "three rotations made three verifiers beside what was there: {}", verifiers.len());
    let hidden: Vec<String> = secrets.iter().chain(verifiers).cloned().collect();
    let mut consumers = 0;
    for Glimpse { arguments, environment } in seen {
        let line = String::from_utf8_lossy(arguments).replace('\0', " ");
        clean(arguments, &hidden, &format!("the arguments of {line}"));
        if stands_in(environment, &hidden) {
            // The consumer's own command, which is to be told; and whoever was given the key itself.
            let consumer = stands_in(environment, &["RUNSHEET_CONSUMER=deploy"]);
            let engine = line.trim_end().ends_with("runsheet resume -v");
            assert!(consumer || engine, "a secret is in the environment of {line}");
            let keyed = stands_in(environment, &["AGE-SECRET-KEY-1"]);
            assert!(!keyed || engine && !consumer, "the key is in the environment of {line}");
            consumers += usize::from(consumer);
        }
    }
    assert!(consumers > 0, "no consumer's command was seen at work");
}

#[test]
fn a_canary_that_is_planted_is_found_in_files_arguments_and_environments() {
    let canary = "canary-pl4nted-in-a-rotation".to_owned();
    let mut sleeps = std::process::Command::new("sleep").arg("600").env("X", &canary).spawn().expect("sleep runs");
    let mut says = std::process::Command::new("sh");
    // It ends with its standard input, and leaves nobody behind.
    let mut says =
        says.args(["-c", "read -r line", &canary]).stdin(std::process::Stdio::piped()).spawn().expect("sh runs");
    crate::support::wait_until("both are seen", || {
        let seen = Eyes::open().close();
        seen.iter().any(|it| stands_in(&it.arguments, &[&canary]))
            && seen.iter().any(|it| stands_in(&it.environment, &[&canary]) && it.arguments.starts_with(b"sleep"))
    });
    for child in [&mut sleeps, &mut says] {
        child.kill().expect("it goes");
        child.wait().expect("it ended");
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("clean"), "nothing").expect("a file");
    assert_eq!(clean_folder(folder.path(), &[&canary], &[]), 1);
    let url = format!("postgresql://app:{canary}@127.0.0.1/app");
    for (name, text) in
        [("plain", url.clone()), ("base64", base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &url))]
    {
        std::fs::write(folder.path().join(name), text).expect("a file");
        assert!(std::panic::catch_unwind(|| clean_folder(folder.path(), &[&canary], &[])).is_err(), "{name}");
        std::fs::remove_file(folder.path().join(name)).expect("it goes");
    }
}
