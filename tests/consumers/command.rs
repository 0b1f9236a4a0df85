//! A program that tells the application: it gets the values in its environment, and nobody sees them on a command line.

use super::world::World;

fn consumer(more: &str) -> String {
    format!(
        "[[consumers]]\nkind = \"command\"\nname = \"deploy\"\nvariables = [\"DATABASE_URL\"]\nrepeatable = true\n\
         run = [\"sh\", \"-c\", \"printf %s \\\"$DATABASE_URL\\\" > told; echo $RUNSHEET_CONSUMER $RUNSHEET_TARGET > whom\"]\n{more}\n"
    )
}

#[test]
fn it_gets_the_values_and_says_whether_they_arrived() {
    let world =
        World::new(&consumer("read_back = [\"sh\", \"-c\", \"test \\\"$(cat told)\\\" = \\\"$DATABASE_URL\\\"\"]"));
    world.lead("new").with_code(0).saying("deploy leads to new");
    assert_eq!(world.text("told"), world.url("new"));
    assert_eq!(world.text("whom"), "deploy new\n");
}

#[test]
fn without_a_look_it_is_not_verified_and_a_failed_one_is_red() {
    World::new(&consumer("")).lead("new").with_code(4).saying("nobody looked");
    World::new(&consumer("read_back = [\"false\"]")).lead("new").with_code(3).saying("exited with 1");
    World::new(&consumer("check = [\"false\"]")).lead("new").with_code(1);
}
