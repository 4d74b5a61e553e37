//! TCP with std's names. Every operation that has to wait lets other greenlets run.
//!
//! An operation is tried first and waits only if it would block; so data that is already there is read without
//! anybody else running in between, but for one yield in about every 128 such operations.
//!
//! Names are resolved by std, which blocks the thread: give addresses as numbers where that matters.

mod tcp;

pub use self::tcp::{Incoming, TcpListener, TcpStream};
pub use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
