//! Values that may travel through other threads, and are reached on their own thread only.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};

use crate::by_ref::ReadWriteRef;
use crate::inbox::thread_bound::ThreadBound;

/// A value that is `Send` and `Sync` whatever its type, because it is reached on its own thread only:
/// the thread that called [`new`](Bound::new).
///
/// For crates that require `Send` or `Sync` of types that they store, such as the connections of a
/// client, although the program uses them on one thread. A `Bound` of a stream implements `Read` and
/// `Write`, and so does `&Bound` of a stream of ramie. To use a stream on another thread,
/// detach it instead.
///
/// There is no `Deref`: each access shows what happens on another thread. A `Bound` waits only in
/// the reading and writing of its stream.
///
/// # Dropping it on another thread
///
/// The value goes back to the hub of its thread, which drops it in a new greenlet, so that its
/// destructor may wait. This happens when that hub runs next, and at its end at the latest. The value
/// does not keep the hub's loop alive. If its thread has no hub, or none any more, the value is
/// leaked.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use ramie::hub::Bound;
///
/// let bound = Bound::new(Rc::new(5));
/// assert_eq!(bound.get().map(|number| **number), Some(5));
/// let elsewhere = std::thread::spawn(move || {
///     assert!(bound.get().is_none());
///     bound
/// });
/// let number = elsewhere.join().unwrap().into_inner().unwrap();
/// assert_eq!(*number, 5);
/// ```
///
/// A stream for a crate that requires `Send`:
///
/// ```
/// use std::io::{Read, Write};
/// use ramie::hub::Bound;
/// use ramie::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// ramie::spawn(move || listener.accept().unwrap().0.write_all(b"hello"));
/// let mut stream: Box<dyn Read + Send + Sync> = Box::new(Bound::new(TcpStream::connect(address)?));
/// let mut text = String::new();
/// stream.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Bound<T: 'static>(ThreadBound<T>);

impl<T: 'static> Bound<T> {
    /// Binds a value to this thread.
    pub fn new(value: T) -> Self {
        Bound(ThreadBound::new(value))
    }

    /// Returns `true` on the thread of the value.
    pub fn is_here(&self) -> bool {
        self.0.is_home()
    }

    /// Returns the value; `None` on another thread.
    pub fn get(&self) -> Option<&T> {
        self.0.get()
    }

    /// Returns the value; `None` on another thread.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.0.get_mut()
    }

    /// Returns the value.
    ///
    /// # Errors
    ///
    /// This `Bound`, on another thread.
    pub fn into_inner(mut self) -> Result<T, Bound<T>> {
        self.0.take().ok_or(self)
    }

    fn here(&self) -> io::Result<&T> {
        self.get().ok_or_else(elsewhere)
    }

    fn here_mut(&mut self) -> io::Result<&mut T> {
        self.get_mut().ok_or_else(elsewhere)
    }
}

#[cold]
fn elsewhere() -> io::Error {
    io::Error::other("the stream is bound to another thread")
}

impl<T: fmt::Debug + 'static> fmt::Debug for Bound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(value) => f.debug_tuple("Bound").field(value).finish(),
            None => f.write_str("Bound(on another thread)"),
        }
    }
}

/// On another thread, every call returns an error.
impl<S: Read + 'static> Read for Bound<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.here_mut()?.read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.here_mut()?.read_vectored(buffers)
    }
}

/// On another thread, every call returns an error.
impl<S: ReadWriteRef + 'static> Read for &Bound<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_ref(buffer)
    }
}

/// On another thread, every call returns an error.
impl<S: Write + 'static> Write for Bound<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.here_mut()?.write(data)
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.here_mut()?.write_vectored(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.here_mut()?.flush()
    }
}

/// On another thread, every call returns an error.
impl<S: ReadWriteRef + 'static> Write for &Bound<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.write_ref(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_ref()
    }
}

/// On another thread, every call returns an error.
impl<S: ReadWriteRef + 'static> ReadWriteRef for Bound<S> {
    fn read_ref(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.here()?.read_ref(buffer)
    }

    fn write_ref(&self, data: &[u8]) -> io::Result<usize> {
        self.here()?.write_ref(data)
    }

    fn flush_ref(&self) -> io::Result<()> {
        self.here()?.flush_ref()
    }
}
