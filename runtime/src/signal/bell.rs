//! What a signal rings: a pair of sockets, one end for the handlers of the signals, one for the hub.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// Both ends, in non-blocking mode.
#[derive(Debug)]
pub(super) struct Bell {
    rope: UnixStream,
    sound: UnixStream,
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let (rope, sound) = UnixStream::pair()?;
        rope.set_nonblocking(true)?;
        sound.set_nonblocking(true)?;
        Ok(Bell { rope, sound })
    }

    /// The end that is written to.
    pub(super) fn rope(&self) -> &UnixStream {
        &self.rope
    }

    /// Rings without a signal. A full bell rings already.
    pub(super) fn ring(&self) {
        let _ = (&self.rope).write(b"x");
    }

    /// Takes what has rung.
    pub(super) fn hush(&self) {
        while matches!((&self.sound).read(&mut [0; 64]), Ok(1..)) {}
    }
}

/// The end that becomes readable.
impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sound.as_fd()
    }
}
