//! tonic: unary calls of many greenlets over one channel, with messages and methods by hand.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ramie::tokio::{block_on, block_on_timeout};
use ramie::{spawn, with_timeout};
use tokio::sync::{Barrier, Notify};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::peer::Peer;
use crate::util::eventually::until;
use crate::witness::{cut_calls_at_random, in_greenlets, while_others_run, within_both_reactors};

const GREENLETS: usize = 20;
/// More calls than a test cuts.
const RESETS: usize = 100_000;

#[derive(Clone, PartialEq, prost::Message)]
struct Ask {
    #[prost(string, tag = "1")]
    what: String,
    #[prost(uint64, tag = "2")]
    number: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Told {
    #[prost(uint64, tag = "1")]
    number: u64,
}

struct State {
    meeting: Barrier,
    held: Notify,
    /// Has one owner more for each call that is not answered.
    unanswered: Arc<()>,
}

/// The method of the service.
#[derive(Clone)]
struct Method(Arc<State>);

impl tonic::server::UnaryService<Ask> for Method {
    type Response = Told;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Told>, Status>> + Send>>;

    fn call(&mut self, request: Request<Ask>) -> Self::Future {
        let state = self.0.clone();
        Box::pin(async move {
            let Ask { what, number } = request.into_inner();
            match what.as_str() {
                "meet" => {
                    state.meeting.wait().await;
                }
                "wait" => state.held.notified().await,
                "release" => state.held.notify_one(),
                "never" => {
                    let _unanswered = state.unanswered.clone();
                    pending().await
                }
                other => return Err(Status::invalid_argument(other)),
            }
            Ok(Response::new(Told { number: number + 1 }))
        })
    }
}

struct Server {
    peer: Peer,
    state: Arc<State>,
}

impl Server {
    fn start(meeting: usize) -> Self {
        let state = State { meeting: Barrier::new(meeting), held: Notify::new(), unanswered: Arc::new(()) };
        let state = Arc::new(state);
        let method = Method(state.clone());
        let peer = Peer::serve(move |stream| {
            let method = method.clone();
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let method = method.clone();
                async move {
                    assert_eq!(request.uri().path(), "/ramie.Answers/Ask");
                    let mut calls = tonic::server::Grpc::new(ProstCodec::<Told, Ask>::default());
                    Ok::<_, Infallible>(calls.unary(method, request).await)
                }
            });
            async move {
                let mut connection = http2::Builder::new(TokioExecutor::new());
                // The limit closes a connection with many resets, as a defence against floods.
                connection.max_pending_accept_reset_streams(RESETS);
                // A client may go at any time.
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            }
        });
        Server { peer, state }
    }

    fn unanswered(&self) -> usize {
        Arc::strong_count(&self.state.unanswered) - 1
    }

    fn connect(&self) -> Client {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.peer.address)).unwrap();
        Client(block_on(endpoint.connect()).unwrap())
    }
}

/// Clones share a connection.
#[derive(Clone)]
struct Client(Channel);

impl Client {
    async fn call(&self, what: &str, number: u64) -> Result<u64, Status> {
        let mut calls = tonic::client::Grpc::new(self.0.clone());
        calls.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
        let codec = ProstCodec::<Ask, Told>::default();
        let ask = Request::new(Ask { what: what.to_owned(), number });
        let path = "/ramie.Answers/Ask".parse().unwrap();
        let told: Response<Told> = calls.unary(ask, path, codec).await?;
        Ok(told.into_inner().number)
    }

    fn ask(&self, what: &str, number: u64) -> Result<u64, Status> {
        block_on(self.call(what, number))
    }
}

#[test]
fn greenlets_share_a_channel() {
    within_both_reactors(|| {
        let server = Server::start(GREENLETS);
        let client = server.connect();
        let told = in_greenlets(GREENLETS, |number| {
            let client = client.clone();
            move || client.ask("meet", number as u64).unwrap()
        });
        assert_eq!(told, (1..=20).collect::<Vec<u64>>());
        let refused = client.ask("nothing", 1).unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "nothing"));
    });
}

#[test]
fn others_run_during_a_call() {
    within_both_reactors(|| {
        let server = Server::start(1);
        let (one, other) = (server.connect(), server.connect());
        let told = while_others_run(
            move || one.ask("wait", 1).unwrap(),
            move || assert_eq!(other.ask("release", 2).unwrap(), 3),
        );
        assert_eq!(told, 2);
    });
}

/// The drop of a call resets its stream; the connection serves the other calls.
#[test]
fn a_timeout_and_a_kill_cut_a_call() {
    within_both_reactors(|| {
        let server = Server::start(1);
        let client = server.connect();
        let late = with_timeout(Duration::from_millis(50), || client.ask("never", 1).is_ok());
        assert!(late.is_err());
        assert!(block_on_timeout(client.call("never", 1), Duration::from_millis(50)).is_err());
        let own = client.clone();
        let waiter = spawn(move || own.ask("never", 1).is_ok());
        until(|| server.unanswered() > 0);
        waiter.kill();
        until(|| server.unanswered() == 0);
        assert_eq!(client.ask("meet", 1).unwrap(), 2);
    });
}

#[test]
fn random_cuts_mix_no_answers_up() {
    within_both_reactors(|| {
        let server = Server::start(1);
        let client = server.connect();
        cut_calls_at_random(move |number| {
            let number = number as u64;
            assert_eq!(client.ask("meet", number).unwrap(), number + 1);
        });
    });
}
