//! ureq: its blocking agent on threads of the pool, by `ramie::blocking`.

use std::time::Duration;

use ramie::pool::blocking_owned;
use ramie::{blocking, spawn, with_timeout};
use ureq::{Agent, Error};

use crate::http_server::HttpServer;
use crate::util::eventually::until;
use crate::util::within;
use crate::witness::{LIMIT, in_greenlets, while_others_run};

const GREENLETS: usize = 20;

/// Makes an agent whose requests take no longer than this.
fn agent(limit: Duration) -> Agent {
    Agent::config_builder().proxy(None).timeout_global(Some(limit)).build().into()
}

fn get(agent: &Agent, url: &str) -> Result<String, Error> {
    blocking(|| agent.get(url).call()?.body_mut().read_to_string())
}

#[test]
fn greenlets_share_an_agent() {
    within(LIMIT, || {
        let server = HttpServer::start(GREENLETS);
        let agent = agent(LIMIT);
        let echoed = in_greenlets(GREENLETS, |number| {
            let (agent, meet, echo) = (agent.clone(), server.url("/meet"), server.url("/echo"));
            move || {
                assert_eq!(get(&agent, &meet).unwrap(), "met");
                let body = "x".repeat(number * 10_000);
                let back = blocking(|| agent.post(&echo).send(&body)?.body_mut().read_to_string());
                back.unwrap() == body
            }
        });
        assert_eq!(echoed, [true; GREENLETS]);
        assert!(matches!(get(&agent, &server.url("/missing")), Err(Error::StatusCode(404))));
    });
}

#[test]
fn others_run_during_a_request() {
    within(LIMIT, || {
        let server = HttpServer::start(1);
        let agent = agent(LIMIT);
        let (releasing, held, release) = (agent.clone(), server.url("/held"), server.url("/release"));
        let answer = while_others_run(
            move || get(&agent, &held).unwrap(),
            move || assert_eq!(get(&releasing, &release).unwrap(), "done"),
        );
        assert_eq!(answer, "released");
    });
}

/// A thread that waits for a server is not interrupted: the agent's own limit ends its wait.
#[test]
fn a_timeout_leaves_the_request_to_its_own_limit() {
    within(LIMIT, || {
        let server = HttpServer::start(1);
        let agent = agent(Duration::from_millis(500));
        let (own, url) = (agent.clone(), server.url("/never"));
        let late =
            with_timeout(Duration::from_millis(20), || blocking_owned(move || own.get(&url).call().is_ok()));
        assert!(late.is_err());
        let (own, url) = (agent.clone(), server.url("/never"));
        let waiter = spawn(move || blocking_owned(move || own.get(&url).call().is_ok()));
        ramie::yield_now();
        waiter.kill();
        assert!(waiter.dead());
        assert!(matches!(get(&agent, &server.url("/never")), Err(Error::Timeout(_))));
        until(|| server.unanswered() == 0);
        assert_eq!(get(&agent, &server.url("/meet")).unwrap(), "met");
    });
}
