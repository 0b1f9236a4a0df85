//! A lab with both sides of a cutover, an application that writes, and a project that moves it.

use crate::support::{Cutover, Database, Said};

/// The world and its project.
pub struct Moving {
    /// Servers, pooler and application.
    pub world: Cutover,
}

impl Moving {
    /// The application's four tables, behind a PgBouncer that is the only thing to be moved.
    pub fn new() -> Self {
        Self::with("")
    }

    /// The same with more consumers, which are moved before the PgBouncer.
    pub fn with(consumers: &str) -> Self {
        let moving = Self { world: Cutover::plain() };
        let file = moving.world.lab().path().join("runsheet.toml");
        let toml = std::fs::read_to_string(&file).expect("the project");
        // A window for slow machines, a watch of a second, and a way back that may be closed at once.
        let toml = toml.replace("[runbooks.cutover]\n", "[runbooks.cutover]\nmax_freeze = \"60s\"\nwatch = \"1s\"\n");
        let toml = toml
            .replace("[runbooks.cutover-finalize]\n", "[runbooks.cutover-finalize]\nafter = \"0s\"\napprove = true\n");
        std::fs::write(file, toml + consumers).expect("the project");
        moving
    }

    /// Runs a cutover whose freeze is approved.
    pub fn cutover(&self, args: &[&str]) -> Said {
        self.world.run(&[&["run", "cutover", "approve=true"], args].concat())
    }

    /// Every acknowledged write is on this side, exactly once, and nothing of it only on the other.
    #[track_caller]
    pub fn all_on(&self, side: &str) {
        let other = if side == "managed" { "source" } else { "managed" };
        let found = self.world.check(side, Some(other));
        assert_eq!(found["pass"], true, "{found}");
    }

    /// The same for the old side, with nothing on the new one.
    #[track_caller]
    pub fn all_on_source_alone(&self) {
        let found = self.world.check("source", None);
        assert_eq!(found["pass"], true, "{found}");
    }

    /// Whether the application is served: more of its writes are acknowledged.
    pub fn served(&self) {
        self.world.writes(20);
    }

    /// What a run left on a server: slots, publications, subscriptions, schemas.
    pub fn left(&self) -> String {
        let ask = "select string_agg(what, ', ') from (
            select 'slot ' || slot_name as what from pg_replication_slots
            union all select 'publication ' || pubname from pg_publication
            union all select 'subscription ' || subname from pg_subscription
            union all select 'schema ' || nspname from pg_namespace where nspname like 'runsheet%') as all_of_it";
        [self.old().sql(ask), self.new_side().sql(ask)].join("")
    }

    /// The old side, as a superuser.
    pub fn old(&self) -> Database {
        self.target("old")
    }

    /// The new side, as a superuser.
    pub fn new_side(&self) -> Database {
        self.target("new")
    }

    fn target(&self, name: &str) -> Database {
        let text = std::fs::read_to_string(self.world.lab().path().join("runsheet.toml")).expect("the project");
        let toml: toml::Value = toml::from_str(&text).expect("toml");
        let url = toml["targets"][name]["url"].as_str().expect("a url").to_owned();
        Database { name: url.rsplit('/').next().unwrap_or_default().to_owned(), url }
    }
}
