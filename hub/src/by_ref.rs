//! Reading and writing through a shared reference.

use std::io;

/// A stream that can be read and written through a shared reference. A TLS stream requires it of its
/// inner stream, so that one greenlet can read while another one writes.
///
/// The trait is equivalent to `for<'a> &'a S: Read + Write`, which the compiler cannot resolve for
/// nested streams. A type around a stream forwards the calls.
///
/// # Examples
///
/// ```
/// use std::io;
/// use ramie::io::ReadWriteRef;
/// use ramie::net::TcpStream;
///
/// struct Counted {
///     stream: TcpStream,
/// }
///
/// impl ReadWriteRef for Counted {
///     fn read_ref(&self, buffer: &mut [u8]) -> io::Result<usize> {
///         self.stream.read_ref(buffer)
///     }
///
///     fn write_ref(&self, data: &[u8]) -> io::Result<usize> {
///         self.stream.write_ref(data)
///     }
///
///     fn flush_ref(&self) -> io::Result<()> {
///         self.stream.flush_ref()
///     }
/// }
/// ```
pub trait ReadWriteRef {
    /// Reads like [`Read::read`](io::Read::read).
    ///
    /// # Errors
    ///
    /// Returns the error of the stream.
    fn read_ref(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes like [`Write::write`](io::Write::write).
    ///
    /// # Errors
    ///
    /// Returns the error of the stream.
    fn write_ref(&self, data: &[u8]) -> io::Result<usize>;

    /// Sends buffered data like [`Write::flush`](io::Write::flush).
    ///
    /// # Errors
    ///
    /// Returns the error of the stream.
    fn flush_ref(&self) -> io::Result<()>;
}

impl<S: ReadWriteRef + ?Sized> ReadWriteRef for &S {
    fn read_ref(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_ref(buffer)
    }

    fn write_ref(&self, data: &[u8]) -> io::Result<usize> {
        (**self).write_ref(data)
    }

    fn flush_ref(&self) -> io::Result<()> {
        (**self).flush_ref()
    }
}
