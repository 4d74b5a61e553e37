//! ureq over sockets of greenlets, by the transport of the example.

#[expect(dead_code, reason = "an example has a `main`")]
#[path = "../../examples/ureq_client.rs"]
mod example;

use std::cell::Cell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use ramie::net::{TcpListener, TcpStream};
use ramie::{TimedOut, get_hub, joinall, spawn, with_timeout, yield_now};
use ureq::{Agent, Error};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(20);

/// A server in greenlets of this thread, and the connections that it has had.
struct Server {
    url: String,
    accepted: Rc<Cell<usize>>,
    ended: Rc<Cell<usize>>,
}

/// Answers `/silent` never, `/long` with a part of a body, and the others with `hello`.
fn answer(mut stream: TcpStream) {
    let mut request = Vec::new();
    loop {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            _ => return,
        }
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8(std::mem::take(&mut request)).unwrap();
        let answer: &[u8] = match text.split(' ').nth(1).unwrap() {
            "/silent" => b"",
            "/long" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        };
        stream.write_all(answer).unwrap();
    }
}

fn server() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (accepted, ended) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let server = Server { url, accepted: accepted.clone(), ended: ended.clone() };
    spawn(move || {
        for stream in listener.incoming() {
            accepted.set(accepted.get() + 1);
            let ended = ended.clone();
            spawn(move || {
                answer(stream.unwrap());
                ended.set(ended.get() + 1);
            });
        }
    });
    server
}

fn agent() -> Agent {
    example::agent(Agent::config_builder().build())
}

fn ask(agent: &Agent, url: &str, path: &str) -> Result<String, Error> {
    agent.get(format!("{url}{path}")).call()?.body_mut().read_to_string()
}

#[test]
fn greenlets_share_the_pool_of_an_agent() {
    within(LIMIT, || {
        let (server, agent) = (server(), agent());
        for _ in 0..5 {
            let (agent, url) = (agent.clone(), server.url.clone());
            let asked = spawn(move || ask(&agent, &url, "/").unwrap());
            assert_eq!(asked.get().unwrap(), "hello");
        }
        assert_eq!(server.accepted.get(), 1);
        let ask_all = || {
            let asked: [_; 3] = std::array::from_fn(|_| {
                let (agent, url) = (agent.clone(), server.url.clone());
                spawn(move || ask(&agent, &url, "/").unwrap())
            });
            joinall(&asked);
            assert!(asked.iter().all(|greenlet| greenlet.successful()));
        };
        ask_all();
        assert_eq!(server.accepted.get(), 3);
        ask_all();
        assert_eq!(server.accepted.get(), 3);
    });
}

#[test]
fn a_kill_and_a_timeout_end_a_request_and_close_its_connection() {
    within(LIMIT, || {
        let (server, agent) = (server(), agent());
        for (number, path) in ["/silent", "/long"].into_iter().enumerate() {
            let asking = {
                let (agent, url) = (agent.clone(), server.url.clone());
                spawn(move || ask(&agent, &url, path).map(drop).unwrap_err())
            };
            while server.accepted.get() < 2 * number + 1 {
                yield_now();
            }
            assert!(!asking.ready());
            asking.kill();
            assert!(asking.take().unwrap_err().is_exit());
            let asked = with_timeout(SHORT, || ask(&agent, &server.url, path).map(drop).unwrap_err());
            assert_eq!(asked.map(|error| error.to_string()), Err(TimedOut));
            while server.ended.get() < 2 * number + 2 {
                yield_now();
            }
        }
        // The agent goes on.
        assert_eq!(ask(&agent, &server.url, "/").unwrap(), "hello");
        assert_eq!(server.accepted.get(), 5);
    });
}

#[test]
fn the_limits_of_ureq_hold() {
    within(LIMIT, || {
        let server = server();
        let agent = example::agent(Agent::config_builder().timeout_global(Some(SHORT)).build());
        let turns = Rc::new(Cell::new(0));
        let count = turns.clone();
        let other = spawn(move || {
            loop {
                count.set(count.get() + 1);
                ramie::sleep(Duration::from_millis(1));
            }
        });
        let error = ask(&agent, &server.url, "/silent").unwrap_err();
        assert!(matches!(error, Error::Timeout(ureq::Timeout::Global)), "{error}");
        assert!(turns.get() > 1, "other greenlets run");
        other.kill();
    });
}

#[test]
fn a_connection_serves_its_own_thread_only() {
    within(LIMIT, || {
        let (server, agent) = (server(), agent());
        assert_eq!(ask(&agent, &server.url, "/").unwrap(), "hello");
        let begun = agent.get(format!("{}/long", server.url)).call().unwrap();
        assert_eq!(server.accepted.get(), 1);
        let (done, waker) = get_hub().waiter();
        let url = server.url.clone();
        let elsewhere = thread::spawn(move || {
            let _waker = waker;
            // The rest of an answer cannot be read here.
            let error = begun.into_body().read_to_string().unwrap_err().to_string();
            (error, ask(&agent, &url, "/"))
        });
        done.wait();
        let (error, other) = elsewhere.join().unwrap();
        assert!(error.contains("bound to another thread"), "{error}");
        // A connection of its own.
        assert_eq!(other.unwrap(), "hello");
        assert_eq!(server.accepted.get(), 2);
        // The first connection has come home and is closed.
        while server.ended.get() < 1 {
            yield_now();
        }
    });
}
