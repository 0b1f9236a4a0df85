//! A pooler on another host: its console is reached through a tunnel, and its configuration is edited there.

use super::full;
use crate::program::project::Project;
use crate::support::cluster::PASSWORD;
use crate::support::{Cluster, PgBouncer, Sshd};

#[test]
fn a_database_is_led_elsewhere_at_a_pooler_on_another_host() {
    let (sshd, source, other) = (Sshd::start(), full("pointed"), full("pointed_to"));
    let pooler = PgBouncer::before(Cluster::shared(), &source, "transaction", &["postgres"]);
    let project = Project::on(&source);
    let at = |url: &str| url.split('@').nth(1).and_then(|rest| rest.split('/').next()).expect("a place").to_owned();
    let toml = format!(
        "[ssh]\nconfig = \"{}\"\n[pgbouncer]\nadmin_url = \"postgresql://admin:{PASSWORD}@pooler.internal/pgbouncer\"\n\
         tunnel = \"ssh://droplet/{}\"\n[targets.source]\nurl = \"postgresql://postgres:{PASSWORD}@pooler.internal:1/app\"\n\
         direct_url = \"{}\"\ntunnel = \"ssh://droplet/{}\"\n[targets.other]\nurl = \"{}\"\n",
        sshd.config().display(),
        at(&pooler.admin_url()),
        source.url,
        at(&source.url),
        other.url,
    );
    let toml = toml.replace("pooler.internal:1", &at(&pooler.admin_url()));
    project.file("runsheet.toml", &toml);
    project.file(
        "runbooks/point.rhai",
        &format!(
            r#"runbook("point", "1.0.0", #{{ about: "a test", params: #{{ source: target("from", #{{ or: "source" }}), other: target("to", #{{ or: "other" }}) }}, lock: [] }});
            step("seen", || gate::that("through the pooler", sql::value(params.source, "select count(*) from shop.orders", #{{}}, #{{ pooled: true }}) == 50, ""));
            step("pause", || pgbouncer::pause("app"));
            step("point", || pgbouncer::point("app", params.other, #{{ config: "{}", ssh: "droplet" }}));
            step("resume", || pgbouncer::resume("app"));"#,
            pooler.config().display()
        ),
    );
    let said = project.run(&["run", "point"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(pooler.app("postgres").sql("select current_database()"), other.name);
    let kept = std::fs::read_to_string(pooler.config().with_extension("ini.previous")).expect("what was there");
    assert!(kept.contains(&source.name), "{kept}");
}
