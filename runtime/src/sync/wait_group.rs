//! Waiting until everybody who takes part is done.

use std::fmt;
use std::rc::Rc;

use ramie_hub::Event;

/// Sets the event when the last of those who take part is gone.
struct Group {
    empty: Event,
}

impl Drop for Group {
    fn drop(&mut self) {
        self.empty.set();
    }
}

/// A group of greenlets of unknown number, each of which holds a clone: crossbeam's `WaitGroup`.
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
    /// A group with one member.
    pub fn new() -> Self {
        WaitGroup { group: Rc::new(Group { empty: Event::new() }) }
    }

    /// Leaves the group and waits until it is empty.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout has left the group all the same.
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
