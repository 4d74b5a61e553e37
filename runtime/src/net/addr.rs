//! Addresses that somebody gave, tried one after another.

use std::io;
use std::net::SocketAddr;

use super::resolve::ToSocketAddrs;

/// Tries one address after the other; the last one's error counts.
pub(crate) fn first_of<R>(
    address: impl ToSocketAddrs,
    f: impl FnMut(SocketAddr) -> io::Result<R>,
) -> io::Result<R> {
    first(address.to_socket_addrs()?, f)
}

/// The same for addresses that are known.
pub(crate) fn first<R>(
    addresses: impl IntoIterator<Item = SocketAddr>,
    mut f: impl FnMut(SocketAddr) -> io::Result<R>,
) -> io::Result<R> {
    let mut last = none_given();
    for address in addresses {
        match f(address) {
            Ok(done) => return Ok(done),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The first address, for those who cannot tell whether it was the right one.
pub(crate) fn one_of(address: impl ToSocketAddrs) -> io::Result<SocketAddr> {
    address.to_socket_addrs()?.next().ok_or_else(none_given)
}

fn none_given() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "no address was given")
}
