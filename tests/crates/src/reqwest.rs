//! reqwest: one client in many greenlets, by `ramie::tokio::block_on`.

use std::time::Duration;

use ramie::tokio::{block_on, block_on_timeout};
use ramie::{ThreadPool, spawn, with_timeout};
use reqwest::{Client, StatusCode};

use crate::http_server::HttpServer;
use crate::util::eventually::until;
use crate::util::within;
use crate::witness::{LIMIT, cut_calls_at_random, in_greenlets, while_others_run, within_both_reactors};

const GREENLETS: usize = 20;

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

fn get(client: &Client, url: &str) -> reqwest::Result<String> {
    block_on(async { client.get(url).send().await?.error_for_status()?.text().await })
}

#[test]
fn greenlets_share_a_client() {
    within_both_reactors(|| {
        let server = HttpServer::start(GREENLETS);
        let client = client();
        let echoed = in_greenlets(GREENLETS, |number| {
            let (client, meet, echo) = (client.clone(), server.url("/meet"), server.url("/echo"));
            move || {
                // The server answers when the requests of all greenlets are there.
                assert_eq!(get(&client, &meet).unwrap(), "met");
                let body = "x".repeat(number * 10_000);
                let response = block_on(client.post(&echo).body(body.clone()).send()).unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                block_on(response.text()).unwrap() == body
            }
        });
        assert_eq!(echoed, [true; GREENLETS]);
        let missing = get(&client, &server.url("/missing")).unwrap_err();
        assert_eq!(missing.status(), Some(StatusCode::NOT_FOUND));
    });
}

/// A client may be used by the greenlets of several threads, each with a hub of its own.
#[test]
fn threads_share_a_client() {
    within_both_reactors(|| {
        const THREADS: usize = 4;
        let server = HttpServer::start(THREADS * GREENLETS);
        let (client, meet) = (client(), server.url("/meet"));
        let threads = (0..THREADS).map(|_| {
            let (client, meet) = (client.clone(), meet.clone());
            ThreadPool::global().spawn(move || {
                in_greenlets(GREENLETS, |_| {
                    let (client, meet) = (client.clone(), meet.clone());
                    move || get(&client, &meet).unwrap()
                })
            })
        });
        for answers in threads.collect::<Vec<_>>() {
            assert_eq!(answers.take().unwrap(), ["met"; GREENLETS]);
        }
    });
}

#[test]
fn others_run_during_a_request() {
    within_both_reactors(|| {
        let server = HttpServer::start(1);
        let client = client();
        let (releasing, held, release) = (client.clone(), server.url("/held"), server.url("/release"));
        let answer = while_others_run(
            move || get(&client, &held).unwrap(),
            move || assert_eq!(get(&releasing, &release).unwrap(), "done"),
        );
        assert_eq!(answer, "released");
    });
}

#[test]
fn a_timeout_and_a_kill_cut_a_request() {
    within_both_reactors(|| {
        let server = HttpServer::start(1);
        let (client, never) = (client(), server.url("/never"));
        let late = with_timeout(Duration::from_millis(50), || get(&client, &never).is_ok());
        assert!(late.is_err());
        let late = block_on_timeout(client.get(&never).send(), Duration::from_millis(50));
        assert!(late.is_err());

        let (killed, url) = (client.clone(), never.clone());
        let waiter = spawn(move || get(&killed, &url).is_ok());
        until(|| server.unanswered() > 0);
        waiter.kill();
        assert!(waiter.dead());
        // The connections are closed, and the server sees it.
        until(|| server.unanswered() == 0);
        assert_eq!(get(&client, &server.url("/meet")).unwrap(), "met");
    });
}

/// reqwest's own limit needs tokio's timers, which it finds.
#[test]
fn the_limit_of_the_client_itself_works() {
    within_both_reactors(|| {
        let server = HttpServer::start(1);
        let client = Client::builder().no_proxy().timeout(Duration::from_millis(50)).build().unwrap();
        let late = get(&client, &server.url("/never")).unwrap_err();
        assert!(late.is_timeout(), "{late}");
        assert_eq!(get(&client, &server.url("/meet")).unwrap(), "met");
    });
}

#[test]
fn random_cuts_mix_no_answers_up() {
    within_both_reactors(|| {
        let server = HttpServer::start(1);
        let (client, echo) = (client(), server.url("/echo"));
        cut_calls_at_random(move |number| {
            let answer =
                block_on(async { client.post(&echo).body(number.to_string()).send().await?.text().await });
            assert_eq!(answer.unwrap(), number.to_string());
        });
    });
}

/// A client with a limit starts its timer in the call of `send`, which needs the context of tokio.
#[test]
fn a_request_with_a_limit_is_sent_inside_the_future() {
    within(LIMIT, || {
        let server = HttpServer::start(1);
        let client = Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
        let (outside, url) = (client.clone(), server.url("/meet"));
        let failure = spawn(move || drop(block_on(outside.get(&url).send()))).get().unwrap_err();
        assert!(failure.to_string().contains("no reactor running"), "{failure}");
        assert_eq!(get(&client, &server.url("/meet")).unwrap(), "met");
    });
}
