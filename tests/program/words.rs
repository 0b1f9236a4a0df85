//! The reference page is what the program says.

use super::project::Project;

#[test]
fn docs_words_md_is_what_the_program_prints() {
    let project = Project::with_url("postgresql://nobody@127.0.0.1:1/none");
    let fresh = project.run(&["words", "--markdown"]).with_code(0).out;
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/words.md")).unwrap_or_default();
    assert!(
        kept == fresh,
        "docs/words.md is stale; renew it with\n\n    cargo run -- words --markdown > docs/words.md\n"
    );
}

#[test]
fn a_word_is_found_by_its_last_part_and_a_family_by_its_name() {
    let project = Project::with_url("postgresql://nobody@127.0.0.1:1/none");
    assert!(project.run(&["words", "undo"]).with_code(0).out.contains("step(…).undo("));
    let family = project.run(&["words", "flow", "--json"]).with_code(0).json();
    assert_eq!(family.as_array().map(Vec::len), Some(4), "{family}");
    project.run(&["words", "sql::exce"]).with_code(2).saying("did you mean `sql::exec`?");
}

#[test]
fn every_family_stands_under_a_heading_of_its_own() {
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/words.md")).unwrap_or_default();
    let parameters = kept.split("\n## ").find(|part| part.starts_with("Parameters")).expect("what `params` is made of");
    let strangers: Vec<&str> =
        parameters.lines().filter(|line| line.starts_with("###") && line.contains("::")).collect();
    assert!(strangers.is_empty(), "give their families a heading in `runsheet words`: {strangers:?}");
}
