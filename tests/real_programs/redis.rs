//! Redis: its clients against our stand-in, and our pool of connections against the server itself.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ramie::net::TcpListener;
use ramie::{Greenlet, Group, fallible, joinall, killall, sleep, spawn, yield_now};
use redis::{Commands, RedisResult};

use crate::databases::redis;
use crate::port_forwarder;
use crate::programs::{Programs, command, with};
use crate::redis_pool::{self, Connections};
use crate::util::eventually::until;

fn port_of(address: &str) -> &str {
    address.rsplit_once(':').unwrap().1
}

/// Returns the answers of redis-cli to commands on lines of their own.
fn cli(programs: &Programs, address: &str, commands: &str) -> String {
    let mut cli = command("redis-cli");
    programs.run_with(cli.args(["-h", "127.0.0.1", "-p", port_of(address)]), commands).text()
}

/// Has redis-benchmark do something that often; fails if an answer is an error.
fn benchmark(programs: &Programs, address: &str, arguments: &[&str]) {
    let mut benchmark = command("redis-benchmark");
    benchmark.args(["-h", "127.0.0.1", "-p", port_of(address), "--csv"]);
    let said = programs.run(benchmark.args(arguments));
    assert!(!said.errors.contains("Error from server"), "{}", said.errors);
    let text = said.text();
    let figures = text.lines().filter(|line| !line.contains("avg_latency_ms"));
    let figures = figures.filter(|line| line.matches("\",\"").count() >= 2).collect::<Vec<_>>();
    assert!(!figures.is_empty(), "{text}");
    figures.iter().for_each(|line| println!("{line}"));
}

#[test]
fn stand_in_answers_redis_cli() {
    with(&["redis-cli"], |programs| {
        let address = redis_pool::stand_in().unwrap();
        let commands = "PING\nSETEX name 60 ramie\nGET name\nGET nothing\nINCRBY count 40\nINCRBY count 2\nGET count\n\
            INCRBY name 1\nRPUSH jobs sweep\nBLPOP jobs 1\nBLPOP jobs 0.01\nDEL name count nothing\nFROB\n";
        let answers = cli(programs, &address, commands);
        let answers = answers.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("|");
        assert_eq!(
            answers,
            "PONG|OK|ramie|40|42|42|ERR this is no number|1|jobs|sweep|2|ERR unknown command"
        );
    });
}

#[test]
fn stand_in_answers_redis_benchmark() {
    with(&["redis-benchmark", "redis-cli"], |programs| {
        let address = redis_pool::stand_in().unwrap();
        benchmark(programs, &address, &["-n", "2000", "-c", "50", "-t", "ping_mbulk,get"]);
        // So many by one that each of them counts, alone and sixteen in one breath.
        benchmark(programs, &address, &["-n", "2000", "-c", "50", "INCRBY", "counter", "1"]);
        benchmark(programs, &address, &["-n", "4800", "-c", "20", "-P", "16", "INCRBY", "counter", "1"]);
        assert_eq!(cli(programs, &address, "GET counter\n").trim(), "6800");
        // A connection for each.
        benchmark(programs, &address, &["-n", "500", "-c", "5", "-k", "0", "-t", "ping_mbulk"]);
    });
}

const SERVER: [&str; 2] = ["redis-server", "redis-cli"];
const CONNECTIONS: usize = 8;
const GREENLETS: usize = 50;

/// Sets, counts and reads keys of its own by pipelines, each answer checked; how often it has
/// counted.
fn work(pool: &Connections, number: usize, rounds: usize, counted: &Cell<usize>) -> RedisResult<()> {
    for round in 0..rounds {
        let (key, value) = (format!("own:{number}"), format!("{number}.{round}"));
        let mut pipe = redis::pipe();
        pipe.set(&key, &value).ignore().incr("count", 1).get(&key).cmd("ECHO").arg(&value);
        let mut connection = pool.get()?;
        let (_, own, echo): (usize, String, String) = pipe.query(&mut *connection)?;
        counted.set(counted.get() + 1);
        assert_eq!((own.as_str(), echo.as_str()), (value.as_str(), value.as_str()));
    }
    Ok(())
}

#[test]
fn greenlets_share_connections_to_redis() {
    with(&SERVER, |programs| {
        let (_folder, server) = redis(programs);
        let pool = Connections::new(server.address(), CONNECTIONS);
        let group = Group::new();
        let counted = Rc::new(Cell::new(0));
        for number in 0..GREENLETS {
            let (pool, counted) = (pool.clone(), counted.clone());
            group.spawn(fallible(move || work(&pool, number, 20, &counted)));
        }
        group.join_raising().unwrap();
        assert_eq!(counted.get(), 20 * GREENLETS);
        assert_eq!(pool.made(), CONNECTIONS);
        assert_eq!(pool.get().unwrap().get::<_, usize>("count").unwrap(), 20 * GREENLETS);
        // Another client sees the same, and as many connections as there are.
        assert_eq!(cli(programs, &server.address(), "GET count\n").trim(), (20 * GREENLETS).to_string());
        let clients = cli(programs, &server.address(), "CLIENT LIST TYPE normal\n");
        assert_eq!(clients.matches(" addr=").count(), CONNECTIONS + 1, "{clients}");
        // One answer that is larger than any buffer, next to small ones.
        let large = "0123456789abcdef".repeat(1 << 18);
        pool.get().unwrap().set::<_, _, ()>("large", &large).unwrap();
        let reading = (0..4).map(|_| {
            let pool = pool.clone();
            spawn(move || pool.get().unwrap().get::<_, String>("large").unwrap())
        });
        let reading = reading.collect::<Vec<_>>();
        work(&pool, 99, 20, &counted).unwrap();
        assert!(reading.into_iter().all(|greenlet| greenlet.take().unwrap() == large));
    });
}

#[test]
fn kill_in_the_middle_of_a_command_leaves_the_pool_usable() {
    with(&SERVER, |programs| {
        let (_folder, server) = redis(programs);
        let address = server.address();
        let pool = Connections::new(address.clone(), CONNECTIONS);
        // All connections wait for a list, and all other greenlets for one of them: each is killed
        // where it is.
        let waiting = (0..GREENLETS).map(|_| {
            let pool = pool.clone();
            spawn(move || pool.get().unwrap().blpop::<_, Option<(String, String)>>("nothing", 0.0).unwrap())
        });
        let waiting = waiting.collect::<Vec<Greenlet<_>>>();
        let blocked = || {
            cli(programs, &address, "INFO clients\n").contains(&format!("blocked_clients:{CONNECTIONS}\r"))
        };
        until(blocked);
        killall(&waiting);
        assert!(waiting.iter().all(|greenlet| greenlet.get().is_err_and(|failure| failure.is_exit())));
        // The connections are gone as well: no killed greenlet gets an item that is pushed now.
        until(|| cli(programs, &address, "INFO clients\n").contains("blocked_clients:0\r"));
        assert_eq!(pool.get().unwrap().rpush::<_, _, usize>("nothing", "here").unwrap(), 1);
        assert_eq!(pool.made(), CONNECTIONS + 1);

        // Killed anywhere in the midst of their work, while others go on and get their own answers.
        let counted = Rc::new(Cell::new(0));
        let workers = (0..GREENLETS).map(|number| {
            let (pool, counted) = (pool.clone(), counted.clone());
            spawn(move || work(&pool, number, 40, &counted).unwrap())
        });
        let workers = workers.collect::<Vec<_>>();
        for (number, worker) in workers.iter().enumerate().filter(|(number, _)| number % 3 == 0) {
            // As many turns and moments later as there have been kills.
            (0..number % 7).for_each(|_| yield_now());
            sleep(Duration::from_micros(100 * (number as u64 % 5)));
            worker.kill();
        }
        joinall(&workers);
        for (number, worker) in workers.iter().enumerate() {
            match worker.get() {
                Ok(()) => {}
                Err(failure) => assert!(failure.is_exit() && number % 3 == 0, "{number}: {failure}"),
            }
        }
        let count = pool.get().unwrap().get::<_, usize>("count").unwrap();
        // What the server has done for one that was killed, it has not heard of.
        assert!(
            (counted.get()..=counted.get() + GREENLETS).contains(&count),
            "{count} and {}",
            counted.get()
        );
        let group = Group::new();
        for number in 0..GREENLETS {
            let (pool, counted) = (pool.clone(), counted.clone());
            group.spawn(fallible(move || work(&pool, number, 5, &counted)));
        }
        group.join_raising().unwrap();
        until(|| {
            cli(programs, &address, "CLIENT LIST TYPE normal\n").matches(" addr=").count() == CONNECTIONS + 1
        });
    });
}

#[test]
fn server_that_dies_is_an_error_for_who_waits_for_it() {
    with(&SERVER, |programs| {
        let (_folder, first) = redis(programs);
        let pool = Connections::new(first.address(), CONNECTIONS);
        let waiting = (0..CONNECTIONS).map(|_| {
            let pool = pool.clone();
            spawn(move || pool.get().unwrap().blpop::<_, Option<(String, String)>>("nothing", 0.0).is_err())
        });
        let waiting = waiting.collect::<Vec<_>>();
        let address = first.address();
        until(|| {
            cli(programs, &address, "INFO clients\n").contains(&format!("blocked_clients:{CONNECTIONS}\r"))
        });
        first.end();
        assert!(waiting.into_iter().all(|greenlet| greenlet.take().unwrap()));
        // No server is there; and no place in the pool is lost by asking.
        for _ in 0..2 * CONNECTIONS {
            assert!(pool.get().is_err());
        }
    });
}

#[test]
fn redis_benchmark_goes_through_the_forwarder() {
    with(&["redis-server", "redis-cli", "redis-benchmark"], |programs| {
        let (_folder, server) = redis(programs);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let target = server.address();
        spawn(move || {
            for stream in listener.incoming() {
                let target = target.clone();
                let stream = stream.unwrap();
                spawn(move || port_forwarder::forward(&stream, &target).is_ok());
            }
        });
        let tests = "set,get,incr,lpush,lrange_100,mset";
        benchmark(programs, &address, &["-n", "2000", "-c", "20", "-P", "8", "-d", "200", "-t", tests]);
        benchmark(programs, &address, &["-n", "4800", "-c", "20", "-P", "16", "INCRBY", "counter", "1"]);
        assert_eq!(cli(programs, &address, "GET counter\n").trim(), "4800");
        // As much at once as fits through only in pieces.
        let large = "x".repeat(3_000_000);
        let commands = format!("SET large {large}\nSTRLEN large\nGET large\n");
        let answers = cli(programs, &address, &commands);
        assert!(answers.trim_end() == format!("OK\n3000000\n{large}"), "{} bytes", answers.len());
    });
}
