//! Servers and TLS.

mod server;
mod server_taking;
mod tls;
mod tls_duplex;
mod tls_openssl;
#[path = "../util/mod.rs"]
mod util;
