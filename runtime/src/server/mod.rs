//! Servers: gevent's `StreamServer` and `DatagramServer`, over any listener and any datagram socket
//! of this crate.
//!
//! A server accepts in a greenlet of its own, and runs a handler in a new greenlet for each
//! connection or datagram. Compared to a loop around `accept`, it adds a limit on the number of
//! handlers, which leaves further connections in the backlog of the system; pauses while the
//! process has no descriptor left; and a stop that waits for the handlers and kills the remaining
//! ones.
//!
//! ```
//! use std::io::{self, Read, Write};
//! use ramie::net::TcpStream;
//! use ramie::server::StreamServer;
//!
//! let server = StreamServer::bind("127.0.0.1:0", |stream, _peer| io::copy(&mut &stream, &mut &stream))?;
//! server.set_limit(1000);
//! server.start()?; // or `serve_forever`
//!
//! let mut client = TcpStream::connect(server.address()?)?;
//! client.write_all(b"hello")?;
//! let mut echo = [0; 5];
//! client.read_exact(&mut echo)?;
//! assert_eq!(&echo, b"hello");
//! drop(client);
//! server.stop();
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # From gevent
//!
//! | gevent | here |
//! |---|---|
//! | `StreamServer(("127.0.0.1", 0), handle)` | [`StreamServer::bind`], which binds at once |
//! | `StreamServer(listener, handle)` | [`StreamServer::new`] |
//! | `StreamServer(…, keyfile=…, certfile=…)` | `StreamServer::tls`, with the feature `tls` |
//! | `DatagramServer(…)`, `sendto` | [`DatagramServer`], [`DatagramServer::sendto`] |
//! | `spawn=100`, `spawn=pool` | [`set_limit`](BaseServer::set_limit), [`set_pool`](BaseServer::set_pool) |
//! | `max_accept`, `min_delay` and `max_delay`, `stop_timeout` | [`set_max_accept`](BaseServer::set_max_accept), [`set_delays`](BaseServer::set_delays), [`set_stop_timeout`](BaseServer::set_stop_timeout) |
//! | `start`, `start_accepting`, `stop_accepting` | [`start`](BaseServer::start), [`stop_accepting`](BaseServer::stop_accepting) |
//! | `stop(timeout)`, `close`, `serve_forever` | [`stop_timeout`](BaseServer::stop_timeout), [`close`](BaseServer::close), [`serve_forever`](BaseServer::serve_forever) |
//! | `started`, `closed`, `address`, `server_host`, `server_port` | the same |
//!
//! There are three differences. A stopped server keeps its listener and can be started again;
//! `close` is final. `stop` waits for the handlers of this server and kills them, wherever they
//! run: also without a limit, and in a shared pool no greenlets of others. An error about a
//! connection that is reset before it is accepted causes no pause.

mod accept_error;
mod accept_loop;
mod base;
mod datagram;
mod handlers;
mod socket;
mod stream;

pub use self::base::BaseServer;
pub use self::datagram::DatagramServer;
pub use self::handlers::Outcome;
pub use self::socket::{DatagramSocket, Listener, Socket};
pub use self::stream::StreamServer;
