//! `pg::url` and `pg::address`: URLs rewritten as URLs, whatever stands in a password.

use std::collections::BTreeMap;

use crate::program::project::Project;
use crate::support::Cluster;

/// A password with everything that means something in a URL.
const WRITTEN: &str = "p%40s%3As%2Fw%3Fo%23r%25d";
const MEANT: &str = "p@s:s/w?o#r%d";

#[test]
fn what_is_not_asked_for_stays_as_it_is_written() {
    let database = Cluster::shared().database("urls");
    let role = format!("{}_app", database.name);
    database.sql(&format!("create role \"{role}\" superuser login password '{MEANT}'"));
    let (_, place) = database.url.split_once('@').expect("a user");
    let direct = format!("postgresql://{role}:{WRITTEN}@{place}?schema=a%20b&connect_timeout=9");
    let pooled = format!("postgresql://{role}:{WRITTEN}@{place}?pgbouncer=true&schema=x");
    let project = Project::with_url("");
    project.file(
        "runsheet.toml",
        &format!("[targets.app]\nurl = \"{pooled}\"\ndirect_url = \"{direct}\"\nssl_mode = \"disable\"\n"),
    );
    project.runbook(
        "urls",
        r#"step("write", || files::env("out.env", #{
            PLAIN: pg::url(params.app),
            POOLED: pg::url(params.app, #{ pooled: true }),
            OTHER: pg::url(params.app, #{ database: "a b/c" }),
            SET: pg::url(params.app, #{ pooled: true, parameters: #{ schema: "s&t=ü", pgbouncer: (), sslmode: "require" } }),
            PASSWORD: pg::address(params.app).password,
            USER: pg::address(params.app).user,
        }));"#,
    );
    project.run(&["run", "urls"]).with_code(0);
    let text = std::fs::read_to_string(project.path().join("out.env")).expect("the file");
    let set: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name, value.trim_matches('\'')))
        .collect();
    let (base, _) = direct.split_once('?').expect("a query");
    let (server, _) = base.rsplit_once('/').expect("a database");
    assert_eq!(set["PLAIN"], direct);
    assert_eq!(set["POOLED"], pooled);
    assert_eq!(set["OTHER"], format!("{server}/a%20b%2Fc?schema=a%20b&connect_timeout=9"));
    assert_eq!(set["SET"], format!("{base}?schema=s%26t%3D%C3%BC&sslmode=require"));
    assert_eq!((set["PASSWORD"], set["USER"]), (MEANT, role.as_str()));
    let kept = format!("{:?}", project.entries("urls-1"));
    assert!(!kept.contains(WRITTEN) && !kept.contains(MEANT), "{kept}");
}
