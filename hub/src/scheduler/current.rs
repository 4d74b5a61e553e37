//! The access of a thread to its hub.
//!
//! A thread's hub is created when it is first used. It ends with the thread, before the
//! thread-locals that its greenlets may be using: then the remaining greenlets are unwound, and
//! greenlets that do not end are abandoned.
#![expect(unsafe_code, reason = "keeps the thread's hub behind a pointer that costs one load to reach")]

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::inbox::thread_bound;
use crate::scheduler::thread_exit::ThreadExit;
use crate::scheduler::unwind::guard_drop;
use crate::scheduler::{Core, Mode};

thread_local! {
    /// The hub of this thread; null before its creation and after its end.
    static CURRENT: Cell<*const Core> = const { Cell::new(ptr::null()) };
    /// The same on the thread that owns the hub, with one count of its reference.
    static OWNED: Cell<*const Core> = const { Cell::new(ptr::null()) };
    /// `true` once the destructors of the thread-locals have begun.
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

/// The number of greenlets that were abandoned by hubs that ended.
static ABANDONED: AtomicUsize = AtomicUsize::new(0);

/// Returns the number of greenlets of this process that could not be unwound when the thread of
/// their hub ended.
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

/// Ends the hub of this thread, if there is one. `in_use` means that a frame of main is still
/// inside it.
fn end(in_use: bool) {
    let owned = OWNED.get();
    if owned.is_null() {
        return;
    }
    let core = CoreRef { core: owned, bound: PhantomData };
    // Called inside a greenlet or a callback, this is `std::process::exit`: no frame runs again.
    let exits = core.mode.get() != Mode::Main;
    if !exits {
        core.wind_down();
    }
    if OWNED.get() != owned {
        return;
    }
    // First the hub becomes unreachable, then it ends.
    OWNED.set(ptr::null());
    CURRENT.set(ptr::null());
    let remains = if exits { core.close_for_exit() } else { core.close(in_use) };
    ABANDONED.fetch_add(remains.unfinished(), Ordering::Relaxed);
    let leaks = remains.needs_thread_locals() && core.thread_exit.leak_thread_locals();
    if leaks {
        if let Some(next) = try_core() {
            // A destructor of a value that the hub held has created a new one.
            next.thread_exit.renew();
        }
    }
    if !exits {
        remains.report();
    }
    if !leaks {
        remains.wait();
    }
    // SAFETY: the pointer came from `Rc::into_raw` in `make`, and is taken back once: `OWNED` is
    // null by now.
    let core = unsafe { Rc::from_raw(owned) };
    if remains.unfinished() > 0 || exits || in_use {
        // Frames point into the hub and its stacks: it is leaked.
        let _abandoned = ManuallyDrop::new(core);
    } else {
        // A panic of a user value that the hub still holds would end the process here.
        guard_drop(core);
    }
}

/// Ends the hub. Called by the hook that the hub has registered, before each thread-local that a
/// greenlet can be using is destroyed.
///
/// A destructor that waits after this gets a hub of its own, which ends when that destructor has
/// returned.
pub(crate) fn thread_ends() {
    ENDING.set(true);
    end(false);
}

impl Core {
    /// Records that main continues after the loop has run.
    ///
    /// While the thread ends, this happens in the destructor of a thread-local. Code that ran in
    /// the loop must not run again in the destructor of another one. Where no hook can be
    /// registered, the hub ends now, or when main's frame is not lent any more.
    #[inline]
    pub(super) fn main_goes_on(&self) {
        let count = self.main.goes_on();
        if !ENDING.get() {
            self.thread_exit.main_goes_on(count);
        } else if !self.thread_exit.main_goes_on_late() {
            self.main.set_overdue();
            self.end_if_overdue();
        }
    }

    /// Ends the hub if it should have ended before and no frame of main is lent.
    pub(super) fn end_if_overdue(&self) {
        if self.main.must_end() {
            end(true);
        }
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
        // SAFETY: the pointer came from `CURRENT` or `OWNED`, which are null unless `OWNED` holds a
        // count of the hub. Only `end` releases that count, and drops the hub only when no frame of
        // main is inside it and no fiber is unfinished; otherwise the hub is leaked.
        unsafe { &*self.core }
    }
}

/// Returns this thread's hub, which is created if there was none.
///
/// # Panics
///
/// When no hub can be created: the system has no descriptors left, or the thread is ending and a
/// new hub could not end later.
#[inline]
pub(crate) fn core() -> CoreRef {
    let core = CURRENT.get();
    if core.is_null() { make_or_panic() } else { CoreRef { core, bound: PhantomData } }
}

/// Returns this thread's hub, if it has one.
#[inline]
pub(crate) fn try_core() -> Option<CoreRef> {
    let core = CURRENT.get();
    (!core.is_null()).then_some(CoreRef { core, bound: PhantomData })
}

/// Returns the hub with this number if it is this thread's. A later hub of the thread has another
/// one.
pub(crate) fn core_of(number: u64) -> Option<CoreRef> {
    try_core().filter(|core| core.number() == number)
}

#[cold]
fn make_or_panic() -> CoreRef {
    match make() {
        Ok(core) => core,
        Err(error) => panic!("this thread cannot have a hub: {error}"),
    }
}

/// Returns this thread's hub, which is created if there was none, or the error of the creation.
#[cold]
pub(crate) fn make() -> io::Result<CoreRef> {
    if let Some(core) = try_core() {
        return Ok(core);
    }
    let thread_exit = ThreadExit::watch(ENDING.get())
        .ok_or_else(|| io::Error::other("the thread is ending, and its hub has ended"))?;
    let before = thread_bound::hub_number();
    thread_bound::set_hub_number(thread_bound::next_hub_number());
    let core = Core::new(thread_exit).inspect_err(|_| thread_bound::set_hub_number(before))?;
    let core = Rc::into_raw(core);
    OWNED.set(core);
    CURRENT.set(core);
    Ok(CoreRef { core, bound: PhantomData })
}

/// The values that a stand-in fiber's thread needs to find the hub.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HubHandle {
    core: *const Core,
    number: u64,
    thread: u64,
}

/// Returns the hub_handle of this thread's hub.
pub(crate) fn hub_handle(number: u64) -> HubHandle {
    HubHandle { core: CURRENT.get(), number, thread: thread_bound::thread_number() }
}

/// Makes this thread one of the hub's threads. Only the stand-in's fibers call it.
pub(crate) fn adopt(hub_handle: HubHandle) {
    if CURRENT.get() != hub_handle.core {
        thread_bound::set_hub_number(hub_handle.number);
        thread_bound::set_thread_number(hub_handle.thread);
        CURRENT.set(hub_handle.core);
    }
}
