//! Crates that know nothing of greenlets, used from greenlets: a module for each row of the page
//! `using_crates` of the documentation.
#![cfg(all(test, unix))]

mod async_channel;
mod async_io;
#[expect(dead_code, reason = "the folder of a cluster, for its sockets, is for other tests")]
#[path = "../../real_programs/databases.rs"]
mod databases;
mod flume;
mod futures;
mod http_server;
mod hyper_client;
mod hyper_server;
mod peer;
mod postgres;
#[expect(dead_code, reason = "the commands of other tests")]
#[path = "../../real_programs/programs.rs"]
mod programs;
mod rayon;
mod redis;
mod reqwest;
mod rusqlite;
mod sqlx;
mod tokio_postgres;
mod tonic;
mod tower;
mod ureq;
#[path = "../../util/mod.rs"]
mod util;
mod witness;
