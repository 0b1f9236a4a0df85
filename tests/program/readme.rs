//! The README is true: its shell blocks are run one after the other in one folder, on a real database, and what stands
//! beneath a block in a `text` block is what it prints.
//!
//! A block marked `sh` is run; `shell` is shown only (installing, a line of cron). Figures that differ between two runs,
//! digests and durations among them, are not compared.

use std::process::Command;

use super::project::Said;
use crate::support::Cluster;
use crate::support::cluster::PASSWORD;

/// Shell blocks in their order, each with the output that is promised.
fn blocks(text: &str) -> Vec<(String, Option<String>)> {
    let mut blocks: Vec<(String, Option<String>)> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let body = body.join("\n");
        match language {
            "sh" => blocks.push((body, None)),
            "text" => {
                let last = blocks.last_mut().expect("a text block follows a shell block");
                assert!(last.1.replace(body).is_none(), "two outputs of one block");
            }
            _ => {}
        }
    }
    blocks
}

/// Text without what differs from run to run: numbers, digests, units of time, and spaces that align.
fn comparable(text: &str) -> Vec<String> {
    let mask = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        if bare.len() >= 32 && bare.chars().all(|c| c.is_ascii_hexdigit()) {
            return "DIGEST".to_owned();
        }
        let mut masked = String::new();
        for c in word.chars() {
            match c {
                '0'..='9' if masked.ends_with('#') => {}
                '0'..='9' => masked.push('#'),
                other => masked.push(other),
            }
        }
        masked.replace("#.#", "#")
    };
    text.lines()
        .map(|line| {
            let words: Vec<String> = line.split_whitespace().map(mask).collect();
            words.join(" ").replace("# ms", "# s")
        })
        // Where exactly the kill falls is the machine's business, and so is what the shell says of it.
        .filter(|line| !line.is_empty() && !line.starts_with("settled:") && !line.contains(" Killed "))
        .collect()
}

#[test]
fn the_shell_blocks_of_the_readme_do_what_they_promise() {
    let readme = include_str!("../../README.md");
    let blocks = blocks(readme);
    assert!(blocks.len() >= 7, "{} blocks", blocks.len());
    // A server of its own: the README's database has a name of its own, too.
    let cluster = Cluster::start(&[]);
    cluster.open("postgres").sql("create database shop");
    let folder = tempfile::Builder::new().prefix("runsheet-readme-").tempdir().expect("a folder");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_runsheet")).parent().expect("its folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let url = cluster.open("shop").url;
    let promised = "postgresql://postgres:secret@127.0.0.1:5432/shop";
    assert!(readme.contains(promised), "the README sets its own URL");
    // The state of the shell is carried from block to block, as at a terminal.
    let mut script = String::from("exec 2>&1\n");
    for (index, (block, _)) in blocks.iter().enumerate() {
        script.push_str(&format!("echo '=== block {index}'\n{}\n", block.replace(promised, &url)));
    }
    script.push_str("echo '=== end'\n");
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &script]).current_dir(folder.path()).env_clear();
    bash.env("PATH", path).env("HOME", folder.path()).env("USER", "dba").env("PGPASSWORD", PASSWORD);
    let said = Said::from(bash.stdin(std::process::Stdio::null()).output().expect("bash runs"));
    let printed = said.out.replace(&*folder.path().to_string_lossy(), "/home/dba");
    let outputs: Vec<&str> = printed.split("=== ").skip(1).collect();
    assert_eq!(outputs.len(), blocks.len() + 1, "a block ended the shell:\n{}", said.out);
    for ((block, promise), output) in blocks.iter().zip(outputs) {
        let output = output.split_once('\n').map_or("", |(_, rest)| rest);
        let Some(promise) = promise else { continue };
        let (promised, printed) = (comparable(promise), comparable(output));
        assert_eq!(
            promised, printed,
            "after\n\n{block}\n\nthe README promises\n\n{promise}\n\nand this was printed:\n\n{output}"
        );
    }
}
