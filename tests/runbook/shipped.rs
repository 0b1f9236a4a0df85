//! The runbooks that come with the program keep the promise they hold others to: one version, one text. A project that
//! ran one of them is refused another text of the same version, and nobody there could raise it.

use std::path::Path;

use runsheet::model::digest;
use runsheet::runbook::gather;

/// Name, version and digest of the text of each, with that of what it imports. Whoever changes a text raises its version, and then writes both here.
const SHIPPED: &[(&str, &str, &str)] = &[
    ("branch-purge", "1.0.0", "d582988ad252a154d8a2c39938d29603da02441c9e2591213e2f5a79dbbac93f"),
    ("branch-verify", "1.0.0", "bbbbe29062fdb3d0d76c6ad8cd47b74a948fc54a0e86126dc769b670adab3a85"),
    ("credential-rotation", "1.0.0", "f392d461e07f75ebe5f25200ff40f7dd745c054ffaebd7fb62304b67cfd011a0"),
    ("cutover", "1.0.0", "e696c0b8c9f5f2cd79af240d5774df4e12f0bfbf2da1a42a6a828037412a3458"),
    ("cutover-finalize", "1.0.0", "2cf87d67ad5977abb069d91ef5e0154f36dd0dd6df20350cb98100219e94b3d0"),
    ("cutover-rollback", "1.0.0", "87eef3b576f544154da4c4ff48dae9a3af63b0d4e5c2854be546312be2adac10"),
    ("hello", "1.0.0", "a4b07bd11a01be0a8539ac989baf52c6ee7cebedda30deedd4492db4382a2846"),
    ("pitr-restore", "1.0.0", "8b1a15f61b999c50afdf9133f4a292bd587a5b9e94837e1e4edc601e426e1771"),
    ("pool-exhaustion", "1.0.0", "a1017bf32b7b0e1db8be4ab3f510e1e29c70524aac30d3d165fb1b148b5346d4"),
    ("preview-branch", "1.0.0", "63a1f1b205a10d7d42fa1e2a22cc1ae0ca1fb61e13636d8a7dfdf0ae92d876b6"),
    ("restore-drill", "1.1.0", "377206019d38eea092fc384cc2ca54886409b10380d5a913e0026a48fc182dbc"),
];

#[test]
fn a_shipped_runbook_that_changed_has_a_new_version() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let mut found: Vec<(String, String, String)> = Vec::new();
    // What lies in `lib/` is part of the runbooks that import it.
    for entry in std::fs::read_dir(root.join("runbooks")).expect("the runbooks").flatten() {
        if entry.path().extension().is_none_or(|extension| extension != "rhai") {
            continue;
        }
        let name = entry.path().file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let sources =
            gather(&format!("runbooks/{name}.rhai"), &read).unwrap_or_else(|why| panic!("{}", why.render(false)));
        let text = &sources.files[&sources.main];
        let version = text.split(&format!("runbook(\"{name}\", \"")).nth(1).and_then(|rest| rest.split('"').next());
        let digest = match sources.files.len() {
            1 => digest::of_bytes(text.as_bytes()),
            _ => digest::of_value(&sources.files),
        };
        found.push((name, version.expect("a version").to_owned(), digest));
    }
    found.sort();
    let found = found.iter().map(|(name, version, digest)| (name.as_str(), version.as_str(), digest.as_str()));
    assert_eq!(found.collect::<Vec<_>>(), SHIPPED);
}
