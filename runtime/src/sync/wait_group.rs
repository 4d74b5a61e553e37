//! Waiting until all members of a group are done.

use std::fmt;
use std::rc::Rc;

use ramie_hub::Event;

/// Sets the event when the last member is dropped.
struct Group {
    empty: Event,
}

impl Drop for Group {
    fn drop(&mut self) {
        self.empty.set();
    }
}

/// A group of greenlets of which each holds a clone: the counterpart of crossbeam's `WaitGroup`.
/// The number of members need not be known in advance.
///
/// # Examples
///
/// ```
/// use ramie::{spawn, sync::WaitGroup, yield_now};
///
/// let group = WaitGroup::new();
/// for _ in 0..3 {
///     let member = group.clone();
///     spawn(move || {
///         yield_now();
///         drop(member);
///     });
/// }
/// group.wait();
/// ```
#[derive(Clone)]
pub struct WaitGroup {
    group: Rc<Group>,
}

impl WaitGroup {
    /// Creates a group with one member.
    pub fn new() -> Self {
        WaitGroup { group: Rc::new(Group { empty: Event::new() }) }
    }

    /// Leaves the group and waits until it is empty. Lets other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait does not undo the leaving.
    pub fn wait(self) {
        let empty = self.group.empty.clone();
        drop(self);
        empty.wait();
    }
}

impl Default for WaitGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("members", &Rc::strong_count(&self.group)).finish()
    }
}
