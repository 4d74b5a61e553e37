//! The message for a greenlet that has overflowed its stack, and the pointer to the running
//! greenlet that it needs.
//!
//! An overflow touches the guard below the stack, and the system sends a signal. Without a handler
//! of ours the process would die without a message, since std's handler knows only the stacks of
//! threads. So the hub keeps a pointer to the running greenlet's [`OverflowInfo`] in a
//! thread-local, at the cost of one store for each resume, and the handler in `fault` compares the
//! faulting address with that one guard. It prints one line and aborts:
//!
//! ```text
//! ramie: greenlet 'NAME' (spawned at FILE:LINE) has overflowed its stack of N KiB; raise it with Builder::stack_size
//! ```
//!
//! Turning the overflow into an error instead would skip destructors and leave locks held. Any
//! other fault goes to the previous handler, in the same call, so that std's message, crash
//! reporters and sanitizers work.
//!
//! On systems without signals of this kind (Windows, Miri) the names are the same and nothing
//! happens.

#![expect(unsafe_code, reason = "keeps pointers that a signal handler will follow")]

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::panic::Location;
use std::ptr;
use std::rc::Rc;

/// The data of a greenlet that the fault handler needs. It belongs in the greenlet's record.
#[derive(Debug)]
pub(crate) struct OverflowInfo {
    /// The first address of the guard, and the address after its last.
    guard: Cell<(usize, usize)>,
    size: Cell<usize>,
    name: RefCell<Option<Rc<str>>>,
    site: &'static Location<'static>,
}

impl OverflowInfo {
    /// Creates the data of a greenlet that was spawned at `site` and has no stack and no name yet.
    pub(crate) const fn new(site: &'static Location<'static>) -> OverflowInfo {
        OverflowInfo { guard: Cell::new((0, 0)), size: Cell::new(0), name: RefCell::new(None), site }
    }

    /// Records the guard of the greenlet's stack, and the size of the stack in bytes.
    #[inline]
    pub(crate) fn set_stack(&self, guard: Range<usize>, size: usize) {
        self.guard.set((guard.start, guard.end));
        self.size.set(size);
    }

    /// Returns the place where the greenlet was spawned.
    pub(crate) fn site(&self) -> &'static Location<'static> {
        self.site
    }

    /// Records the greenlet's name.
    pub(crate) fn set_name(&self, name: &Rc<str>) {
        let old = self.name.replace(Some(Rc::clone(name)));
        drop(old);
    }

    /// Returns the greenlet's name, if it has one.
    pub(crate) fn name(&self) -> Option<Rc<str>> {
        self.name.borrow().clone()
    }

    /// Returns `true` if an access at `address` has hit the guard.
    #[cfg_attr(not(all(unix, not(miri))), expect(dead_code, reason = "no handler asks"))]
    pub(super) fn guards(&self, address: usize) -> bool {
        let (start, end) = self.guard.get();
        (start..end).contains(&address)
    }

    /// Writes the message, truncated at the end of `to`, and returns its length. Safe in a signal
    /// handler.
    #[cfg_attr(not(all(unix, not(miri))), expect(dead_code, reason = "no handler asks"))]
    pub(super) fn describe(&self, to: &mut [u8]) -> usize {
        let mut line = Line { to, len: 0 };
        line.push(b"\nramie: ");
        // Borrowed elsewhere only if the fault is in `set_name` itself.
        match self.name.try_borrow().as_deref() {
            Ok(Some(name)) => {
                line.push(b"greenlet '");
                // An overlong name is cut, since the rest of the message is more important.
                line.push(&name.as_bytes()[..name.len().min(MAX_NAME)]);
                line.push(b"'");
            }
            _ => line.push(b"an unnamed greenlet"),
        }
        line.push(b" (spawned at ");
        line.push(self.site.file().as_bytes());
        line.push(b":");
        line.push_number(self.site.line() as usize);
        line.push(b") has overflowed its stack of ");
        line.push_number(self.size.get() / 1024);
        line.push(b" KiB; raise it with Builder::stack_size\n");
        line.len
    }
}

const MAX_NAME: usize = 120;

/// A line in a fixed buffer. Text that does not fit is dropped.
struct Line<'a> {
    to: &'a mut [u8],
    len: usize,
}

impl Line<'_> {
    fn push(&mut self, text: &[u8]) {
        for (to, from) in self.to[self.len..].iter_mut().zip(text) {
            *to = *from;
            self.len += 1;
        }
    }

    fn push_number(&mut self, mut number: usize) {
        let mut digits = [0; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b"0123456789"[number % 10];
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.push(&digits[first..]);
    }
}

thread_local! {
    /// Const and without a destructor: one load or store relative to the thread's base on most
    /// systems.
    static RUNNING: Cell<*const OverflowInfo> = const { Cell::new(ptr::null()) };
}

/// Records the greenlet that runs on this thread from now on. Null means none: the thread's own
/// stack is in use.
///
/// The hub calls it before and after each resume; it costs one store.
///
/// # Safety
///
/// `info` must be null, or valid until this thread's next call.
#[inline(always)]
pub(crate) unsafe fn set_running(info: *const OverflowInfo) {
    // By `with`, which is inlined: `LocalKey::set` is a call of a dozen instructions.
    RUNNING.with(|running| running.set(info));
}

/// Returns the value that was last set on this thread.
#[cfg_attr(not(all(unix, not(miri))), expect(dead_code, reason = "no handler asks"))]
pub(super) fn running<'a>() -> Option<&'a OverflowInfo> {
    let info = RUNNING.get();
    // SAFETY: null is handled by `as_ref`; otherwise the caller of `set_running` promises that the
    // pointer is valid until its next call on this thread, and a handler on this thread ends before
    // that.
    unsafe { info.as_ref() }
}
