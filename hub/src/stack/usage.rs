//! Sizes and counts of stacks, and the error when the system refuses another one.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The default stack size of a greenlet: 256 KiB.
///
/// A panic with a backtrace needs about 22 KiB, resolving a name 12 KiB, so this leaves enough
/// space for real code. It is address space: a greenlet that does little costs one page of memory.
pub const DEFAULT_STACK_SIZE: usize = 256 * 1024;

/// The smallest stack of a greenlet, whatever size is requested: 16 KiB.
///
/// This is enough for a small loop around a socket, and not enough to print a backtrace.
pub const MIN_STACK_SIZE: usize = 16 * 1024;

/// The counts of a hub's stacks, and their address space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackStats {
    /// Stacks that greenlets run on, and stacks that were abandoned with a greenlet's frames on
    /// them.
    pub in_use: usize,
    /// Stacks that are kept for the next greenlet of their size.
    pub idle: usize,
    /// Bytes of address space reserved for stacks, including guards and unused slots.
    ///
    /// This is not the memory in use: a page costs memory once it has been touched.
    pub reserved_bytes: usize,
}

impl fmt::Display for StackStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reserved = self.reserved_bytes / 1024;
        write!(f, "{} in use, {} idle, {reserved} KiB of address space", self.in_use, self.idle)
    }
}

/// The error of a stack that the system refused to provide.
///
/// The message names the limit that is the likely cause. The system's own error is the
/// [source](Error::source).
#[derive(Clone, Debug)]
pub struct StackError {
    size: usize,
    cause: Cause,
    source: Arc<io::Error>,
}

/// The operation that the system refused.
#[derive(Clone, Copy, Debug)]
enum Cause {
    Reserve,
    Guard,
}

impl StackError {
    pub(super) fn reserve(size: usize, source: io::Error) -> StackError {
        StackError { size, cause: Cause::Reserve, source: Arc::new(source) }
    }

    #[cfg_attr(
        not(all(unix, not(any(miri, ramie_fiber = "thread")))),
        expect(dead_code, reason = "stacks without memory have no guards")
    )]
    pub(super) fn guard(size: usize, source: io::Error) -> StackError {
        StackError { size, cause: Cause::Guard, source: Arc::new(source) }
    }

    /// Returns the requested size of the stack, in bytes.
    pub fn size(&self) -> usize {
        self.size
    }
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let out_of_memory = self.source.kind() == io::ErrorKind::OutOfMemory;
        write!(f, "cannot {} ", if matches!(self.cause, Cause::Guard) { "guard" } else { "reserve" })?;
        match (self.size / 1024, self.size % 1024) {
            (kib, 0) => write!(f, "{kib} KiB of stack: ")?,
            _ => write!(f, "{} bytes of stack: ", self.size)?,
        }
        match (self.cause, out_of_memory) {
            (Cause::Guard, true) => f.write_str(MAPPINGS_FOR_GUARD),
            (Cause::Reserve, true) => f.write_str(MAPPINGS_OR_SPACE),
            (_, false) => write!(f, "{}", self.source),
        }
    }
}

impl Error for StackError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const MAPPINGS_FOR_GUARD: &str = "out of mappings, of which each guard takes two \
     (the limit is vm.max_map_count, /proc/sys/vm/max_map_count)";
#[cfg(any(target_os = "linux", target_os = "android"))]
const MAPPINGS_OR_SPACE: &str = "out of mappings (the limit is vm.max_map_count, /proc/sys/vm/max_map_count) \
     or of address space (RLIMIT_AS as `ulimit -v` shows it, or vm.overcommit_memory=2)";

#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MAPPINGS_FOR_GUARD: &str = "out of mappings, of which each guard takes two";
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MAPPINGS_OR_SPACE: &str = "out of mappings or of address space (RLIMIT_AS as `ulimit -v` shows it)";
