//! A project whose drill has a source, and another server for the copy.

use std::path::Path;

use crate::program::project::{Project, Said};
use crate::support::{Cluster, Database};

/// An application in small: keys, a sequence, a function, a trigger, a view, rows that occur twice, nulls and empty texts.
const APPLICATION: &str = "
create table users (id serial primary key, name text not null, note text);
create table issues (id bigint generated always as identity primary key, owner int references users, title text,
                     payout numeric(10, 2), created_at timestamptz not null default now());
create table visits (who int, page text);
create view open_issues as select * from issues where payout is null;
create function greeting(name text) returns text language sql immutable as $$ select 'hello ' || name $$;
create function touched() returns trigger language plpgsql as $$ begin new.title := trim(new.title); return new; end $$;
create trigger touched before update on issues for each row execute function touched();
insert into users (name, note) select 'user ' || n, nullif(n % 3, 0)::text from generate_series(1, 200) n;
insert into issues (owner, title, payout) select 1 + n % 200, 'issue ' || n, nullif(n % 7, 0) * 1.10 from generate_series(1, 1000) n;
insert into visits select n % 5, case n % 3 when 0 then null when 1 then '' else 'page' end from generate_series(1, 300) n;";

/// The drill's world.
pub struct World {
    /// The database whose backup is proved.
    pub source: Database,
    /// The project; its target `app` is the source, `scratch` another server.
    pub project: Project,
}

impl World {
    /// A world with the small application.
    pub fn new() -> Self {
        Self::with(APPLICATION)
    }

    /// A world with what this SQL makes.
    pub fn with(sql: &str) -> Self {
        let source = Cluster::shared().database("drill");
        source.sql(sql);
        let project = Project::on(&source);
        let server = Cluster::second().open("postgres").url;
        project.file(
            "runsheet.toml",
            &format!(
                "[targets.app]\nurl = \"${{DATABASE_URL}}\"\n[targets.scratch]\nurl = \"{server}\"\n\
                 [runbooks.restore-drill]\nsource = \"app\"\nserver = \"scratch\"\nfresh = [\"issues.created_at\"]\n"
            ),
        );
        Self { source, project }
    }

    /// Runs the drill with these arguments behind it.
    #[track_caller]
    pub fn drill(&self, args: &[&str]) -> Said {
        self.project.run(&[&["run", "restore-drill"], args].concat())
    }

    /// A dump of the source by PostgreSQL's own tool, below the project.
    pub fn dump(&self, path: &str, args: &[&str]) -> std::path::PathBuf {
        let file = self.project.path().join(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("the folder");
        self.source.dump_into(&file, args);
        file
    }

    /// Makes sure that nothing of this project's drills is left: no copy, no dump.
    #[track_caller]
    pub fn nothing_is_left(&self) {
        let server = Cluster::second().open("postgres");
        for run in self.project.run(&["runs", "-n", "1000", "--json"]).json().as_array().expect("a list") {
            let run = run["run"].as_str().expect("an id");
            let first = self.project.entries(run).into_iter().next().expect("a first entry");
            let stamp = runsheet::engine::state::stamp(&first);
            let made = format!("shobj_description(oid, 'pg_database') like '%{stamp}%'");
            let left = server.sql(&format!("select datname from pg_database where {made}"));
            assert_eq!(left, "", "a copy of {run} is left");
        }
        let dumps = self.project.path().join(".runsheet/dumps");
        // What a program said before it failed is kept for whoever looks into it.
        let data: Vec<String> = files(&dumps).into_iter().filter(|file| !file.ends_with("/stderr.log")).collect();
        assert_eq!(data, Vec::<String>::new(), "a dump is left");
    }
}

/// Every file below a folder, which need not be there.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            _ => found.push(entry.path().display().to_string()),
        }
    }
    found
}
