//! Two runbooks as people would write them, step by step.

use runsheet::model::ids::Phase;
use runsheet::model::{secret, unknown};
use runsheet::runbook::lint;
use serde_json::json;

use super::desk::*;

const ROTATION: &str = r#"
runbook("rotate", "1.2.0", #{
    about: "Give the application a new password, let it be used, retire the old role",
    params: #{
        app: target("Database of the application"),
        roles: list(text("role"), #{ or: ["app_a", "app_b"] }),
        settle: duration("How long clients may take to reconnect", #{ or: "5m" }),
    },
});

fn sessions(role) {
    sql::value(params.app, "select count(*) from pg_stat_activity where usename = {{ role }}", #{ role: role })
}

step("choose", || {
    let current = sql::value(params.app, "select current_user");
    let others = params.roles.filter(|role| role != current);
    gate::that("two roles", others.len() == 1, `${others.len()} to choose from`);
    #{ old: current, next: others[0] }
});
step("password", || {
    let pw = random::password(32);
    sql::exec(params.app, "alter role {{ role | ident }} password {{ pw | scram }}", #{ role: done.choose.next, pw: pw });
    pw
});
step("publish", || command::run(["deploy", "--role", done.choose.next], #{ env: #{ PGPASSWORD: done.password }, repeatable: true }))
    .undo(|made| command::run(["deploy", "--role", done.choose.old], #{ repeatable: true }));
step("settle", || flow::wait_until(params.settle, || sessions(done.choose.old) == 0))
    .point_of_no_return("the old role is closed next");
step("close", || sql::exec(params.app, "alter role {{ role | ident }} nologin", #{ role: done.choose.old }));
"#;

const PURGE: &str = r#"
runbook("purge", "1.0.0", #{
    about: "Delete old rows tenant by tenant",
    params: #{ app: target("Database"), most: integer("Rows a tenant", #{ or: 500 }), share: share("of all", #{ or: "5%" }) },
});
step("tenants", || sql::query(params.app, "select tenant, count(*) as rows from old group by 1"));
step("guard", || {
    let total = 0;
    for tenant in done.tenants { total += tenant.rows; }
    let all = sql::value(params.app, "select count(*) from rows");
    gate::that("share", total <= all * params.share, `${total} of ${all}`);
});
step("purge", || {
    let results = flow::each(done.tenants, #{ key: "tenant", at_once: 2 }, |tenant| {
        try {
            sql::exec(params.app, "delete from rows where tenant = {{ t }}", #{ t: tenant.tenant }, #{ rows: `0..${params.most}` }).rows
        } catch (problem) {
            if problem.code != "rows.contract" { throw problem; }
            log::info(`${tenant.tenant} has too many`);
        }
    });
    check::that("all purged", results.all(|rows| rows != ()), `${results}`);
});
"#;

#[test]
fn a_rotation_keeps_the_password_a_handle() {
    let book = book(ROTATION).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    assert!(lint(&book).is_empty(), "{}", shown(&lint(&book)));
    let desk = || Desk::new().param("roles", json!(["app_a", "app_b"])).param("settle", json!(300.0));
    let (chosen, _) = call(&book, 0, Phase::Perform, None, desk().answers(json!("app_a")));
    let chosen = chosen.unwrap();
    assert_eq!(chosen, json!({ "old": "app_a", "next": "app_b" }));
    let pw = secret::handle("random-1");
    let (made, asked) = call(&book, 1, Phase::Perform, None, desk().done("choose", chosen.clone()).answers(json!(pw)));
    assert_eq!(made.unwrap(), json!(pw));
    assert_eq!(
        asked[1].request["statements"][0],
        json!(format!("alter role \"app_b\" password '{}'", secret::handle("random-1|scram")))
    );
    assert!(asked[1].writes.iter().any(|resource| resource.path() == "postgres/app/shared"));
    let (_, asked) =
        call(&book, 2, Phase::Perform, None, desk().done("choose", chosen.clone()).done("password", json!(pw)));
    assert_eq!(asked[0].request["env"]["PGPASSWORD"], json!(pw));
    let (result, asked) = call(
        &book,
        3,
        Phase::Perform,
        None,
        desk().done("choose", chosen).answers(json!("2026-01-01T00:00:00Z")).answers(json!(0)),
    );
    result.unwrap();
    assert_eq!(asked.len(), 2);
}

#[test]
fn a_purge_goes_on_past_one_tenant_and_previews_what_it_cannot_know() {
    let book = book(PURGE).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    assert!(lint(&book).is_empty(), "{}", shown(&lint(&book)));
    let tenants = json!([{ "tenant": "a", "rows": 10 }, { "tenant": "b", "rows": 5 }]);
    let desk = || Desk::new().param("most", json!(500)).param("share", json!(0.05)).done("tenants", tenants.clone());
    let (result, asked) = call(&book, 1, Phase::Perform, None, desk().answers(json!(1000)));
    result.unwrap_or_else(|error| panic!("{}", error.shown));
    assert_eq!(asked[1].request["verdict"], "pass");
    assert_eq!(asked[1].request["detail"], "15 of 1000");
    let later = Desk::new().previewing().param("most", json!(500)).done("tenants", json!(unknown::handle("tenants")));
    let (result, _) = call(&book, 2, Phase::Perform, None, later);
    assert!(result.unwrap_err().shown.contains("known after `tenants`"));
}
