//! The accept loop: the greenlet of a server that accepts connections or receives datagrams.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use ramie_hub::{
    AnyGreenlet, Builder, ErrorContext, Exception, Failure, Raised, fallible, get_hub, getcurrent, sleep,
    yield_now,
};

use super::accept_error::{AcceptErrorKind, accept_error};
use super::handlers::HandlerPool;
use super::socket::Socket;

/// Accepts one connection or datagram and starts its handler. Returns `false` if none was
/// available. Does not let other greenlets run.
pub(super) type Take<S> = Box<dyn Fn(&S, &HandlerPool) -> io::Result<bool>>;

/// The state that a server shares with its accept loop.
pub(super) struct Work<S> {
    pub(super) socket: S,
    pub(super) take: Take<S>,
    pub(super) closed: Cell<bool>,
    pub(super) max_accept: Cell<usize>,
    pub(super) min_delay: Cell<Duration>,
    pub(super) max_delay: Cell<Duration>,
}

/// The reason why accepting failed.
enum AcceptFailure {
    Error(io::Error),
    /// A panic of the code that prepares a greenlet, or of a socket type of another crate.
    Panic(Failure),
}

impl<S: Socket> Work<S> {
    pub(super) fn close(&self) {
        if !self.closed.replace(true) {
            self.socket.close();
        }
    }

    /// Accepts until it is stopped.
    fn run(&self, place: &HandlerPool, stopped: &Cell<bool>) -> io::Result<()> {
        let mut taken = 0;
        let mut delay = None;
        loop {
            if taken >= self.max_accept.get() {
                taken = 0;
                yield_now();
            }
            // While the accept loop waits for a slot, connections stay in the backlog.
            let free = place.wait();
            if stopped.get() {
                return Ok(());
            }
            if !free {
                continue;
            }
            match self.take_or_wait(place) {
                Ok(true) => {
                    taken += 1;
                    delay = None;
                }
                Ok(false) => taken = 0,
                Err(AcceptFailure::Error(error)) => match accept_error(&error) {
                    // Counts towards the limit: a permanent error must not keep the thread busy.
                    AcceptErrorKind::Peer => taken += 1,
                    AcceptErrorKind::Fatal => return self.end(error, stopped),
                    AcceptErrorKind::Passing => {
                        taken = 0;
                        let failure = Failure::from(Exception::new(error));
                        delay = Some(self.pause(&failure, delay));
                    }
                },
                Err(AcceptFailure::Panic(failure)) => {
                    taken = 0;
                    delay = Some(self.pause(&failure, delay));
                }
            }
        }
    }

    /// Accepts one connection or datagram, or waits until one may be available. Returns `true` if
    /// it accepted one.
    fn take_or_wait(&self, place: &HandlerPool) -> Result<bool, AcceptFailure> {
        let taken = match catch_unwind(AssertUnwindSafe(|| (self.take)(&self.socket, place))) {
            Ok(taken) => taken.map_err(AcceptFailure::Error)?,
            Err(payload) if payload.is::<Raised>() => resume_unwind(payload),
            Err(payload) => return Err(AcceptFailure::Panic(Failure::panicked(payload))),
        };
        if !taken {
            self.socket.wait_readable().map_err(AcceptFailure::Error)?;
        }
        Ok(taken)
    }

    /// Reports the failure and pauses. Returns the duration of the next pause.
    fn pause(&self, failure: &Failure, delay: Option<Duration>) -> Duration {
        get_hub().handle_error(&ErrorContext::Server(getcurrent()), failure);
        let delay = delay.unwrap_or(self.min_delay.get()).min(self.max_delay.get());
        sleep(delay);
        delay.saturating_mul(2)
    }

    /// Ends the accept loop because of a socket error. Returns the error, unless the server was
    /// told to end.
    fn end(&self, error: io::Error, stopped: &Cell<bool>) -> io::Result<()> {
        if stopped.get() || self.closed.get() {
            return Ok(());
        }
        self.close();
        Err(error)
    }
}

/// The accept loop, a greenlet, from a start of the server to its stop.
#[derive(Clone)]
pub(super) struct Acceptor {
    greenlet: AnyGreenlet,
    stopped: Rc<Cell<bool>>,
}

impl Acceptor {
    pub(super) fn start<S: Socket>(name: &'static str, work: Rc<Work<S>>, place: HandlerPool) -> Self {
        let stopped = Rc::new(Cell::new(false));
        let stop = stopped.clone();
        let greenlet = Builder::new().name(name).spawn(fallible(move || work.run(&place, &stop)));
        Acceptor { greenlet: greenlet.as_any().clone(), stopped }
    }

    pub(super) fn running(&self) -> bool {
        !self.stopped.get() && !self.greenlet.ready()
    }

    /// Stops accepting. Does not let other greenlets run.
    pub(super) fn stop(&self) {
        // The accept loop may be about to resume, and the kill is delivered only in a later
        // iteration of the loop.
        self.stopped.set(true);
        self.greenlet.kill_nowait();
    }

    /// Returns `true` if `stop` was called.
    pub(super) fn stopped(&self) -> bool {
        self.stopped.get()
    }

    pub(super) fn join(&self) {
        self.greenlet.join();
    }

    /// Returns the socket error that ended the accept loop, if there was one.
    pub(super) fn error(&self) -> Option<io::Error> {
        let failure = self.greenlet.exception()?;
        let error = failure.downcast_ref::<io::Error>()?;
        Some(match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(error.kind(), error.to_string()),
        })
    }
}
