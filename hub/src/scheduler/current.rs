//! The door from a thread to its hub.
//!
//! A thread's hub is made when it is first asked for and ends with the thread. Greenlets that have not ended by
//! then are abandoned, not unwound: their destructors could read thread-locals that are gone already.
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
    /// The hub of this thread, or null: not made yet, or gone.
    static CURRENT: Cell<*const Core> = const { Cell::new(ptr::null()) };
    /// The destructors of the thread-locals have begun.
    static ENDING: Cell<bool> = const { Cell::new(false) };
    /// Owns what `CURRENT` points to; its destructor is the end of the hub.
    static OWNER: Owner = const { Owner(RefCell::new(None)) };
}

/// How many greenlets have been abandoned by hubs that ended.
static ABANDONED: AtomicUsize = AtomicUsize::new(0);

/// How many greenlets of this process were left unfinished when the thread of their hub ended.
///
/// Their stacks and records are leaked on purpose; see the [crate's page](crate#the-end-of-a-hub).
pub fn abandoned_greenlets() -> usize {
    ABANDONED.load(Ordering::Relaxed)
}

/// Whether this thread has a hub now. For tests: what must not make one.
#[doc(hidden)]
pub fn has_hub() -> bool {
    try_core().is_some()
}

struct Owner(RefCell<Option<Rc<Core>>>);

impl Owner {
    /// Ends the hub, if there is one. `in_use` says that a frame of main is still inside it.
    fn end(&self, in_use: bool) {
        let Some(core) = self.0.take() else { return };
        // First nobody finds it any more, then it ends.
        CURRENT.set(ptr::null());
        let unfinished = core.close();
        ABANDONED.fetch_add(unfinished, Ordering::Relaxed);
        if CURRENT.get().is_null() {
            // Else a destructor of what it held has made a new one.
            thread_bound::set_hub_number(0);
        }
        if unfinished > 0 || in_use {
            // Frames of the abandoned point into the hub and its stacks: it stays where it is for ever.
            let _abandoned = ManuallyDrop::new(core);
        } else {
            // A panic of something of the user's that the hub still holds would end the process here.
            guard_drop(core);
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// The first of the thread-locals that the hub has planted is being destroyed: the hub ends now.
///
/// A destructor that still waits after this gets a hub of its own for the one wait.
pub(crate) fn thread_ends() {
    ENDING.set(true);
    // Without an owner it has ended before.
    let _ = OWNER.try_with(|owner| owner.end(false));
}

/// Main goes on after the loop has run. While the thread ends nothing that ran in the loop may run again: the
/// destructors of further thread-locals come before the next loop. Unless it is lent to greenlets, which have to end first:
/// then one and the same destructor goes on until they have.
pub(crate) fn main_goes_on(count: u64, lent: bool) {
    if !ENDING.get() {
        thread_exit::plant(count);
    } else if !lent {
        let _ = OWNER.try_with(|owner| owner.end(true));
    }
}

/// No frame of main is lent any more.
pub(crate) fn main_is_free() {
    if ENDING.get() {
        let _ = OWNER.try_with(|owner| owner.end(true));
    }
}

/// A reference to the hub of this thread.
///
/// Not `Send`, and never kept in anything that outlives the call it is used in.
#[derive(Clone, Copy)]
pub(crate) struct CoreRef {
    core: *const Core,
    bound: PhantomData<*const Core>,
}

impl Deref for CoreRef {
    type Target = Core;

    #[inline]
    fn deref(&self) -> &Core {
        // SAFETY: the pointer came from `CURRENT`, which is null unless `OWNER` of this thread holds the hub.
        // `OWNER` lets go of it only in the thread's destructors, and drops it only when no frame of main is inside
        // it and no fiber is unfinished; otherwise the hub is leaked.
        unsafe { &*self.core }
    }
}

/// This thread's hub, made now if there was none.
///
/// # Panics
///
/// When the thread is ending and its hub has ended before.
#[inline]
pub(crate) fn core() -> CoreRef {
    let core = CURRENT.get();
    if core.is_null() { make() } else { CoreRef { core, bound: PhantomData } }
}

/// This thread's hub, if it has one.
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

/// What a stand-in fiber's thread needs so that this module finds the hub there too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passport {
    core: *const Core,
    number: u64,
}

/// The passport of this thread's hub.
pub(crate) fn passport(number: u64) -> Passport {
    Passport { core: CURRENT.get(), number }
}

/// Makes this thread one of the hub's: only the stand-in's fibers call it.
pub(crate) fn adopt(passport: Passport) {
    if CURRENT.get() != passport.core {
        thread_bound::set_hub_number(passport.number);
        CURRENT.set(passport.core);
    }
}
