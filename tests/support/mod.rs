//! The sealed world that tests run in: real servers on free loopback ports, gone when the test process is gone.
//!
//! ```ignore
//! let database = Cluster::shared().database("orders");      // one server for the suite, a database per test
//! database.sql("create table orders (id int)");              // by psql; answers unaligned text
//! let effects = Effects::new(world([target("prod", &database.url)]));
//! ```
//!
//! [`Lab`] is a folder in which `runsheet lab` is at home.
//!
//! A test that stops, crashes or configures a server starts its own with [`Cluster::start`].

pub mod canaries;
pub mod cluster;
pub mod cutover;
pub mod lab;
pub mod neon;
pub mod pgbouncer;
pub mod platforms;
pub mod refusing;
pub mod rotation;
pub mod said;
pub mod sshd;
pub mod unprivileged;
pub mod world;

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use cluster::{Cluster, Database};
pub use cutover::Cutover;
pub use lab::Lab;
pub use neon::StandIn;
pub use pgbouncer::PgBouncer;
pub use platforms::{Hyperdrive, Railway};
pub use refusing::Refusing;
pub use rotation::Rotation;
pub use said::Said;
pub use sshd::{Sshd, docker};
pub use world::{target, world};

/// A loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Whether a process is at work: neither gone nor a dead one that nobody has asked after.
pub fn alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|text| text.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X'])))
}

/// How long a condition is waited for: far longer than on an idle machine, since a busy one is no reason to fail.
const LONGEST: Duration = Duration::from_secs(120);

/// Waits until `condition` holds, and fails with `what` when that takes too long.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONGEST, "waited {LONGEST:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The same in asynchronous tests, whose other tasks go on meanwhile.
pub async fn wait_until_async(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONGEST, "waited {LONGEST:?} in vain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The seed of a random test: `RUNSHEET_SEED` if it is set, otherwise a new one. It is printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    let given = std::env::var("RUNSHEET_SEED").ok().map(|text| text.parse().expect("RUNSHEET_SEED is a number"));
    let seed = given.unwrap_or_else(rand::random);
    println!("RUNSHEET_SEED={seed}");
    seed
}

/// How far apart the writes of a journal are at which runs are killed: `RUNSHEET_EVERY=1` is each of them.
pub fn every() -> Option<usize> {
    std::env::var("RUNSHEET_EVERY").ok().map(|text| text.parse().expect("RUNSHEET_EVERY is a number"))
}

/// The writes at which a run is killed: so far apart, from a random one on.
pub fn kills(apart: usize) -> impl Iterator<Item = usize> {
    let apart = every().unwrap_or(apart);
    let first = StdRng::seed_from_u64(seed()).random_range(1..=apart);
    (first..).step_by(apart)
}
