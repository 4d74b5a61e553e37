//! A barrier for a fixed number of greenlets.

use std::cell::{Cell, RefCell};
use std::fmt;

use ramie_hub::Event;

/// A barrier at which `n` greenlets wait for each other: the counterpart of `std::sync::Barrier`.
/// The barrier can be used again after each round.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use ramie::{joinall, spawn, sync::Barrier};
///
/// let barrier = Rc::new(Barrier::new(3));
/// let greenlets: Vec<_> = (0..3).map(|_| {
///     let barrier = barrier.clone();
///     spawn(move || barrier.wait().is_leader())
/// }).collect();
/// joinall(&greenlets);
/// assert_eq!(greenlets.iter().filter(|g| g.get().unwrap()).count(), 1);
/// ```
pub struct Barrier {
    size: usize,
    arrived: Cell<usize>,
    /// Set when all greenlets of the current round have arrived. Each round has its own event.
    round: RefCell<Event>,
}

/// The result of [`Barrier::wait`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Returns `true` if this greenlet completed the round.
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

/// Takes the arrival back when a waiter is interrupted.
struct Arrival<'a> {
    barrier: &'a Barrier,
    round: Event,
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        if !self.round.is_set() {
            self.barrier.arrived.set(self.barrier.arrived.get() - 1);
        }
    }
}

impl Barrier {
    /// Creates a barrier for `n` greenlets. With zero or one, `wait` never waits.
    pub fn new(n: usize) -> Self {
        Barrier { size: n, arrived: Cell::new(0), round: Event::new().into() }
    }

    /// Waits until all greenlets of the round have arrived. The last one does not wait and is the
    /// leader. Lets other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes the arrival back: the others wait for another greenlet.
    pub fn wait(&self) -> BarrierWaitResult {
        let arrived = self.arrived.get() + 1;
        if arrived >= self.size {
            self.arrived.set(0);
            self.round.replace(Event::new()).set();
            return BarrierWaitResult(true);
        }
        self.arrived.set(arrived);
        let arrival = Arrival { barrier: self, round: self.round.borrow().clone() };
        arrival.round.wait();
        BarrierWaitResult(false)
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("size", &self.size).field("arrived", &self.arrived.get()).finish()
    }
}
