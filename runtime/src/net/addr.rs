//! Trying several addresses one after another.

use std::io;
use std::net::SocketAddr;

use super::resolve::ToSocketAddrs;

/// Tries the addresses one after another. Returns the error of the last one.
pub(crate) fn first_of<R>(
    address: impl ToSocketAddrs,
    f: impl FnMut(SocketAddr) -> io::Result<R>,
) -> io::Result<R> {
    first(address.to_socket_addrs()?, f)
}

/// Tries resolved addresses one after another; see `first_of`.
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

/// Returns the first address, for operations that cannot tell whether an address is the right one.
pub(crate) fn one_of(address: impl ToSocketAddrs) -> io::Result<SocketAddr> {
    address.to_socket_addrs()?.next().ok_or_else(none_given)
}

fn none_given() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "there is no address to try")
}
