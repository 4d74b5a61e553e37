//! Sockets, descriptors, names, and copying between them.

mod descriptors;
mod io;
mod net;
mod net_peers;
mod resolve;
mod sendfile;
mod udp;
mod unix_sockets;
#[path = "../util/mod.rs"]
mod util;
