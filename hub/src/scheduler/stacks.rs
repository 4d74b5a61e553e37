//! The stacks of a hub's greenlets, and the alternate signal stack of its thread.

use std::cell::RefCell;

use crate::stack::{Stack, StackError, StackPool, StackStats, fault};

/// The pool of a hub's stacks.
pub(super) struct Stacks {
    pool: RefCell<StackPool>,
    /// Kept for as long as a greenlet of the thread can overflow.
    _alt_stack: Option<fault::AltStack>,
}

impl Stacks {
    pub(super) fn new() -> Stacks {
        fault::install();
        Stacks { pool: RefCell::new(StackPool::new()), _alt_stack: fault::ensure_alt_stack() }
    }

    /// Takes a stack of at least this size.
    #[inline(always)]
    pub(super) fn take(&self, size: usize) -> Result<Stack, StackError> {
        self.pool.borrow_mut().take(size)
    }

    /// Gives a stack back, to be used again.
    #[inline(always)]
    pub(super) fn give_back(&self, stack: Stack) {
        self.pool.borrow_mut().give_back(stack);
    }

    /// Returns the memory of idle stacks to the system.
    pub(super) fn trim(&self) {
        self.pool.borrow_mut().trim();
    }

    /// Returns the memory of idle stacks, and their address space where no stack is in use beside
    /// them.
    pub(super) fn close(&self) {
        self.pool.borrow_mut().close();
    }

    pub(super) fn stats(&self) -> StackStats {
        self.pool.borrow().stats()
    }
}
