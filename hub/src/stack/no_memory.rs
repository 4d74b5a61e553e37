//! Stacks without memory: a size, and a count of stacks in use.
//!
//! This is for builds in which the fiber implementation allocates the memory: on Windows, where the
//! system takes part in the layout of a stack, and where fibers are OS threads. Nothing is pooled
//! and nothing is refused.

use std::ops::Range;

use std::io;

use super::{MIN_STACK_SIZE, StackError, StackStats};

/// The largest size. No system has memory for more, and a later failure of the allocation would say
/// less.
const LARGEST: usize = 1 << 46;

/// The size of a stack.
///
/// Return it with [`StackPool::give_back`]. A stack that is dropped stays counted as in use, as in
/// the build with memory.
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

    /// Returns an empty range, which contains no faulting address.
    pub(crate) fn guard(&self) -> Range<usize> {
        0..0
    }

    /// Returns the requested number of bytes, rounded up.
    pub(crate) fn size(&self) -> usize {
        self.size
    }
}

/// A counter of the stacks of one hub.
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

    /// Takes a stack of at least `size` bytes, and at least [`MIN_STACK_SIZE`].
    ///
    /// # Errors
    ///
    /// None in this build. The memory is allocated later, when the fiber is made.
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

    /// Does nothing: nothing is mapped here.
    pub(crate) fn close(&mut self) {}

    /// Returns the counts of the stacks.
    pub(crate) fn stats(&self) -> StackStats {
        StackStats { in_use: self.in_use, idle: 0, reserved_bytes: self.reserved_bytes }
    }
}
