//! Access to a hub from other threads.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use crate::error::HubGone;
use crate::inbox::hub_inbox::{Inbox, Message};
use crate::remote::reply::Reply;
use crate::scheduler::Core;
use crate::scheduler::current;
use crate::task::{WaitToken, WakeReason};
use crate::wait::guard::TimerGuard;
use crate::wait::limit::Limit;

/// A handle to a hub for other threads. Made by [`Hub::remote`](crate::Hub::remote).
///
/// Messages arrive in order, in a turn of the hub's queue. A burst wakes the hub once. The handle
/// does not keep the hub's loop alive: a main greenlet that waits only for a message needs a
/// [`KeepAlive`](crate::Hub::keep_alive).
///
/// # Examples
///
/// ```
/// use std::thread;
/// use ramie::get_hub;
///
/// let hub = get_hub();
/// let (waiter, waker) = hub.waiter();
/// let remote = hub.remote();
/// thread::spawn(move || {
///     remote.post(|| println!("in the hub")).unwrap();
///     waker.wake();
/// });
/// waiter.wait();
/// ```
#[derive(Clone, Debug)]
pub struct Remote {
    inbox: Arc<Inbox>,
}

impl Remote {
    pub(crate) fn new(inbox: Arc<Inbox>) -> Self {
        Remote { inbox }
    }

    pub(crate) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Queues `f` for the hub to call. `f` must not wait. Never blocks.
    ///
    /// # Errors
    ///
    /// [`HubGone`] with the closure when the hub has ended. A closure that was accepted by a hub
    /// that ends before its turn is dropped.
    pub fn post<F: FnOnce() + Send + 'static>(&self, f: F) -> Result<(), HubGone<F>> {
        self.inbox.post(f, |f| Message::Call(Box::new(f)))
    }

    /// Returns `true` if the hub has ended.
    pub fn is_closed(&self) -> bool {
        self.inbox.is_closed()
    }
}

struct WaiterState {
    woken: Cell<bool>,
    tokens: RefCell<Vec<WaitToken>>,
}

/// A registration of a wait for the signal, removed when the wait is over.
struct Place<'a>(&'a WaiterState, WaitToken);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.tokens.borrow_mut().retain(|token| *token != self.1);
    }
}

/// The waiting end of a one-time signal from any thread. Made by
/// [`Hub::waiter`](crate::Hub::waiter).
///
/// A waiter keeps the loop alive as long as it exists.
pub struct Waiter {
    state: Rc<WaiterState>,
    /// The number of the signal in the hub's registry.
    number: u64,
    alive: KeepAlive,
}

/// The signalling end of a [`Waiter`]. It may be sent to any thread.
///
/// Dropping it also wakes, so that a thread that panics leaves no greenlet waiting.
#[derive(Debug)]
pub struct Waker {
    /// The signal; `None` once it was given.
    signal: Option<Reply<()>>,
}

impl Waker {
    /// Wakes the waiting greenlet, or makes its next wait return at once. Returns `true` if the hub
    /// still lives.
    pub fn wake(mut self) -> bool {
        self.signal()
    }

    fn signal(&mut self) -> bool {
        self.signal.take().is_some_and(|signal| signal.send(()).is_ok())
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.signal();
    }
}

impl Waiter {
    pub(crate) fn new() -> (Waiter, Waker) {
        let state = Rc::new(WaiterState { woken: Cell::new(false), tokens: RefCell::default() });
        let signalled = state.clone();
        let signal = Reply::expect(move |()| {
            signalled.woken.set(true);
            // In the hub a wake goes to the front of the queue. Waking in reverse order serves the
            // first waiter first.
            for token in signalled.tokens.take().into_iter().rev() {
                current::core().wake(token);
            }
        });
        let waiter = Waiter { state, number: signal.number(), alive: KeepAlive::new() };
        (waiter, Waker { signal: Some(signal) })
    }

    /// Returns `true` if the signal has arrived.
    pub(crate) fn is_woken(&self) -> bool {
        self.state.woken.get()
    }

    /// Sets the token that the signal wakes, in place of all others.
    pub(crate) fn set_token(&self, token: WaitToken) {
        self.state.tokens.replace(vec![token]);
    }

    /// Waits for the signal. Does not let other greenlets run if the signal has arrived.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout loses nothing: a later wait sees the signal.
    pub fn wait(&self) {
        self.wait_for(Limit::Never);
    }

    /// Waits for at most `timeout`. Returns `true` if the signal has arrived. Does not let other
    /// greenlets run if the signal has arrived.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout loses nothing: a later wait sees the signal.
    pub fn wait_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.wait_for(timeout.into())
    }

    fn wait_for(&self, limit: Limit) -> bool {
        if self.state.woken.get() {
            return true;
        }
        let core = current::core();
        let token = core.token();
        self.state.tokens.borrow_mut().push(token);
        let _place = Place(&self.state, token);
        let _timer = TimerGuard::limit(&core, token, limit.deadline(&core));
        core.park(token, "Waiter::wait") == WakeReason::Woken || self.state.woken.get()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // A later hub of this thread does not know this waiter.
        if let Some(core) = current::core_of(self.alive.hub) {
            drop(core.foreign().remove(self.number));
        }
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").field("woken", &self.state.woken.get()).finish_non_exhaustive()
    }
}

/// A guard that keeps the loop of this thread's hub alive, because an event from outside is
/// expected.
#[derive(Debug)]
pub struct KeepAlive {
    hub: u64,
    bound: PhantomData<*const ()>,
}

impl KeepAlive {
    pub(crate) fn new() -> Self {
        let core = current::core();
        core.add_refs(1);
        KeepAlive::counted(&core)
    }

    /// Takes over a reference that has been counted before.
    pub(crate) fn counted(core: &Core) -> Self {
        KeepAlive { hub: core.number(), bound: PhantomData }
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        // A later hub of this thread does not count this reference.
        if let Some(core) = current::core_of(self.hub) {
            core.add_refs(-1);
        }
    }
}
