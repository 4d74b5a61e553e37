//! From what somebody calls an address to socket addresses.

use std::io;
use std::net::{self, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::{iter, option, slice, vec};

use ramie_pool::ThreadPool;

/// What socket addresses can be had from: std's trait of that name, for the same types, but a host name that has to be looked
/// up lets other greenlets run.
///
/// Numbers are read at once. Names go to the system's resolver, on a thread of the [global pool](ThreadPool::global): any
/// number of greenlets can look names up at a time, as far as that pool has room. It says so on stderr when all its threads
/// are stuck.
///
/// # Examples
///
/// ```
/// use ramie::net::ToSocketAddrs;
///
/// let addresses: Vec<_> = ("127.0.0.1", 80).to_socket_addrs()?.collect();
/// assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap()]);
/// assert!("no port".to_socket_addrs().is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ToSocketAddrs {
    /// Iterates over the addresses.
    type Iter: Iterator<Item = SocketAddr>;

    /// The addresses. Lets others run if a name has to be looked up.
    ///
    /// # Errors
    ///
    /// The resolver's; `InvalidInput` for a text that is no host and port.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout ends the wait at once; the lookup goes on on its thread, for nobody.
    fn to_socket_addrs(&self) -> io::Result<Self::Iter>;
}

/// What is no name is std's affair.
macro_rules! by_std {
    ($($(#[$attr:meta])* $t:ty),* $(,)?) => {
        $($(#[$attr])* impl ToSocketAddrs for $t {
            type Iter = option::IntoIter<SocketAddr>;

            #[expect(clippy::disallowed_methods, reason = "numbers are not looked up")]
            fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
                net::ToSocketAddrs::to_socket_addrs(self)
            }
        })*
    };
}

by_std!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl<'a> ToSocketAddrs for &'a [SocketAddr] {
    type Iter = iter::Cloned<slice::Iter<'a, SocketAddr>>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.iter().cloned())
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    type Iter = T::Iter;

    fn to_socket_addrs(&self) -> io::Result<T::Iter> {
        (**self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (&str, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, port)].into_iter()),
            Err(_) => look_up(host, port),
        }
    }
}

impl ToSocketAddrs for (String, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (self.0.as_str(), self.1).to_socket_addrs()
    }
}

impl ToSocketAddrs for str {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        if let Ok(address) = self.parse() {
            return Ok(vec![address].into_iter());
        }
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{what}: {self:?}"));
        let (host, port) = self.rsplit_once(':').ok_or_else(|| invalid("an address without a port"))?;
        let port = port.parse().map_err(|_| invalid("an address whose port is no number up to 65535"))?;
        (host, port).to_socket_addrs()
    }
}

impl ToSocketAddrs for String {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        self.as_str().to_socket_addrs()
    }
}

/// Asks the system's resolver, on a thread of the pool.
fn look_up(host: &str, port: u16) -> io::Result<vec::IntoIter<SocketAddr>> {
    let host = host.to_owned();
    #[expect(
        clippy::disallowed_methods,
        reason = "it blocks a thread of the pool, and that is what they are for"
    )]
    let lookup =
        move || net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port)).map(Iterator::collect::<Vec<_>>);
    match ThreadPool::global().spawn(lookup).take() {
        Ok(addresses) => addresses.map(Vec::into_iter),
        Err(failure) => Err(io::Error::other(failure.to_text())),
    }
}
