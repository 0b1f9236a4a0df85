//! A server that is out of connections: who holds them is told, what idles is ended once a person agreed, and nobody else.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use crate::program::project::Project;
use crate::support::{Cluster, Database, wait_until};

/// Somebody connected by `psql`, who stays until dropped.
struct Client {
    child: Child,
    name: String,
}

impl Client {
    /// Connects as `app`, sends this, and stays.
    fn connect(database: &Database, name: &str, sql: &str) -> Self {
        let url = database.url.replacen("postgres:", "app:", 1);
        let mut command = Command::new("psql");
        command.args(["-XqAt", &url]).env("PGAPPNAME", name).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("psql starts");
        child.stdin.as_mut().expect("a pipe").write_all(format!("{sql}\n").as_bytes()).expect("it listens");
        Self { child, name: name.to_owned() }
    }

    fn is_connected(&self, database: &Database) -> bool {
        sessions(database, &format!("application_name = '{}'", self.name)) > 0
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sessions(database: &Database, which: &str) -> u32 {
    database.sql(&format!("select count(*) from pg_stat_activity where {which}")).parse().expect("a number")
}

/// A server of its own with few connections, and a role of applications.
fn server() -> (Cluster, Database, Project) {
    let cluster = Cluster::start(&["fsync=off", "max_connections=21", "superuser_reserved_connections=8"]);
    let database = cluster.database("busy");
    let password = crate::support::cluster::PASSWORD;
    database.sql(&format!("create role app login password '{password}'"));
    let project = Project::on(&database);
    (cluster, database, project)
}

/// Fills the server: `idle` idlers in a transaction, the rest at work.
fn exhaust(database: &Database, idle: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for nth in 0..12 {
        let sql = if nth < idle { "begin; select 1;" } else { "select pg_sleep(600);" };
        clients.push(Client::connect(database, &format!("client-{nth}"), sql));
    }
    wait_until("the server is full", || sessions(database, "usename = 'app' and state <> 'idle'") == 12);
    let old =
        "usename = 'app' and state = 'idle in transaction' and clock_timestamp() - state_change > interval '1.6 s'";
    wait_until("they have idled for a while", || sessions(database, old) as usize == idle);
    clients
}

const ARGS: [&str; 4] = ["pool-exhaustion", "target=app", "idle_in_transaction=1s", "idle=0s"];

#[test]
fn idle_transactions_on_a_full_server_are_ended_once_a_person_agreed_and_who_works_stays() {
    let (_cluster, database, project) = server();
    let clients = exhaust(&database, 6);
    let plan = project.run(&[&["plan"], &ARGS[..]].concat()).with_code(0);
    assert!(plan.out.contains("client-0") && plan.out.contains("idle in transaction for"), "{}", plan.out);
    assert_eq!(sessions(&database, "usename = 'app'"), 12, "a preview ends nobody");

    project.run(&[&["run"], &ARGS[..]].concat()).with_code(5);
    assert_eq!(sessions(&database, "usename = 'app'"), 12, "nobody agreed yet");
    project.run(&["approve", "--why", "they hang"]).with_code(0);
    let done = project.run(&["resume"]).with_code(0);
    assert!(done.err.contains("12 before, 6 now, of 13"), "{}", done.err);
    for (nth, client) in clients.iter().enumerate() {
        assert_eq!(client.is_connected(&database), nth >= 6, "client {nth}");
    }
    let report = project.run(&["report"]).with_code(0).out;
    assert!(report.contains("who holds connections") && report.contains("proposed to be ended"), "{report}");
}

#[test]
fn who_came_back_to_life_while_a_person_thought_is_left_alone() {
    let (_cluster, database, project) = server();
    let mut clients = exhaust(&database, 4);
    project.run(&[&["run"], &ARGS[..], &["full=70%"]].concat()).with_code(5);
    // It idles again by the time that somebody agrees.
    clients[1].child.stdin.as_mut().expect("a pipe").write_all(b"select 'again';\n").expect("it listens");
    let again = "application_name = 'client-1' and state = 'idle in transaction' and query = 'select ''again'';'";
    wait_until("it did something", || sessions(&database, again) == 1);
    clients[0].child.stdin.as_mut().expect("a pipe").write_all(b"select pg_sleep(600);\n").expect("it listens");
    wait_until("it works again", || sessions(&database, "application_name = 'client-0' and state = 'active'") == 1);
    project.run(&["approve", "--why", "they hang"]).with_code(0);
    // Ten of thirteen is still too full.
    project.run(&["resume"]).with_code(3).saying("12 before, 10 now, of 13");
    assert!(clients[0].is_connected(&database) && clients[1].is_connected(&database));
    assert!(!clients[2].is_connected(&database) && !clients[3].is_connected(&database));
}

#[test]
fn more_than_the_caps_allow_stops_the_run_before_anybody_is_asked() {
    let (_cluster, database, project) = server();
    let _clients = exhaust(&database, 6);
    project.run(&[&["run"], &ARGS[..], &["max_count=5"]].concat()).with_code(3).saying("6 of 12");
    project.run(&["abandon", "--why", "too many"]).with_code(0);
    project.run(&[&["run"], &ARGS[..], &["max_share=25%"]].concat()).with_code(3);
    project.run(&["abandon", "--why", "too many"]).with_code(0);
    assert_eq!(sessions(&database, "usename = 'app'"), 12);
}

#[test]
fn with_nothing_to_do_nobody_is_asked_and_excluded_applications_are_not_proposed() {
    let (_cluster, database, project) = server();
    project.run(&[&["run"], &ARGS[..]].concat()).with_code(0).saying("proposed to be ended: none");
    let _client = Client::connect(&database, "reports", "begin; select 1;");
    let old = "application_name = 'reports' and clock_timestamp() - state_change > interval '1.6 s'";
    wait_until("it idles", || sessions(&database, old) == 1);
    project.run(&[&["run"], &ARGS[..], &["exclude=reports"]].concat()).with_code(0);
    assert_eq!(sessions(&database, "application_name = 'reports'"), 1);
}

#[test]
fn killed_at_any_write_it_goes_on_and_ends_no_more_than_was_listed() {
    let (_cluster, database, project) = server();
    let mut rounds = 0;
    for write in (1..).step_by(5) {
        let idler = Client::connect(&database, "idler", "begin; select 1;");
        let stranger = Client::connect(&database, "stranger", "select pg_sleep(600);");
        let old =
            "application_name = 'idler' and state like 'idle%' and clock_timestamp() - state_change > interval '1.6 s'";
        wait_until("it idles", || sessions(&database, old) == 1 && stranger.is_connected(&database));
        let args = [&["run"], &ARGS[..]].concat();
        let run = |args: &[&str]| project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), args);
        let mut code = run(&args).code;
        let unfinished = || !project.run(&["status", "--json"]).json()["unfinished"][0].is_null();
        // Killed before it began, or at work, or waiting: it is brought to its end, one process without a crash at last.
        for _ in 0..6 {
            if !unfinished() {
                break;
            }
            if code == 5 {
                project.run(&["approve", "--why", "it hangs"]).with_code(0);
                code = run(&["resume"]).code;
            } else {
                code = project.run(&["resume"]).code;
            }
        }
        assert!(!unfinished(), "killed at write {write}, last exit {code}");
        if code == 0 {
            assert!(!idler.is_connected(&database), "killed at write {write}");
        }
        assert!(stranger.is_connected(&database), "killed at write {write}");
        drop((idler, stranger));
        // A server does not notice that who sleeps on it is gone.
        database.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'");
        wait_until("they are gone", || sessions(&database, "usename = 'app'") == 0);
        rounds += 1;
        if write > 40 {
            break;
        }
    }
    assert!(rounds > 5);
}
