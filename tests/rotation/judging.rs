//! What must hold of the application's files and logins while a credential is rotated, and once that is over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use runsheet::journal::entry::Record;

use crate::support::{Database, Rotation};

/// The files that tell an application, and the project itself, where the database is.
const FILES: [&str; 3] = ["web.env", "worker.env", ".env"];

/// What an env file says: URLs by variable.
pub type Told = BTreeMap<String, String>;

/// Reads the files all the while, as an application that starts at any moment would.
pub struct Watch {
    over: Arc<AtomicBool>,
    reader: Option<JoinHandle<BTreeMap<&'static str, BTreeSet<String>>>>,
    before: BTreeMap<&'static str, Told>,
}

impl Watch {
    /// Begins to read.
    pub fn over(world: &Rotation) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (told, places) = (Arc::clone(&over), FILES.map(|name| (name, place(world, name))));
        let before = places.iter().map(|(name, path)| (*name, parsed(name, &text(path)))).collect();
        let reader = std::thread::spawn(move || {
            let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
            loop {
                // Once more after it is told, so that what is there in the end is among what was seen.
                let last = told.load(Ordering::SeqCst);
                for (name, path) in &places {
                    let text = text(path);
                    let known = seen.entry(name).or_default();
                    if !known.contains(&text) {
                        known.insert(text);
                    }
                }
                if last {
                    return seen;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self { over, reader: Some(reader), before }
    }

    /// Ends, and holds every file against having been anything but wholly old or wholly new at any moment; an old one that is
    /// written anew may look otherwise, and says the same.
    #[track_caller]
    pub fn end(mut self, what: &str) -> Seen {
        self.over.store(true, Ordering::SeqCst);
        let seen = self.reader.take().expect("it reads").join().expect("it read");
        let mut logins = BTreeSet::new();
        for (name, texts) in &seen {
            let before = &self.before[name];
            let told: BTreeSet<Told> = texts.iter().map(|text| parsed(name, text)).collect();
            assert!(told.iter().all(|told| told.keys().eq(before.keys())), "{what}: {name} was {texts:?}");
            assert!(told.len() <= 2 && told.contains(before), "{what}: {name} was {texts:?}");
            for told in told {
                let of_file: BTreeSet<_> = told.values().map(|url| login(url)).collect();
                assert_eq!(of_file.len(), 1, "{what}: {name} mixed two logins: {texts:?}");
                logins.extend(of_file);
            }
        }
        let old = login(&self.before["web.env"]["DATABASE_URL"]);
        let new: Vec<_> = logins.into_iter().filter(|login| *login != old).collect();
        assert!(new.len() <= 1, "{what}: more than one new login was given away: {new:?}");
        Seen { old, new: new.into_iter().next() }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// The logins, as user and password, that the files named.
#[derive(Debug)]
pub struct Seen {
    /// At first.
    pub old: (String, String),
    /// Later, if there was another one.
    pub new: Option<(String, String)>,
}

impl Seen {
    /// The rotation is done: everybody has the one new password that the run made, and the old one is dead.
    #[track_caller]
    pub fn rotated(&self, world: &Rotation, run: &str, what: &str) {
        let new = self.new.as_ref().unwrap_or_else(|| panic!("{what}: nobody was given a new login"));
        assert_ne!((&self.old.0, &self.old.1), (&new.0, &new.1), "{what}");
        told_alike(world, new, what);
        dead(world, &self.old, what);
        assert_eq!(sealed(world, run), 1, "{what}: a run makes one password");
    }

    /// It was taken back, or never began: everybody has the old login, and what was given away meanwhile is dead.
    #[track_caller]
    pub fn as_before(&self, world: &Rotation, what: &str) {
        told_alike(world, &self.old, what);
        if let Some(new) = &self.new {
            dead(world, new, what);
        }
    }
}

/// How many passwords the step `password` of a run has sealed.
pub fn sealed(world: &Rotation, run: &str) -> usize {
    let ours = format!("random:{run}/password#");
    let entries = world.entries(run).into_iter();
    entries.filter(|entry| matches!(&entry.record, Record::Sealed { name, .. } if name.starts_with(&ours))).count()
}

/// Every file names this login and no other, and it is let in on every path.
#[track_caller]
fn told_alike(world: &Rotation, expected: &(String, String), what: &str) {
    for name in FILES {
        for (variable, url) in parsed(name, &text(&place(world, name))) {
            assert_eq!(&login(&url), expected, "{what}: {variable} in {name}");
            let found = Database { name: String::new(), url }.try_sql("select current_user");
            assert_eq!(found.as_deref(), Ok(expected.0.as_str()), "{what}: {variable} in {name}");
        }
    }
}

/// A login is let in on no path.
#[track_caller]
fn dead(world: &Rotation, (user, password): &(String, String), what: &str) {
    for (variable, url) in parsed("worker.env", &text(&place(world, "worker.env"))) {
        let (_, place) = url.split_once('@').expect("a URL");
        let url = format!("postgresql://{user}:{password}@{place}");
        let refused = Database { name: String::new(), url }.try_sql("select 1").expect_err("a dead login");
        let said = refused.contains("authentication failed") || refused.contains("not permitted to log in");
        assert!(said, "{what}: {variable} as {user}: {refused}");
    }
}

fn place(world: &Rotation, name: &str) -> PathBuf {
    match name {
        ".env" => world.lab().path().join(name),
        name => world.lab().file(name),
    }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| error.to_string())
}

/// What an env file says, if it is whole.
#[track_caller]
fn parsed(name: &str, text: &str) -> Told {
    assert!(text.ends_with('\n'), "{name} is cut off: {text:?}");
    let line = |line: &str| {
        let (variable, value) = line.split_once('=').unwrap_or_else(|| panic!("{name} is broken: {text:?}"));
        (variable.to_owned(), value.trim_matches('\'').to_owned())
    };
    text.lines().map(line).collect()
}

/// User and password of a URL.
pub fn login(url: &str) -> (String, String) {
    let parts = url.strip_prefix("postgresql://").and_then(|rest| rest.split_once('@')?.0.split_once(':'));
    let (user, password) = parts.unwrap_or_else(|| panic!("no login in {url}"));
    (user.to_owned(), password.to_owned())
}
