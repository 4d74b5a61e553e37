//! The state between a greenlet that drives a future and the wakers of that future: one word, which
//! holds the count of the references and two flags.
//!
//! Rules:
//! 1. Each waker is one reference, and so is the *owner*, the greenlet. The last reference that is
//!    released frees the allocation around the state.
//! 2. Only the owner sets and clears `PARKED`. A waker sets `NOTIFIED`, and the owner clears it.
//! 3. A waker that sets `NOTIFIED` and finds `PARKED` without `NOTIFIED` must wake the owner. So the
//!    owner is woken at most once for each `park`, and no wake-up before a `park` is lost: `park`
//!    fails when `NOTIFIED` is set.
//! 4. A waker that leaves the owner alone while that is parked and not notified must wake it as
//!    well: nothing will notify it any more. The count and the flags are one word, so a release
//!    knows whether this is the case. After a release its thread must not touch the allocation, so
//!    it takes what the wake-up needs *before*, and the release fails if the word has changed since.

use crate::loom::{AtomicUsize, Ordering, fence};

const NOTIFIED: usize = 1;
const PARKED: usize = 2;
const FLAGS: usize = NOTIFIED | PARKED;
/// One reference.
const ONE: usize = 4;
/// More references than memory can hold are leaked ones. The count must not overflow.
const MOST: usize = usize::MAX / 2;

/// The references and flags; see the rules of the module.
pub(crate) struct WakeState(AtomicUsize);

/// The outcome of a release.
pub(crate) enum Released<P> {
    /// Other references are left.
    Shared,
    /// The owner is parked and without wakers: it must be woken, with what was prepared for that.
    Abandoned(P),
    /// This was the last reference: the allocation must be freed.
    Last,
}

/// The outcome of an attempt to park.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parking {
    /// The owner was notified: it must not wait.
    Notified,
    /// The owner may wait: a waker will wake it.
    Parked,
    /// The owner may wait, but no waker is left.
    Alone,
}

impl WakeState {
    /// Creates the state of an owner without wakers.
    pub(crate) fn new() -> WakeState {
        WakeState(AtomicUsize::new(ONE))
    }

    /// Adds a reference. Returns `false` if there are too many; the process must end then.
    pub(crate) fn retain(&self) -> bool {
        // A new reference is made from one that exists, and is passed on by other means.
        self.0.fetch_add(ONE, Ordering::Relaxed) < MOST
    }

    /// Releases a reference. `prepare` takes what the wake-up of the owner needs, and may be called
    /// although the outcome is another one in the end.
    pub(crate) fn release<P>(&self, mut prepare: impl FnMut() -> P) -> Released<P> {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let abandons = word / ONE == 2 && word & FLAGS == PARKED;
            let prepared = abandons.then(|| {
                // What `prepare` reads was written before the flag was set.
                fence(Ordering::Acquire);
                prepare()
            });
            // Release: this reference's accesses come before the allocation is freed.
            match self.0.compare_exchange_weak(word, word - ONE, Ordering::Release, Ordering::Relaxed) {
                Ok(_) if word / ONE == 1 => {
                    // The other references' accesses come before it, too.
                    fence(Ordering::Acquire);
                    return Released::Last;
                }
                Ok(_) => return prepared.map_or(Released::Shared, Released::Abandoned),
                Err(now) => word = now,
            }
        }
    }

    /// Notifies the owner. Returns `true` if the owner must be woken.
    pub(crate) fn notify(&self) -> bool {
        // Release: the owner sees all that was done before the notification. Acquire: the caller
        // reads the owner's wait, which was written before the flag was set.
        self.0.fetch_or(NOTIFIED, Ordering::AcqRel) & FLAGS == PARKED
    }

    /// Notifies the owner and releases a reference in one operation, if the owner is parked and was
    /// not notified: it must be woken then. Otherwise does nothing, and returns `false`. For the
    /// owner's thread, where the owner cannot leave meanwhile, so that its reference is left.
    pub(crate) fn notify_parked(&self) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        while word & FLAGS == PARKED {
            let next = (word - ONE) | NOTIFIED;
            match self.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Marks the owner as parked, unless it was notified. For the owner.
    pub(crate) fn park(&self) -> Parking {
        let word = self.0.fetch_or(PARKED, Ordering::AcqRel);
        if word & NOTIFIED != 0 {
            Parking::Notified
        } else if word / ONE == 1 {
            Parking::Alone
        } else {
            Parking::Parked
        }
    }

    /// Clears both flags. Returns `true` if the owner was notified. For the owner.
    pub(crate) fn unpark(&self) -> bool {
        self.0.fetch_and(!FLAGS, Ordering::AcqRel) & NOTIFIED != 0
    }

    /// Returns `true` if the owner has the only reference, and no notification is left. For the
    /// owner, while it is not parked.
    pub(crate) fn is_fresh(&self) -> bool {
        // Acquire: a waker that was released before is done with the allocation.
        self.0.load(Ordering::Acquire) == ONE
    }
}
