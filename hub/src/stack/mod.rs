//! Stacks for greenlets: where the memory comes from, what guards it, and who uses it next.
//!
//! A hub owns one [`StackPool`]. It takes a [`Stack`] for each greenlet that starts and gives it back when the
//! greenlet has ended; a stack that nobody gives back is never used again. Memory is reserved lazily, so a size
//! costs address space, and only the pages that a greenlet has touched cost memory.
//!
//! This room knows nothing of what runs on its stacks. It comes in two builds under the same names: `slots`, the
//! real one on Unix, and `sizes`, which only carries the size along where the fiber room brings its own memory
//! (Windows, Miri, and fibers that are OS threads). `fault` is the handler that explains a hit guard,
//! by what `overflow` says.

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
