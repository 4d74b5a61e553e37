//! Addresses that somebody gave, tried one after another.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// The one place where names are resolved: by std, which blocks the thread.
pub(crate) fn resolve<A: ToSocketAddrs>(address: A) -> io::Result<A::Iter> {
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no pool of threads yet; the documentation says it"
    )]
    address.to_socket_addrs()
}

/// Tries one address after the other; the last one's error counts.
pub(crate) fn first_of<R>(
    address: impl ToSocketAddrs,
    f: impl FnMut(SocketAddr) -> io::Result<R>,
) -> io::Result<R> {
    first(resolve(address)?, f)
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
    resolve(address)?.next().ok_or_else(none_given)
}

fn none_given() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "no address was given")
}
