//! Certificates and keys as openssl makes them: of every kind, in every form, with an authority
//! behind them.

use std::fs;
use std::sync::Arc;

use ramie::net::TcpStream;
use ramie::tls;
use ramie::tls::rustls::pki_types::CertificateDer;
use ramie::tls::rustls::pki_types::pem::PemObject;
use ramie::tls::rustls::server::WebPkiClientVerifier;
use ramie::tls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::https_server;
use crate::programs::{Programs, command, curl, with};
use crate::site::{HELLO, Site};
use crate::util::folder::Folder;

/// The configuration that openssl would otherwise read from a file of the system.
const SETTINGS: &str = "[req]\ndistinguished_name = name\n[name]\n\
    [root]\nbasicConstraints = critical, CA:TRUE\nsubjectKeyIdentifier = hash\n\
    [middle]\nbasicConstraints = critical, CA:TRUE, pathlen:0\n\
    [server]\nbasicConstraints = CA:FALSE\nsubjectAltName = DNS:localhost, IP:127.0.0.1\n\
    [client]\nbasicConstraints = CA:FALSE\nextendedKeyUsage = clientAuth\n";

/// An authority that has another one sign for it.
struct Authority<'a> {
    programs: &'a Programs,
    folder: Folder,
}

impl<'a> Authority<'a> {
    fn new(programs: &'a Programs) -> Self {
        let authority = Authority { programs, folder: Folder::new() };
        fs::write(authority.path("settings"), SETTINGS).unwrap();
        let (key, certificate) = (authority.path("root.key"), authority.path("root.pem"));
        authority.openssl(
            "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=root -extensions root",
            &["-config", &authority.path("settings"), "-keyout", &key, "-out", &certificate],
        );
        authority.sign("middle", "root", "ec -pkeyopt ec_paramgen_curve:prime256v1");
        authority
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    fn openssl(&self, words: &str, more: &[&str]) {
        self.programs.run(command("openssl").args(words.split_whitespace()).args(more)).bytes();
    }

    /// Makes `subject.key` and `subject.pem`, signed by `issuer`; the subject is the section of the
    /// settings too.
    fn sign(&self, subject: &str, issuer: &str, kind: &str) {
        let (settings, key, request) =
            (self.path("settings"), self.path(&format!("{subject}.key")), self.path("request"));
        let name = format!("/CN={subject}");
        let make = format!("req -nodes -newkey {kind}");
        self.openssl(&make, &["-config", &settings, "-subj", &name, "-keyout", &key, "-out", &request]);
        let (by, by_key) = (self.path(&format!("{issuer}.pem")), self.path(&format!("{issuer}.key")));
        let signer = ["-CA", &by, "-CAkey", &by_key];
        let certificate = self.path(&format!("{subject}.pem"));
        self.openssl(
            "x509 -req -days 2 -CAcreateserial",
            &[
                &["-in", &request, "-out", &certificate, "-extfile", &settings, "-extensions", subject],
                &signer[..],
            ]
            .concat(),
        );
    }

    /// A file with the certificate of `subject` and the one that has signed it.
    fn chain(&self, subject: &str) -> String {
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap();
        let chain = self.path(&format!("{subject}-chain.pem"));
        fs::write(&chain, read(&format!("{subject}.pem")) + &read("middle.pem")).unwrap();
        chain
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("root.pem")).unwrap()).unwrap();
        roots
    }
}

/// The program curl with trust in the root alone, and nowhere to go but here.
fn ask(authority: &Authority<'_>, site: &Site, arguments: &[&str]) -> crate::programs::Said {
    let mut curl = curl();
    curl.args(["--cacert", &authority.path("root.pem")]).args(arguments);
    curl.args(["--resolve", &format!("localhost:{}:127.0.0.1", site.port())]);
    authority.programs.run(curl.arg(format!("https://localhost:{}/", site.port())))
}

#[test]
fn keys_and_chains_of_every_kind_are_taken_from_files() {
    with(&["openssl", "curl"], |programs| {
        let authority = Authority::new(programs);
        for kind in [
            "rsa:2048",
            "ec -pkeyopt ec_paramgen_curve:prime256v1",
            "ec -pkeyopt ec_paramgen_curve:secp384r1",
            "ed25519",
        ] {
            authority.sign("server", "middle", kind);
            let chain = authority.chain("server");
            let (key, old) = (authority.path("server.key"), authority.path("server-old.key"));
            let mut keys = vec![&key];
            if kind != "ed25519" {
                // As such keys were written before there was one form for all of them.
                authority.openssl("pkey -traditional", &["-in", &key, "-out", &old]);
                assert!(!fs::read_to_string(&old).unwrap().contains("BEGIN PRIVATE KEY"));
                keys.push(&old);
            }
            for key in keys {
                let (chain, key) = https_server::from_files(chain.clone().into(), key.into()).unwrap();
                assert_eq!(chain.len(), 2);
                let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
                let site = Site::secure(config.unwrap());
                for version in ["1.2", "1.3"] {
                    let said = ask(&authority, &site, &["--tls-max", version]);
                    assert_eq!(said.text(), HELLO, "{kind} {version}");
                }
                // Ours trusts what curl trusts.
                let client = ClientConfig::builder().with_root_certificates(authority.roots());
                let stream = TcpStream::connect(site.host()).unwrap();
                drop(tls::connect(stream, "localhost", Arc::new(client.with_no_client_auth())).unwrap());
            }
        }
    });
}

#[test]
fn client_shows_its_certificate_too() {
    with(&["openssl", "curl"], |programs| {
        let authority = Authority::new(programs);
        authority.sign("server", "middle", "rsa:2048");
        authority.sign("client", "middle", "rsa:2048");
        let server =
            https_server::from_files(authority.chain("server").into(), authority.path("server.key").into());
        let (chain, key) = server.unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(authority.roots())).build().unwrap();
        let config = ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key);
        let site = Site::secure(config.unwrap());
        let (chain, key) = (authority.chain("client"), authority.path("client.key"));
        // The same key, in a self-signed certificate.
        let stranger = authority.path("stranger.pem");
        let settings = authority.path("settings");
        let own = ["-config", &settings, "-key", &key, "-out", &stranger];
        authority.openssl("req -x509 -new -days 2 -subj /CN=client", &own);
        for version in ["1.2", "1.3"] {
            let limit = ["--tls-max", version];
            let said = ask(&authority, &site, &[&limit[..], &["--cert", &chain, "--key", &key]].concat());
            assert_eq!(said.text(), HELLO, "{version}");
            for shown in [&[][..], &["--cert", &stranger, "--key", &key]] {
                let said = ask(&authority, &site, &[&limit[..], shown].concat());
                assert!(!said.status.success() && said.output.is_empty(), "{version} {shown:?}: {said:?}");
            }
        }
        site.ends();
        assert_eq!(site.requests.get(), 2);
    });
}
