//! What people, servers and platforms do to a cutover: whatever it is, writes are served where they belong, nothing is lost
//! without being named, and the one who has to mend it reads what to do.

use std::fmt::Write as _;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::json;

use super::moving::Moving;
use crate::support::{Database, Hyperdrive, Railway, Said, wait_until};

/// A session in which nothing keeps anybody from writing.
const WRITABLE: &str = "set default_transaction_read_only = off; begin read write; ";

/// A client that goes on in the background, and is gone with its value.
struct Client(Child);

impl Client {
    fn new(database: &Database, sql: &str) -> Self {
        Self(database.psql(sql).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("psql"))
    }

    fn over(&mut self) -> bool {
        self.0.try_wait().expect("its state").is_some()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Somebody who connects anew for every row that is written, each time asking for a session that may write.
struct Stranger(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Stranger {
    fn new(moving: &Moving) -> Self {
        let old = moving.old();
        let mut script = String::from("\\set ON_ERROR_STOP off\n");
        for row in 0..20 {
            let url = format!("{}?options=-c%20default_transaction_read_only%3Doff", old.url);
            let insert = "insert into users (email, name) values (gen_random_uuid() || '@x', 'x')";
            let _ = writeln!(script, "\\connect '{url}'\n{insert};\nselect pg_sleep(0.01), {row};");
        }
        let path = moving.world.lab().path().join("stranger.sql");
        std::fs::write(&path, script).expect("a file");
        let over = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while !heard.load(Ordering::Relaxed) {
                // Whoever is ended comes again.
                let _ = old.psql("select").arg("-f").arg(&path).output();
            }
        });
        Self(over, Some(thread))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        if let Some(thread) = self.1.take() {
            let _ = thread.join();
        }
    }
}

/// Goes on with the cutover, whatever it asks.
fn resumed(moving: &Moving) -> Said {
    moving.world.run(&["approve", "cutover-1"]);
    let said = moving.world.run(&["resume", "cutover-1"]);
    if said.code != 5 {
        return said;
    }
    moving.world.run(&["approve", "cutover-1"]).with_code(0);
    moving.world.run(&["resume", "cutover-1"])
}

#[test]
fn whatever_goes_wrong_before_the_flip_the_application_goes_on_where_it_was() {
    let moving = Moving::new();
    moving.world.run(&["run", "cutover"]).with_code(5);

    // A follower that applies nothing, while everything looks well.
    let subscription = moving.new_side().sql("select subname from pg_subscription where subenabled");
    moving.new_side().sql(&format!("alter subscription {subscription} disable"));
    resumed(&moving).with_code(3).saying("the copy follows");
    moving.served();
    moving.new_side().sql(&format!("alter subscription {subscription} enable"));

    // A client that keeps its transaction, for which the pooler waits for ever.
    let idle = Client::new(&moving.world.pooled(), "begin; select pg_sleep(60)");
    wait_until("it is at work", || {
        moving.old().sql("select count(*) from pg_stat_activity where query like '%pg_sleep(60)'") != "0"
    });
    resumed(&moving).with_code(1).saying("could not be paused").saying("still at work: psql");
    moving.served();
    drop(idle);

    // Somebody who writes to the new side.
    moving.new_side().sql("insert into users (id, email, name) overriding system value values (-1, 'new@x', 'x')");
    resumed(&moving).with_code(3).saying("contents at the freeze").saying("public.users: ");
    moving.served();
    moving.new_side().sql("delete from users where id = -1");

    // Somebody who switches read-only off for every one of many short sessions.
    let stranger = Stranger::new(&moving);
    wait_until("it writes", || moving.old().sql("select count(*) from users where name = 'x'").len() > 1);
    let said = resumed(&moving);
    match said.code {
        1 | 3 => {}
        // Somebody seen at work breaks the freeze, and a person is asked before there is another one.
        5 => drop(said.saying("going back to step `guard` (somebody is at work on old in spite of the freeze: psql")),
        code => panic!("{code}: {}", said.err),
    }
    drop(stranger);
    moving.served();
    assert_eq!(moving.old().sql("show default_transaction_read_only"), "off");

    // A schema that changes after it was copied.
    moving.old().sql("alter table users add column late int");
    resumed(&moving).with_code(3).saying("changed since: ").saying("users");
    moving.served();

    // A slot that is gone.
    let slot = moving.old().sql("select slot_name from pg_replication_slots where active_pid is not null limit 1");
    moving.new_side().sql(&format!("alter subscription {subscription} disable"));
    wait_until("nobody reads it", || {
        moving.old().try_sql(&format!("select pg_drop_replication_slot('{slot}')")).is_ok()
    });
    assert!([1, 3].contains(&resumed(&moving).code));
    moving.served();
    moving.world.run(&["abandon", "cutover-1", "--why", "enough"]).with_code(0);
    assert_eq!(moving.left(), "");
    moving.all_on_source_alone();
}

#[test]
fn writes_on_the_wrong_side_are_named_and_going_back_without_a_way_back_must_be_said() {
    let moving = Moving::new();
    // Another role whose own setting outweighs the database's, and a session from before.
    moving.old().sql("create role second login superuser; alter role second set default_transaction_read_only = off");
    let mut early = Client::new(&moving.old(), "set default_transaction_read_only = off; select pg_sleep(60)");

    let first = moving.world.command(&["run", "cutover", "approve=true", "watch=5s"]).stderr(Stdio::piped()).spawn();
    let first = first.expect("the program runs");
    wait_until("it has begun", || moving.left().contains("slot"));
    // Another operator at another machine.
    moving.cutover(&["--state", "elsewhere"]).with_code(7);
    wait_until("it has flipped", || moving.world.pooled().sql("select current_database()") == "managed");
    assert!(early.over(), "the session from before the freeze is still there");
    let as_second = "set role second; insert into users (email, name) values ('second@x', 'x')";
    assert!(moving.old().try_sql(as_second).is_err_and(|said| said.contains("read-only")));
    moving.old().sql(&format!("{WRITABLE}insert into users (email, name) values ('late@x', 'x'); commit"));
    let said = Said::from(first.wait_with_output().expect("it ends")).with_code(3);
    said.saying("1 changes of public.users since the flip, which the new side does not have");
    moving.served();

    // Too early to finish, and nothing to do once more.
    moving.world.run(&["run", "cutover-finalize", "after=1d"]).with_code(3).saying("at least 1 d");
    moving.cutover(&[]).with_code(1).saying("has moved old to new already");

    // The old side no longer follows.
    let back = moving.old().sql("select subname from pg_subscription where subenabled");
    moving.old().sql(&format!("{WRITABLE}alter subscription {back} disable; commit"));
    moving.served();
    let said = moving.world.run(&["run", "cutover-rollback", "approve=true"]).with_code(3);
    said.saying("accept_loss=true");
    moving.world.run(&["run", "cutover-rollback", "approve=true", "accept_loss=true"]).with_code(0);
    wait_until("it is back", || moving.world.pooled().sql("select current_database()") == "app");
    moving.served();
}

#[test]
fn a_plan_shows_every_step_a_platform_may_refuse_and_no_password_is_anywhere() {
    const PASSWORD: &str = "Canary0fTheMover";
    let moving = Moving::new();
    moving.old().sql(&format!("create role mover login superuser password '{PASSWORD}'"));
    for side in [moving.old(), moving.new_side()] {
        side.sql("alter system set log_statement = 'all'");
        side.sql("select pg_reload_conf()");
    }
    let folder = moving.world.lab().path();
    let railway = Railway::with(&json!({ "services": { "web": {} }, "step_ms": 5 }));
    let hyperdrive = Hyperdrive::new(&moving.new_side().url);
    let project = std::fs::read_to_string(folder.join("runsheet.toml")).expect("the project");
    let old = moving.old().url;
    let mover = format!("postgresql://mover:{PASSWORD}@{}", old.rsplit_once('@').expect("a url").1);
    let project = [
        project.replacen(&json!(old).to_string(), &json!(mover).to_string(), 1),
        railway.toml("shop", "service = \"web\"\nvariables = [\"DATABASE_URL\"]"),
        hyperdrive.toml("edge", "variables = [\"DATABASE_URL\"]"),
        "[[consumers]]\nkind = \"env-file\"\nname = \"worker\"\npath = \"worker.env\"\nvariables = [\"DATABASE_URL\"]\n".to_owned(),
    ]
    .concat();
    std::fs::write(folder.join("runsheet.toml"), project).expect("the project");

    // Nobody has written the file yet.
    moving.world.run(&["plan", "cutover"]).with_code(1);
    std::fs::write(folder.join("worker.env"), "DATABASE_URL=postgresql://before/app\nPORT=1\n").expect("a file");
    let plan = moving.world.run(&["plan", "cutover", "statement_timeout=15s"]).with_code(0);
    assert!(!plan.out.contains("preview ends here"), "{}", plan.out);
    for shown in
        ["guard old: everything is released after 60 s", "lead app at the pooler to new", "deploy shop", "way-back"]
    {
        assert!(plan.out.contains(shown), "{shown}: {}", plan.out);
    }
    for (wrong, said) in [
        ("pooler=nope", "nothing would move nope"),
        ("app=new-app", "another database than old"),
        ("new_app=old-app", "another database than new"),
        ("gap=0", "at least 1"),
        ("max_freeze=1s", "in less than 2s"),
        ("statement_timeout=15apples", "such as 15s"),
        ("consumers=nobody", "no [[consumers]] called nobody"),
        ("migrate=true", "the schema stands still"),
        ("quiesce=true", "name the command that starts it"),
    ] {
        let plan = moving.world.run(&["plan", "cutover", wrong]).with_code(1);
        assert!(plan.out.contains(said), "{wrong}: {}", plan.out);
    }

    // Railway's deployment fails once everybody is on the way: the others are moved, and it is tried again.
    railway.fates(&json!(["FAILED"]));
    let said = moving.cutover(&[]).with_code(1).saying("not moved to new-app: shop: ");
    moving.served();
    assert_eq!(moving.world.pooled().sql("select current_database()"), "managed", "{}", said.err);
    assert!(std::fs::read_to_string(folder.join("worker.env")).expect("a file").contains("/managed"));
    railway.deploy("web");
    moving.world.run(&["resume", "cutover-1"]).with_code(0);
    moving.all_on("managed");

    let plan = moving.world.run(&["plan", "cutover-rollback"]).with_code(0);
    assert!(!plan.out.contains("preview ends here"), "{}", plan.out);
    moving.world.run(&["report", "cutover-1"]);
    let found = std::process::Command::new("grep").args(["-rlc", PASSWORD]).arg(folder).output().expect("grep");
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    let beside: Vec<&str> =
        found.lines().filter(|path| !path.ends_with("runsheet.toml") && !path.ends_with("source.log")).collect();
    assert_eq!(beside, Vec::<&str>::new());
    assert!(!format!("{}{}{}", said.err, plan.out, plan.err).contains(PASSWORD));
}
