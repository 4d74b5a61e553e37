//! hyper, the HTTP library, on this crate's sockets, timers and greenlets, without tokio.
//!
//! | hyper's trait | here |
//! |---|---|
//! | `rt::Read` and `rt::Write` | [`RamieIo`], around a stream |
//! | `rt::Timer` | [`RamieTimer`] |
//! | `rt::Executor` | [`RamieExecutor`] |
//! | `service::Service` | [`handler_fn`], for handlers that wait like any code of a greenlet |
//! | `body::Body` | [`BodyReader`] reads one as a `std::io::Read` |
//!
//! A program names `hyper` among its own dependencies, with the features that it needs, such as
//! `http1` and `server`. A connection is a future of hyper, and [`block_on`](crate::block_on) drives
//! it in a greenlet: one for each connection, as in any server of this crate.
//!
//! # Greenlets and polls
//!
//! With [`handler_fn`] each request is handled by a greenlet of its own. A handler that waited
//! inside a poll of the connection would stop the connection: its own request's body would never
//! arrive. For the same reason code in hyper's `service_fn` should `await`, and not call functions of
//! this crate that wait. If it does, only its own connection waits.
//!
//! A kill of the connection's greenlet, or a timeout in it, drops the connection: its socket is
//! closed and its handlers are killed. A connection with endless input and output lets other
//! greenlets run as often as any other greenlet does.
//!
//! # Upgrades
//!
//! hyper's `upgrade::on` needs streams that are `Send`; those of this crate are not. Both sides get
//! the stream back without it: `poll_without_shutdown` drives the connection up to the upgrade, and
//! `into_parts` returns the [`RamieIo`], with the bytes that were read too far. The stream inside is
//! then used in the way of this crate.
//!
//! # Examples
//!
//! `examples/hyper_server.rs` and `examples/hyper_client.rs` in the repository are complete
//! programs.

mod body;
mod executor;
mod handler;
mod io;
mod timer;

pub use self::body::BodyReader;
pub use self::executor::RamieExecutor;
pub use self::handler::{HandlerFuture, HandlerService, handler_fn};
pub use self::io::RamieIo;
pub use self::timer::RamieTimer;
