//! The HTTP of the examples `http_server` and `https_server`: requests in every division, and those
//! that are refused.

#[path = "../../examples/http/mod.rs"]
mod http;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use ramie::net::{TcpListener, TcpStream};
use ramie::server::StreamServer;
use ramie::{sleep, tls};

use crate::util::certificate::Certificate;
use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);

fn server() -> StreamServer {
    let handle = |mut stream: TcpStream, _| http::serve(&mut stream, http::site);
    let server = StreamServer::bind("127.0.0.1:0", handle).unwrap();
    server.start().unwrap();
    server
}

/// Returns the answers to these bytes, sent in pieces of that length, until the server closes.
fn talk_in(server: &StreamServer, request: &str, piece: usize) -> String {
    let mut stream = TcpStream::connect(server.address().unwrap()).unwrap();
    stream.set_nodelay(true).unwrap();
    for part in request.as_bytes().chunks(piece) {
        stream.write_all(part).unwrap();
        if piece < request.len() {
            sleep(Duration::from_micros(200));
        }
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn talk(server: &StreamServer, request: &str) -> String {
    talk_in(server, request, request.len())
}

/// The status lines and the bodies of several answers.
fn answers(mut text: &str) -> Vec<(String, String)> {
    let mut answers = Vec::new();
    while !text.is_empty() {
        let (head, rest) = text.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let (body, rest) = rest.split_at(length.unwrap().parse().unwrap());
        answers.push((head.lines().next().unwrap().to_owned(), body.to_owned()));
        text = rest;
    }
    answers
}

#[test]
fn requests_are_answered_in_order_on_one_connection() {
    within(LIMIT, || {
        let server = server();
        let requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\n\
            POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
            GET /nothing?x=/ HTTP/1.1\r\nHost: a\r\n\r\n\
            POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n\
            POST / HTTP/1.1\r\nHost: a\r\n\r\n\
            BREW /echo HTTP/1.1\r\nHost: a\r\n\r\n\
            GET /?question HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n\
            GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let expected = [
            ("HTTP/1.1 200 OK", "<h1>Hello from a greenlet</h1>\n"),
            ("HTTP/1.1 200 OK", "hello"),
            ("HTTP/1.1 404 Not Found", "Not Found\n"),
            ("HTTP/1.1 200 OK", ""),
            ("HTTP/1.1 405 Method Not Allowed", "Method Not Allowed\n"),
            ("HTTP/1.1 405 Method Not Allowed", "Method Not Allowed\n"),
            // The last one that is answered: the connection was to be closed.
            ("HTTP/1.1 200 OK", "<h1>Hello from a greenlet</h1>\n"),
        ];
        for piece in [requests.len(), 1, 7] {
            let text = talk_in(&server, requests, piece);
            let found = answers(&text);
            let found = found.iter().map(|(status, body)| (status.as_str(), body.as_str()));
            assert_eq!(found.collect::<Vec<_>>(), expected, "in pieces of {piece}");
            assert_eq!(text.matches("Connection: close").count(), 1);
            assert_eq!(text.matches("Allow: GET, HEAD\r\n").count(), 1);
        }
    });
}

#[test]
fn head_has_the_length_and_no_body() {
    within(LIMIT, || {
        let server = server();
        let text = talk(&server, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD /no HTTP/1.1\r\nHost: a\r\n\r\n");
        let heads: Vec<_> = text.split_terminator("\r\n\r\n").collect();
        assert_eq!(heads.len(), 2, "{text}");
        assert!(heads[0].starts_with("HTTP/1.1 200 OK\r\n") && heads[0].contains("Content-Length: 31"));
        assert!(
            heads[1].starts_with("HTTP/1.1 404 Not Found\r\n") && heads[1].contains("Content-Length: 10")
        );
    });
}

#[test]
fn old_clients_are_kept_if_they_ask() {
    within(LIMIT, || {
        let server = server();
        let text = talk(&server, "GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n");
        assert_eq!(answers(&text).len(), 1);
        assert!(text.contains("Connection: close\r\n"));
        let kept = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        let text = talk(&server, &kept.repeat(2));
        assert_eq!(answers(&text).len(), 2);
        assert_eq!(text.matches("Connection: keep-alive\r\n").count(), 2);
    });
}

#[test]
fn what_cannot_be_understood_is_refused_and_ends_the_connection() {
    within(LIMIT, || {
        let server = server();
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(20_000));
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100));
        let post = |headers: &str| format!("POST /echo HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\nhello");
        let refused = [
            ("nonsense\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_owned(), 505),
            (post("Content-Length: +5"), 400),
            (post("Content-Length: 5, 5"), 400),
            (post("Content-Length: 5\r\nContent-Length: 6"), 400),
            (post("Content-Length: 2000000"), 413),
            (post("Content-Length: 99999999999999999999999"), 413),
            (post("Transfer-Encoding: chunked"), 501),
            (long, 431),
            (many, 431),
        ];
        for (request, status) in refused {
            // What follows is not answered: where it begins is not known.
            let text = talk(&server, &format!("{request}GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
            let found = answers(&text);
            assert_eq!(found.len(), 1, "{request}: {text}");
            assert!(found[0].0.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {text}");
            assert!(text.contains("Connection: close\r\n"));
        }
        let twice = talk(&server, &post("Content-Length: 5\r\nContent-Length: 5"));
        assert_eq!(answers(&twice)[0].1, "hello");
    });
}

#[test]
fn client_that_asks_first_is_told_to_go_on() {
    within(LIMIT, || {
        let server = server();
        let mut stream = TcpStream::connect(server.address().unwrap()).unwrap();
        let head = "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(answers(&text), [("HTTP/1.1 200 OK".to_owned(), "hello".to_owned())]);
    });
}

#[test]
fn request_that_is_cut_off_is_not_answered() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let server = server();
        assert_eq!(talk(&server, "GET / HTTP/1.1\r\nHo"), "");
        assert_eq!(talk(&server, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel"), "");
        errors.expect("the request is not complete the request is not complete");
        // A connection without a request is no error.
        assert_eq!(talk_in(&server, "", 1), "");
        assert!(server.stop());
        assert_eq!(errors.len(), 2);
    });
}

#[test]
fn slow_answer_keeps_nobody_else_waiting() {
    within(LIMIT, || {
        let server = server();
        let slow = {
            let server = server.clone();
            crate::util::sleepers::parked(move || talk(&server, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"))
        };
        let mut quick = 0;
        while !slow.ready() {
            assert_eq!(answers(&talk(&server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")).len(), 1);
            quick += 1;
        }
        assert!(quick > 1);
        assert_eq!(answers(&slow.take().unwrap())[0].1, "that took a second\n");
    });
}

#[test]
fn it_is_the_same_over_tls() {
    within(LIMIT, || {
        let certificate = Certificate::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = StreamServer::tls(listener, certificate.server(), |mut stream, _| {
            http::serve(&mut stream, http::site)
        });
        server.start().unwrap();
        let stream = TcpStream::connect(server.address().unwrap()).unwrap();
        let mut stream = tls::connect(stream, "localhost", certificate.client()).unwrap();
        let large = "x".repeat(1 << 20);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            1 << 20
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(large.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let found = answers(&text);
        assert_eq!(found.len(), 2);
        assert!(found[1].1 == large);
        drop(stream);
        assert!(server.stop());
    });
}

#[test]
fn dates_are_as_http_writes_them() {
    let at = |seconds| http::imf(std::time::UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(at(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
    assert_eq!(at(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
    assert_eq!(at(1_735_689_599), "Tue, 31 Dec 2024 23:59:59 GMT");
}
