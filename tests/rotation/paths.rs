//! Every path by which an application logs in: a standby, and TLS with an authority of our own.

use super::pair::{FIRST, Pair, as_login};
use super::{run, write};
use crate::postgres::tls::certificates;
use crate::support::{Cluster, Database, Rotation, unprivileged};

/// An authority of its own, and a server's certificate by it.
fn authority() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    unprivileged::give(folder.path());
    certificates(folder.path());
    folder
}

#[test]
fn a_standby_is_waited_for_and_one_that_stands_still_stops_the_run_before_anybody_is_told() {
    let primary = Cluster::start(&["fsync=off", "wal_level=replica", "max_wal_senders=5"]);
    let database = primary.database("paths");
    let roles = Pair::of(&database);
    let standby = primary.standby();
    let today = as_login(&database.url, &roles[0], FIRST);
    let there = |url: &str| url.replace(&format!(":{}/", primary.port), &format!(":{}/", standby.port));
    let more = format!("[targets.reader]\nurl = '{}'\n", there(&database.url));
    let pair = Pair::new(roles.clone(), &database.url, &today, "", &more);
    let readers = "replicas=reader";

    let reader = Database { name: "reader".into(), url: there(&today) };
    let there_now = Database { name: "reader".into(), url: there(&database.url) };
    let stays = |reader: &Database| {
        let mut session = reader.psql("select pg_sleep(600)");
        session.env("PGAPPNAME", "reports").stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let session = session.spawn().expect("psql runs");
        let count = "select count(*) from pg_stat_activity where application_name = 'reports'";
        crate::support::wait_until("the session is there", || there_now.sql(count) == "1");
        session
    };
    let goes = |session: std::process::Child| {
        there_now.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'reports'");
        drop(session.wait_with_output());
    };
    let session = stays(&reader);
    pair.rotate(&[readers, "sessions=fail"]).with_code(3).saying("1 of reports from 127.0.0.1").saying("reader");
    goes(session);
    let said = pair.run(&["resume"]).with_code(0);
    for words in ["the new login", "is let in on reader", "is refused on reader"] {
        let journal = pair.run(&["report", "credential-rotation-1"]).with_code(0).out;
        assert!(said.err.contains(words) || journal.contains(words), "{words}: {}", said.err);
    }
    assert!(reader.try_sql("select 1").is_err(), "dead there too");
    let new = Database { name: "reader".into(), url: there(&pair.today().url) };
    assert_eq!(new.sql("select current_user"), roles[1]);

    // Whoever stays on a standby is left to people, and named.
    let session = stays(&new);
    let said = pair.rotate(&[readers, "sessions=end"]).with_code(3).saying("1 of reports from 127.0.0.1");
    said.saying("on a standby they are ended there by hand");
    goes(session);
    pair.run(&["resume"]).with_code(0);

    there_now.sql("select pg_wal_replay_pause()");
    let before = pair.today().url;
    let said = pair.rotate(&[readers]).with_code(3);
    assert!(said.err.contains("gate `reader replays what its primary does` failed"), "{}", said.err);
    assert_eq!(pair.today().url, before, "nobody was told");
    there_now.sql("select pg_wal_replay_resume()");
    pair.rotate(&[readers]).with_code(0);
    assert_eq!(pair.today().sql("select current_user"), roles[1]);
}

#[test]
fn a_server_with_a_certificate_is_verified_on_the_way_and_one_of_another_authority_changes_nothing() {
    let (folder, other) = (authority(), authority());
    let path = |file: &str| folder.path().join(file).display().to_string();
    let settings = [
        "ssl=on".into(),
        format!("ssl_cert_file={}", path("server.pem")),
        format!("ssl_key_file={}", path("server.key")),
    ];
    let cluster = Cluster::start(&settings.each_ref().map(String::as_str));
    let database = cluster.database("certified");
    let roles = Pair::of(&database);
    let named = database.url.replace("127.0.0.1", "localhost");
    let today = as_login(&named, &roles[0], FIRST);
    let worker = "[[consumers]]\nkind = 'env-file'\nname = 'worker'\npath = 'worker.env'\n\
                  variables = { URL = 'direct', CA = 'ca_cert', MODE = 'ssl_mode' }\n";
    let pair = Pair::new(roles.clone(), &named, &today, "", worker);
    pair.project.file("worker.env", "");
    let pem = |folder: &tempfile::TempDir| std::fs::read_to_string(folder.path().join("ca.pem")).expect("it");
    let args = ["run", "credential-rotation", "grace=0s", "apart=0s", "accept=worker"];
    let verifiers = || {
        database.sql(
            "select string_agg(rolname || rolcanlogin || coalesce(rolpassword, ''), ' ' order by 1) from pg_authid",
        )
    };

    let before = verifiers();
    let refused = pair.run_with("DB_CA_CERT", &pem(&other), &args);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("certificate"), "{}", refused.err);
    assert_eq!((verifiers(), pair.today().url), (before, today), "nothing changed");

    let ca = pem(&folder);
    let said = pair.run_with("DB_CA_CERT", &ca, &args).with_code(0).saying("TLS: verify");
    assert!(!said.err.contains("TLS: disable"), "{}", said.err);
    assert_eq!(pair.told("worker.env", "URL"), pair.today().url);
    let text = std::fs::read_to_string(pair.project.path().join("worker.env")).expect("the file");
    assert!(text.contains("MODE=") && text.contains("BEGIN CERTIFICATE"), "{text}");
    assert_eq!(pair.today().sql("select current_user"), roles[1]);
}

#[test]
fn a_pooler_with_a_certificate_is_verified_like_the_server_behind_it() {
    let world = Rotation::up(&[]);
    // It does not know the authority, and would only fail.
    world.kill("client");
    let (folder, stranger) = (authority(), authority());
    let path = |file: &str| folder.path().join(file).display().to_string();
    for (setting, value) in [("ssl_cert_file", path("server.pem")), ("ssl_key_file", path("server.key"))] {
        world.admin().sql(&format!("alter system set {setting} = '{value}'"));
    }
    world.admin().sql("alter system set ssl = on");
    world.admin().sql("select pg_reload_conf()");
    let ini = world.file("pgbouncer.ini");
    let tls = format!(
        "[pgbouncer]\nclient_tls_sslmode = allow\nclient_tls_cert_file = {}\nclient_tls_key_file = {}\n",
        path("server.pem"),
        path("server.key")
    );
    let place = world.status()["pooler"]["config"].as_str().expect("a path").to_owned();
    std::fs::write(place, ini.replacen("[pgbouncer]\n", &tls, 1)).expect("its configuration");
    world.pooler("reload");

    // Everybody goes by the name that the certificate is for.
    for file in [".env".to_owned(), world.text("web"), world.text("worker")] {
        let file = world.lab().path().join(file);
        let text = std::fs::read_to_string(&file).expect("a file");
        std::fs::write(&file, text.replace("@127.0.0.1:", "@localhost:")).expect("a file");
    }
    let toml = world.file("runsheet.toml");
    let app = |authority: &tempfile::TempDir| {
        let pem = std::fs::read_to_string(authority.path().join("ca.pem")).expect("an authority");
        let toml = toml.replacen("[targets.app]\n", &format!("[targets.app]\nca_cert = '''\n{pem}'''\n"), 1);
        write(&world, "runsheet.toml", &toml);
    };
    app(&stranger);
    let refused = run(&world, &[]);
    assert!(refused.code != 0 && refused.err.contains("certificate"), "{}", refused.err);
    app(&folder);
    let said = run(&world, &["sessions=end"]).with_code(0);
    for way in ["directly", "through the pooler"] {
        let line = said.err.lines().find(|line| line.contains(&format!("the new login app_b alone is let in {way}")));
        assert!(line.is_some_and(|line| line.contains("TLS: verify")), "{way}: {}", said.err);
    }
}
