//! Two databases with passwords, consumers, and a runbook that leads them from one to the other.

use std::os::unix::fs::PermissionsExt;

use crate::program::project::{Project, Said};
use crate::support::{Cluster, Database};

/// Passwords that must stand nowhere but where they were sent.
pub const CANARIES: [&str; 2] = ["canary-old-4f1d/7?b", "canary-new-9c2e&3%d"];

const BOOK: &str = r#"
import "lib/consumers" as told;
runbook("lead", "1.0.0", #{ about: "a test", params: #{ to: target("where to") } });
step("check", || { for c in consumers() { told::check(c, params.to); } });
step("stage", || { for c in consumers() { told::stage(c, params.to); } });
step("activate", || { for c in consumers() { told::activate(c, params.to); } });
step("read-back", || { for c in consumers() { told::read_back(c, params.to); } });
step("remaining", || { for c in consumers() { for line in told::remaining(c, params.to) { log::info(line); } } });
"#;

/// A project with the targets `old` and `new`.
pub struct World {
    pub old: Database,
    pub new: Database,
    pub project: Project,
}

impl World {
    /// With these entries of `[[consumers]]`.
    pub fn new(consumers: &str) -> Self {
        let (old, new) = (Cluster::shared().database("consumers_old"), Cluster::shared().database("consumers_new"));
        let project = Project::with_url("");
        for (database, password) in [(&old, CANARIES[0]), (&new, CANARIES[1])] {
            database.sql(&format!("create role {}_app superuser login password '{password}'", database.name));
        }
        let [one, two] = [(&old, CANARIES[0]), (&new, CANARIES[1])].map(|(it, password)| url_of(it, password));
        let toml = format!("[targets.old]\nurl = \"{one}\"\n[targets.new]\nurl = \"{two}\"\n{consumers}");
        project.file("runsheet.toml", &toml);
        project.file("runbooks/lead.rhai", BOOK);
        Self { old, new, project }
    }

    /// Leads them all to a target.
    #[track_caller]
    pub fn lead(&self, to: &str) -> Said {
        let said = self.project.run(&["run", "lead", &format!("to={to}")]);
        self.is_clean(&said);
        said
    }

    /// Gives up a run that failed.
    pub fn give_up(&self, run: &str) {
        self.project.run(&["abandon", run, "--why", "a test"]).with_code(0);
    }

    /// The URL of a target.
    pub fn url(&self, to: &str) -> String {
        let (database, password) = if to == "old" { (&self.old, CANARIES[0]) } else { (&self.new, CANARIES[1]) };
        url_of(database, password)
    }

    /// No password in what was said, nor in anything that is kept of runs.
    #[track_caller]
    pub fn is_clean(&self, said: &Said) {
        let mut texts = vec![
            ("stdout".to_owned(), said.out.clone().into_bytes()),
            ("stderr".to_owned(), said.err.clone().into_bytes()),
        ];
        for entry in std::fs::read_dir(self.project.path().join(".runsheet")).expect("the state") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                texts.push((path.display().to_string(), std::fs::read(&path).expect("a file")));
            }
        }
        for (name, text) in texts {
            for secret in CANARIES.iter().flat_map(|secret| [(*secret).to_owned(), encoded(secret)]) {
                let found = text.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!found, "{secret} stands in {name}: {}", String::from_utf8_lossy(&text));
            }
        }
    }

    /// A file of the project that everybody may read.
    pub fn open_file(&self, path: &str, text: &str) {
        let file = self.project.file(path, text);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).expect("its mode");
    }

    /// The text of a file of the project.
    pub fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.project.path().join(path)).expect("the file")
    }
}

/// The URL of a database for the application's role in it.
fn url_of(database: &Database, password: &str) -> String {
    let (_, place) = database.url.split_once('@').expect("a user");
    format!("postgresql://{}_app:{}@{place}", database.name, encoded(password))
}

fn encoded(text: &str) -> String {
    crate::support::neon::encoded(text)
}
