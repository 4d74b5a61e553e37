//! The access of a thread to its hub.
//!
//! A thread's hub is created when it is first used and ends with the thread. Greenlets that have
//! not ended by then are abandoned, not unwound: their destructors could read thread-locals that
//! are gone already.
#![expect(unsafe_code, reason = "keeps the thread's hub behind a pointer that costs one load to reach")]

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::inbox::thread_bound;
use crate::scheduler::Core;
use crate::scheduler::thread_exit;
use crate::scheduler::unwind::guard_drop;

thread_local! {
    /// The hub of this thread; null before its creation and after its end.
    static CURRENT: Cell<*const Core> = const { Cell::new(ptr::null()) };
    /// `true` once the destructors of the thread-locals have begun.
    static ENDING: Cell<bool> = const { Cell::new(false) };
    /// Owns the hub that `CURRENT` points to; its destructor ends the hub.
    static OWNER: Owner = const { Owner(RefCell::new(None)) };
}

/// The number of greenlets that were abandoned by hubs that ended.
static ABANDONED: AtomicUsize = AtomicUsize::new(0);

/// Returns the number of greenlets of this process that were unfinished when the thread of their
/// hub ended.
///
/// Their stacks and records are leaked on purpose; see the [crate's page](crate#the-end-of-a-hub).
pub fn abandoned_greenlets() -> usize {
    ABANDONED.load(Ordering::Relaxed)
}

/// Returns `true` if this thread has a hub now. For tests of calls that must not create one.
#[doc(hidden)]
pub fn has_hub() -> bool {
    try_core().is_some()
}

struct Owner(RefCell<Option<Rc<Core>>>);

impl Owner {
    /// Ends the hub, if there is one. `in_use` means that a frame of main is still inside it.
    fn end(&self, in_use: bool) {
        let Some(core) = self.0.take() else { return };
        // First the hub becomes unreachable, then it ends.
        CURRENT.set(ptr::null());
        let unfinished = core.close();
        ABANDONED.fetch_add(unfinished, Ordering::Relaxed);
        if CURRENT.get().is_null() {
            // Otherwise a destructor of a value that it held has created a new one.
            thread_bound::set_hub_number(0);
        }
        if unfinished > 0 || in_use {
            // Frames of the abandoned greenlets point into the hub and its stacks: it is leaked.
            let _abandoned = ManuallyDrop::new(core);
        } else {
            // A panic of a user value that the hub still holds would end the process here.
            guard_drop(core);
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// Ends the hub, because the first of its sentinels among the thread-locals is being destroyed.
///
/// A destructor that still waits after this gets a hub of its own for that wait.
pub(crate) fn thread_ends() {
    ENDING.set(true);
    // Without an owner the hub has ended before.
    let _ = OWNER.try_with(|owner| owner.end(false));
}

/// Called when main continues after the loop has run. While the thread ends, no code that ran in
/// the loop may run again: the destructors of further thread-locals come before the next loop. An
/// exception is a frame of main that is lent to greenlets, which must end first: then the same
/// destructor continues until they have ended.
pub(crate) fn main_goes_on(count: u64, lent: bool) {
    if !ENDING.get() {
        thread_exit::plant(count);
    } else if !lent {
        let _ = OWNER.try_with(|owner| owner.end(true));
    }
}

/// Called when no frame of main is lent any more.
pub(crate) fn main_is_free() {
    if ENDING.get() {
        let _ = OWNER.try_with(|owner| owner.end(true));
    }
}

/// A reference to the hub of this thread.
///
/// Not `Send`. Must not be stored in a value that outlives the call it is used in.
#[derive(Clone, Copy)]
pub(crate) struct CoreRef {
    core: *const Core,
    bound: PhantomData<*const Core>,
}

impl Deref for CoreRef {
    type Target = Core;

    #[inline]
    fn deref(&self) -> &Core {
        // SAFETY: the pointer came from `CURRENT`, which is null unless `OWNER` of this thread
        // holds the hub. `OWNER` releases the hub only in the thread's destructors, and drops it
        // only when no frame of main is inside it and no fiber is unfinished; otherwise the hub is
        // leaked.
        unsafe { &*self.core }
    }
}

/// Returns this thread's hub, which is created if there was none.
///
/// # Panics
///
/// At the end of the thread, when its hub has ended already.
#[inline]
pub(crate) fn core() -> CoreRef {
    let core = CURRENT.get();
    if core.is_null() { make() } else { CoreRef { core, bound: PhantomData } }
}

/// Returns this thread's hub, if it has one.
pub(crate) fn try_core() -> Option<CoreRef> {
    let core = CURRENT.get();
    (!core.is_null()).then_some(CoreRef { core, bound: PhantomData })
}

#[cold]
fn make() -> CoreRef {
    let core = OWNER
        .try_with(|owner| {
            let mut owner = owner.0.try_borrow_mut().expect("the hub of this thread is ending");
            let core = owner.get_or_insert_with(|| {
                thread_bound::set_hub_number(thread_bound::next_hub_number());
                Core::new()
            });
            Rc::as_ptr(core)
        })
        .expect("the hub of this thread has ended");
    CURRENT.set(core);
    CoreRef { core, bound: PhantomData }
}

/// The values that a stand-in fiber's thread needs to find the hub.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passport {
    core: *const Core,
    number: u64,
}

/// Returns the passport of this thread's hub.
pub(crate) fn passport(number: u64) -> Passport {
    Passport { core: CURRENT.get(), number }
}

/// Makes this thread one of the hub's threads. Only the stand-in's fibers call it.
pub(crate) fn adopt(passport: Passport) {
    if CURRENT.get() != passport.core {
        thread_bound::set_hub_number(passport.number);
        CURRENT.set(passport.core);
    }
}
