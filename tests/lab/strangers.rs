//! What is not the lab's is left alone, whatever files say.

use std::process::{Child, Command};

use super::data;
use crate::support::Lab;

struct Stranger(Child);

impl Stranger {
    fn new() -> Self {
        Self(Command::new("sleep").arg("600").spawn().expect("sleep runs"))
    }

    fn alive(&mut self) -> bool {
        self.0.try_wait().expect("its state").is_none()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn down_ends_no_process_and_removes_no_file_that_is_not_the_labs() {
    let lab = Lab::small();
    let mut stranger = Stranger::new();
    let number = stranger.0.id();
    // A process id that was given to somebody else, in both places where one could have been written down.
    let postmaster = data(&lab.status(), "source").join("postmaster.pid");
    let text = std::fs::read_to_string(&postmaster).expect("postmaster.pid");
    let rest = text.split_once('\n').expect("lines").1;
    std::fs::write(&postmaster, format!("{number}\n{rest}")).expect("the file");
    let session = runsheet::effects::process::Session::of(number).expect("its session");
    std::fs::write(lab.file("writer.json"), serde_json::to_string(&session).expect("json")).expect("the file");
    std::fs::write(lab.file("writer.lock"), "").expect("the file");
    let notes = lab.file("my-notes.txt");
    std::fs::write(&notes, "mine").expect("the file");

    lab.run(&["down"]).with_code(0).saying(&format!("not made by the lab: {}", notes.display()));
    assert!(stranger.alive(), "it has nothing to do with the lab");
    assert_eq!(std::fs::read_to_string(&notes).expect("still there"), "mine");
    assert_eq!(std::fs::read_dir(lab.file("")).expect("the folder").count(), 1, "and nothing else is");

    // From now on the folder is somebody's own, and none of the lab's commands touches it.
    for command in ["up", "down", "status"] {
        lab.run(&[command]).with_code(2).saying("is no lab, and has my-notes.txt in it");
    }
    assert_eq!(std::fs::read_to_string(&notes).expect("still there"), "mine");
}

#[test]
fn down_does_not_follow_a_book_into_a_folder_that_is_not_marked_as_the_labs() {
    let lab = Lab::new();
    let mine = lab.path().join("mine");
    std::fs::create_dir_all(mine.join("source")).expect("a folder");
    std::fs::write(mine.join("source/precious"), "mine").expect("a file");
    lab.make_folder();
    let book = serde_json::json!({
        "format": 1, "id": "00", "ready": true, "rows": 4000, "at": "2026-01-31T12:00:00Z", "password": "x",
        "servers": mine, "source_port": 1, "scratch_port": 2,
    });
    std::fs::write(lab.file("lab.json"), book.to_string()).expect("the book");
    lab.run(&["down"]).with_code(1).saying("cannot be removed");
    std::fs::write(mine.join("lab-id"), "another").expect("a marker");
    lab.run(&["down"]).with_code(2).saying("is another lab's");
    assert_eq!(std::fs::read_to_string(mine.join("source/precious")).expect("still there"), "mine");
    assert!(lab.file("lab.json").exists(), "the book goes on naming it");
    std::fs::remove_file(lab.file("lab.json")).expect("the book");
}

#[test]
fn only_one_command_works_on_a_lab_at_a_time() {
    let lab = Lab::new();
    lab.make_folder();
    let file = std::fs::File::create(lab.file("lock")).expect("the lock's file");
    file.try_lock().expect("the lock");
    lab.run(&["up", "--small"]).with_code(7).saying("another `runsheet lab` is at work");
    lab.run(&["down"]).with_code(7).saying("next: runsheet lab status");
    drop(file);
    lab.run(&["down"]).with_code(0);
}
