//! Measures requests of reqwest in greenlets, beside tokio itself: the median of 3,000 requests one by
//! one, and the requests a second of twenty at once. `cargo bench -p ramie-crates`.
//!
//! The server is the same for all: a thread a connection, so that its cost does not depend on the
//! runtime under test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, spawn_local};

const REQUESTS: usize = 3_000;
const AT_ONCE: usize = 20;
const ROUNDS: usize = 5;

/// Serves keep-alive connections until the process ends.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("the listener is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(&stream));
        }
    });
    address
}

fn answer(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    for line in BufReader::new(stream).lines() {
        match line.as_deref() {
            // The end of the head: reqwest sends no body here.
            Ok("") => {
                let mut writer = stream;
                if writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

async fn request(client: &Client, url: &str) -> Duration {
    let start = Instant::now();
    let response = client.get(url).send().await.expect("the server answers");
    assert_eq!(response.text().await.expect("the body is whole"), "hello");
    start.elapsed()
}

/// The way in which a runtime drives requests: some by one caller, or by several at once.
struct Contender {
    name: &'static str,
    run: fn(&str, usize, usize) -> Vec<Duration>,
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

fn client() -> Client {
    Client::builder().no_proxy().build().expect("a client can be made")
}

fn by_tokio(url: &str, callers: usize, each: usize) -> Vec<Duration> {
    let (client, url) = (client(), Rc::<str>::from(url));
    LocalSet::new().block_on(&current_thread(), async move {
        let callers = (0..callers).map(|_| {
            let (client, url) = (client.clone(), url.clone());
            spawn_local(async move {
                let mut taken = Vec::with_capacity(each);
                for _ in 0..each {
                    taken.push(request(&client, &url).await);
                }
                taken
            })
        });
        let mut all = Vec::new();
        for caller in callers.collect::<Vec<_>>() {
            all.extend(caller.await.expect("no request panics"));
        }
        all
    })
}

/// Spawns the callers as greenlets, and waits for them.
fn greenlets(url: &str, callers: usize, each: usize) -> Vec<Duration> {
    let (client, url) = (client(), Rc::<str>::from(url));
    let callers = (0..callers).map(|_| {
        let (client, url) = (client.clone(), url.clone());
        ramie::spawn(move || {
            (0..each)
                .map(|_| ramie::tokio::block_on(async { request(&client, &url).await }))
                .collect::<Vec<_>>()
        })
    });
    let callers = callers.collect::<Vec<_>>();
    callers.into_iter().flat_map(|caller| caller.take().expect("no request panics")).collect()
}

fn by_the_shared_reactor(url: &str, callers: usize, each: usize) -> Vec<Duration> {
    greenlets(url, callers, each)
}

fn by_the_hub_in_tokio(url: &str, callers: usize, each: usize) -> Vec<Duration> {
    ramie::tokio::run(&current_thread(), || greenlets(url, callers, each))
}

const CONTENDERS: [Contender; 3] = [
    Contender { name: "tokio itself, one thread", run: by_tokio },
    Contender { name: "greenlets, shared reactor (block_on)", run: by_the_shared_reactor },
    Contender { name: "greenlets, hub in tokio (run)", run: by_the_hub_in_tokio },
];

fn main() {
    let url = format!("http://{}/", server());
    // The contenders take turns, so that a disturbance reaches all of them.
    let mut medians = CONTENDERS.map(|_| Vec::new());
    let mut rates = CONTENDERS.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (at, contender) in CONTENDERS.iter().enumerate() {
            let mut taken = (contender.run)(&url, 1, REQUESTS);
            taken.sort_unstable();
            medians[at].push(taken[taken.len() / 2].as_secs_f64() * 1e6);
            let start = Instant::now();
            let many = (contender.run)(&url, AT_ONCE, REQUESTS / AT_ONCE).len();
            rates[at].push(many as f64 / start.elapsed().as_secs_f64());
        }
    }
    println!("{:<40} {:>24} {:>30}", "", "one by one, us a request", "20 at once, requests a second");
    for (at, contender) in CONTENDERS.iter().enumerate() {
        let [one, many] = [&mut medians[at], &mut rates[at]].map(|figures| {
            figures.sort_unstable_by(f64::total_cmp);
            (figures[0], figures[ROUNDS / 2], figures[ROUNDS - 1])
        });
        println!(
            "{:<40} {:>8.1} {:>7.1} {:>7.1} {:>12.0} {:>8.0} {:>8.0}",
            contender.name, one.0, one.1, one.2, many.0, many.1, many.2
        );
    }
}
