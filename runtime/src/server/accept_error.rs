//! Classifies accept errors.

use std::io::{self, ErrorKind};

/// The kind of an accept error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AcceptErrorKind {
    /// An error about one peer: continue at once.
    Peer,
    /// A lack of resources, or an unknown error: report it, and try again after a pause.
    Passing,
    /// The socket has become unusable.
    Fatal,
}

pub(super) fn accept_error(error: &io::Error) -> AcceptErrorKind {
    if error.raw_os_error().is_some_and(|code| system::FATAL.contains(&code)) {
        return AcceptErrorKind::Fatal;
    }
    if error.raw_os_error().is_some_and(|code| system::OF_PEERS.contains(&code)) {
        return AcceptErrorKind::Peer;
    }
    match error.kind() {
        // In the first two the peer is gone. Linux passes the others on from packets of a
        // connection. `ConnectionRefused` is for a datagram that was sent from this socket.
        // `TimedOut` may also be a receive timeout of the socket itself.
        ErrorKind::ConnectionAborted
        | ErrorKind::ConnectionReset
        | ErrorKind::TimedOut
        | ErrorKind::ConnectionRefused
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown => AcceptErrorKind::Peer,
        // The error of a closed socket where there is no `EBADF`.
        ErrorKind::NotConnected => AcceptErrorKind::Fatal,
        _ => AcceptErrorKind::Passing,
    }
}

#[cfg(unix)]
mod system {
    use rustix::io::Errno;

    pub(super) const FATAL: [i32; 3] =
        [Errno::BADF.raw_os_error(), Errno::INVAL.raw_os_error(), Errno::NOTSOCK.raw_os_error()];

    /// Errors without an `ErrorKind` in std: protocol error, host down, forbidden by a firewall.
    pub(super) const OF_PEERS: [i32; 3] =
        [Errno::PROTO.raw_os_error(), Errno::HOSTDOWN.raw_os_error(), Errno::PERM.raw_os_error()];
}

#[cfg(not(unix))]
mod system {
    /// `WSAEBADF`, `WSAEINVAL`, `WSAENOTSOCK`.
    pub(super) const FATAL: [i32; 3] = [10009, 10022, 10038];
    pub(super) const OF_PEERS: [i32; 0] = [];
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn of(error: Errno) -> AcceptErrorKind {
        accept_error(&error.into())
    }

    #[test]
    fn each_error_is_weighed() {
        for gone in [
            Errno::CONNABORTED,
            Errno::TIMEDOUT,
            Errno::CONNRESET,
            Errno::PROTO,
            Errno::PERM,
            Errno::HOSTUNREACH,
        ] {
            assert_eq!(of(gone), AcceptErrorKind::Peer, "{gone}");
        }
        for missing in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::IO] {
            assert_eq!(of(missing), AcceptErrorKind::Passing, "{missing}");
        }
        for end in [Errno::BADF, Errno::INVAL, Errno::NOTSOCK] {
            assert_eq!(of(end), AcceptErrorKind::Fatal, "{end}");
        }
    }
}
