//! What Runsheet is compared with: a bare loop of durable writes, DBOS Transact on SQLite, ansible-playbook.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Bytes of one write of the bare loop: about what an entry needs at least.
const RECORD: usize = 200;

const DBOS: &str = include_str!("dbos_steps.py");
const PLAYBOOK: &str = "- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - debug: { msg: one }
";

/// Appends and syncs one record after the other, and answers the seconds it took.
pub fn sync_loop(tmp: &Path, writes: usize) -> f64 {
    let mut file = tempfile::NamedTempFile::new_in(tmp).expect("a file");
    let record = [b'x'; RECORD];
    let begun = Instant::now();
    for _ in 0..writes {
        file.write_all(&record).expect("a write");
        file.as_file().sync_data().expect("fdatasync");
    }
    begun.elapsed().as_secs_f64()
}

/// A Python environment with the peers that come from there, or why each is not there.
pub struct Venv {
    python: PathBuf,
    /// The version of DBOS.
    pub dbos: Result<String, String>,
    /// The version of Ansible.
    pub ansible: Result<String, String>,
}

impl Venv {
    /// Makes the environment if it is not there.
    pub fn open(folder: &Path) -> Self {
        let python = folder.join("bin/python");
        if !python.exists() {
            eprintln!("making {} …", folder.display());
            let made = Command::new("python3").args(["-m", "venv"]).arg(folder).stdout(Stdio::null()).status();
            if !made.is_ok_and(|status| status.success()) {
                let why = "python3 -m venv does not work here".to_owned();
                return Self { python, dbos: Err(why.clone()), ansible: Err(why) };
            }
        }
        let install = |package: &str| {
            let version = || {
                let script = format!("import importlib.metadata as m; print(m.version('{package}'))");
                let output = Command::new(&python).args(["-c", &script]).output().ok()?;
                output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            };
            if let Some(version) = version() {
                return Ok(version);
            }
            let pip = Command::new(&python).args(["-m", "pip", "install", "--quiet", package]).status();
            version().ok_or_else(|| format!("pip could not install {package} ({pip:?})"))
        };
        let (dbos, ansible) = (install("dbos"), install("ansible-core"));
        for (name, version) in [("DBOS Transact", &dbos), ("ansible-core", &ansible)] {
            println!("{name}: {}", version.as_deref().unwrap_or_else(|why| why));
        }
        Self { python, dbos, ansible }
    }

    /// One workflow of so many steps that do nothing, in a fresh database.
    pub fn dbos(&self, tmp: &Path, steps: usize) -> f64 {
        let folder = tempfile::tempdir_in(tmp).expect("a folder");
        let script = folder.path().join("steps.py");
        std::fs::write(&script, DBOS).expect("the script");
        let mut python = Command::new(&self.python);
        time(python.arg(script).arg(steps.to_string()).current_dir(folder.path()))
    }

    /// A playbook of one debug task.
    pub fn ansible(&self, tmp: &Path) -> f64 {
        let folder = tempfile::tempdir_in(tmp).expect("a folder");
        let playbook = folder.path().join("one.yml");
        std::fs::write(&playbook, PLAYBOOK).expect("the playbook");
        let mut ansible = Command::new(self.python.with_file_name("ansible-playbook"));
        time(ansible.args(["-i", "localhost,"]).arg(playbook).current_dir(folder.path()))
    }
}

fn time(command: &mut Command) -> f64 {
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    let took = begun.elapsed().as_secs_f64();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    took
}
