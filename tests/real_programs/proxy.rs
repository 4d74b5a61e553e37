//! Between two other programs: the proxy with curl in front of it, and downloads from a foreign
//! server.

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use ramie::net::{TcpListener, TcpStream};
use ramie::server::StreamServer;
use ramie::{Pool, sleep, spawn};
use rustix::process::Signal;

use crate::concurrent_download;
use crate::http_head;
use crate::programs::{command, curl, with};
use crate::site::{HELLO, Site};
use crate::util::certificate::Certificate;
use crate::util::folder::Folder;
use crate::web_proxy;

fn proxy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    spawn(move || web_proxy::serve(&listener));
    address.to_string()
}

/// Sends the body of each request back while it comes, however long it is.
fn mirror(mut stream: TcpStream, _: SocketAddr) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(head) = http_head::head(&mut reader)? {
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let value = |name| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let length = value("content-length:").map_or(0, |length| length.parse().unwrap());
        if value("expect:") == Some("100-continue") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
        io::copy(&mut reader.by_ref().take(length), &mut stream)?;
        if value("connection:") == Some("close") {
            break;
        }
    }
    Ok(())
}

#[test]
fn curl_goes_through_the_proxy() {
    with(&["curl"], |programs| {
        let (proxy, site) = (proxy(), Site::open());
        let through = || {
            let mut curl = curl();
            curl.args(["--proxy", &proxy]);
            curl
        };
        let report = ["--output", "/dev/null", "--write-out", "%{http_code} %{num_connects}\n"];
        // The connection to the proxy is kept, whatever is behind it.
        let mut several = through();
        several.args(report).arg(site.url("/?number=[1-20]")).arg("--next").arg("--silent");
        several.args(["--proxy", &proxy]).args(report).arg(site.url("/missing?number=[1-20]"));
        let text = programs.run(&mut several).text();
        let lines = text.lines().collect::<Vec<_>>();
        assert_eq!((lines.len(), lines[0]), (40, "200 1"));
        assert!(lines[1..20].iter().all(|line| *line == "200 0"), "{text}");
        assert!(lines[20..].iter().all(|line| *line == "404 0"), "{text}");
        let head = programs.run(through().arg("--head").arg(site.url("/"))).text();
        assert!(head.contains("\r\nVia: 1.1 ramie\r\n"), "{head}");
        // A tunnel to a server that has nothing to hide.
        let text = programs.run(through().arg("--proxytunnel").arg(site.url("/"))).text();
        assert_eq!(text, HELLO);
        assert!(site.ends().is_empty(), "{:?}", site.errors.words());
        // No server is there, behind the proxy.
        let status = ["--output", "/dev/null", "--write-out", "%{http_code} %{http_connect}"];
        let said = programs.run(through().args(status).arg("http://127.0.0.1:1/"));
        assert_eq!(said.text(), "502 000");
        let said = programs.run(through().args(status).arg("https://127.0.0.1:1/"));
        assert_eq!(String::from_utf8_lossy(&said.output), "000 502", "{}", said.errors);
    });
}

#[test]
fn curl_goes_through_the_tunnel() {
    with(&["curl"], |programs| {
        let folder = Folder::new();
        let certificate = Certificate::new();
        let trusted = folder.join("certificate.pem");
        fs::write(&trusted, certificate.pem().0).unwrap();
        let (proxy, site) = (proxy(), Site::secure(certificate.server()));
        let mut secret = curl();
        secret.args(["--proxy", &proxy, "--cacert"]).arg(trusted);
        secret.args([
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_connect} %{http_code} %{num_connects}\n",
        ]);
        let url = format!("https://127.0.0.1:{}/?number=[1-20]", site.port());
        let text = programs.run(secret.arg(url)).text();
        let lines = text.lines().collect::<Vec<_>>();
        // One way through the proxy for all of them.
        assert_eq!((lines.len(), lines[0]), (20, "200 200 1"));
        assert!(lines[1..].iter().all(|line| line.ends_with(" 200 0")), "{text}");
        assert!(site.ends().is_empty(), "{:?}", site.errors.words());
        assert_eq!((site.connections.get(), site.requests.get()), (1, 20));
    });
}

#[test]
fn curl_posts_ten_megabytes_to_a_mirror() {
    with(&["curl"], |programs| {
        let server = StreamServer::bind("127.0.0.1:0", mirror).unwrap();
        server.start().unwrap();
        let url = format!("http://{}/", server.address().unwrap());
        let folder = Folder::new();
        let file = folder.join("body");
        let body = (0..10 << 20).map(|at: u32| (at % 251 + at / 65_536) as u8).collect::<Vec<_>>();
        fs::write(&file, &body).unwrap();
        let data = format!("@{}", file.display());
        let proxy = proxy();
        for expect in ["Expect: 100-continue", "Expect:"] {
            for ways in [&[][..], &["--proxy", &proxy], &["--proxytunnel", "--proxy", &proxy]] {
                let mut posting = curl();
                posting.args(["--data-binary", &data, "--header", expect]).args(ways);
                assert!(programs.run(posting.arg(&url)).bytes() == body, "{expect} {ways:?}");
            }
        }
        assert!(server.stop());
    });
}

#[test]
fn ab_goes_through_the_proxy() {
    with(&["ab"], |programs| {
        let (proxy, site) = (proxy(), Site::open());
        let mut ab = command("ab");
        ab.args(["-q", "-n", "500", "-c", "20", "-X", &proxy]);
        let report = programs.run(ab.arg(site.url("/"))).text();
        let has =
            |line: &str| report.lines().any(|other| other.split_whitespace().eq(line.split_whitespace()));
        assert!(has("Complete requests: 500") && has("Failed requests: 0"), "{report}");
        assert!(!report.contains("Non-2xx"), "{report}");
        assert!(site.ends().is_empty(), "{:?}", site.errors.words());
        assert!(site.requests.get() >= 500);
    });
}

#[test]
fn everything_is_downloaded_from_python() {
    with(&["python3"], |programs| {
        const FILES: usize = 40;
        let folder = Folder::new();
        let contents = |number: usize| format!("file {number}\n").repeat(number * number * 10).into_bytes();
        for number in 0..FILES {
            fs::write(folder.join(format!("{number}.txt")), contents(number)).unwrap();
        }
        let server = programs.serve("Serving HTTP on", Signal::KILL, |port| {
            let mut python = command("python3");
            python.args(["-I", "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory"]);
            python.arg(&*folder).arg(port.to_string());
            python
        });
        let url = |path: &str| format!("http://{}{path}", server.address());
        // It has room for five in its backlog, and disconnects further clients.
        let downloads = Pool::new(4);
        for number in 0..FILES {
            let url = url(&format!("/{number}.txt"));
            downloads.spawn(move || {
                let (status, body) = concurrent_download::download(&url).unwrap();
                assert_eq!(status, 200, "{url}");
                assert!(body == contents(number), "{url}: {} bytes", body.len());
            });
        }
        let missing = url("/missing.txt");
        downloads.join_raising().unwrap();
        assert_eq!(concurrent_download::download(&missing).unwrap().0, 404);
        // It notes a request before it answers it; its lines come by a pipe, one after the other.
        while server.log().matches("\"GET /").count() < FILES + 1 {
            sleep(Duration::from_millis(1));
        }
        let log = server.log();
        for number in 0..FILES {
            let line = format!("\"GET /{number}.txt HTTP/1.0\" 200");
            assert_eq!(log.matches(&line).count(), 1, "{log}");
        }
        assert_eq!(log.matches("\"GET /").count(), FILES + 1, "{log}");
    });
}
