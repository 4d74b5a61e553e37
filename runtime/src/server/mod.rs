//! Servers: gevent's `StreamServer` and `DatagramServer`, over any listener and any datagram socket of this crate.
//!
//! A server takes what arrives in a greenlet of its own and gives each connection, or each datagram, to a handler, in a
//! greenlet of its own. What it adds to a loop around `accept` is all that such a loop forgets: a limit on the handlers that
//! leaves everybody else in the system's backlog, pauses while the process has no descriptor left, and a stop that waits
//! for the handlers and ends those that do not come to an end.
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
//! Three things differ. A stopped server keeps its listener and can be started again; what `close` ends is ended. `stop`
//! waits for the handlers of this server and kills them, whatever they run in: without a limit too, and of a shared pool
//! no others. And an error of one connection that is gone before it is accepted makes no pause.

mod acceptor;
mod base;
mod datagram;
mod place;
mod socket;
mod stream;
mod trouble;

pub use self::base::BaseServer;
pub use self::datagram::DatagramServer;
pub use self::place::Outcome;
pub use self::socket::{DatagramSocket, Listener, Socket};
pub use self::stream::StreamServer;
