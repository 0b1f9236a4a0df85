//! Any history of storages: whatever is written, forked, stopped, broken down and removed in whatever order, every storage
//! has exactly what it should.

use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use runsheet::lab::neon::backing::{At, StorageId, Storages};

use super::stored::World;
use crate::support::seed;

/// How much is done.
const STEPS: usize = 60;

/// A storage as it should be.
struct Expected {
    id: StorageId,
    added: Vec<String>,
    /// Points that were noted, and what was there then.
    noted: Vec<(u64, DateTime<Utc>, Vec<String>)>,
}

impl Expected {
    fn new(id: StorageId, added: Vec<String>) -> Self {
        Self { id, added, noted: Vec::new() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fork_of_any_history_has_what_was_there() {
    let world = World::shared().await;
    let mut random = StdRng::seed_from_u64(seed());
    let mut all = vec![Expected::new(world.root().await, Vec::new())];
    for step in 0..STEPS {
        let chosen = random.random_range(0..all.len());
        match random.random_range(0..11) {
            0..4 => write(world, &mut all[chosen], step).await,
            4..6 => note(world, &mut all[chosen]).await,
            6..8 => {
                let forked = fork(world, &all[chosen], &mut random).await;
                all.push(forked);
            }
            8 => world.histories.stop(&all[chosen].id).await.expect("it stops"),
            9 => world.break_down(&all[chosen].id).await,
            _ if all.len() > 1 => {
                let removed = all.swap_remove(chosen);
                world.histories.remove(&removed.id).await.expect("it goes");
            }
            _ => {}
        }
    }
    for storage in &all {
        assert_eq!(world.added(&storage.id).await, storage.added.join(" "), "{:?}", storage.id);
    }
    println!("{} storages at the end", all.len());
    for storage in all {
        world.histories.remove(&storage.id).await.expect("it goes");
    }
}

/// A commit, after one that is rolled back and goes on taking numbers.
async fn write(world: &World, storage: &mut Expected, step: usize) {
    world.sql(&storage.id, "begin; insert into customers (email, name) values ('x', 'x'); rollback").await;
    let name = format!("s{step}");
    world.customer(&storage.id, &name).await;
    storage.added.push(name);
}

async fn note(world: &World, storage: &mut Expected) {
    let point = (world.lsn(&storage.id).await, world.now(&storage.id).await, storage.added.clone());
    storage.noted.push(point);
}

/// A fork at the head or at a point that was noted, by position or time.
async fn fork(world: &World, parent: &Expected, random: &mut StdRng) -> Expected {
    let (at, added) = match random.random_range(0..=parent.noted.len()) {
        0 => (At::Head, &parent.added),
        noted => {
            let (lsn, time, added) = &parent.noted[noted - 1];
            (if random.random() { At::Lsn(*lsn) } else { At::Time(*time) }, added)
        }
    };
    Expected::new(world.fork(&parent.id, at).await, added.clone())
}
