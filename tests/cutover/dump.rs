//! The dump strategy: the application is stopped, everything is dumped, restored and proved, and it starts on the other side.

use super::moving::Moving;

/// The commands that stop and start the application, as parameters of the command line.
pub fn commands(moving: &Moving) -> [String; 2] {
    let status = moving.world.status();
    let words = |what: &str| {
        let words: Vec<String> = status[what]
            .as_array()
            .expect("words")
            .iter()
            .map(|word| word.as_str().expect("a word").to_owned())
            .collect();
        words.join(",")
    };
    [format!("quiesce={}", words("quiesce")), format!("resume={}", words("resume"))]
}

#[test]
fn a_dumped_and_restored_application_starts_on_the_new_side_with_every_row() {
    let moving = Moving::new();
    let [quiesce, resume] = commands(&moving);
    moving.cutover(&["strategy=dump", &quiesce, &resume]).with_code(0);
    moving.served();
    moving.all_on("managed");
}

#[test]
fn an_application_whose_dump_fails_is_started_again_where_it_was() {
    let moving = Moving::new();
    let [quiesce, resume] = commands(&moving);
    // Every row of it is fine where it is, and none anywhere else.
    moving.old().sql(
        "create function here() returns boolean language sql as $$ select current_database() = 'app' $$; \
         alter table users add constraint only_here check (here())",
    );
    let said = moving.cutover(&["strategy=dump", &quiesce, &resume]);
    assert_ne!(said.code, 0, "{}", said.out);
    moving.served();
    moving.all_on("source");
}
