//! Sockets, descriptors, names, and copying between them.

mod closing;
mod cut_writes;
mod descriptors;
mod detached;
mod io;
mod net;
mod resolve;
mod sendfile;
mod udp;
mod unix_sockets;
#[path = "../util/mod.rs"]
mod util;
