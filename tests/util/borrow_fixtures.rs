//! Values that the tests of scopes lend, and destructors that they leave behind.

use std::cell::Cell;
use std::panic::resume_unwind;

use ramie::catch;

/// Calls a closure when it is dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Panics when it is dropped, without a word.
pub(crate) struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        resume_unwind(Box::new("grenade"));
    }
}

/// A value on a frame that counts its borrowers: the frame must not be left before all of them have
/// ended.
pub(crate) struct Ground {
    pub(crate) borrowers: Cell<usize>,
    pub(crate) sum: Cell<u64>,
}

impl Ground {
    pub(crate) fn new() -> Self {
        Ground { borrowers: Cell::new(0), sum: Cell::new(0) }
    }

    pub(crate) fn borrow(&self) -> Borrow<'_> {
        self.borrowers.set(self.borrowers.get() + 1);
        Borrow(self)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if self.borrowers.get() != 0 {
            eprintln!("a frame was left that is lent");
            std::process::abort();
        }
    }
}

pub(crate) struct Borrow<'a>(&'a Ground);

impl Borrow<'_> {
    pub(crate) fn add(&self, by: u64) {
        self.0.sum.set(self.0.sum.get() + by);
    }
}

impl Drop for Borrow<'_> {
    fn drop(&mut self) {
        self.0.borrowers.set(self.0.borrowers.get() - 1);
    }
}

/// Returns the exception of that type by which a call is left, if it is.
pub(crate) fn left_by<E: Clone + 'static>(f: impl FnOnce()) -> E {
    match catch::<E, _>(f) {
        Ok(()) => panic!("it returned"),
        Err(caught) => (*caught).clone(),
    }
}
