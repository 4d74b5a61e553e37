//! TLS with a foreign peer: `openssl s_client` and `openssl s_server`, where they are installed.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ramie::net::{TcpListener, TcpStream};
use ramie::server::StreamServer;
use ramie::tls::{self, AcceptError, TlsStream};
use ramie::{blocking, get_hub};

use crate::util::certificate::Certificate;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

/// Says so where there is none.
fn has_openssl() -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: openssl is not installed");
    }
    found
}

/// The certificate and its key in files, which go when this is dropped.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(test: &str, certificate: &Certificate) -> Self {
        let path =
            |kind| std::env::temp_dir().join(format!("ramie-{test}-{kind}-{}.pem", std::process::id()));
        let files = Files { certificate: path("certificate"), key: path("key") };
        let (text, key) = certificate.pem();
        fs::write(&files.certificate, text).unwrap();
        fs::write(&files.key, key).unwrap();
        files
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.certificate);
        let _ = fs::remove_file(&self.key);
    }
}

/// Returns the output of an `openssl s_client` that sends a line and reads up to the end.
fn s_client(server: &StreamServer, arguments: &[&str]) -> Output {
    let address = server.address().unwrap().to_string();
    let mut client = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &address,
            "-quiet",
            "-verify_return_error",
            "-servername",
            "localhost",
        ])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    blocking(|| client.wait_with_output().unwrap())
}

#[test]
fn openssl_is_served() {
    within(LIMIT, || {
        if !has_openssl() {
            return;
        }
        let certificate = Certificate::new();
        let files = Files::new("s-client", &certificate);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server =
            StreamServer::tls(listener, certificate.server(), |mut stream: TlsStream<TcpStream>, _| {
                let mut line = String::new();
                BufReader::new(&mut stream).read_line(&mut line)?;
                stream.write_all(line.to_uppercase().repeat(20_000).as_bytes())?;
                stream.shutdown()
            });
        server.start().unwrap();
        let trusted = files.certificate.to_str().unwrap();
        for version in VERSIONS {
            let output = s_client(&server, &[version, "-CAfile", trusted]);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.stdout == b"HELLO\n".repeat(20_000), "{version}: {errors}");
        }
        // One that does not trust us goes, and is the only one that fails.
        let failures = Rc::new(std::cell::Cell::new(0));
        let count = failures.clone();
        get_hub().set_error_handler(Some(Rc::new(move |_, failure| {
            assert!(failure.is::<AcceptError>());
            count.set(count.get() + 1);
        })));
        let output = s_client(&server, &["-tls1_3"]);
        assert!(!output.status.success() && output.stdout.is_empty());
        assert!(server.stop());
        assert_eq!(failures.get(), 1);
    });
}

/// A server of openssl, which ends when this is dropped.
struct Server {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Server {
    /// Starts one that answers each line by its reverse, and returns its port.
    fn start(files: &Files, version: &str) -> (Self, u16) {
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", version, "-rev"])
            .arg("-cert")
            .arg(&files.certificate)
            .arg("-key")
            .arg(&files.key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut server = Server { child, lines };
        let mut line = String::new();
        while !line.starts_with("ACCEPT") {
            line.clear();
            let length = blocking(|| server.lines.read_line(&mut line).unwrap());
            assert!(length > 0, "openssl says on which port it is");
        }
        let port = line.trim_end().rsplit(':').next().unwrap().parse().unwrap();
        (server, port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = blocking(|| self.child.wait());
    }
}

#[test]
fn openssl_serves() {
    within(LIMIT, || {
        if !has_openssl() {
            return;
        }
        let certificate = Certificate::new();
        let files = Files::new("s-server", &certificate);
        for version in VERSIONS {
            let (_server, port) = Server::start(&files, version);
            let connect = |config: Arc<tls::rustls::ClientConfig>| {
                tls::connect(TcpStream::connect(("127.0.0.1", port)).unwrap(), "localhost", config)
            };
            let error = connect(Certificate::new().client()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{version}");
            let mut stream = connect(certificate.client()).unwrap();
            for word in ["hello", &"ab".repeat(2000)] {
                stream.write_all(format!("{word}\n").as_bytes()).unwrap();
                let mut answer = vec![0; word.len() + 1];
                stream.read_exact(&mut answer).unwrap();
                let expected = word.chars().rev().chain(['\n']).collect::<String>();
                assert!(answer == expected.as_bytes(), "{version}");
            }
            stream.write_all(b"CLOSE\n").unwrap();
            stream.shutdown().unwrap();
            // It ends in order as well.
            assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0, "{version}");
        }
    });
}
