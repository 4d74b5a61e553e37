//! Stacks for greenlets: the origin of the memory, its guards, and its reuse.
//!
//! A hub owns one [`StackPool`]. It takes a [`Stack`] for each greenlet that starts and returns it
//! when the greenlet has ended; a stack that is not returned is never used again. Memory is
//! reserved lazily, so a size costs address space, and only the pages that a greenlet has touched
//! cost memory.
//!
//! This module does not depend on the code that runs on its stacks. It comes in two builds under
//! the same names: `pool`, the real one on Unix, and `no_memory`, which only carries the size along
//! where the fiber implementation allocates the memory (Windows, Miri, and fibers that are OS
//! threads). `fault` is the handler that reports a hit guard, with the message of `overflow`.

pub(crate) mod overflow;
mod usage;

pub use self::usage::{DEFAULT_STACK_SIZE, MIN_STACK_SIZE, StackError, StackStats};

#[cfg(all(unix, not(miri)))]
#[path = "sigsegv.rs"]
pub(crate) mod fault;
#[cfg(not(all(unix, not(miri))))]
#[path = "sigsegv_none.rs"]
pub(crate) mod fault;

#[cfg(all(unix, not(any(miri, ramie_fiber = "thread"))))]
mod mmap;
#[cfg(all(unix, not(any(miri, ramie_fiber = "thread"))))]
mod pool;
#[cfg(all(unix, not(any(miri, ramie_fiber = "thread"))))]
pub(crate) use self::pool::{Stack, StackPool, under_valgrind};

#[cfg(not(all(unix, not(any(miri, ramie_fiber = "thread")))))]
mod no_memory;
#[cfg(not(all(unix, not(any(miri, ramie_fiber = "thread")))))]
pub(crate) use self::no_memory::{Stack, StackPool};

#[cfg(all(test, unix, not(any(miri, ramie_fiber = "thread"))))]
mod tests;
