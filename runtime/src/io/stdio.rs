//! Standard input, output and error.

use std::fmt;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::LazyLock;

use super::polled::Polled;
use crate::shared::{Mutex, MutexGuard};

static STDIN: LazyLock<Mutex<BufReader<Raw<io::Stdin>>>> =
    LazyLock::new(|| Mutex::new(BufReader::new(Raw(io::stdin))));
static STDOUT: LazyLock<Mutex<Raw<io::Stdout>>> = LazyLock::new(|| Mutex::new(Raw(io::stdout)));
static STDERR: LazyLock<Mutex<Raw<io::Stderr>>> = LazyLock::new(|| Mutex::new(Raw(io::stderr)));

/// A standard stream of the process. Every operation creates its own [`Polled`], which belongs to
/// one thread, while this type is shared by all threads.
#[derive(Debug)]
struct Raw<T>(fn() -> T);

impl<T: AsFd> Read for Raw<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Polled::new((self.0)())?.read(buffer)
    }
}

impl<T: AsFd> Write for Raw<T> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        Polled::new((self.0)())?.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a handle of standard input that waits without blocking the thread: the counterpart of
/// `std::io::stdin`.
///
/// Standard input may be a terminal, a pipe or a file, and its mode is not changed; see [`Polled`].
/// There is one buffer for the whole process, separate from the one of std: data that was read
/// through `std::io::stdin` is not available here.
///
/// # Examples
///
/// ```no_run
/// for line in ramie::io::stdin().lines() {
///     println!("{} bytes", line?.len()); // other greenlets run while it waits for input
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stdin() -> Stdin {
    Stdin(())
}

/// Returns a handle of standard output that waits without blocking the thread: the counterpart of
/// `std::io::stdout`.
///
/// Nothing is buffered, so nothing has to be flushed. The order relative to `println!` is kept as
/// far as its buffer is flushed. `write!`, `writeln!` and `write_all` hold the lock: the output of
/// one of them is not mixed with the output of another. A program that writes in small pieces
/// should use a `BufWriter` or a `LineWriter`.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// writeln!(ramie::io::stdout(), "a slow terminal keeps only this greenlet waiting")?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stdout() -> Stdout {
    Stdout(())
}

/// Returns a handle of standard error that waits without blocking the thread: the counterpart of
/// `std::io::stderr`. See [`stdout`].
pub fn stderr() -> Stderr {
    Stderr(())
}

/// A handle of standard input. Returned by [`stdin`].
#[derive(Debug)]
pub struct Stdin(());

/// Exclusive access of one greenlet to standard input. Returned by [`Stdin::lock`].
#[derive(Debug)]
pub struct StdinLock<'a>(MutexGuard<'a, BufReader<Raw<io::Stdin>>>);

impl Stdin {
    /// Locks standard input until the lock is dropped. Lets other greenlets run if it waits.
    ///
    /// A greenlet that locks it again while it holds the lock deadlocks.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait does not take the lock.
    pub fn lock(&self) -> StdinLock<'static> {
        StdinLock(STDIN.lock())
    }

    /// Reads a line and appends it with its line ending: `BufRead::read_line` under the lock.
    /// Returns 0 at the end of the input.
    ///
    /// # Errors
    ///
    /// Returns the error of the system, and `InvalidData` if the line is not UTF-8.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout in the middle of a line loses the part that was read.
    pub fn read_line(&self, line: &mut String) -> io::Result<usize> {
        self.lock().read_line(line)
    }

    /// Iterates over the lines. The iterator holds the lock until it is dropped.
    pub fn lines(self) -> io::Lines<StdinLock<'static>> {
        self.lock().lines()
    }

    /// Returns `true` if standard input is a terminal.
    pub fn is_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buffer)
    }
}

impl Read for &Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buffer)
    }
}

impl Read for StdinLock<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl BufRead for StdinLock<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.0.consume(amount);
    }
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        rustix::stdio::stdin()
    }
}

/// Declares the handle of an output and its lock.
macro_rules! output {
    ($handle:ident, $lock:ident, $std:ty, $static:ident, $function:ident) => {
        #[doc = concat!("A handle of the output. Returned by [`", stringify!($function), "`].")]
        #[derive(Debug)]
        pub struct $handle(());

        #[doc = concat!("Exclusive access of one greenlet to the output. Returned by [`", stringify!($handle), "::lock`].")]
        #[derive(Debug)]
        pub struct $lock<'a>(MutexGuard<'a, Raw<$std>>);

        impl $handle {
            /// Locks the output until the lock is dropped. Lets other greenlets run if it waits.
            ///
            /// Unlike with std, a greenlet that locks it again while it holds the lock deadlocks:
            /// it must write through the lock that it holds.
            ///
            /// # Cancellation
            ///
            /// A kill or a timeout during the wait does not take the lock.
            pub fn lock(&self) -> $lock<'static> {
                $lock($static.lock())
            }

            /// Returns `true` if the output is a terminal.
            pub fn is_terminal(&self) -> bool {
                io::$function().is_terminal()
            }
        }

        impl Write for $lock<'_> {
            fn write(&mut self, data: &[u8]) -> io::Result<usize> {
                self.0.write(data)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }

            /// Writes all arguments at once instead of one at a time.
            fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
                match text.as_str() {
                    Some(text) => self.write_all(text.as_bytes()),
                    None => self.write_all(text.to_string().as_bytes()),
                }
            }
        }

        impl Write for &$handle {
            fn write(&mut self, data: &[u8]) -> io::Result<usize> {
                self.lock().write(data)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }

            fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
                self.lock().write_all(data)
            }

            fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
                self.lock().write_fmt(text)
            }
        }

        impl Write for $handle {
            fn write(&mut self, data: &[u8]) -> io::Result<usize> {
                (&*self).write(data)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }

            fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
                (&*self).write_all(data)
            }

            fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
                (&*self).write_fmt(text)
            }
        }

        impl AsFd for $handle {
            fn as_fd(&self) -> BorrowedFd<'_> {
                rustix::stdio::$function()
            }
        }
    };
}

output!(Stdout, StdoutLock, io::Stdout, STDOUT, stdout);
output!(Stderr, StderrLock, io::Stderr, STDERR, stderr);
