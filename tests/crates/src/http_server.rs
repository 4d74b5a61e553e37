//! An HTTP server for the clients under test, with paths that are answered on a condition.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::{Barrier, Notify};

use crate::peer::Peer;

/// A server on a thread of its own.
///
/// | path | answer |
/// |---|---|
/// | `/echo` | the body of the request |
/// | `/meet` | when a number of requests have arrived, to all of them |
/// | `/held` | when `/release` is requested, to one of them |
/// | `/never` | none |
pub(crate) struct HttpServer {
    pub(crate) peer: Peer,
    state: Arc<State>,
}

struct State {
    meeting: Barrier,
    held: Notify,
    unanswered: AtomicUsize,
}

/// A request that is never answered. Ends when its client drops the connection.
struct Unanswered(Arc<State>);

impl Unanswered {
    fn new(state: Arc<State>) -> Self {
        state.unanswered.fetch_add(1, Ordering::SeqCst);
        Unanswered(state)
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.unanswered.fetch_sub(1, Ordering::SeqCst);
    }
}

impl HttpServer {
    /// Starts a server whose `/meet` waits for `meeting` requests.
    pub(crate) fn start(meeting: usize) -> Self {
        let state = Arc::new(State {
            meeting: Barrier::new(meeting),
            held: Notify::new(),
            unanswered: AtomicUsize::new(0),
        });
        let shared = state.clone();
        let peer = Peer::serve(move |stream| {
            let state = shared.clone();
            async move {
                let service = service_fn(move |request| answer(state.clone(), request));
                // A client may go at any time.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            }
        });
        HttpServer { peer, state }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.peer.address)
    }

    /// Returns the number of clients that wait for `/never`.
    pub(crate) fn unanswered(&self) -> usize {
        self.state.unanswered.load(Ordering::SeqCst)
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
    let body = match request.uri().path() {
        "/echo" => request.into_body().collect().await?.to_bytes(),
        "/meet" => {
            state.meeting.wait().await;
            Bytes::from_static(b"met")
        }
        "/held" => {
            state.held.notified().await;
            Bytes::from_static(b"released")
        }
        "/release" => {
            state.held.notify_one();
            Bytes::from_static(b"done")
        }
        "/never" => {
            let _unanswered = Unanswered::new(state);
            pending().await
        }
        _ => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    Ok(Response::new(Full::new(body)))
}
