//! Who decides how far a server is verified.

use runsheet::model::target::TlsMode;

use super::Project;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

fn mode(url: &str, more: &str, variables: &[(&str, &str)]) -> (TlsMode, Option<String>, Vec<String>) {
    let mut project = Project::new(&format!("[targets.t]\nurl = '{url}'\n{more}\n")).with("ca.pem", PEM);
    for (name, value) in variables {
        project = project.var(name, value);
    }
    let config = project.loaded();
    let tls = config.target("t").unwrap_or_else(|error| panic!("{error}")).tls.clone();
    (tls.mode, tls.ca, config.warnings)
}

#[test]
fn every_host_but_this_one_is_verified_by_default() {
    for local in [
        "postgres://u@localhost/a",
        "postgresql://u:p@127.0.0.9:5433/a",
        "postgres://[::1]:5432/a",
        "postgres:///a",
        "postgres:///a?host=/run/postgresql",
        "postgres://%2Frun%2Fpostgresql/a",
    ] {
        assert_eq!(mode(local, "", &[]), (TlsMode::Disable, None, vec![]), "{local}");
    }
    for remote in [
        "postgres://u@db.example/a",
        "postgres://localhost.example/a",
        "postgres://localhost,db.example/a",
        "postgres://localhost/a?host=db.example",
        "postgres://10.0.0.1/a",
    ] {
        assert_eq!(mode(remote, "", &[]), (TlsMode::Verify, None, vec![]), "{remote}");
    }
}

#[test]
fn a_remote_direct_url_is_verified_even_beside_a_local_pooler() {
    let (mode, _, _) = mode("postgres://localhost:6432/a", "direct_url = 'postgres://db.example/a'", &[]);
    assert_eq!(mode, TlsMode::Verify);
}

#[test]
fn the_variables_decide_as_their_table_says() {
    let remote = "postgres://db.example/a";
    for (value, wanted) in [
        ("verify", TlsMode::Verify),
        ("require", TlsMode::Verify),
        ("no-verify", TlsMode::NoVerify),
        ("allow", TlsMode::NoVerify),
        ("disable", TlsMode::Disable),
    ] {
        let (found, _, warnings) = mode(remote, "", &[("DB_SSL_MODE", value)]);
        assert_eq!(found, wanted, "{value}");
        assert_eq!(warnings.len(), usize::from(wanted != TlsMode::Verify), "{warnings:?}");
    }
    let (found, ca, _) = mode(remote, "", &[("DB_SSL_MODE", "disable"), ("DB_CA_CERT", PEM)]);
    assert_eq!((found, ca.as_deref()), (TlsMode::Verify, Some(PEM)), "a certificate outranks the mode");
    let (_, ca, _) = mode(remote, "", &[("DB_CA_CERT", &PEM.replace('\n', "\\n"))]);
    assert_eq!(ca.as_deref(), Some(PEM));
    let (_, ca, _) = mode(remote, "", &[("DB_CA_CERT", "ca.pem")]);
    assert_eq!(ca.as_deref(), Some(PEM));
}

#[test]
fn a_targets_own_keys_outrank_the_variables() {
    let remote = "postgres://db.example/a?sslmode=disable";
    let (found, ca, _) = mode(remote, "ca_cert = 'ca.pem'", &[("DB_SSL_MODE", "no-verify")]);
    assert_eq!((found, ca.as_deref()), (TlsMode::Verify, Some(PEM)));
    let (found, ca, warnings) = mode(remote, "ssl_mode = 'no-verify'", &[("DB_CA_CERT", PEM)]);
    assert_eq!((found, ca), (TlsMode::NoVerify, None));
    assert!(warnings[0].contains("connections to `t`") && warnings[0].contains("ssl_mode"), "{warnings:?}");
}

#[test]
fn sslmode_of_the_url_counts_when_nothing_else_was_said() {
    let of = |sslmode: &str| mode(&format!("postgres://db.example/a?sslmode={sslmode}"), "", &[]).0;
    for strict in ["require", "verify-ca", "verify-full"] {
        assert_eq!(of(strict), TlsMode::Verify);
    }
    assert_eq!(of("disable"), TlsMode::Disable);
    assert_eq!(of("prefer"), TlsMode::NoVerify);
    let (found, _, warnings) = mode("postgres://localhost/a?sslmode=prefer", "", &[]);
    assert_eq!((found, warnings.len()), (TlsMode::Disable, 0));
    assert_eq!(mode("postgres://localhost/a?sslmode=require", "", &[]).0, TlsMode::Verify);
}

#[test]
fn what_is_no_mode_and_no_certificate_is_refused() {
    for (toml, variable, wanted) in [
        ("ssl_mode = 'strict'", None, "`targets.t.ssl_mode` is none of the known modes"),
        ("ca_cert = 'runsheet.toml'", None, "`targets.t.ca_cert` holds no certificate"),
        ("", Some(("DB_SSL_MODE", "on")), "the variable `DB_SSL_MODE` is none of the known modes"),
        ("", Some(("DB_CA_CERT", "gone.pem")), "there is no such file"),
    ] {
        let mut project = Project::new(&format!("[targets.t]\nurl = 'postgres://db.example/a'\n{toml}\n"));
        if let Some((name, value)) = variable {
            project = project.var(name, value);
        }
        let config = project.loaded();
        let Err(error) = config.target("t") else { panic!("accepted {toml} {variable:?}") };
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(error.hint().is_some());
    }
}
