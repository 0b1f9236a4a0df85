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

#[test]
fn a_user_is_let_in_and_turned_away_at_a_pooler_on_another_host() {
    let (sshd, database) = (Sshd::start(), full("let_in"));
    let pooler = PgBouncer::before(Cluster::shared(), &database, "transaction", &["postgres"]);
    let role = format!("far_{}", database.name);
    database.sql(&format!("create role {role} login"));
    let project = Project::on(&database);
    let place =
        pooler.admin_url().split('@').nth(1).and_then(|rest| rest.split('/').next()).expect("a place").to_owned();
    let toml = format!(
        "[ssh]\nconfig = \"{}\"\n[pgbouncer]\nadmin_url = \"postgresql://admin:{PASSWORD}@pooler.internal/pgbouncer\"\n\
         tunnel = \"ssh://droplet/{place}\"\n[targets.app]\nurl = \"{}\"\n",
        sshd.config().display(),
        database.url,
    );
    project.file("runsheet.toml", &toml);
    project.file("pw", PASSWORD);
    let runbook = |name: &str, steps: &str| {
        let head = r#"runbook("NAME", "1.0.0", #{ about: "a test", params: #{ app: target("it", #{ or: "app" }), pw: secret("a password") }, lock: [] });"#;
        let steps = steps.replace("ROLE", &role).replace("AT", "#{ auth_file: \"LIST\", ssh: \"droplet\" }");
        let steps = steps.replace("LIST", &pooler.users().display().to_string());
        let text = format!("{head}\n{steps}").replace("NAME", name);
        project.file(&format!("runbooks/{name}.rhai"), &text);
        project.run(&["run", name, "pw=file:pw"])
    };
    let before = std::fs::read_to_string(pooler.users()).expect("the list");
    runbook(
        "admit",
        r#"step("admit", || {
            sql::exec(params.app, "alter role ROLE password {{ pw | scram }}", #{ pw: params.pw });
            gate::that("it is new", pgbouncer::admit("ROLE", params.pw, AT).changed, "");
            gate::that("it is known", pgbouncer::admits("ROLE", params.pw, AT), "");
        });"#,
    )
    .with_code(0);
    assert_eq!(pooler.app(&role).sql("select current_user"), role);
    let steps = r#"step("dismiss", || gate::that("it was there", pgbouncer::dismiss("ROLE", AT).removed, ""));"#;
    runbook("dismiss", steps).with_code(0);
    assert_eq!(std::fs::read_to_string(pooler.users()).expect("the list"), before);
    assert!(pooler.app(&role).try_sql("select 1").is_err());
    let steps = r#"step("dismiss", || pgbouncer::dismiss("ROLE", #{ auth_file: "/nowhere/list", ssh: "droplet" }));"#;
    let said = runbook("nowhere", steps).with_code(1);
    assert!(said.err.contains(&format!("reads `{}`", pooler.users().display())), "{}", said.err);
}
