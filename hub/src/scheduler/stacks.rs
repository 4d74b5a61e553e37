//! The stacks of a hub's greenlets, and the alternate signal stack of its thread.

use std::cell::{Cell, RefCell};

use crate::stack::{DEFAULT_STACK_SIZE, Stack, StackError, StackPool, StackStats, fault};

/// The pool of a hub's stacks.
pub(super) struct Stacks {
    pool: RefCell<StackPool>,
    /// The stack that was given back last, if it has the default size: the next greenlet takes it,
    /// and the pool does not look at it. It belongs to the pool in every other respect.
    last: Cell<Option<Stack>>,
    /// Kept for as long as a greenlet of the thread can overflow.
    _alt_stack: Option<fault::AltStack>,
}

impl Stacks {
    pub(super) fn new() -> Stacks {
        fault::install();
        Stacks {
            pool: RefCell::new(StackPool::new()),
            last: Cell::new(None),
            _alt_stack: fault::ensure_alt_stack(),
        }
    }

    /// Takes a stack of at least this size.
    #[inline(always)]
    pub(super) fn take(&self, size: usize) -> Result<Stack, StackError> {
        if size == DEFAULT_STACK_SIZE {
            if let Some(stack) = self.last.take() {
                return Ok(stack);
            }
        }
        self.pool.borrow_mut().take(size)
    }

    /// Gives a stack back, to be used again.
    #[inline(always)]
    pub(super) fn give_back(&self, stack: Stack) {
        let older =
            if stack.size() == DEFAULT_STACK_SIZE { self.last.replace(Some(stack)) } else { Some(stack) };
        if let Some(older) = older {
            self.pool.borrow_mut().give_back(older);
        }
    }

    /// Gives the last stack to the pool as well.
    fn settle(&self) {
        if let Some(stack) = self.last.take() {
            self.pool.borrow_mut().give_back(stack);
        }
    }

    /// Returns the memory of idle stacks to the system.
    pub(super) fn trim(&self) {
        self.settle();
        self.pool.borrow_mut().trim();
    }

    pub(super) fn stats(&self) -> StackStats {
        self.settle();
        self.pool.borrow().stats()
    }
}

impl Drop for Stacks {
    fn drop(&mut self) {
        // The pool unmaps only memory whose stacks are all back.
        self.settle();
    }
}
