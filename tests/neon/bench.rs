//! A project of ours on a project of the stand-in, for tests of the words.

use serde_json::{Value, json};

use crate::program::project::Project as Ours;
use crate::support::StandIn;
use crate::support::neon::Project;

/// Seeds of misbehaviour: two in the suite, `RUNSHEET_SEEDS` of them from `RUNSHEET_SEED` on. Each is printed.
pub fn seeds() -> impl Iterator<Item = u64> {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().expect("a number"));
    let first = number("RUNSHEET_SEED", 1);
    (first..first + number("RUNSHEET_SEEDS", 2)).inspect(|seed| println!("RUNSHEET_SEED={seed}"))
}

/// Both.
pub struct Bench {
    /// What the program works in.
    pub ours: Ours,
    /// What is behind the API.
    pub theirs: Project,
}

impl Bench {
    /// A project without databases: its branches are entries only.
    pub fn paper(wish: Value) -> Self {
        Self::with(wish, false)
    }

    /// A project whose branches can be connected to; `app` is the target on its default branch.
    pub fn real(wish: Value) -> Self {
        Self::with(wish, true)
    }

    fn with(wish: Value, databases: bool) -> Self {
        let mut wish = if wish.is_null() { json!({}) } else { wish };
        wish["databases"] = databases.into();
        let theirs = StandIn::shared().project(&wish);
        let ours = Ours::with_url(&theirs.uri);
        ours.file("runsheet.toml", &format!("{}\n{}", theirs.target_toml("app"), theirs.toml()));
        Self { ours, theirs }
    }

    /// Writes a runbook of these steps, without parameters.
    pub fn runbook(&self, name: &str, steps: &str) {
        let head = format!("runbook(\"{name}\", \"1.0.0\", #{{ about: \"a test\", params: #{{}} }});\n");
        self.ours.file(&format!("runbooks/{name}.rhai"), &format!("{head}{steps}\n"));
    }
}
