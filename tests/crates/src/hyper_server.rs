//! hyper's server: a greenlet for each connection, and one for each request.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ramie::sync::{Barrier, Event};
use ramie::tokio::block_on;
use ramie::{Greenlet, sleep, spawn};
use reqwest::Client;
use tokio::net::{TcpListener, TcpStream};

use crate::util::eventually::until;
use crate::witness::{cut_calls_at_random, in_greenlets, while_others_run, within_both_reactors};

const GREENLETS: usize = 20;

/// State of the handlers, which only one thread uses.
struct State {
    meeting: Barrier,
    release: Event,
    handlers: Cell<usize>,
}

/// Counts a handler while it runs.
struct Counted(Rc<State>);

impl Counted {
    fn new(state: Rc<State>) -> Self {
        state.handlers.set(state.handlers.get() + 1);
        Counted(state)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.handlers.set(self.0.handlers.get() - 1);
    }
}

/// Handles a request, and waits where it needs to.
fn handle(state: &State, path: &str, body: Bytes) -> Bytes {
    match path {
        "/echo" => {
            sleep(Duration::from_millis(1));
            body
        }
        "/meet" => {
            state.meeting.wait();
            Bytes::from_static(b"met")
        }
        "/held" => {
            state.release.wait();
            Bytes::from_static(b"released")
        }
        "/release" => {
            state.release.set();
            Bytes::from_static(b"done")
        }
        "/never" => {
            sleep(Duration::from_secs(3600));
            Bytes::new()
        }
        other => panic!("no handler for {other}"),
    }
}

/// The greenlet of a request. Killed when hyper drops the future of the request, as it does when
/// the client closes the connection.
struct Handler(Greenlet<Bytes>);

impl Drop for Handler {
    fn drop(&mut self) {
        self.0.kill_nowait();
    }
}

async fn respond(state: Rc<State>, request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let handler = Handler(spawn(move || {
        let _counted = Counted::new(state.clone());
        handle(&state, head.uri.path(), body)
    }));
    let mut response = Response::new(Full::default());
    match (&handler.0).await {
        Ok(body) => *response.body_mut() = Full::new(body),
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    Ok(response)
}

fn serve(state: Rc<State>, stream: TcpStream) {
    let service = service_fn(|request| respond(state.clone(), request));
    // A client may go at any time.
    let _ = block_on(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
}

/// A server on the thread of its clients.
struct Server {
    address: SocketAddr,
    state: Rc<State>,
    accepting: Greenlet<()>,
}

impl Server {
    fn start(meeting: usize) -> Self {
        let listener = block_on(async { TcpListener::bind("127.0.0.1:0").await }).unwrap();
        let address = listener.local_addr().unwrap();
        let state =
            Rc::new(State { meeting: Barrier::new(meeting), release: Event::new(), handlers: Cell::new(0) });
        let shared = state.clone();
        let accepting = spawn(move || {
            loop {
                let (stream, _) = block_on(listener.accept()).unwrap();
                stream.set_nodelay(true).unwrap();
                let state = shared.clone();
                spawn(move || serve(state, stream));
            }
        });
        Server { address, state, accepting }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.kill_nowait();
    }
}

fn post(client: &Client, url: &str, body: Vec<u8>) -> reqwest::Result<Bytes> {
    block_on(async { client.post(url).body(body).send().await?.error_for_status()?.bytes().await })
}

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

#[test]
fn handlers_are_greenlets() {
    within_both_reactors(|| {
        let server = Server::start(GREENLETS);
        let client = client();
        let echoed = in_greenlets(GREENLETS, |number| {
            let (client, meet, echo) = (client.clone(), server.url("/meet"), server.url("/echo"));
            move || {
                // Each handler waits for all the others.
                assert_eq!(post(&client, &meet, Vec::new()).unwrap(), "met");
                let body = vec![b'x'; number * 10_000];
                post(&client, &echo, body.clone()).unwrap() == body
            }
        });
        assert_eq!(echoed, [true; GREENLETS]);
        assert_eq!(server.state.handlers.get(), 0);
    });
}

#[test]
fn others_run_while_a_handler_waits() {
    within_both_reactors(|| {
        let server = Server::start(1);
        let (client, releasing) = (client(), client());
        let (held, release) = (server.url("/held"), server.url("/release"));
        let answer = while_others_run(
            move || post(&client, &held, Vec::new()).unwrap(),
            move || assert_eq!(post(&releasing, &release, Vec::new()).unwrap(), "done"),
        );
        assert_eq!(answer, "released");
    });
}

#[test]
fn a_handler_that_panics_fails_its_request_alone() {
    within_both_reactors(|| {
        let server = Server::start(1);
        let client = client();
        let error = post(&client, &server.url("/nothing"), Vec::new()).unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::INTERNAL_SERVER_ERROR));
        assert_eq!(post(&client, &server.url("/meet"), Vec::new()).unwrap(), "met");
    });
}

#[test]
fn a_client_that_goes_ends_its_handler() {
    within_both_reactors(|| {
        let server = Server::start(1);
        let client = client();
        let (leaving, never) = (client.clone(), server.url("/never"));
        let waiter = spawn(move || post(&leaving, &never, Vec::new()).is_ok());
        until(|| server.state.handlers.get() == 1);
        waiter.kill();
        until(|| server.state.handlers.get() == 0);
        assert_eq!(post(&client, &server.url("/meet"), Vec::new()).unwrap(), "met");
    });
}

#[test]
fn random_cuts_end_all_handlers() {
    within_both_reactors(|| {
        let server = Server::start(1);
        let (client, echo) = (client(), server.url("/echo"));
        cut_calls_at_random(move |number| {
            let body = number.to_string();
            assert_eq!(post(&client, &echo, body.clone().into_bytes()).unwrap(), body);
        });
        until(|| server.state.handlers.get() == 0);
    });
}
