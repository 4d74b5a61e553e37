//! The promises of the examples that are servers: each is taken as a module, and served from a
//! greenlet.
#![expect(
    clippy::duplicate_mod,
    reason = "examples that are modules of one crate bring along what they share"
)]

#[expect(dead_code, reason = "an example has a `main`")]
#[cfg(unix)]
#[path = "../../examples/sendfile.rs"]
mod sendfile;
#[expect(dead_code, reason = "an example has a `main`")]
#[path = "../../examples/web_proxy.rs"]
mod web_proxy;
#[expect(dead_code, reason = "an example has a `main`")]
#[path = "../../examples/websocket_chat.rs"]
mod websocket_chat;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use ramie::net::{Shutdown, TcpListener, TcpStream};
use ramie::{Greenlet, joinall, spawn};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);

/// Has an example serve, and says where.
fn serving<T: 'static>(serve: impl FnOnce(TcpListener) -> T + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    spawn(move || serve(listener));
    address
}

/// A server that takes connections one after the other, gives each its answer, and returns what it
/// was sent: up to `end`.
fn origin(end: &'static str, answers: Vec<&'static str>) -> (SocketAddr, Greenlet<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let requests = spawn(move || {
        let answer = |answer: &str| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(end.as_bytes()) {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        };
        answers.into_iter().map(answer).collect()
    });
    (address, requests)
}

/// Sends something and returns all that comes back until the other side ends.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn proxy() -> SocketAddr {
    serving(|listener| web_proxy::serve(&listener))
}

#[test]
fn the_proxy_keeps_what_is_between_neighbours_to_itself() {
    within(LIMIT, || {
        let (server, requests) = origin(
            "\r\n\r\n",
            vec![
                "HTTP/1.1 200 OK\r\nConnection: x-here, close\r\nX-Here: 1\r\nKeep-Alive: timeout=5\r\nX-There: 2\r\n\
             Content-Length: 5\r\n\r\nfirst and too much",
                "HTTP/1.1 200 OK\r\nServer: none\r\n\r\nsecond",
            ],
        );
        let one = format!(
            "GET http://{server}/one?x=/ HTTP/1.1\r\nHost: elsewhere\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\n\
             Proxy-Authorization: secret\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nUpgrade: h2c\r\n\
             Accept: */*\r\n\r\n"
        );
        // Both are sent at once, and the second one's end is only to be seen by the end of the
        // connection.
        let two = format!("GET http://{server} HTTP/1.1\r\nHost: {server}\r\n\r\n");
        let answers = ask(proxy(), &(one + &two));
        assert_eq!(
            answers,
            "HTTP/1.1 200 OK\r\nX-There: 2\r\nContent-Length: 5\r\nVia: 1.1 ramie\r\n\r\nfirst\
             HTTP/1.1 200 OK\r\nServer: none\r\nVia: 1.1 ramie\r\nConnection: close\r\n\r\nsecond"
        );
        let host = format!("Host: {server}\r\n");
        assert_eq!(
            requests.get().unwrap(),
            [
                format!(
                    "GET /one?x=/ HTTP/1.1\r\n{host}Accept: */*\r\nVia: 1.1 ramie\r\nConnection: close\r\n\r\n"
                ),
                format!("GET / HTTP/1.1\r\n{host}Via: 1.1 ramie\r\nConnection: close\r\n\r\n"),
            ]
        );
    });
}

#[test]
fn the_proxy_passes_bodies_on_as_they_are_framed() {
    within(LIMIT, || {
        let chunks = "4;extension\r\nwild\r\n0\r\nTrailer: 1\r\n\r\n";
        let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                      4;extension\r\nwild\r\n0\r\nTrailer: 1\r\n\r\n";
        // The proxy closes its connection to the server, which may have more to say.
        let (server, requests) = origin("Trailer: 1\r\n\r\n", vec![answer]);
        let request = format!(
            "POST http://{server}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunks}"
        );
        let via = "Via: 1.1 ramie\r\n";
        assert_eq!(
            ask(proxy(), &request),
            format!(
                "HTTP/1.1 100 Continue\r\n{via}\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{via}\
                 Connection: close\r\n\r\n{chunks}"
            )
        );
        let sent = requests.get().unwrap();
        assert!(
            sent[0].contains("\r\nTransfer-Encoding: chunked\r\n") && sent[0].ends_with(chunks),
            "{sent:?}"
        );
        // A client that does not know chunks gets their contents.
        let (server, _requests) = origin("\r\n\r\n", vec![answer]);
        assert_eq!(
            ask(proxy(), &format!("GET http://{server}/ HTTP/1.0\r\n\r\n")),
            format!("HTTP/1.1 200 OK\r\n{via}Connection: close\r\n\r\nwild")
        );
        // There is no body, whatever its length.
        let (server, _requests) = origin("\r\n\r\n", vec!["HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"]);
        assert_eq!(
            ask(proxy(), &format!("HEAD http://{server}/ HTTP/1.1\r\nConnection: close\r\n\r\n")),
            format!("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n{via}Connection: close\r\n\r\n")
        );
    });
}

#[test]
fn the_proxy_refuses_what_can_be_understood_in_two_ways() {
    within(LIMIT, || {
        let proxy = proxy();
        let (server, _requests) = origin(
            "\r\n\r\n",
            vec!["HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n12", "what?\r\n\r\n", ""],
        );
        for (request, status) in [
            ("GET / HTTP/1.1\r\nHost: here\r\n\r\n".to_owned(), "400 Bad Request"),
            ("no request\r\n\r\n".to_owned(), "400 Bad Request"),
            (
                format!("GET http://{server}/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
                "400 Bad Request",
            ),
            (
                format!(
                    "GET http://{server}/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
                ),
                "400 Bad Request",
            ),
            ("GET http://127.0.0.1:1/ HTTP/1.1\r\n\r\n".to_owned(), "502 Bad Gateway"),
            ("CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n".to_owned(), "502 Bad Gateway"),
            (format!("GET http://{server}/ HTTP/1.1\r\n\r\n"), "502 Bad Gateway"),
            (format!("GET http://{server}/ HTTP/1.1\r\n\r\n"), "502 Bad Gateway"),
            (format!("GET http://{server}/ HTTP/1.1\r\n\r\n"), "502 Bad Gateway"),
        ] {
            let answer = ask(proxy, &request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}\n{answer}");
        }
        // A client that only looks in is no request.
        drop(TcpStream::connect(proxy).unwrap());
        assert_eq!(ask_and_end(proxy, ""), "");
        assert_eq!(ask_and_end(proxy, "GET http://"), "");
    });
}

/// Like `ask`, and tells the other side that this was all.
fn ask_and_end(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_proxy_s_tunnel_is_open_both_ways() {
    within(LIMIT, || {
        let (server, requests) = origin("bye", vec!["anything but HTTP"]);
        // What comes right behind the head is for the other end already.
        let answer =
            ask_and_end(proxy(), &format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n\r\n\0early, bye"));
        let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(rest, "anything but HTTP");
        assert_eq!(requests.get().unwrap(), ["\0early, bye"]);
    });
}

mod chat {
    use tungstenite::{Message, WebSocket};

    use super::*;

    type Member = WebSocket<TcpStream>;

    fn room() -> SocketAddr {
        serving(|listener| websocket_chat::serve(&listener))
    }

    fn join(room: SocketAddr, name: &str) -> Member {
        let stream = TcpStream::connect(room).unwrap();
        let (mut member, _) = tungstenite::client(format!("ws://{room}/"), stream).unwrap();
        member.send(Message::text(name)).unwrap();
        assert_eq!(hear(&mut member), format!("* {name} is here"));
        member
    }

    fn hear(member: &mut Member) -> String {
        loop {
            if let Message::Text(text) = member.read().unwrap() {
                return text.to_string();
            }
        }
    }

    #[test]
    fn what_one_says_all_hear_in_order() {
        within(LIMIT, || {
            let room = room();
            let mut one = join(room, "one");
            let mut two = join(room, "two");
            assert_eq!(hear(&mut one), "* two is here");
            for number in 0..50 {
                one.send(Message::text(number.to_string())).unwrap();
            }
            // A ping is answered in between.
            two.send(Message::Ping(vec![1, 2, 3].into())).unwrap();
            for member in [&mut one, &mut two] {
                for number in 0..50 {
                    assert_eq!(hear(member), format!("one: {number}"));
                }
            }
            two.send(Message::text("well")).unwrap();
            assert_eq!(hear(&mut one), "two: well");
            assert_eq!(hear(&mut two), "two: well");
            // One goes with a word, one without.
            one.close(None).unwrap();
            assert_eq!(hear(&mut two), "* one has left");
            let mut three = join(room, "three");
            drop(two);
            assert_eq!(hear(&mut three), "* two has left");
        });
    }

    #[test]
    fn who_does_not_speak_the_protocol_stays_out() {
        within(LIMIT, || {
            let room = room();
            let mut one = join(room, "one");
            let answer = ask(room, "GET / HTTP/1.1\r\nHost: here\r\n\r\n");
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
            drop(TcpStream::connect(room).unwrap());
            one.send(Message::text("still here")).unwrap();
            assert_eq!(hear(&mut one), "one: still here");
        });
    }

    #[test]
    fn who_does_not_listen_keeps_nobody_waiting() {
        within(LIMIT, || {
            let room = room();
            let deaf = join(room, "deaf");
            let mut one = join(room, "one");
            let long = "x".repeat(50_000);
            let left = loop {
                one.send(Message::text(long.as_str())).unwrap();
                let heard = hear(&mut one);
                if heard.starts_with('*') {
                    break heard;
                }
            };
            assert_eq!(left, "* deaf has left");
            drop(deaf);
        });
    }
}

#[cfg(unix)]
#[test]
fn the_file_is_served_whole_and_in_parts() {
    use ramie::fs::{self, File};

    use crate::util::folder::Folder;

    within(LIMIT, || {
        let folder = Folder::new();
        fs::write(folder.join("file"), "0123456789").unwrap();
        let file = File::open(folder.join("file")).unwrap();
        let server = serving(|listener| sendfile::unix::serve(&listener, file));
        let more = "Accept-Ranges: bytes\r\nConnection: close\r\n\r\n";
        let part = |range: &str, length: u32, body: &str| {
            format!(
                "206 Partial Content\r\nContent-Range: bytes {range}/10\r\nContent-Length: {length}\r\n{more}{body}"
            )
        };
        let whole = |body: &str| format!("200 OK\r\nContent-Length: 10\r\n{more}{body}");
        let none =
            format!("416 Range Not Satisfiable\r\nContent-Range: bytes */10\r\nContent-Length: 0\r\n{more}");
        let clients = [
            ("GET", "", whole("0123456789")),
            ("HEAD", "", whole("")),
            ("GET", "Range: bytes=2-4\r\n", part("2-4", 3, "234")),
            ("HEAD", "Range: bytes=2-4\r\n", part("2-4", 3, "")),
            ("GET", "range: bytes=7-\r\n", part("7-9", 3, "789")),
            ("GET", "Range: bytes=-4\r\n", part("6-9", 4, "6789")),
            ("GET", "Range: bytes=-40\r\n", part("0-9", 10, "0123456789")),
            ("GET", "Range: bytes=9-100\r\n", part("9-9", 1, "9")),
            ("GET", "Range: bytes=10-\r\n", none.clone()),
            ("GET", "Range: bytes=-0\r\n", none),
            ("GET", "Range: bytes=1-2,4-5\r\n", whole("0123456789")),
            ("GET", "Range: bytes=5-2\r\n", whole("0123456789")),
            (
                "POST",
                "",
                format!("405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\n{more}"),
            ),
        ]
        .map(|(method, range, expected)| {
            spawn(move || {
                let answer = ask(server, &format!("{method} / HTTP/1.1\r\nHost: here\r\n{range}\r\n"));
                assert_eq!(answer, format!("HTTP/1.1 {expected}"), "{method} {range}");
            })
        });
        joinall(&clients);
        for client in clients {
            client.get().unwrap();
        }
    });
}
