//! A self-pipe: signal handlers write to one end, the hub polls the other.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// The two ends, in non-blocking mode.
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

    /// Returns the end that signal handlers write to.
    pub(super) fn rope(&self) -> &UnixStream {
        &self.rope
    }

    /// Writes a byte without a signal. A full pipe is readable already.
    pub(super) fn ring(&self) {
        let _ = (&self.rope).write(b"x");
    }

    /// Drains the pipe.
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
