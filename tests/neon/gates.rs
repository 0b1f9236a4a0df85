//! The addresses before the servers of the stand-in: waking, refusing, pooling, cutting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use runsheet::lab::neon::backing::{Host, Listening, Proxies, StorageId, Storages, Wake};
use runsheet::lab::neon::storage::{APP, Gates, OWNER};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls};

use super::stored::World;

/// An address before a storage, and how often its server was asked for.
async fn gate(world: &World, storage: &StorageId, host: Host) -> (Box<dyn Listening>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (histories, storage, counted) = (Arc::clone(&world.histories), storage.clone(), Arc::clone(&asked));
    let wake: Wake = Arc::new(move || {
        let (histories, storage) = (Arc::clone(&histories), storage.clone());
        counted.fetch_add(1, Ordering::SeqCst);
        async move { histories.start(&storage).await.map(|it| it.port).map_err(|fault| fault.to_string()) }.boxed()
    });
    let gates = Gates(Arc::clone(&world.histories));
    (gates.listen(host, wake).await.expect("an address"), asked)
}

/// The application connects.
async fn connect(world: &World, port: u16) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    config.host("ep-cool-lake-a1b2c3d4.lab.localhost").hostaddr([127, 0, 0, 1].into()).port(port);
    config.user(OWNER).password(world.histories.owner_password()).dbname(APP);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// What PostgreSQL said when it ended or refused a connection.
fn said(error: &tokio_postgres::Error) -> (String, String) {
    let said = error.as_db_error().unwrap_or_else(|| panic!("{error:?}"));
    (said.code().code().to_owned(), said.message().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_connects_wakes_the_compute_and_who_only_looks_does_not() {
    let world = World::shared().await;
    let storage = world.root().await;
    let (gate, asked) = gate(world, &storage, Host::Direct).await;
    drop(tokio::net::TcpStream::connect(("127.0.0.1", gate.port())).await.expect("somebody listens"));
    assert!(!world.has_files(&storage));
    let client = connect(world, gate.port()).await.expect("a connection");
    let row = client.query_one("select count(*) from orders", &[]).await.expect("a row");
    assert_eq!(row.get::<_, i64>(0), 2000);
    assert_eq!((asked.load(Ordering::SeqCst), gate.clients()), (1, 1));
    assert!(gate.last_active().is_some());
    drop(client);
    crate::support::wait_until_async(|| gate.clients() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_compute_says_why_it_ends_a_session_and_comes_back() {
    let world = World::shared().await;
    for host in [Host::Direct, Host::Pooled] {
        let storage = world.root().await;
        let (gate, asked) = gate(world, &storage, host).await;
        let client = connect(world, gate.port()).await.expect("a connection");
        let waiting = client.batch_execute("select pg_sleep(60)");
        let suspended = async {
            let sleeping = "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)'";
            while world.value(&storage, sleeping).await == "0" {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            world.histories.stop(&storage).await.expect("it stops");
            gate.cut();
        };
        let (ended, ()) = tokio::join!(waiting, suspended);
        assert_eq!(said(&ended.expect_err("it was ended")).0, "57P01", "{host:?}");
        let client = connect(world, gate.port()).await.expect("a connection");
        client.batch_execute("select 1").await.expect("it works");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_arrives_as_an_error_of_postgres() {
    let world = World::shared().await;
    let why = "Control plane request failed: endpoint is disabled";
    let refuse: Wake = Arc::new(move || async move { Err(why.to_owned()) }.boxed());
    for host in [Host::Direct, Host::Pooled] {
        let gate = Gates(Arc::clone(&world.histories)).listen(host, Arc::clone(&refuse)).await.expect("an address");
        let refused = connect(world, gate.port()).await.expect_err("a refusal");
        assert_eq!(said(&refused).1, why);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooled_address_shares_servers_between_transactions() {
    let world = World::shared().await;
    let storage = world.root().await;
    let (gate, _) = gate(world, &storage, Host::Pooled).await;
    let (one, other) = tokio::join!(connect(world, gate.port()), connect(world, gate.port()));
    let (one, other) = (one.expect("a connection"), other.expect("a connection"));
    let mut pids = Vec::new();
    for client in [&one, &other, &one] {
        let rows = client.query_typed("select pg_backend_pid(), $1::int8", &[(&7i64, Type::INT8)]).await.expect("rows");
        assert_eq!(rows[0].get::<_, i64>(1), 7);
        pids.push(rows[0].get::<_, i32>(0));
    }
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    // As on the service: what belongs to a session is refused at its start.
    let mut config = Config::new();
    config.host("127.0.0.1").port(gate.port()).user(OWNER).password(world.histories.owner_password()).dbname(APP);
    let refused = config.options("-c statement_timeout=1").connect(NoTls).await.map(|_| ()).expect_err("a refusal");
    assert!(said(&refused).1.contains("unsupported startup parameter"), "{refused:?}");
    gate.cut();
    crate::support::wait_until_async(|| gate.clients() == 0).await;
    let ended = one.batch_execute("select 1").await.expect_err("it was cut");
    assert!(ended.is_closed() || said(&ended).0 == "57P01", "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_counts_at_once_on_both_addresses() {
    let world = World::shared().await;
    let storage = world.root().await;
    let ((direct, _), (pooled, _)) =
        (gate(world, &storage, Host::Direct).await, gate(world, &storage, Host::Pooled).await);
    for gate in [&direct, &pooled] {
        connect(world, gate.port()).await.expect("the first password works");
    }
    world.sql(&storage, &format!("alter role {OWNER} password 'npg_another'")).await;
    // PgBouncer has a code of its own for it.
    for (gate, code) in [(&direct, "28P01"), (&pooled, "08P01")] {
        assert_eq!(said(&connect(world, gate.port()).await.expect_err("a refusal")).0, code);
    }
}
