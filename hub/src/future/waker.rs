//! The waker of a future that a greenlet drives.
//!
//! It may be cloned, woken and dropped on any thread, at any time, also after the call, the hub or
//! the thread has ended. A wake-up on the hub's thread is one push on the queue; from another thread
//! it goes through the inbox. `Arc` would not do: the drop of the last clone must wake the greenlet,
//! which could wait forever otherwise and never learn that nothing can wake it.
#![expect(unsafe_code, reason = "implements the reference counting behind `std::task::Waker`")]

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::future::wake_state::{Parking, Released, WakeState};
use crate::inbox::hub_inbox::{Inbox, Message};
use crate::scheduler::{Core, current};
use crate::task::WaitToken;

/// The allocation that the wakers of one future point to.
struct Shared {
    state: WakeState,
    inbox: Arc<Inbox>,
    /// The wait that a notification ends. Written by the owner before it parks.
    index: AtomicU32,
    wait: AtomicU64,
}

impl Shared {
    fn token(&self) -> WaitToken {
        WaitToken { index: self.index.load(Ordering::Relaxed), wait: self.wait.load(Ordering::Relaxed) }
    }

    fn notify(&self) {
        if self.state.notify() {
            wake(&self.inbox, self.token());
        }
    }
}

/// Ends the wait of a greenlet of the hub with this inbox, if it is still in that wait.
fn wake(inbox: &Arc<Inbox>, token: WaitToken) {
    match current::core_with(inbox) {
        Some(core) => core.push_resume(token),
        // A hub that rejects the message has ended, and its greenlets with it.
        None => drop(inbox.post(token, Message::Wake)),
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, notify_and_release, notify, release);

/// Returns the allocation behind a waker of this module.
///
/// # Safety
///
/// `data` must be the data of a waker with [`VTABLE`], which has its reference for the length of
/// `'a`.
unsafe fn shared<'a>(data: *const ()) -> &'a Shared {
    // SAFETY: the data of such a waker is the pointer that `make` has got from `Box::into_raw`, and
    // the allocation is freed only after the last reference is released.
    unsafe { &*data.cast::<Shared>() }
}

/// `clone` of the table.
///
/// # Safety
///
/// As [`RawWakerVTable`] demands.
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: called with the data of a waker that lives during the call, as the table's contract
    // says.
    let shared = unsafe { shared(data) };
    if !shared.state.retain() {
        process::abort();
    }
    RawWaker::new(data, &VTABLE)
}

/// `wake_by_ref` of the table.
///
/// # Safety
///
/// As [`RawWakerVTable`] demands.
unsafe fn notify(data: *const ()) {
    // SAFETY: called with the data of a waker that lives during the call, as the table's contract
    // says.
    unsafe { shared(data) }.notify();
}

/// `wake` of the table.
///
/// # Safety
///
/// As [`RawWakerVTable`] demands.
unsafe fn notify_and_release(data: *const ()) {
    {
        // SAFETY: called with the data of a waker that is consumed, so its reference is still
        // counted. After `notify_parked` has released it, the owner has another one, which it
        // keeps while this thread, its own, runs here.
        let shared = unsafe { shared(data) };
        let core = current::core_with(&shared.inbox);
        if let Some(core) = core {
            if shared.state.notify_parked() {
                core.push_resume(shared.token());
                return;
            }
        }
    }
    // SAFETY: called with the data of a waker that is consumed, so its reference is still counted.
    unsafe { notify(data) };
    // SAFETY: the same, and the waker is not used again.
    unsafe { release(data) };
}

/// `drop` of the table.
///
/// # Safety
///
/// As [`RawWakerVTable`] demands.
unsafe fn release(data: *const ()) {
    let prepare = || {
        // SAFETY: called inside `WakeState::release` before the reference of the waker, which is
        // dropped, is given up.
        let shared = unsafe { shared(data) };
        (shared.inbox.clone(), shared.token())
    };
    // SAFETY: called with the data of a waker that is dropped, so its reference is still counted.
    // The state touches itself for the last time in the operation that gives the reference up.
    let state = unsafe { &shared(data).state };
    match state.release(prepare) {
        Released::Shared => {}
        Released::Abandoned((inbox, token)) => wake(&inbox, token),
        Released::Last => {
            // SAFETY: the last reference is released, so no other pointer is used again, and the
            // pointer came from `Box::into_raw` in `make`.
            drop(unsafe { Box::from_raw(data.cast::<Shared>().cast_mut()) });
        }
    }
}

/// The greenlet's side of a waker: one reference to the allocation, as long as a future is driven.
///
/// Dropping it gives the allocation back to the hub for the next future, if no clone of the waker is
/// left.
pub(super) struct Owner<'a> {
    core: &'a Core,
    /// `None` in the destructor only. Its data and its table are those of this module.
    waker: Option<Waker>,
}

impl<'a> Owner<'a> {
    /// Takes the allocation of the last future of the hub, or makes a new one.
    #[inline]
    pub(super) fn new(core: &'a Core) -> Owner<'a> {
        let waker = core.take_spare_waker().unwrap_or_else(|| make(core));
        Owner { core, waker: Some(waker) }
    }

    /// Returns the waker, for the context of a poll.
    #[inline]
    pub(super) fn waker(&self) -> &Waker {
        self.waker.as_ref().expect("the waker is there until the drop")
    }

    #[inline]
    fn shared(&self) -> &Shared {
        // SAFETY: the waker was made by `make`, and has its reference as long as it is in this
        // struct, which the result borrows.
        unsafe { shared(self.waker().data()) }
    }

    /// Announces the wait of this token, which the caller begins next, unless the outcome is
    /// [`Parking::Notified`]. [`unpark`](Owner::unpark) ends it.
    #[inline]
    pub(super) fn park(&self, token: WaitToken) -> Parking {
        let shared = self.shared();
        shared.index.store(token.index, Ordering::Relaxed);
        shared.wait.store(token.wait, Ordering::Relaxed);
        shared.state.park()
    }

    /// Ends the wait. Returns `true` if the future was woken since the last call.
    #[inline]
    pub(super) fn unpark(&self) -> bool {
        self.shared().state.unpark()
    }
}

impl Drop for Owner<'_> {
    #[inline]
    fn drop(&mut self) {
        // The flags of an interrupted wait, or of a wake-up after the last poll.
        self.unpark();
        let fresh = self.shared().state.is_fresh();
        if let Some(waker) = self.waker.take().filter(|_| fresh) {
            self.core.keep_spare_waker(waker);
        }
    }
}

#[cold]
fn make(core: &Core) -> Waker {
    let shared = Box::new(Shared {
        state: WakeState::new(),
        inbox: core.foreign().inbox().clone(),
        index: AtomicU32::new(0),
        wait: AtomicU64::new(0),
    });
    let data = Box::into_raw(shared).cast_const().cast::<()>();
    // SAFETY: the functions of the table fulfil its contract for a pointer to `Shared`: they are
    // thread-safe, since all fields are, and each waker has one reference, this one the first.
    unsafe { Waker::new(data, &VTABLE) }
}
