//! Reading and writing through a shared reference.

use std::io;
#[cfg(any(feature = "tls", doc))]
use std::io::{Read, Write};

/// A stream that can be read and written through a shared reference.
/// [`TlsStream`](crate::tls::TlsStream) requires it of its inner stream, so that one greenlet can
/// read while another one writes.
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
    /// Reads like [`Read::read`].
    ///
    /// # Errors
    ///
    /// Returns the error of the stream.
    fn read_ref(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes like [`Write::write`].
    ///
    /// # Errors
    ///
    /// Returns the error of the stream.
    fn write_ref(&self, data: &[u8]) -> io::Result<usize>;

    /// Sends buffered data like [`Write::flush`].
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

/// Implements [`ReadWriteRef`] for a type that implements `Read` and `Write` for its references.
macro_rules! by_ref {
    ($(@[$($generics:tt)*])? $type:ty) => {
        impl $(<$($generics)*>)? crate::io::ReadWriteRef for $type {
            fn read_ref(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
                std::io::Read::read(&mut &*self, buffer)
            }

            fn write_ref(&self, data: &[u8]) -> std::io::Result<usize> {
                std::io::Write::write(&mut &*self, data)
            }

            fn flush_ref(&self) -> std::io::Result<()> {
                std::io::Write::flush(&mut &*self)
            }
        }
    };
}

pub(crate) use by_ref;

/// An adapter that implements `Read` and `Write` for a shared reference.
#[cfg(feature = "tls")]
pub(crate) struct ByRef<'a, S>(pub(crate) &'a S);

#[cfg(feature = "tls")]
impl<S: ReadWriteRef> Read for ByRef<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_ref(buffer)
    }
}

#[cfg(feature = "tls")]
impl<S: ReadWriteRef> Write for ByRef<'_, S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write_ref(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush_ref()
    }
}
