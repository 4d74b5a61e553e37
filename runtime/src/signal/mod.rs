//! Signals of the process: [`Signals`] to wait for, and gevent's [`signal_handler`].
//!
//! Both serve the greenlets of one thread, and each of them gets every signal that the process
//! receives. Neither runs user code inside a signal handler of the system: that handler only
//! records the signal and writes to a descriptor that the hub polls. A signal that arrives while a
//! greenlet computes is therefore handled in the next iteration of the loop.
//!
//! The signal handler of the system needs some KiB of the stack that it interrupts, which may be
//! the stack of a greenlet. A program that listens to signals or uses [`run`](fn@crate::run) must
//! leave that much room if it sets stack sizes itself.
//!
//! `SIGINT` under [`run`](fn@crate::run) needs none of this: `run` ends the program in good order.
//! A listener for `SIGINT` takes precedence over `run` as long as it exists.
//!
//! The exit of children is noticed without `SIGCHLD`: see [`process`](crate::process).
//!
//! When the last listener of a signal is dropped, the signal has its previous effect again: it is
//! ignored, or has the default effect, as far as that can be determined (on Linux through `/proc`;
//! elsewhere the default is assumed). Handlers that other libraries set beforehand are called
//! throughout. A program that sets a handler with signal-hook and later removes it should set it
//! before this crate first listens to that signal.
//!
//! Available on Unix only.

mod handler;
mod hearing;
mod interrupt;
mod registry;
mod self_pipe;
mod signals;

pub use self::handler::{SignalHandler, signal_handler};
pub(crate) use self::interrupt::{Interrupt, end_process};
pub use self::signals::Signals;
/// The numbers of the signals of this system.
pub use signal_hook::consts::{
    SIGABRT, SIGALRM, SIGBUS, SIGCHLD, SIGCONT, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGIO, SIGKILL, SIGPIPE,
    SIGPROF, SIGQUIT, SIGSEGV, SIGSTOP, SIGSYS, SIGTERM, SIGTRAP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGUSR1,
    SIGUSR2, SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ,
};
