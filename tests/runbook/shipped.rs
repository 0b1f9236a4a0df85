//! The runbooks that come with the program keep the promise they hold others to: one version, one text. A project that
//! ran one of them is refused another text of the same version, and nobody there could raise it.

use std::path::Path;

use runsheet::model::digest;
use runsheet::runbook::gather;

/// Name, version and digest of the text of each, with that of what it imports. Whoever changes a text raises its version, and then writes both here.
const SHIPPED: &[(&str, &str, &str)] = &[
    ("branch-purge", "1.0.0", "b6419e089b7da2ab0ea803e891892902ed828f26bb741285e2223482c65240ca"),
    ("branch-verify", "1.0.0", "7d1afe48b4d7a66787ee1bf5e6416535db59f19e6166927c12c18dd390fee8bc"),
    ("hello", "1.0.0", "a4b07bd11a01be0a8539ac989baf52c6ee7cebedda30deedd4492db4382a2846"),
    ("pitr-restore", "1.0.0", "301945c010c803911e8640ee804999eaf7fbd48e121eb99f224bd702c162c4f7"),
    ("pool-exhaustion", "1.0.0", "32339a2fd515326b17fd6eb767f79661e87bbe6163bd043487987419f4584f92"),
    ("preview-branch", "1.0.0", "b07b0cce383032f1115292b790045ccf6b26a6a0ebdc811e2bd90f3d7918e463"),
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
