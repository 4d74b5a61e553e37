//! Stacks without memory: a size, and a count of who has one.
//!
//! For builds in which the fiber room brings the memory along: on Windows, where the system wants a say in the
//! layout of a stack, and where fibers are OS threads. Nothing is pooled and nothing is refused.

use std::ops::Range;

use std::io;

use super::{MIN_STACK_SIZE, StackError, StackStats};

/// No system has room for more: whoever brings the memory would fail with less to say.
const LARGEST: usize = 1 << 46;

/// The size of a stack.
///
/// Give it back with [`StackPool::give_back`]; one that is dropped stays counted as in use, as it does where it has
/// memory.
#[derive(Debug)]
pub(crate) struct Stack {
    size: usize,
}

impl Stack {
    /// Returns 0: there is no memory here.
    #[expect(dead_code, reason = "fibers that bring their own memory do not ask for an address")]
    pub(crate) fn top(&self) -> usize {
        0
    }

    /// Returns 0: there is no memory here.
    #[expect(dead_code, reason = "fibers that bring their own memory do not ask for an address")]
    pub(crate) fn limit(&self) -> usize {
        0
    }

    /// Returns an empty range, which no fault is in.
    pub(crate) fn guard(&self) -> Range<usize> {
        0..0
    }

    /// Returns how many bytes were asked for, rounded up.
    pub(crate) fn size(&self) -> usize {
        self.size
    }
}

/// Counts the stacks of one hub.
#[derive(Debug)]
pub(crate) struct StackPool {
    in_use: usize,
    reserved_bytes: usize,
}

impl StackPool {
    /// Creates a pool.
    pub(crate) fn new() -> StackPool {
        StackPool { in_use: 0, reserved_bytes: 0 }
    }

    /// Takes a stack of at least `size` bytes, [`MIN_STACK_SIZE`] at the least.
    ///
    /// # Errors
    ///
    /// None in this build. Memory is asked for later, when the fiber is made.
    pub(crate) fn take(&mut self, size: usize) -> Result<Stack, StackError> {
        if size > LARGEST {
            return Err(StackError::reserve(size, io::ErrorKind::OutOfMemory.into()));
        }
        let size = size.max(MIN_STACK_SIZE).next_power_of_two();
        self.in_use += 1;
        self.reserved_bytes = self.reserved_bytes.saturating_add(size);
        Ok(Stack { size })
    }

    /// Takes back a stack that nothing runs on any more.
    pub(crate) fn give_back(&mut self, stack: Stack) {
        self.in_use -= 1;
        self.reserved_bytes = self.reserved_bytes.saturating_sub(stack.size);
    }

    /// Does nothing: no idle stack holds memory.
    pub(crate) fn trim(&mut self) {}

    /// Counts the stacks.
    pub(crate) fn stats(&self) -> StackStats {
        StackStats { in_use: self.in_use, idle: 0, reserved_bytes: self.reserved_bytes }
    }
}
