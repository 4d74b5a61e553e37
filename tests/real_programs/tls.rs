//! Clients of the HTTP server over TLS: curl, `openssl s_client` and Python.

use std::fs;

use crate::programs::{command, curl, python, with};
use crate::site::{HELLO, Site};
use crate::util::certificate::Certificate;
use crate::util::folder::Folder;

/// A secure site, and the file with the certificate that is to be trusted.
fn secure(folder: &Folder) -> (Site, String) {
    let certificate = Certificate::new();
    let file = folder.join("certificate.pem");
    fs::write(&file, certificate.pem().0).unwrap();
    (Site::secure(certificate.server()), file.to_str().unwrap().to_owned())
}

#[test]
fn curl_trusts_the_certificate_it_was_given() {
    with(&["curl"], |programs| {
        let folder = Folder::new();
        let (site, trusted) = secure(&folder);
        let url = format!("https://localhost:{}/", site.port());
        let name = format!("localhost:{}:127.0.0.1", site.port());
        let https = || {
            let mut curl = curl();
            curl.args(["--resolve", &name]);
            curl
        };
        for versions in [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3", "--tls-max", "1.3"]] {
            let mut asking = https();
            asking.args(versions).args(["--cacert", &trusted, "--output", "/dev/null"]);
            asking
                .args(["--write-out", "%{http_version} %{http_code} %{num_connects} %{ssl_verify_result}\n"]);
            let text = programs.run(asking.arg(url.clone() + "?number=[1-20]")).text();
            let lines = text.lines().collect::<Vec<_>>();
            assert_eq!((lines.len(), lines[0]), (20, "1.1 200 1 0"), "{versions:?}");
            assert!(lines[1..].iter().all(|line| *line == "1.1 200 0 0"), "{versions:?}: {text}");
        }
        let body = (0..1 << 20).map(|at: u32| (at % 251) as u8).collect::<Vec<_>>();
        let mut posting = https();
        posting.args(["--cacert", &trusted, "--data-binary", "@-"]).arg(url.clone() + "echo");
        assert!(programs.run_with(&mut posting, body.clone()).bytes() == body);
        assert!(site.ends().is_empty(), "{:?}", site.errors.words());
        assert_eq!((site.connections.get(), site.requests.get()), (3, 41));

        // No foreign certificate, and no other host, is trusted: such a connection is no request.
        let stranger = folder.join("stranger.pem");
        fs::write(&stranger, Certificate::new().pem().0).unwrap();
        let said = programs.run(https().arg("--cacert").arg(&stranger).arg(&url));
        assert_eq!((said.status.code(), said.output.len()), (Some(60), 0), "{}", said.errors);
        let elsewhere = format!("elsewhere:{}:127.0.0.1", site.port());
        let mut wrong = curl();
        wrong.args(["--resolve", &elsewhere, "--cacert", &trusted]);
        let said = programs.run(wrong.arg(format!("https://elsewhere:{}/", site.port())));
        assert_eq!((said.status.code(), said.output.len()), (Some(60), 0), "{}", said.errors);
        site.ends();
        assert_eq!(site.requests.get(), 41);
        // One that does not speak TLS at all is not answered in plain text either.
        let said = programs.run(curl().arg(site.url("/")));
        assert!(!said.status.success() && !said.output.starts_with(b"HTTP"), "{said:?}");
        assert_eq!(programs.run(https().args(["--cacert", &trusted]).arg(&url)).text(), HELLO);
    });
}

#[test]
fn s_client_comes_back_with_its_session() {
    with(&["openssl"], |programs| {
        let folder = Folder::new();
        let (site, trusted) = secure(&folder);
        let session = folder.join("session").to_str().unwrap().to_owned();
        let address = site.host();
        for version in ["-tls1_2", "-tls1_3"] {
            for (file, begins) in [("-sess_out", "New, TLSv1."), ("-sess_in", "Reused, TLSv1.")] {
                let mut client = command("openssl");
                client.args([
                    "s_client",
                    "-connect",
                    &address,
                    "-servername",
                    "localhost",
                    "-ign_eof",
                    version,
                ]);
                client.args(["-CAfile", &trusted, "-verify_return_error", "-alpn", "h2,http/1.1"]);
                client.args([file, &session]);
                let requests =
                    "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
                let text = programs.run_with(&mut client, requests).text();
                assert!(text.contains(begins), "{version} {file}: {text}");
                assert!(text.contains("ALPN protocol: http/1.1"), "{version}: {text}");
                assert_eq!(text.matches(HELLO).count(), 2, "{version}: {text}");
            }
        }
        assert!(site.ends().is_empty(), "{:?}", site.errors.words());
        assert_eq!((site.connections.get(), site.requests.get()), (4, 8));
    });
}

/// Python takes an end that was not announced for what it is, a truncation, if it is asked to.
const PYTHON: &str = r#"
import http.client, socket, ssl, sys
port, trusted = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=trusted)
# The certificate signs itself and is no authority's, which newer versions are strict about.
context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)

connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
connection.connect()
kept = connection.sock
for number in range(50):
    body = bytes([number]) * number * 1000
    connection.request("POST", "/echo", body)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, body), (answer.status, number)
    assert connection.sock is kept, "the connection was not kept"
connection.close()

with socket.create_connection(("127.0.0.1", port), 60) as plain:
    with context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        received = b""
        while part := stream.recv(7):
            received += part
        assert received.startswith(b"HTTP/1.1 200 OK\r\n") and received.endswith(b"greenlet</h1>\n"), received
print("all was well")
"#;

#[test]
fn python_hears_the_end_of_the_stream() {
    with(&["python3"], |programs| {
        let folder = Folder::new();
        let (site, trusted) = secure(&folder);
        let said = programs.run(python(PYTHON).arg(site.port().to_string()).arg(trusted));
        assert_eq!(said.text(), "all was well\n");
        assert_eq!((site.connections.get(), site.requests.get()), (2, 51));
    });
}
