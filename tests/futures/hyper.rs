//! hyper on ramie's sockets, timers and greenlets.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::io::{self, BufRead, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::{http1 as client, http2 as client2};
use hyper::server::conn::{http1, http2};
use hyper::{Request, Response, StatusCode, header};
use ramie::hyper::{BodyReader, RamieExecutor, RamieIo, RamieTimer, handler_fn};
use ramie::net::{Shutdown, TcpListener, TcpStream};
use ramie::{Greenlet, block_on, joinall, run, sleep, spawn, with_timeout};

use crate::util::eventually::{rests, until};
use crate::util::footprint::settled;
use crate::util::participants::{LIMIT, LONG};
use crate::util::within;

const MS: Duration = Duration::from_millis(1);
/// The size of one part of a large body.
const PART: usize = 64 << 10;

type Answer<B = Full<Bytes>> = Result<Response<B>, Infallible>;
type Sender<B = Empty<Bytes>> = client::SendRequest<B>;

fn text(text: impl Into<Bytes>) -> Answer {
    Ok(Response::new(Full::new(text.into())))
}

/// A listener with a greenlet that accepts, and one for each connection. The value of a connection's
/// greenlet is the outcome of the connection.
struct Server {
    address: SocketAddr,
    connections: Rc<RefCell<Vec<Greenlet<hyper::Result<()>>>>>,
    accepting: Greenlet<()>,
}

impl Server {
    fn start<F, B, E>(handler: F) -> Server
    where
        F: Fn(Request<Incoming>) -> Result<Response<B>, E> + 'static,
        B: Body + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        Server::with_limit(LONG, handler)
    }

    /// Starts a server with this limit for the head of a request.
    fn with_limit<F, B, E>(limit: Duration, handler: F) -> Server
    where
        F: Fn(Request<Incoming>) -> Result<Response<B>, E> + 'static,
        B: Body + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Rc::<RefCell<Vec<_>>>::default();
        let begun = connections.clone();
        let service = handler_fn(handler);
        let accepting = spawn(move || {
            loop {
                let (stream, _) = listener.accept().unwrap();
                let service = service.clone();
                let serve = move || {
                    let mut builder = http1::Builder::new();
                    builder.timer(RamieTimer).header_read_timeout(limit);
                    block_on(builder.serve_connection(RamieIo::new(stream), service))
                };
                begun.borrow_mut().push(spawn(serve));
            }
        });
        Server { address, connections, accepting }
    }

    fn connection(&self, at: usize) -> Greenlet<hyper::Result<()>> {
        self.connections.borrow()[at].clone()
    }

    /// Connects, and drives the connection in a greenlet.
    fn connect<B>(&self) -> (Sender<B>, Greenlet<hyper::Result<()>>)
    where
        B: Body + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let stream = TcpStream::connect(self.address).unwrap();
        let (sender, connection) = block_on(client::handshake(RamieIo::new(stream))).unwrap();
        (sender, spawn(move || block_on(connection)))
    }

    fn stop(self) {
        self.accepting.kill();
        joinall(&self.connections.take());
    }
}

fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).body(Empty::new()).unwrap()
}

fn body(response: Response<Incoming>) -> String {
    io::read_to_string(BodyReader::new(response.into_body())).unwrap()
}

fn ask(sender: &mut Sender, path: &str) -> String {
    block_on(async {
        sender.ready().await.unwrap();
        sender.send_request(get(path)).await.map(body).unwrap()
    })
}

/// A body of so many parts, which counts those that were taken.
struct Parts {
    left: usize,
    taken: Rc<Cell<usize>>,
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.taken.set(self.taken.get() + 1);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![7; PART])))))
    }
}

#[test]
fn requests_share_a_connection() {
    within(LIMIT, || {
        run(|| {
            let before = settled();
            let server = Server::start(|request: Request<Incoming>| {
                sleep(MS / 10);
                text(request.uri().path().to_owned())
            });
            let (mut sender, connection) = server.connect();
            for n in 0..100 {
                assert_eq!(ask(&mut sender, &format!("/{n}")), format!("/{n}"));
            }
            assert_eq!(server.connections.borrow().len(), 1);
            drop(sender);
            connection.take().unwrap().unwrap();
            server.stop();
            drop(connection);
            rests(before);
        });
    });
}

#[test]
fn large_bodies_flow_both_ways_as_fast_as_they_are_read() {
    const PARTS: usize = 1000;
    within(LIMIT, || {
        run(|| {
            let (received, held) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(true)));
            let (sent, answered) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let (counted, hold, parts) = (received.clone(), held.clone(), answered.clone());
            let server = Server::start(move |request: Request<Incoming>| {
                let mut body = BodyReader::new(request.into_body());
                body.read_exact(&mut [0; 10])?;
                until(|| !hold.get());
                counted.set(10 + io::copy(&mut body, &mut io::sink())?);
                Ok::<_, io::Error>(Response::new(Parts { left: PARTS, taken: parts.clone() }))
            });
            let (mut sender, _connection) = server.connect();
            let parts = Parts { left: PARTS, taken: sent.clone() };
            let exchange = spawn(move || {
                block_on(sender.send_request(Request::post("/").body(parts).unwrap())).unwrap()
            });
            // The buffers of both sockets fill up, and then the sender must wait.
            let settled = |count: &Cell<usize>| {
                let mut last = usize::MAX;
                while last != count.get() || last == 0 {
                    last = count.get();
                    sleep(50 * MS);
                }
                last
            };
            assert!(settled(&sent) < PARTS / 2, "{} parts were taken in advance", sent.get());
            held.set(false);
            let response = exchange.take().unwrap();
            assert_eq!((received.get(), sent.get()), ((PARTS * PART) as u64, PARTS));
            assert!(settled(&answered) < PARTS / 2, "{} parts were taken in advance", answered.get());
            let mut answer = BodyReader::new(response.into_body());
            let mut size = 0;
            while let part @ 1.. = answer.fill_buf().unwrap().len() {
                size += part;
                answer.consume(part);
            }
            assert_eq!((size, answered.get()), (PARTS * PART, PARTS));
            assert!(answer.trailers().is_none());
        });
    });
}

#[test]
fn a_client_that_sends_no_head_is_dropped_by_the_timer() {
    within(LIMIT, || {
        run(|| {
            let before = settled();
            let server = Server::with_limit(50 * MS, |_| text("unreached"));
            let begun = Instant::now();
            let mut slow = TcpStream::connect(server.address).unwrap();
            slow.write_all(b"GET / HTTP/1.1\r\n").unwrap();
            let mut answer = Vec::new();
            let _ = slow.read_to_end(&mut answer);
            assert!(begun.elapsed() >= 50 * MS);
            assert!(!String::from_utf8(answer).unwrap().contains("unreached"));
            assert!(server.connection(0).take().unwrap().unwrap_err().is_timeout());
            server.stop();
            drop(slow);
            rests(before);
        });
    });
}

/// A protocol of its own on the stream of an HTTP connection, without `Send`.
#[test]
fn an_upgraded_stream_goes_back_to_plain_calls() {
    within(LIMIT, || {
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                let service = handler_fn(|request: Request<Incoming>| {
                    assert_eq!(request.headers()[header::UPGRADE], "shout");
                    Response::builder()
                        .status(StatusCode::SWITCHING_PROTOCOLS)
                        .header(header::UPGRADE, "shout")
                        .header(header::CONNECTION, "upgrade")
                        .body(Empty::<Bytes>::new())
                });
                let mut connection = http1::Builder::new().serve_connection(RamieIo::new(stream), service);
                block_on(poll_fn(|cx| connection.poll_without_shutdown(cx))).unwrap();
                let parts = connection.into_parts();
                let mut stream = parts.io.into_inner();
                let mut said = parts.read_buf.to_vec();
                stream.read_to_end(&mut said).unwrap();
                said.make_ascii_uppercase();
                stream.write_all(&said).unwrap();
            });
            let stream = TcpStream::connect(address).unwrap();
            let (mut sender, connection) = block_on(client::handshake(RamieIo::new(stream))).unwrap();
            let upgraded = spawn(move || {
                let mut connection = connection;
                block_on(poll_fn(|cx| connection.poll_without_shutdown(cx))).unwrap();
                connection.into_parts()
            });
            let mut request = get("/");
            request.headers_mut().insert(header::UPGRADE, "shout".parse().unwrap());
            request.headers_mut().insert(header::CONNECTION, "upgrade".parse().unwrap());
            let response = block_on(sender.send_request(request)).unwrap();
            assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
            let parts = upgraded.take().unwrap();
            let mut stream = parts.io.into_inner();
            stream.write_all(b"hello").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = parts.read_buf.to_vec();
            stream.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, b"HELLO");
            server.take().unwrap();
        });
    });
}

/// Each handler waits until all of them have begun.
fn meet(of: usize) -> impl Fn(Request<Incoming>) -> Answer + 'static {
    let begun = Cell::new(0);
    move |_| {
        begun.set(begun.get() + 1);
        until(|| begun.get() == of);
        text("met")
    }
}

#[test]
fn handlers_of_many_connections_wait_at_once() {
    const MANY: usize = 200;
    within(LIMIT, || {
        run(|| {
            let server = Rc::new(Server::start(meet(MANY)));
            let clients = (0..MANY).map(|_| {
                let server = server.clone();
                spawn(move || ask(&mut server.connect().0, "/"))
            });
            let clients = clients.collect::<Vec<_>>();
            joinall(&clients);
            assert!(clients.iter().all(|client| client.get().is_ok_and(|answer| *answer == *"met")));
        });
    });
}

#[test]
fn handlers_of_one_http2_connection_wait_at_once() {
    const MANY: usize = 50;
    within(LIMIT, || {
        run(|| {
            let before = settled();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                let mut builder = http2::Builder::new(RamieExecutor);
                builder.timer(RamieTimer).keep_alive_interval(LONG);
                block_on(builder.serve_connection(RamieIo::new(stream), handler_fn(meet(MANY))))
            });
            let io = RamieIo::new(TcpStream::connect(address).unwrap());
            let (sender, connection) = block_on(client2::handshake(RamieExecutor, io)).unwrap();
            let connection = spawn(move || block_on(connection));
            let asks = (0..MANY).map(|_| {
                let mut sender = sender.clone();
                spawn(move || block_on(async { sender.send_request(get("http://there/")).await.map(body) }))
            });
            let asks = asks.collect::<Vec<_>>();
            assert!(asks.iter().all(|ask| ask.take().unwrap().unwrap() == "met"));
            drop((sender, asks));
            connection.take().unwrap().unwrap();
            server.take().unwrap().unwrap();
            drop((connection, server));
            rests(before);
        });
    });
}

/// Sets the cell when it is dropped.
struct Ended(Rc<Cell<bool>>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// A server with a handler that never ends, which tells that it has begun and that it was unwound.
fn stuck() -> (Server, Rc<Cell<bool>>, Rc<Cell<bool>>) {
    let (begun, ended) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
    let (begins, ends) = (begun.clone(), ended.clone());
    let server = Server::start(move |_| {
        let _ended = Ended(ends.clone());
        begins.set(true);
        sleep(LONG);
        text("late")
    });
    (server, begun, ended)
}

#[test]
fn a_kill_of_a_connection_closes_its_socket_and_ends_its_handler() {
    within(LIMIT, || {
        run(|| {
            let before = settled();
            let (server, begun, ended) = stuck();
            let mut client = TcpStream::connect(server.address).unwrap();
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            until(|| begun.get());
            server.connection(0).kill();
            assert_eq!(client.read(&mut [0; 10]).unwrap(), 0);
            until(|| ended.get());
            server.stop();
            drop(client);
            rests(before);
        });
    });
}

#[test]
fn a_timeout_of_a_request_leaves_nothing() {
    within(LIMIT, || {
        run(|| {
            let before = settled();
            let (server, begun, ended) = stuck();
            let late = with_timeout(20 * MS, || {
                let (mut sender, _connection) = server.connect();
                block_on(sender.send_request(get("/"))).map(drop)
            });
            assert!(late.is_err() && begun.get());
            // The client has closed its connection, and so the handler has no reader any more.
            until(|| ended.get());
            server.stop();
            rests(before);
        });
    });
}

#[test]
fn a_failed_handler_ends_its_connection_alone() {
    within(LIMIT, || {
        run(|| {
            let server = Server::start(|request: Request<Incoming>| match request.uri().path() {
                "/panic" => panic!("on purpose"),
                "/error" => Err(io::Error::other("on purpose")),
                _ => Ok(Response::new(Full::new(Bytes::from("fine")))),
            });
            let (mut other, _) = server.connect();
            assert_eq!(ask(&mut other, "/"), "fine");
            for (at, path) in ["/panic", "/error"].into_iter().enumerate() {
                let (mut sender, _) = server.connect();
                assert!(block_on(sender.send_request(get(path))).is_err());
                let outcome = server.connection(1 + at).take().unwrap().unwrap_err();
                let source = outcome.source().expect("the handler's").to_string();
                assert!(source.contains("on purpose"), "{source}");
            }
            assert_eq!(ask(&mut other, "/"), "fine");
        });
    });
}

/// A connection with an answer that never ends, and a client that always reads.
#[test]
fn a_busy_connection_lets_others_run() {
    within(LIMIT, || {
        run(|| {
            let taken = Rc::new(Cell::new(0));
            let parts = taken.clone();
            let server = Server::start(move |_| {
                Ok::<_, Infallible>(Response::new(Parts { left: usize::MAX, taken: parts.clone() }))
            });
            let (mut sender, _connection) = server.connect();
            let reader = spawn(move || {
                let mut body = block_on(sender.send_request(get("/"))).unwrap().into_body();
                block_on(async { while body.frame().await.is_some() {} });
            });
            until(|| taken.get() > 0);
            let begun = Instant::now();
            let mut ticks = 0;
            while taken.get() < 2000 {
                sleep(MS);
                ticks += 1;
            }
            assert!(ticks >= 3, "{ticks} in {:?}", begun.elapsed());
            reader.kill();
        });
    });
}

#[test]
fn a_reader_of_a_body_reports_errors_and_trailers() {
    within(LIMIT, || {
        let mut trailers = hyper::HeaderMap::new();
        trailers.insert("sum", "7".parse().unwrap());
        let body =
            Full::new(Bytes::from("one\ntwo")).with_trailers(async { Some(Ok::<_, Infallible>(trailers)) });
        let mut body = BodyReader::new(Box::pin(body));
        let mut line = String::new();
        body.read_line(&mut line).unwrap();
        assert!(body.trailers().is_none());
        body.read_to_string(&mut line).unwrap();
        assert_eq!((&*line, &body.trailers().unwrap()["sum"]), ("one\ntwo", &"7".parse().unwrap()));
        assert_eq!(body.read(&mut [0; 5]).unwrap(), 0);

        run(|| {
            let server = Server::start(|request: Request<Incoming>| {
                io::read_to_string(BodyReader::new(request.into_body())).map(Response::new)
            });
            let mut cut = TcpStream::connect(server.address).unwrap();
            cut.write_all(b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nhalf").unwrap();
            cut.shutdown(Shutdown::Write).unwrap();
            assert!(server_failed(&server));
        });
    });
}

/// Returns `true` once the first connection has ended with an error.
fn server_failed(server: &Server) -> bool {
    until(|| !server.connections.borrow().is_empty());
    server.connection(0).take().unwrap().is_err()
}
