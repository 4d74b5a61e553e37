//! Clients of HTTP: curl, Python, two that measure, and one of our own that is as demanding as a
//! browser.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use ramie::blocking;
use ramie::server::StreamServer;

use crate::echo_server;
use crate::programs::{command, curl, python, with};
use crate::site::{HELLO, Site};
use crate::util::folder::Folder;

/// The number that follows a word of a report.
#[track_caller]
fn number(report: &str, before: &str) -> usize {
    let rest = report.split_once(before).unwrap_or_else(|| panic!("no {before:?} in:\n{report}")).1;
    let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or_else(|_| panic!("no number after {before:?} in:\n{report}"))
}

/// The numbers of requests that a client of ours reports, on an existing connection and on new
/// ones.
fn connections(lines: &str) -> Vec<&str> {
    lines.lines().collect()
}

#[test]
fn curl_gets_and_asks_and_posts() {
    with(&["curl"], |programs| {
        let site = Site::open();
        let text = programs.run(curl().arg("--include").arg(site.url("/"))).text();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with(HELLO), "{text}");
        let head = programs.run(curl().arg("--head").arg(site.url("/"))).text();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", HELLO.len())), "{head}");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        // From this length on curl asks whether it may send it; without asking it is told the same.
        let folder = Folder::new();
        let file = folder.join("body");
        let body = (0..1 << 20).map(|at: u32| (at % 251) as u8).collect::<Vec<_>>();
        fs::write(&file, &body).unwrap();
        let data = format!("@{}", file.display());
        for header in ["Expect: 100-continue", "Expect:"] {
            let mut posting = curl();
            posting.args(["--data-binary", &data, "--header", header]).arg(site.url("/echo"));
            assert!(programs.run(&mut posting).bytes() == body, "{header}");
        }
        assert!(site.ends().is_empty());
        assert_eq!((site.connections.get(), site.requests.get()), (4, 4));
    });
}

#[test]
fn curl_keeps_its_connection() {
    with(&["curl"], |programs| {
        let site = Site::open();
        let report = ["--output", "/dev/null", "--write-out", "%{http_code} %{num_connects}\n"];
        let many = |path| site.url(path) + "?number=[1-50]";
        // Also one that is refused does not end the connection, if where the next one begins is
        // known.
        let mut several = curl();
        several.args(report).arg(many("/"));
        several.arg("--next").args(report).args(["--silent", "--data", "text"]).arg(many("/echo"));
        several.arg("--next").args(report).arg("--silent").arg(many("/missing"));
        several.arg("--next").args(report).args(["--silent", "--head"]).arg(many("/"));
        let text = programs.run(&mut several).text();
        let expected =
            ["200 0"; 100].into_iter().chain(["404 0"; 50]).chain(["200 0"; 50]).collect::<Vec<_>>();
        assert_eq!(connections(&text)[1..], expected[1..]);
        assert_eq!(connections(&text)[0], "200 1");
        assert!(site.ends().is_empty());
        assert_eq!((site.connections.get(), site.requests.get()), (1, 200));
    });
}

#[test]
fn curl_asks_for_many_things_at_once() {
    with(&["curl"], |programs| {
        let site = Site::open();
        let mut parallel = curl();
        parallel.args(["--parallel", "--parallel-immediate", "--parallel-max", "50"]);
        parallel.args(["--output", "/dev/null", "--write-out", "%{http_code}\n"]);
        parallel.arg(site.url("/?number=[1-300]"));
        let text = programs.run(&mut parallel).text();
        assert_eq!(connections(&text), ["200"; 300]);
        assert!(site.ends().is_empty());
        assert_eq!(site.requests.get(), 300);
        assert!(site.connections.get() <= 300);
    });
}

#[test]
fn curl_of_the_last_century_is_kept_if_it_asks() {
    with(&["curl"], |programs| {
        let site = Site::open();
        for (header, second) in [("X-Nothing: special", "200 1"), ("Connection: keep-alive", "200 0")] {
            let mut old = curl();
            old.args(["--http1.0", "--header", header]);
            old.args(["--output", "/dev/null", "--write-out", "%{http_code} %{num_connects}\n"]);
            let text = programs.run(old.arg(site.url("/?number=[1-3]"))).text();
            assert_eq!(connections(&text), ["200 1", second, second], "{header}");
        }
        assert!(site.ends().is_empty());
        assert_eq!((site.connections.get(), site.requests.get()), (4, 6));
    });
}

#[test]
fn curl_is_refused_with_the_status_that_says_why() {
    with(&["curl"], |programs| {
        let site = Site::open();
        let folder = Folder::new();
        let file = folder.join("body");
        fs::write(&file, vec![b'x'; 10 << 20]).unwrap();
        let large = format!("@{}", file.display());
        let (long, many) = (format!("X: {}", "x".repeat(20_000)), "X-{}: y".to_owned());
        let mut headers = vec!["--header".to_owned(); 200];
        for (number, header) in headers.iter_mut().skip(1).step_by(2).enumerate() {
            *header = many.replace("{}", &number.to_string());
        }
        let headers = headers.iter().map(String::as_str).collect::<Vec<_>>();
        let cases: &[(&[&str], &str, &str)] = &[
            (&[], "/missing", "404"),
            (&["--header", "Host:"], "/", "400"),
            (&["--request", "BREW"], "/", "405"),
            (&["--data", "text"], "/", "405"),
            (&["--data", "text", "--header", "Content-Length: 5, 5"], "/echo", "400"),
            (&["--data", "text", "--header", "Transfer-Encoding: chunked"], "/echo", "501"),
            (&["--header", &long], "/", "431"),
            (&headers, "/", "431"),
            // Ten megabytes are refused by their announcement. A client that does not wait for it
            // gets the refusal while sending.
            (&["--data-binary", &large, "--header", "Expect: 100-continue"], "/echo", "413"),
            (&["--data-binary", &large, "--header", "Expect:"], "/echo", "413"),
        ];
        for (arguments, path, status) in cases {
            let mut asking = curl();
            asking.args(["--output", "/dev/null", "--write-out", "%{http_code}"]);
            let said = programs.run(asking.args(*arguments).arg(site.url(path)));
            assert_eq!(String::from_utf8_lossy(&said.output), *status, "{arguments:?}: {}", said.errors);
        }
        // Only the connection of the client that did not wait may end in the middle.
        assert!(site.ends().len() <= 1, "{:?}", site.errors.words());
        assert_eq!(programs.run(curl().arg(site.url("/"))).text(), HELLO);
    });
}

/// Requests on one connection by Python's own client, a body in chunks, and many requests in one
/// breath.
const PYTHON: &str = r#"
import http.client, socket, sys
host, port = "127.0.0.1", int(sys.argv[1])

connection = http.client.HTTPConnection(host, port, timeout=60)
connection.connect()
kept = connection.sock
for number in range(100):
    body = bytes([number]) * number * 100
    connection.request("POST", "/echo", body)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, body), (answer.status, number)
    assert connection.sock is kept, "the connection was not kept"
    connection.request("HEAD", "/")
    answer = connection.getresponse()
    assert (answer.status, answer.read(), answer.length) == (200, b"", 0), answer.status

connection.request("POST", "/echo", iter([b"one", b"two"]), encode_chunked=True,
                   headers={"Transfer-Encoding": "chunked"})
answer = connection.getresponse()
assert (answer.status, answer.will_close) == (501, True), answer.status
answer.read()

with socket.create_connection((host, port), 60) as stream:
    requests = b"".join(
        b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        for body in (b"%d" % number for number in range(1000)))
    for start in range(0, len(requests), 1777):
        stream.sendall(requests[start:start + 1777])
    stream.shutdown(socket.SHUT_WR)
    answers = stream.makefile("rb")
    for number in range(1000):
        assert answers.readline() == b"HTTP/1.1 200 OK\r\n", number
        headers = http.client.parse_headers(answers)
        body = answers.read(int(headers["Content-Length"]))
        assert body == b"%d" % number, (number, body)
    assert answers.read() == b""
print("all was well")
"#;

#[test]
fn python_keeps_chunks_and_pipelines() {
    with(&["python3"], |programs| {
        let site = Site::open();
        let said = programs.run(python(PYTHON).arg(site.port().to_string()));
        assert_eq!(said.text(), "all was well\n");
        assert!(site.ends().is_empty(), "{:?}", site.errors.words());
        assert_eq!((site.connections.get(), site.requests.get()), (2, 1200));
    });
}

#[test]
fn ab_has_all_its_requests_answered() {
    with(&["ab"], |programs| {
        let site = Site::open();
        let folder = Folder::new();
        let file = folder.join("body");
        fs::write(&file, vec![b'x'; 5000]).unwrap();
        let file = file.to_str().unwrap();
        // Kept, with a connection for each, and with something to send.
        let cases: &[(&[&str], &str, usize, usize)] = &[
            (&["-k"], "/", 4000, 50),
            (&[], "/", 1000, 50),
            (&["-k", "-p", file, "-T", "text/plain"], "/echo", 2000, 20),
        ];
        let mut sum = 0;
        for (arguments, path, requests, clients) in cases {
            let mut ab = command("ab");
            ab.args(["-q", "-n", &requests.to_string(), "-c", &clients.to_string()]).args(*arguments);
            let report = programs.run(ab.arg(site.url(path))).text();
            assert_eq!(number(&report, "Complete requests:"), *requests, "{report}");
            assert_eq!(number(&report, "Failed requests:"), 0, "{report}");
            assert!(!report.contains("Non-2xx") && !report.contains("Write errors"), "{report}");
            if arguments.contains(&"-k") {
                assert_eq!(number(&report, "Keep-Alive requests:"), *requests, "{report}");
            }
            println!("ab {arguments:?}: {} requests per second", number(&report, "Requests per second:"));
            sum += requests;
        }
        assert!(site.ends().is_empty(), "{:?}", site.errors.words());
        // It may ask for a little more than it waits for.
        assert!(site.requests.get() >= sum, "{} of {sum}", site.requests.get());
    });
}

#[test]
fn wrk_meets_no_error() {
    with(&["wrk"], |programs| {
        let site = Site::open();
        let mut wrk = command("wrk");
        wrk.args(["--threads", "2", "--connections", "64", "--duration", "2", "--timeout", "60"]);
        let report = programs.run(wrk.arg(site.url("/"))).text();
        assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
        let answered = report.split(" requests in").next().unwrap().rsplit([' ', '\n']).next().unwrap();
        let answered = answered.parse::<usize>().unwrap();
        assert!(answered > 0, "{report}");
        println!("wrk: {} requests per second", number(&report, "Requests/sec:"));
        // It leaves when its time is over, in the middle of an answer.
        let errors = site.ends();
        assert!(
            errors.iter().all(|error| error.contains("roken pipe") || error.contains("eset")),
            "{errors:?}"
        );
        assert!(site.connections.get() >= 64);
        let cut_off = errors.len();
        assert!(cut_off > 0 || site.requests.get() >= answered, "{} of {answered}", site.requests.get());
    });
}

/// Takes an answer from a connection.
fn answer(reader: &mut impl BufRead) -> (String, Vec<u8>) {
    let (mut status, mut length) = (String::new(), 0);
    reader.read_line(&mut status).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim_end().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        assert!(line.ends_with("\r\n"), "{status}{line}");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (status, body)
}

/// One of a browser's connections: asks for several things before it hears of the first, sends in
/// odd pieces, and says when it has asked for everything. It blocks a thread of its own.
fn browse(site: SocketAddr, connection: usize) {
    const ROUNDS: usize = 5;
    let stream = TcpStream::connect(site).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(&stream);
    for round in 0..ROUNDS {
        let mut requests = Vec::new();
        let mut expected = Vec::new();
        for number in 0..40 {
            let body = format!("{connection}.{round}.{number} ").repeat(number * 50);
            let (line, length, status, answer) = match number % 4 {
                0 => ("GET /?from=browser", 0, "200 OK", HELLO.as_bytes().to_vec()),
                1 => ("GET /favicon.ico", 0, "404 Not Found", b"Not Found\n".to_vec()),
                _ => ("POST /echo", body.len(), "200 OK", body.clone().into_bytes()),
            };
            write!(requests, "{line} HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n\r\n").unwrap();
            requests.extend_from_slice(&body.as_bytes()[..length]);
            expected.push((format!("HTTP/1.1 {status}\r\n"), answer));
        }
        for piece in requests.chunks(1 + 997 * (connection + 1)) {
            (&stream).write_all(piece).unwrap();
        }
        if round + 1 == ROUNDS {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        for expected in expected {
            assert!(answer(&mut reader) == expected, "{connection}.{round}");
        }
    }
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}

#[test]
fn browser_of_six_connections() {
    with(&[], |_| {
        let site = Site::open();
        let address = site.host().parse().unwrap();
        let connections = (0..6).map(|number| thread::spawn(move || browse(address, number)));
        let connections = connections.collect::<Vec<_>>();
        blocking(|| connections.into_iter().for_each(|thread| thread.join().unwrap()));
        assert!(site.ends().is_empty(), "{:?}", site.errors.words());
        assert_eq!((site.connections.get(), site.requests.get()), (6, 6 * 5 * 40));
    });
}

#[test]
fn curl_talks_to_the_echo() {
    with(&["curl"], |programs| {
        let stop = std::rc::Rc::new(ramie::sync::Event::new());
        let stopper = stop.clone();
        let server =
            StreamServer::bind("127.0.0.1:0", move |stream, _| echo_server::echo(&stream, &stopper)).unwrap();
        server.start().unwrap();
        let lines = (0..2000).map(|number| format!("line {number}\n")).collect::<String>();
        let mut telnet = curl();
        telnet.arg("--no-buffer").arg(format!("telnet://{}", server.address().unwrap()));
        // A line that says so ends the connection, and the server.
        let said = programs.run_with(&mut telnet, lines.clone() + "stop\n");
        assert_eq!(said.text(), lines);
        stop.wait();
        assert!(server.stop());
    });
}
