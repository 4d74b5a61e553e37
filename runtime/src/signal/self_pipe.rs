//! A self-pipe: signal handlers write to one end, the hub polls the other.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// The two ends, in non-blocking mode.
#[derive(Debug)]
pub(super) struct SelfPipe {
    writer: UnixStream,
    sound: UnixStream,
}

impl SelfPipe {
    pub(super) fn new() -> io::Result<Self> {
        let (writer, sound) = UnixStream::pair()?;
        writer.set_nonblocking(true)?;
        sound.set_nonblocking(true)?;
        Ok(SelfPipe { writer, sound })
    }

    /// Returns the end that signal handlers write to.
    pub(super) fn writer(&self) -> &UnixStream {
        &self.writer
    }

    /// Writes a byte without a signal. A full pipe is readable already.
    pub(super) fn ring(&self) {
        let _ = (&self.writer).write(b"x");
    }

    /// Drains the pipe.
    pub(super) fn drain(&self) {
        while matches!((&self.sound).read(&mut [0; 64]), Ok(1..)) {}
    }
}

/// The end that becomes readable.
impl AsFd for SelfPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sound.as_fd()
    }
}
