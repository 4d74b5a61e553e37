//! redis: one connection that many greenlets share, and one that connects again by itself.

use std::time::Duration;

use ramie::tokio::{block_on, block_on_timeout};
use ramie::{spawn, with_timeout};
use redis::aio::{ConnectionManager, MultiplexedConnection};
use redis::{AsyncCommands, AsyncConnectionConfig, Client, RedisResult, cmd};

use crate::databases;
use crate::programs::{Server, with};
use crate::util::eventually::until;
use crate::witness::{cut_calls_at_random, in_greenlets, on_this_thread, while_others_run};

const GREENLETS: usize = 20;

fn client(server: &Server) -> Client {
    Client::open(format!("redis://{}/", server.address())).unwrap()
}

/// Opens a connection without a limit of its own, which is half a second otherwise.
fn connect(client: &Client) -> MultiplexedConnection {
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    block_on(client.get_multiplexed_async_connection_with_config(&config)).unwrap()
}

/// Waits for an item at the front of a list.
fn pop(connection: &mut MultiplexedConnection, list: &str) -> String {
    let (_, item): (String, String) = block_on(connection.blpop(list, 0.0)).unwrap();
    item
}

/// Returns the number of clients that wait for an item.
fn blocked(connection: &MultiplexedConnection) -> usize {
    let mut connection = connection.clone();
    let clients: String = block_on(cmd("INFO").arg("clients").query_async(&mut connection)).unwrap();
    let line = clients.lines().find_map(|line| line.strip_prefix("blocked_clients:")).unwrap();
    line.parse().unwrap()
}

/// Runs a test with tokio's reactor on the shared thread, and with tokio on the thread of the
/// greenlets, each with a server of its own.
fn with_redis(test: impl Fn(&Server) + Send + 'static) {
    with(&["redis-server"], move |programs| {
        let (_folder, server) = databases::redis(programs);
        test(&server);
        let (_folder, server) = databases::redis(programs);
        on_this_thread(|| test(&server));
    });
}

#[test]
fn greenlets_share_a_connection() {
    with_redis(|server| {
        let connection = connect(&client(server));
        let read = in_greenlets(GREENLETS, |number| {
            let mut connection = connection.clone();
            move || {
                let key = format!("key-{number}");
                block_on(async {
                    let () = connection.set(&key, number).await?;
                    let _: usize = connection.incr("sum", number).await?;
                    connection.get::<_, usize>(&key).await
                })
                .unwrap()
            }
        });
        assert_eq!(read, (0..GREENLETS).collect::<Vec<_>>());
        let mut connection = connection;
        let sum: usize = block_on(connection.get("sum")).unwrap();
        assert_eq!(sum, (0..GREENLETS).sum::<usize>());
    });
}

#[test]
fn others_run_during_a_command() {
    with_redis(|server| {
        let client = client(server);
        let (mut one, mut other) = (connect(&client), connect(&client));
        let item = while_others_run(
            move || pop(&mut one, "list"),
            move || block_on(other.rpush::<_, _, ()>("list", "item")).unwrap(),
        );
        assert_eq!(item, "item");
    });
}

/// A command that was cut is still the server's, and a connection does one after the other.
#[test]
fn a_timeout_and_a_kill_cut_a_command() {
    with_redis(|server| {
        let client = client(server);
        let (mut cut, mut other) = (connect(&client), connect(&client));
        let late = block_on_timeout(cut.blpop::<_, ()>("list", 0.0), Duration::from_millis(50));
        assert!(late.is_err());
        until(|| blocked(&other) == 1);
        let () = block_on(other.rpush("list", "taken by the command that was cut")).unwrap();
        assert_eq!(block_on(cut.llen::<_, usize>("list")).unwrap(), 0);

        let late = with_timeout(Duration::from_millis(50), || pop(&mut cut, "list"));
        assert!(late.is_err());
        let waiter = spawn(move || pop(&mut cut, "list"));
        until(|| blocked(&other) == 1);
        waiter.kill();
        // That was the last handle of the connection, which is closed.
        until(|| blocked(&other) == 0);
        let () = block_on(other.rpush("list", "kept")).unwrap();
        assert_eq!(pop(&mut other, "list"), "kept");
    });
}

#[test]
fn a_connection_manager_connects_again() {
    with_redis(|server| {
        let client = client(server);
        let manager = block_on(ConnectionManager::new(client.clone())).unwrap();
        let count =
            |mut manager: ConnectionManager| -> RedisResult<usize> { block_on(manager.incr("count", 1)) };
        assert_eq!(count(manager.clone()).unwrap(), 1);
        let mut other = connect(&client);
        let mut kill = cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes");
        let killed: usize = block_on(kill.query_async(&mut other)).unwrap();
        assert_eq!(killed, 1);
        // A command that meets the closed connection fails; those after it find a new one.
        until(|| count(manager.clone()).is_ok());
        let counts = in_greenlets(GREENLETS, |_| {
            let manager = manager.clone();
            move || count(manager).unwrap()
        });
        let first = counts.iter().min().unwrap();
        let mut sorted = counts.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (*first..).take(GREENLETS).collect::<Vec<_>>());
    });
}

#[test]
fn random_cuts_mix_no_answers_up() {
    with_redis(|server| {
        let connection = connect(&client(server));
        cut_calls_at_random(move |number| {
            let mut connection = connection.clone();
            let answer: usize = block_on(cmd("ECHO").arg(number).query_async(&mut connection)).unwrap();
            assert_eq!(answer, number);
        });
    });
}

/// A connection has a limit of half a second for an answer, unless its settings say otherwise.
#[test]
fn a_connection_has_a_limit_by_default() {
    with_redis(|server| {
        let client = client(server);
        let mut connection = block_on(client.get_multiplexed_async_connection()).unwrap();
        let late: RedisResult<()> = block_on(connection.blpop("list", 0.0));
        assert!(late.unwrap_err().is_timeout());
    });
}
