//! The shipped examples load without a finding.

use runsheet::runbook::{gather, lint, load};

use super::desk::*;

#[test]
fn every_example_is_sound() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(root.join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rhai") {
            continue;
        }
        let main = format!("examples/{}", path.file_name().unwrap().to_str().unwrap());
        let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let sources = gather(&main, &read).unwrap_or_else(|problem| panic!("{}", problem.render(false)));
        assert!(sources.files[&main].starts_with("// run: runsheet run "), "{main}");
        let book = load(&sources).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
        assert!(lint(&book).is_empty(), "{}", shown(&lint(&book)));
        count += 1;
    }
    assert!(count >= 15, "{count} examples");
}
