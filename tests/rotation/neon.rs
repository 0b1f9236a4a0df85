//! Rotations of roles that Neon keeps, on the stand-in: its API makes the passwords, and SQL none.

use serde_json::json;

use super::pair::{Pair, as_login};
use crate::support::neon::Project;
use crate::support::{Database, Refusing, StandIn};

/// What is said where somebody is left behind.
const LEFT: &str = "what is left as it is";
const ALONE: [&str; 2] = ["strategy=single", "twin="];

/// A project of Neon's with both roles, and ours.
struct World {
    neon: Project,
    pair: Pair,
    refusing: Refusing,
}

impl World {
    fn new() -> Self {
        let neon = StandIn::shared().project(&json!({ "databases": true }));
        let make = |name: &str| {
            let path = format!("/branches/{}/roles", neon.branch);
            neon.write("POST", &path, &json!({ "role": { "name": name } }))["role"]["password"].clone()
        };
        let first = make("app_a").as_str().expect("a password").to_owned();
        make("app_b");
        // As the service does: nothing that is no password in the clear is taken by SQL.
        let port = neon.uri.split(['/', ':']).find_map(|word| word.parse::<u16>().ok()).expect("a port");
        let there = Database { name: "app".into(), url: format!("postgresql://u:p@127.0.0.1:{port}/app") };
        let refusing =
            Refusing::before(&there, " password ", "XX000", "Neon only supports being given plaintext passwords");
        let url = refusing.database().url;
        let ours = url.split(['/', ':']).find_map(|word| word.parse::<u16>().ok()).expect("a port");
        let admin = neon.uri.replace(&format!(":{port}/"), &format!(":{ours}/"));
        let today = as_login(&neon.uri, "app_a", &first);
        let door = "[[consumers]]\nkind = 'command'\nname = 'door'\nrun = ['test', '-e', 'open']\nvariables = ['URL']\nrepeatable = true\nread_back = ['true']\n";
        let more = format!("{door}{}", neon.toml());
        let pair = Pair::new(["app_a".into(), "app_b".into()], &admin, &today, "", &more);
        Self { neon, pair, refusing }
    }

    /// Whether a consumer takes what it is told.
    fn door(&self, open: bool) {
        let file = self.pair.project.file("open", "");
        if !open {
            std::fs::remove_file(file).expect("it goes");
        }
    }

    fn resets(&self) -> u64 {
        self.neon.asked("POST /projects/{project}/branches/{branch}/roles/{role}/reset_password")
    }

    /// Today's login works, and nothing was said to a server that it would have refused.
    #[track_caller]
    fn works(&self, role: &str) {
        assert_eq!(self.pair.today().sql("select current_user"), role);
        assert_eq!(self.refusing.caught(), 0, "no password went by SQL");
    }

    #[track_caller]
    fn dead(&self, url: &str) {
        let database = Database { name: "old".into(), url: url.to_owned() };
        assert!(database.try_sql("select 1").expect_err("it is closed").contains("authentication failed"));
    }
}

#[test]
fn two_roles_of_neon_take_turns_by_its_api_and_one_alone_is_reset() {
    let world = World::new();
    world.door(true);
    let plan = world.pair.run(&["plan", "credential-rotation", "apart=0s"]).with_code(0);
    assert!(
        plan.out.contains("what Neon does otherwise") || plan.err.contains("what Neon does otherwise"),
        "{}",
        plan.out
    );
    assert_eq!(world.resets(), 0);
    for (old, new) in [("app_a", "app_b"), ("app_b", "app_a")] {
        let url = world.pair.today().url;
        let said = world.pair.rotate(&[]).with_code(0).saying(&format!("the old login {old} is refused directly"));
        assert!(!said.err.contains(LEFT), "{}", said.err);
        world.works(new);
        world.dead(&url);
    }
    assert_eq!(world.resets(), 4, "one to set and one to close, each way");
    let url = world.pair.today().url;
    let said = world.pair.rotate(&ALONE).with_code(0).saying("no secret stands in what was written");
    assert!(!said.err.contains(LEFT), "{}", said.err);
    world.works("app_a");
    world.dead(&url);
    assert_eq!(world.resets(), 5);
}

#[test]
fn what_is_taken_back_leaves_a_login_that_works() {
    let world = World::new();
    let today = world.pair.today().url;
    world.pair.rotate(&[]).with_code(1).saying("not told of");
    world.door(true);
    let said = world.pair.run(&["undo"]).with_code(0);
    assert!(!said.err.contains(LEFT), "{}", said.err);
    assert_eq!(world.pair.today().url, today, "the old login is told again");
    world.works("app_a");

    // Alone, the old password is gone with the reset: everybody is given the one that works.
    world.door(false);
    world.pair.rotate(&ALONE).with_code(1).saying("not told of");
    world.door(true);
    let said = world.pair.run(&["undo"]).with_code(0);
    assert!(!said.err.contains(LEFT), "{}", said.err);
    assert_ne!(world.pair.today().url, today);
    world.works("app_a");
    world.dead(&today);
}

#[test]
fn a_reset_whose_answer_is_lost_or_whose_run_is_killed_is_looked_up_and_not_made_twice() {
    let world = World::new();
    world.door(true);
    let (before, old) = (world.resets(), world.pair.today().url);
    let mut processes = 0;
    let mut args = vec!["run", "credential-rotation", "grace=0s", "apart=0s"];
    loop {
        let kill = format!("after:{}", 11 + processes % 7);
        let said = world.pair.run_with("RUNSHEET_CRASH", &kill, &args);
        if said.code != -1 {
            said.with_code(0);
            break;
        }
        processes += 1;
        assert!(processes < 200, "it comes no further: {}", said.err);
        let begun = world.pair.run(&["runs"]).out.contains("credential-rotation-1");
        args = if begun { vec!["resume"] } else { args };
    }
    println!("{processes} kills");
    assert_eq!(world.resets() - before, 2, "one to set and one to close");
    world.works("app_b");
    world.dead(&old);

    let (before, old) = (world.resets(), world.pair.today().url);
    // Every answer is lost twice, which takes a minute, or some of them.
    let share = if std::env::var_os("RUNSHEET_TRIALS").is_some() { 1.0 } else { 0.3 };
    world.neon.chaos(&json!({ "seed": 7, "rates": { "dropped": share } }));
    world.pair.rotate(&[]).with_code(0);
    world.neon.chaos(&json!({ "seed": 7, "rates": {} }));
    assert_eq!(world.resets() - before, 2, "lost answers are looked up");
    world.works("app_a");
    world.dead(&old);
}
