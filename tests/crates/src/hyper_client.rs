//! hyper's client: a connection for each greenlet, whose task runs on the thread of tokio.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use ramie::spawn;
use ramie::tokio::{block_on, block_on_timeout};
use tokio::net::TcpStream;

use crate::http_server::HttpServer;
use crate::util::eventually::until;
use crate::witness::{in_greenlets, while_others_run, within_both_reactors};

const GREENLETS: usize = 20;

/// A connection to a server.
struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    fn open(server: &HttpServer) -> Self {
        let address = server.peer.address;
        Connection(block_on(async {
            let stream = TcpStream::connect(address).await.unwrap();
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            // Moves the bytes, also while the greenlet does something else.
            tokio::spawn(connection);
            sender
        }))
    }

    async fn send(&mut self, path: &str, body: Bytes) -> hyper::Result<Bytes> {
        let request = Request::post(path).header("host", "loopback").body(Full::new(body)).unwrap();
        self.0.ready().await?;
        Ok(self.0.send_request(request).await?.into_body().collect().await?.to_bytes())
    }

    fn post(&mut self, path: &str, body: &[u8]) -> hyper::Result<Bytes> {
        block_on(self.send(path, Bytes::copy_from_slice(body)))
    }
}

#[test]
fn each_greenlet_has_a_connection() {
    within_both_reactors(|| {
        let server = HttpServer::start(GREENLETS);
        let echoed = in_greenlets(GREENLETS, |number| {
            let mut connection = Connection::open(&server);
            move || {
                assert_eq!(connection.post("/meet", b"").unwrap(), "met");
                let body = vec![b'x'; number * 10_000];
                connection.post("/echo", &body).unwrap() == body
            }
        });
        assert_eq!(echoed, [true; GREENLETS]);
    });
}

#[test]
fn others_run_during_a_request() {
    within_both_reactors(|| {
        let server = HttpServer::start(1);
        let (mut one, mut other) = (Connection::open(&server), Connection::open(&server));
        let answer = while_others_run(
            move || one.post("/held", b"").unwrap(),
            move || assert_eq!(other.post("/release", b"").unwrap(), "done"),
        );
        assert_eq!(answer, "released");
    });
}

/// A cut request closes its connection of HTTP/1, since its answer may still come.
#[test]
fn a_timeout_and_a_kill_cut_a_request() {
    within_both_reactors(|| {
        let server = HttpServer::start(1);
        let mut connection = Connection::open(&server);
        let late = block_on_timeout(connection.send("/never", Bytes::new()), Duration::from_millis(50));
        assert!(late.is_err());
        assert!(connection.post("/meet", b"").unwrap_err().is_closed());

        let mut connection = Connection::open(&server);
        let waiter = spawn(move || connection.post("/never", b"").is_ok());
        until(|| server.unanswered() > 0);
        waiter.kill();
        until(|| server.unanswered() == 0);
        assert_eq!(Connection::open(&server).post("/meet", b"").unwrap(), "met");
    });
}
