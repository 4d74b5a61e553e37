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

/// A descriptor of the process. Every use is a [`Polled`] of its own: that belongs to one thread, and this to all of them.
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

/// Standard input, read without blocking the thread: `std::io::stdin`'s counterpart.
///
/// It may be a terminal, a pipe or a file, and its mode is left as it is; see [`Polled`]. There is one buffer for the whole
/// process, which is not std's: what has been read through `std::io::stdin` is not seen here.
///
/// # Examples
///
/// ```no_run
/// for line in ramie::io::stdin().lines() {
///     println!("{} bytes", line?.len()); // other greenlets run while the user thinks
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stdin() -> Stdin {
    Stdin(())
}

/// Standard output, written without blocking the thread: `std::io::stdout`'s counterpart.
///
/// Nothing is buffered, so nothing has to be flushed, and what is written here and by `println!` keeps its order as far as
/// that is flushed. `write!`, `writeln!` and `write_all` hold the lock: what one of them writes is not mixed with another's.
/// Whoever writes in small pieces wraps it in a `BufWriter` or a `LineWriter`.
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

/// Standard error, written without blocking the thread: `std::io::stderr`'s counterpart. See [`stdout`].
pub fn stderr() -> Stderr {
    Stderr(())
}

/// A handle of standard input. Made by [`stdin`].
#[derive(Debug)]
pub struct Stdin(());

/// Standard input, for one greenlet as long as this lives. Made by [`Stdin::lock`].
#[derive(Debug)]
pub struct StdinLock<'a>(MutexGuard<'a, BufReader<Raw<io::Stdin>>>);

impl Stdin {
    /// Keeps others away from standard input until the lock is dropped. Lets others run if it waits.
    ///
    /// Who locks again what it holds waits for itself.
    pub fn lock(&self) -> StdinLock<'static> {
        StdinLock(STDIN.lock())
    }

    /// Reads a line and appends it, with its end: `BufRead::read_line` under the lock. 0 is the end of the input.
    ///
    /// # Errors
    ///
    /// The system's own; `InvalidData` when the line is not UTF-8.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout in the middle of a line loses what was read of it.
    pub fn read_line(&self, line: &mut String) -> io::Result<usize> {
        self.lock().read_line(line)
    }

    /// Iterates over the lines, which are its own until it is dropped.
    pub fn lines(self) -> io::Lines<StdinLock<'static>> {
        self.lock().lines()
    }

    /// Whether it is a terminal.
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
        #[doc = concat!("A handle of the output. Made by [`", stringify!($function), "`].")]
        #[derive(Debug)]
        pub struct $handle(());

        #[doc = concat!("The output, for one greenlet as long as this lives. Made by [`", stringify!($handle), "::lock`].")]
        #[derive(Debug)]
        pub struct $lock<'a>(MutexGuard<'a, Raw<$std>>);

        impl $handle {
            /// Keeps others away from the output until the lock is dropped. Lets others run if it waits.
            ///
            /// Unlike with std, who locks again what it holds waits for itself: while it holds this, it writes through it.
            pub fn lock(&self) -> $lock<'static> {
                $lock($static.lock())
            }

            /// Whether it is a terminal.
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

            /// In one piece, instead of one for each argument.
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
