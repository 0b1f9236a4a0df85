//! TLS to a real server: verified by an authority of our own, refused without it.

use std::path::Path;
use std::process::Command;

use runsheet::effects::Effects;
use runsheet::effects::postgres::{libpq, url};
use runsheet::model::reach::Tunnel;
use runsheet::model::target::{Target, TlsMode};

use super::harness::{perform, query, refused};
use crate::support::{Cluster, Database, Sshd, target, unprivileged, world};

/// An authority, and a server certificate for `localhost` signed by it.
pub fn certificates(folder: &Path) {
    let openssl = |args: &[&str]| {
        let done = Command::new("openssl").args(args).current_dir(folder).output().expect("openssl runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").expect("the names");
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    openssl(
        &[
            &["req", "-x509", "-days", "2", "-subj", "/CN=an authority", "-keyout", "ca.key", "-out", "ca.pem"][..],
            &key,
        ]
        .concat(),
    );
    openssl(&[&["req", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"][..], &key].concat());
    let sign =
        ["x509", "-req", "-days", "2", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    openssl(&[&sign[..], &["-extfile", "names", "-out", "server.pem"]].concat());
    for file in ["server.key", "server.pem"] {
        unprivileged::give(&folder.join(file));
    }
}

fn reached(database: &Database, host: &str, mode: TlsMode, ca: Option<String>) -> Effects {
    let mut target: Target = target("prod", &database.url.replace("127.0.0.1", host));
    target.tls.mode = mode;
    target.tls.ca = ca;
    Effects::new(world([target]))
}

#[tokio::test]
async fn a_certificate_is_checked_for_its_authority_and_its_host() {
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    unprivileged::give(folder.path());
    certificates(folder.path());
    let path = |file: &str| folder.path().join(file).display().to_string();
    let cluster = Cluster::start(&[
        "ssl=on",
        &format!("ssl_cert_file={}", path("server.pem")),
        &format!("ssl_key_file={}", path("server.key")),
    ]);
    let database = cluster.database("tls");
    let ca = std::fs::read_to_string(folder.path().join("ca.pem")).ok();
    let encrypted = query("select ssl from pg_stat_ssl where pid = pg_backend_pid()");

    let verified = reached(&database, "localhost", TlsMode::Verify, ca.clone());
    assert_eq!(perform(&verified, &encrypted).await.expect("a session").value[0]["ssl"], true);
    let unchecked = reached(&database, "127.0.0.1", TlsMode::NoVerify, None);
    assert_eq!(perform(&unchecked, &encrypted).await.expect("a session").value[0]["ssl"], true);

    let another_host = reached(&database, "127.0.0.1", TlsMode::Verify, ca.clone());
    refused(&another_host, &encrypted, "connection.tls").await;
    let no_authority = reached(&database, "localhost", TlsMode::Verify, None);
    refused(&no_authority, &encrypted, "connection.tls").await;

    // Through a tunnel the name that counts is still the URL's, and neither its address nor its port is asked.
    let sshd = Sshd::start();
    let through = |host: &str| {
        let url = database.url.replace(&format!("127.0.0.1:{}", cluster.port), &format!("{host}:1"));
        let mut target: Target = target("prod", &url);
        (target.tls.mode, target.tls.ca) = (TlsMode::Verify, ca.clone());
        let (login, host) = ("droplet".to_owned(), "127.0.0.1".to_owned());
        target.tunnel = Some(Tunnel { login, login_port: None, host, port: cluster.port });
        let mut world = world([target]);
        world.program = env!("CARGO_BIN_EXE_runsheet").into();
        world.providers.ssh_config = Some(sshd.config());
        Effects::new(world)
    };
    assert_eq!(perform(&through("localhost"), &encrypted).await.expect("a session").value[0]["ssl"], true);
    refused(&through("database.internal"), &encrypted, "connection.tls").await;

    // The programs that copy databases are told the same.
    let psql = |host: &str, mode: TlsMode, ca: Option<&str>| {
        let mut target = target("prod", &database.url.replace("127.0.0.1", host));
        (target.tls.mode, target.tls.ca) = (mode, ca.map(str::to_owned));
        let env = libpq::environment(&target, &url::config(&target).expect("settings"), 15, folder.path())
            .expect("an environment");
        let mut psql = Command::new("psql");
        psql.args(["-XAtc", "select ssl from pg_stat_ssl where pid = pg_backend_pid()"]).envs(env);
        let output = psql.output().expect("psql runs");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let ca = ca.as_deref();
    assert_eq!(psql("localhost", TlsMode::Verify, ca).as_deref(), Some("t"));
    assert_eq!(psql("127.0.0.1", TlsMode::NoVerify, None).as_deref(), Some("t"));
    assert_eq!(psql("127.0.0.1", TlsMode::Disable, None).as_deref(), Some("f"));
    assert_eq!(psql("127.0.0.1", TlsMode::Verify, ca), None, "another host's certificate");
    assert_eq!(psql("localhost", TlsMode::Verify, None), None, "an authority that nobody trusts");
}
