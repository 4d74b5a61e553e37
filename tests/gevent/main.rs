//! gevent's own tests, restated. `tests/GEVENT.md` is the table.

mod channel;
mod event;
mod fileobject;
mod greenlet;
mod group;
mod hub;
mod kill;
mod links;
mod lock;
mod pool;
mod queue;
mod select;
mod server;
mod signal;
mod socket;
mod threadpool;
mod timeout;
#[path = "../util/mod.rs"]
mod util;
