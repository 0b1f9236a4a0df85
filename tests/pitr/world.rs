//! A database whose history is kept, and a project in which it is brought back.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::program::project::{Project, Said};
use crate::support::{Database, Lab, unprivileged, wait_until};

/// A database of its own on a server with history; the project's target `app`.
pub struct World {
    /// The database.
    pub app: Database,
    /// The project.
    pub project: Project,
    /// Where recovered servers lie.
    place: TempDir,
}

/// The lab that all of them share. It goes when this process does.
pub fn lab() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(Lab::with_history)
}

fn superuser(database: &str) -> Database {
    let url = lab().status()["source"]["superuser_url"].as_str().expect("a url").to_owned();
    let server = url.rsplit_once('/').expect("a path").0;
    Database { name: database.to_owned(), url: format!("{server}/{database}") }
}

impl World {
    /// A world with what this SQL makes.
    pub fn with(sql: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("pitr_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        superuser("postgres").sql(&format!("create database {name} owner app"));
        superuser(&name).sql("grant execute on function pg_switch_wal(), pg_create_restore_point(text) to app");
        let url = lab().app().url;
        let app = Database { name: name.clone(), url: format!("{}/{name}", url.rsplit_once('/').expect("a path").0) };
        app.sql(sql);
        let place = tempfile::Builder::new().prefix("runsheet-pitr-").tempdir_in("/tmp").expect("a folder");
        unprivileged::give(place.path());
        let project = Project::on(&app);
        let toml = lab().toml().replace(&format!("url = \"{url}\""), &format!("url = \"{}\"", app.url));
        project.file("runsheet.toml", &format!("{toml}folder = \"{}\"\n", place.path().display()));
        Self { app, project, place }
    }

    /// The next whole second of the server's clock, once it has begun: what was committed until now is good then.
    pub fn second(&self) -> String {
        let shown = "select to_char(date_trunc('second', clock_timestamp()) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
        let before = self.app.sql(shown);
        let mut now = before.clone();
        wait_until("the next second begins", || {
            now = self.app.sql(shown);
            now != before
        });
        now
    }

    /// Runs `pitr-restore` with these arguments.
    #[track_caller]
    pub fn restore(&self, args: &[&str]) -> Said {
        self.project.run(&[&["run", "pitr-restore", "source=app"], args].concat())
    }

    /// Approves what waits, and goes on.
    #[track_caller]
    pub fn approved(&self) -> Said {
        self.project.run(&["approve", "--why", "looks right"]).with_code(0);
        self.project.run(&["resume"])
    }

    /// How often a word was about to change something in a run.
    pub fn intents(&self, run: &str, word: &str) -> usize {
        let wanted = format!("\"word\":\"{word}\"");
        let entries = self.project.entries(run);
        entries
            .iter()
            .filter(|entry| {
                let text = serde_json::to_string(entry).expect("json");
                text.contains("intent") && text.contains(&wanted)
            })
            .count()
    }

    /// Folders of recovered servers that are there.
    pub fn copies(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.place.path()).expect("a folder").flatten().map(|entry| entry.path()).collect()
    }

    /// Makes sure that nothing that runs made is left: no server, no file of one, no schema.
    #[track_caller]
    pub fn nothing_is_left(&self) {
        assert_eq!(self.copies(), Vec::<PathBuf>::new(), "a copy is left");
        assert_eq!(self.servers(), Vec::<String>::new(), "a server is left");
        let book = self.project.path().join(".runsheet/recovered");
        assert!(!book.exists(), "the book of recovered servers is left");
        let schemas = self.app.sql("select nspname from pg_namespace where nspname like 'runsheet%'");
        assert_eq!(schemas, "", "a staging schema is left");
    }

    /// Command lines of recovered servers that run.
    pub fn servers(&self) -> Vec<String> {
        let place = self.place.path().display().to_string();
        let lines = std::fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            Some(String::from_utf8_lossy(&line).replace('\0', " "))
        });
        lines.filter(|line| line.contains(&place) && line.contains("postgres")).collect()
    }

    /// The project's folder.
    pub fn path(&self) -> &Path {
        self.project.path()
    }
}
