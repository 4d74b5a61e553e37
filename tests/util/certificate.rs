//! A certificate that was made just now, and the two configurations that go with it.

use std::sync::Arc;

use ramie::tls::rustls::pki_types::PrivateKeyDer;
use ramie::tls::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A certificate for `localhost` and 127.0.0.1, signed by itself.
pub(crate) struct Certificate {
    made: rcgen::CertifiedKey<rcgen::KeyPair>,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        Certificate { made: rcgen::generate_simple_self_signed(names).unwrap() }
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        Arc::new(config.with_single_cert(vec![self.made.cert.der().clone()], key).unwrap())
    }

    /// Trust in this certificate, and in no other.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.made.cert.der().clone()).unwrap();
        roots
    }

    /// A client that trusts this certificate, and no other.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::new(ClientConfig::builder().with_root_certificates(self.roots()).with_no_client_auth())
    }

    /// The certificate and its key, as files have them.
    pub(crate) fn pem(&self) -> (String, String) {
        (self.made.cert.pem(), self.made.signing_key.serialize_pem())
    }
}
