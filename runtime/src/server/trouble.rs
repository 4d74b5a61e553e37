//! What an error of taking means for the server that takes.

use std::io::{self, ErrorKind};

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It was about one peer, which is gone: go on at once.
    Peer,
    /// Something is missing, or nobody knows: say so, and try again after a pause.
    Passing,
    /// The socket is no longer one that anything arrives at.
    Fatal,
}

pub(super) fn trouble(error: &io::Error) -> Trouble {
    if error.raw_os_error().is_some_and(|code| system::FATAL.contains(&code)) {
        return Trouble::Fatal;
    }
    if error.raw_os_error().is_some_and(|code| system::OF_PEERS.contains(&code)) {
        return Trouble::Peer;
    }
    match error.kind() {
        // The first two have no peer any more; the others are what Linux hands on from a connection's packets. The
        // refusal is that of a datagram which was sent from this socket. The socket may have a limit of its own for reading,
        // in which nobody came.
        ErrorKind::ConnectionAborted
        | ErrorKind::ConnectionReset
        | ErrorKind::TimedOut
        | ErrorKind::ConnectionRefused
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown => Trouble::Peer,
        // What a socket that was closed here says where there is no `EBADF`.
        ErrorKind::NotConnected => Trouble::Fatal,
        _ => Trouble::Passing,
    }
}

#[cfg(unix)]
mod system {
    use rustix::io::Errno;

    pub(super) const FATAL: [i32; 3] =
        [Errno::BADF.raw_os_error(), Errno::INVAL.raw_os_error(), Errno::NOTSOCK.raw_os_error()];

    /// Those that have no kind in std: the protocol failed, the host is down, a firewall forbids it.
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

    fn of(error: Errno) -> Trouble {
        trouble(&error.into())
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
            assert_eq!(of(gone), Trouble::Peer, "{gone}");
        }
        for missing in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::IO] {
            assert_eq!(of(missing), Trouble::Passing, "{missing}");
        }
        for end in [Errno::BADF, Errno::INVAL, Errno::NOTSOCK] {
            assert_eq!(of(end), Trouble::Fatal, "{end}");
        }
    }
}
