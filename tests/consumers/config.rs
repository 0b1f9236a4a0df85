//! `[[consumers]]`: what it comes to, and what is said of a broken one.

use crate::program::project::Project;

fn told(toml: &str, args: &[&str]) -> crate::program::project::Said {
    let project = Project::with_url("");
    project.file("runsheet.toml", toml);
    project.file(
        "runbooks/look.rhai",
        "runbook(\"look\", \"1.0.0\", #{ about: \"a test\" });\nstep(\"look\", || consumers());\nstep(\"say\", || { for c in done.look { log::info(`${c}`); } });\n",
    );
    project.command(&[&["run", "look"], args].concat()).env("TOKEN", "tok-canary-1").output().expect("it runs").into()
}

const WEB: &str = "[[consumers]]\nkind = \"railway\"\nname = \"web\"\ntoken = \"${TOKEN}\"\nproject = \"p\"\nenvironment = \"production\"\nservice = \"s\"\nvariables = [\"DATABASE_URL\"]\n";

#[test]
fn an_environment_overrides_key_by_key_and_tokens_are_secrets() {
    let toml = format!(
        "{WEB}[[env.staging.consumers]]\nname = \"web\"\nenvironment = \"staging\"\n[[env.staging.consumers]]\nkind = \"env-file\"\nname = \"file\"\npath = \".env\"\nvariables = {{ A = \"pooled\", B = {{ database = \"b\" }} }}\n"
    );
    let said = told(&toml, &["-e", "staging"])
        .with_code(0)
        .saying("\"environment\": \"staging\"")
        .saying("\"project\": \"p\"");
    assert!(!said.err.contains("tok-canary-1"), "{}", said.err);
    assert!(said.err.contains("consumer:web.token"), "{}", said.err);
    assert!(said.err.contains("\"database\": \"b\""), "{}", said.err);
    let said = told(&toml, &[]).with_code(0);
    assert!(!said.err.contains("\"name\": \"file\""), "{}", said.err);
}

#[test]
fn a_broken_entry_is_answered_with_what_is_known() {
    for (broken, said) in [
        (WEB.replace("railway", "railroad"), "there are: env-file, railway, hyperdrive, pgbouncer, command"),
        (WEB.replace("project = ", "projct = "), "has no `project`"),
        (format!("{WEB}pathh = 1\n"), "is no key of railway"),
        (format!("{WEB}\n{WEB}"), "is there twice"),
        (WEB.replace("${TOKEN}", "${TOKEM}"), "needs the variable `TOKEM`"),
        (WEB.replace("[\"DATABASE_URL\"]", "{ A = \"both\" }"), "does not say what `A` gets"),
        (WEB.replace("name = \"web\"\n", ""), "has no `name`"),
    ] {
        let answer = told(&broken, &[]).with_code(1).saying(said);
        assert!(!answer.err.contains("tok-canary-1"));
    }
}
