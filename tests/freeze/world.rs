//! A database with an application's role, a pooler before it, and a project whose runbook freezes it.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::project::{Project, Said};
use crate::support::cluster::PASSWORD;
use crate::support::{Cluster, Database, PgBouncer, wait_until};

/// Guards, stops the application, pauses, arms, waits for the file `go`, and commits.
const RUNBOOK: &str = r#"
runbook("cut", "1.0.0", #{ about: "a test", params: #{
    app: target("the database", #{ or: "app" }),
    deadline: duration("the deadline", #{ or: "60s" }),
    pause: boolean("whether there is a pooler", #{ or: true }),
} });
fn held(made) { freeze::holds(params.app) }

step("control", || pg::control(params.app));
step("guard", || freeze::guard(params.app, #{
    deadline: params.deadline, pooler: if params.pause { "app" } else { () }, resume: ["touch", "resumed"],
})).hold("guarded", "held");
step("freeze", || {
    command::run(["touch", "stopped"], #{ repeatable: true });
    if params.pause { pgbouncer::pause("app", #{ limit: "1s", attempts: 1 }); }
    freeze::arm(params.app, #{ allow: ["monitor"], settle: "5s" })
}).hold("frozen", "held");
step("work", || {
    let canary = freeze::prove(params.app);
    gate::that("writes are refused", canary.refused, canary.said);
    command::run(["sh", "-c", "touch armed; while [ ! -e go ]; do sleep 0.01; done; rm -f armed"], #{ repeatable: true });
});
step("commit", || freeze::commit(params.app));
step("after", || command::run(["sh", "-c", "touch committed; while [ -e stay ]; do sleep 0.01; done"], #{ repeatable: true }));
"#;

/// The project, and what it freezes.
pub struct World {
    /// The database, as the superuser sees it.
    pub database: Database,
    /// The pooler.
    pub pooler: PgBouncer,
    /// The project.
    pub project: Project,
}

impl World {
    /// A world on the server that tests share.
    pub fn shared(name: &str) -> Self {
        Self::on(Cluster::shared(), name)
    }

    /// A world on a server of the test's own.
    pub fn on(cluster: &Cluster, name: &str) -> Self {
        let database = cluster.database(name);
        database.sql(&format!(
            "do $$ begin create role writer login password '{PASSWORD}'; exception when duplicate_object or unique_violation then null; end $$;
             create table t (i int); grant insert, select on t to writer"
        ));
        let pooler = PgBouncer::before(cluster, &database, "transaction", &["writer"]);
        // A pooler that never served anybody asks the server even while it is paused, and then waits 15 s for having failed.
        pooler.app("writer").sql("select 1");
        let project = Project::on(&database);
        let toml = format!(
            "[targets.app]\nurl = \"${{DATABASE_URL}}\"\nlabel = \"app\"\n[pgbouncer]\nadmin_url = \"{}\"\n",
            pooler.admin_url()
        );
        project.file("runsheet.toml", &toml);
        project.file("runbooks/cut.rhai", RUNBOOK);
        Self { database, pooler, project }
    }

    /// The application's role, straight at the server.
    pub fn writer(&self) -> Database {
        Database { name: self.database.name.clone(), url: self.database.url.replacen("postgres:", "writer:", 1) }
    }

    /// Whether the application can write, straight at the server.
    pub fn writable(&self) -> bool {
        match self.writer().try_sql("insert into t values (0)") {
            Ok(_) => true,
            Err(said) => {
                // Whoever came in while all was frozen is cut off when it is released.
                let cut_off = said.contains("terminating connection due to administrator command");
                assert!(said.contains("read-only transaction") || cut_off, "{said}");
                false
            }
        }
    }

    /// Whether a file is there.
    pub fn there(&self, name: &str) -> bool {
        self.project.path().join(name).exists()
    }

    /// Begins the run.
    pub fn begin(&self, args: &[&str]) -> Engine {
        self.spawn(&[&["run", "cut"], args].concat())
    }

    /// The program at work.
    pub fn spawn(&self, args: &[&str]) -> Engine {
        let mut command = self.project.command(args);
        Engine::of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
    }

    /// Begins the run and waits until everything is frozen.
    pub fn armed(&self, args: &[&str]) -> Engine {
        let engine = self.begin(args);
        wait_until("everything is frozen", || self.there("armed"));
        assert!(!self.writable());
        engine
    }

    /// A client that writes through the pooler and may have to wait.
    pub fn client(&self) -> Child {
        self.pooler.app("writer").psql("insert into t values (1)").spawn().expect("psql starts")
    }

    /// How long it takes until a write through the pooler goes well; clients that came in while all was frozen may be cut off.
    pub fn until_written(&self) -> Duration {
        let begun = Instant::now();
        wait_until("a write goes well", || self.pooler.app("writer").try_sql("insert into t values (2)").is_ok());
        begun.elapsed()
    }

    /// The newest row of the freeze.
    pub fn row(&self, columns: &str) -> String {
        let schema = self
            .database
            .sql("select nspname from pg_namespace where starts_with(nspname, 'runsheet_') order by oid desc limit 1");
        self.database.sql(&format!("select {columns} from {schema}.freeze order by guarded_at desc limit 1"))
    }

    /// What is set for the database and roles in it.
    pub fn settings(&self) -> String {
        self.database.sql(
            "select s.setrole::regrole, s.setconfig from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
              where d.datname = current_database() order by 1",
        )
    }

    /// The process id of the newest watchdog.
    pub fn watchdog(&self) -> i32 {
        let folder = self.project.path().join(".runsheet/freezes");
        let page = std::fs::read_dir(folder)
            .expect("the folder")
            .flatten()
            .find(|it| it.path().extension().is_some_and(|it| it == "json"));
        let text = std::fs::read_to_string(page.expect("a page").path()).expect("the page");
        let page: serde_json::Value = serde_json::from_str(&text).expect("json");
        i32::try_from(page["watchdog"]["session"].as_i64().expect("a pid")).expect("a pid")
    }
}

/// The program at work. Dropping it kills it.
pub struct Engine {
    child: Option<Child>,
}

impl Engine {
    /// That process.
    pub fn of(child: Child) -> Self {
        Self { child: Some(child) }
    }

    /// Its process.
    pub fn signal(&self, signal: Signal) {
        send(self.child.as_ref().expect("it is at work").id().cast_signed(), signal);
    }

    /// How it ended.
    pub fn ended(mut self) -> Said {
        self.child.take().expect("it is at work").wait_with_output().expect("it ends").into()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Signals a process that a test started.
pub fn send(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a pid"), signal).expect("it takes the signal");
}
