//! Callbacks: functions that the hub calls in the order of the queue.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use super::Core;
use super::run_queue::Item;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Queued,
    Running,
    Done,
}

/// A callback in the queue.
pub(crate) struct CallbackState {
    f: Cell<Option<Box<dyn FnOnce()>>>,
    state: Cell<State>,
}

impl CallbackState {
    fn new(f: Box<dyn FnOnce()>) -> Rc<Self> {
        Rc::new(CallbackState { f: Cell::new(Some(f)), state: Cell::new(State::Queued) })
    }

    /// Passes the function to `call`, unless it was cancelled.
    pub(super) fn run(&self, call: impl FnOnce(Box<dyn FnOnce()>)) {
        if let Some(f) = self.f.take() {
            self.state.set(State::Running);
            call(f);
        }
        self.state.set(State::Done);
    }
}

impl Core {
    /// Queues a function that the hub calls in its turn.
    pub(crate) fn run_callback(&self, f: Box<dyn FnOnce()>) -> Callback {
        let state = CallbackState::new(f);
        self.queue.push(Item::Call(state.clone()));
        Callback(state)
    }
}

/// The handle of a callback made by [`Hub::run_callback`](crate::Hub::run_callback). Dropping it
/// changes nothing.
#[derive(Clone)]
pub struct Callback(Rc<CallbackState>);

impl Callback {
    /// Cancels the callback. Does nothing once it has begun.
    pub fn stop(&self) {
        let f = self.0.f.take();
        if self.0.state.get() == State::Queued {
            self.0.state.set(State::Done);
        }
        drop(f);
    }

    /// Returns `true` if the call has not begun and was not cancelled.
    pub fn pending(&self) -> bool {
        self.0.state.get() == State::Queued
    }

    /// Returns `true` if the callback is queued or running: gevent's truth value of the handle.
    pub fn active(&self) -> bool {
        self.0.state.get() != State::Done
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("pending", &self.pending()).field("active", &self.active()).finish()
    }
}
