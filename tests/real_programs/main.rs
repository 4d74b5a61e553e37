//! Programs of the real world against what we serve, and ours against servers of the real world,
//! where they are installed.
#![cfg(unix)]
#![expect(clippy::duplicate_mod, reason = "each example brings the modules that it shares with others")]

mod authority;
mod databases;
mod files;
#[path = "http.rs"]
mod http_clients;
mod postgres;
mod programs;
mod proxy;
#[path = "redis.rs"]
mod redis_both_ways;
mod site;
#[path = "tls.rs"]
mod tls_clients;
#[path = "../util/mod.rs"]
mod util;

#[expect(dead_code, reason = "an example has a `main`")]
#[path = "../../examples/concurrent_download.rs"]
mod concurrent_download;
#[expect(dead_code, reason = "an example has a `main`")]
#[path = "../../examples/echo_server.rs"]
mod echo_server;
#[path = "../../examples/http/mod.rs"]
mod http;
#[expect(dead_code, reason = "heads are not parsed here")]
#[path = "../../examples/http/head.rs"]
mod http_head;
#[expect(dead_code, reason = "an example has a `main`")]
#[path = "../../examples/https_server.rs"]
mod https_server;
#[expect(dead_code, reason = "an example has a `main`")]
#[path = "../../examples/port_forwarder.rs"]
mod port_forwarder;
#[expect(dead_code, reason = "an example has a `main`")]
#[path = "../../examples/redis_pool.rs"]
mod redis_pool;
#[expect(dead_code, reason = "an example has a `main`")]
#[path = "../../examples/sendfile.rs"]
mod sendfile;
#[expect(dead_code, reason = "an example has a `main`")]
#[path = "../../examples/web_proxy.rs"]
mod web_proxy;
