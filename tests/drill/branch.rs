//! Drills of what Neon keeps, against the stand-in: a branch instead of a dump, and no server for a copy.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::program::project::{Project, Said};
use crate::support::neon::Project as Neon;
use crate::support::{Database, StandIn, wait_until};

struct World {
    neon: Neon,
    app: Database,
    project: Project,
}

impl World {
    fn new() -> Self {
        let neon = StandIn::shared().project(&json!({ "databases": true }));
        let app = Database { name: "app".into(), url: neon.uri.clone() };
        let project = Project::on(&app);
        project.file("runsheet.toml", &format!("{}\n{}", neon.toml(), neon.target_toml("app")));
        Self { neon, app, project }
    }

    #[track_caller]
    fn drill(&self, args: &[&str]) -> Said {
        self.project.run(&[&["run", "restore-drill", "via=branch", "source=app"], args].concat())
    }

    #[track_caller]
    fn nothing_is_left(&self) {
        assert_eq!(self.neon.names(), ["main"]);
    }
}

#[test]
fn a_branch_is_proved_while_the_application_goes_on_and_is_gone_afterwards() {
    let world = World::new();
    let (at_work, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                world.app.sql("insert into payments (order_id, amount) select id, 1 from orders limit 1");
                at_work.store(true, Ordering::SeqCst);
            }
        });
        wait_until("the application is at work", || at_work.load(Ordering::SeqCst));
        let said = world.drill(&["least=customers=500", "smoke=select * from orders limit 1"]);
        stop.store(true, Ordering::SeqCst);
        said.with_code(0).saying("equal in rows and contents");
    });
    world.nothing_is_left();
}

#[test]
fn a_branch_that_lost_a_row_turns_the_drill_red() {
    let world = World::new();
    world.drill(&["sabotage=true"]).with_code(3).saying("rows on the left");
    world.nothing_is_left();
}

#[test]
fn a_subscriber_is_not_branched_and_a_dump_has_no_place_in_it() {
    let world = World::new();
    let subscription = "create subscription follower connection 'host=127.0.0.1 port=1' publication p \
                        with (connect = false, enabled = false)";
    world.neon.lab("POST", "/sql", &json!({ "database": "app", "sql": subscription }));
    world.drill(&[]).with_code(0);
    world.neon.lab("POST", "/sql", &json!({ "database": "app", "sql": "alter subscription follower enable" }));
    world.drill(&[]).with_code(3).saying("the source subscribes to nothing");
    world.drill(&["artefact=backups"]).with_code(1).saying("via=dump");
    world.project.run(&["run", "restore-drill", "source=app"]).with_code(1).saying("via=branch");
    world.nothing_is_left();
}
