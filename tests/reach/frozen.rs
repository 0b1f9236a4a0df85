//! A freeze behind a tunnel: its watchdog has a way of its own to the server, and lets go when the engine is gone.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::{full, runbook};
use crate::program::project::Project;
use crate::support::cluster::PASSWORD;
use crate::support::{Cluster, PgBouncer, Sshd, wait_until};

#[test]
fn a_freeze_through_tunnels_is_let_go_by_its_watchdog_when_the_engine_is_killed() {
    let (sshd, source) = (Sshd::start(), full("frozen_far"));
    let pooler = PgBouncer::before(Cluster::shared(), &source, "transaction", &["postgres"]);
    let project = Project::on(&source);
    let at = |url: &str| url.split('@').nth(1).and_then(|rest| rest.split('/').next()).expect("a place").to_owned();
    let toml = format!(
        "[ssh]\nconfig = \"{}\"\n[pgbouncer]\nadmin_url = \"postgresql://admin:{PASSWORD}@pooler.internal/pgbouncer\"\n\
         tunnel = \"ssh://droplet/{}\"\n[targets.source]\nurl = \"postgresql://postgres:{PASSWORD}@database.internal/{}\"\n\
         tunnel = \"ssh://droplet/{}\"\n[targets.target]\nurl = \"{}\"\n",
        sshd.config().display(),
        at(&pooler.admin_url()),
        source.name,
        at(&source.url),
        source.url,
    );
    project.file("runsheet.toml", &toml);
    let (frozen, started) = (project.path().join("frozen"), project.path().join("started"));
    runbook(
        &project,
        "frozen",
        &format!(
            r#"
            fn holds(made) {{ freeze::holds(params.source) }}
            step("control", || pg::control(params.source)).cleanup(|| pg::drop_control(params.source));
            step("guard", || freeze::guard(params.source, #{{ deadline: "120s", pooler: "app", resume: ["touch", "{}"], ssh: "droplet" }})).hold("guarded", "holds");
            step("freeze", || {{
                pgbouncer::pause("app");
                freeze::arm(params.source);
                gate::that("writes are refused", freeze::prove(params.source).refused, "");
            }}).hold("frozen", "holds");
            step("stay", || command::run(["sh", "-c", "touch frozen; sleep 600"], #{{ repeatable: true }}));
            "#,
            started.display()
        ),
    );
    let errors = std::fs::File::create(project.path().join("errors")).expect("a file");
    let mut child =
        project.command(&["run", "frozen"]).stdout(Stdio::null()).stderr(errors).spawn().expect("it starts");
    let said = || std::fs::read_to_string(project.path().join("errors")).unwrap_or_default();
    wait_until("writes are frozen", || {
        frozen.exists() || child.try_wait().expect("it").is_some_and(|_| panic!("{}", said()))
    });
    assert!(pooler.paused("app"));
    kill_process(Pid::from_child(&child), Signal::KILL).expect("it is killed");
    child.wait().expect("it ends");
    wait_until("writes are taken again", || {
        source.try_sql("insert into events values ('2026-06-06', 'again')").is_ok()
    });
    wait_until("the pooler goes on", || !pooler.paused("app"));
    wait_until("the application is started", || started.exists());
    wait_until("no ssh is left", || sshd.clients().is_empty());
}
