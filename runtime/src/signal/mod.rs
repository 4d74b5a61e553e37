//! Signals of the process: [`Signals`] to wait for, and gevent's [`signal_handler`].
//!
//! Both are for the greenlets of one thread; each gets every signal that comes to the process. Neither runs anything of
//! yours inside a handler of the system's: there a signal is only noted, and a descriptor written to that the hub
//! polls. So what comes while a greenlet computes is served when the loop runs next.
//!
//! The system's handler takes some KiB of whatever stack it interrupts, a greenlet's too: who listens to signals, or is in a
//! [`run`](fn@crate::run), leaves that much room where stack sizes are set by hand.
//!
//! `SIGINT` under [`run`](fn@crate::run) needs none of this: it ends the program in good order. Who listens to it here
//! takes it over for as long as that lasts.
//!
//! Children that end are noticed without `SIGCHLD`: see [`process`](crate::process).
//!
//! When nobody listens to a signal any more, the process does by itself what it did before: it goes on ignoring a
//! signal, or does what is the default, as far as that can be told (on Linux by `/proc`; elsewhere it is taken for the
//! default). Handlers that other libraries set beforehand are called all along. Who sets one with signal-hook itself
//! and drops it again should set it before this crate first listens to that signal.
//!
//! Only on Unix.

mod bell;
mod handler;
mod hearing;
mod interrupt;
mod kind;
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
