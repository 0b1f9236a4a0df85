//! A cutover of a server that only ssh gets to, with a consumer of every kind that lies elsewhere.

use serde_json::json;

use super::dump::commands;
use super::moving::Moving;
use crate::support::{Hyperdrive, Railway, Sshd, docker, wait_until};

/// Both sides, the first of them behind an ssh login at `droplet`, where its pooler and its PostgreSQL's programs are too.
struct Far {
    moving: Moving,
    sshd: Sshd,
    railway: Railway,
    hyperdrive: Hyperdrive,
    /// What is on the host behind the login.
    there: tempfile::TempDir,
}

impl Far {
    fn new() -> Self {
        let moving = Moving::new();
        let (sshd, there) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
        let railway = Railway::with(&json!({ "services": { "web": {} }, "step_ms": 5 }));
        let hyperdrive = Hyperdrive::new(&moving.new_side().url);
        let status = moving.world.status();
        let admin = status["pooler"]["admin_url"].as_str().expect("a url");
        let config = status["pooler"]["config"].as_str().expect("a path");
        let env = there.path().join("shop.env");
        std::fs::write(&env, "DATABASE_URL=postgresql://before/app\nPORT=1\n").expect("a file");
        let far = |url: &str| {
            let (login, place) = url.split_once('@').expect("a url");
            let (address, name) = place.split_once('/').expect("a url");
            (format!("{login}@db.internal:5432/{name}"), format!("tunnel = \"ssh://droplet/{address}\"\n"))
        };
        let file = moving.world.lab().path().join("runsheet.toml");
        let mut text = std::fs::read_to_string(&file).expect("the project");
        let old = moving.old().url;
        for (key, url, more) in [
            (
                "url",
                &*old,
                format!(
                    "replication_url = \"{old}\"\ntools_url = \"{old}\"\ntools_ssh = \"droplet\"\ntools = [\"{}\", \"exec\", \"-i\", \"pg\"]\n",
                    docker(there.path())
                ),
            ),
            ("admin_url", admin, String::new()),
        ] {
            let (hidden, tunnel) = far(url);
            let line = format!("\n{key} = \"{url}\"\n");
            assert!(text.contains(&line), "{line} is not in {text}");
            text = text.replacen(&line, &format!("\n{key} = \"{hidden}\"\n{tunnel}{more}"), 1);
        }
        text =
            text.replace(&format!("config = \"{config}\"\n"), &format!("config = \"{config}\"\nssh = \"droplet\"\n"));
        let consumers = [
            format!("[ssh]\nconfig = \"{}\"\n", sshd.config().display()),
            railway.toml("shop", "service = \"web\"\nvariables = [\"DATABASE_URL\"]"),
            hyperdrive.toml("edge", "variables = [\"DATABASE_URL\"]"),
            format!(
                "[[consumers]]\nkind = \"env-file\"\nname = \"worker\"\npath = \"{}\"\nssh = \"droplet\"\n\
                 variables = {{ DATABASE_URL = \"pooled\", DB_SSL_MODE = \"ssl_mode\" }}\n",
                env.display()
            ),
        ];
        std::fs::write(file, format!("{text}{}", consumers.concat())).expect("the project");
        Self { moving, sshd, railway, hyperdrive, there }
    }

    /// Everybody who lies elsewhere has this database.
    fn led_to(&self, name: &str) {
        let env = std::fs::read_to_string(self.there.path().join("shop.env")).expect("a file");
        assert!(env.contains(&format!("/{name}\n")) && env.contains("DB_SSL_MODE=") && env.contains("PORT=1"), "{env}");
        let running = self.railway.state()["running"]["web"].to_string();
        assert!(running.contains(&format!("/{name}\"")), "{running}");
        assert_eq!(self.hyperdrive.config()["origin"]["database"], name);
        assert_eq!(self.moving.world.pooled().sql("select current_database()"), name);
    }
}

#[test]
fn a_server_that_only_ssh_gets_to_is_left_and_gone_back_to_with_every_consumer() {
    let far = Far::new();
    let plan = far.moving.world.run(&["plan", "cutover"]).with_code(0);
    assert!(!plan.out.contains("preview ends here"), "{}", plan.out);
    far.moving.cutover(&[]).with_code(0);
    far.led_to("managed");
    far.moving.served();
    far.moving.all_on("managed");
    far.moving.world.run(&["run", "cutover-rollback", "approve=true"]).with_code(0);
    far.led_to("app");
    far.moving.served();
    far.moving.all_on("source");
    wait_until("no ssh is left", || far.sshd.clients().is_empty());
}

#[test]
fn an_application_on_another_host_is_stopped_there_dumped_there_and_started_there() {
    let far = Far::new();
    let [quiesce, resume] = commands(&far.moving);
    far.moving.cutover(&["strategy=dump", "ssh=droplet", &quiesce, &resume]).with_code(0);
    let seen = std::fs::read_to_string(far.there.path().join("seen")).expect("what ran there");
    assert!(seen.contains("pg_dump"), "{seen}");
    far.led_to("managed");
    far.moving.served();
    far.moving.all_on("managed");
}
