//! A double-ended queue of copied values, without the checks of a shared container.
//!
//! The loop and every wait use the run queue, several times for each switch. A `RefCell<VecDeque>`
//! costs a borrow flag and a wrap-around at each use. Here a position is a counter, and its slot is
//! the counter modulo the number of slots, a power of two.
//!
//! The argument for the shared access: the values are `Copy`, so no method runs code of theirs, and
//! no method returns a reference into the slots. A method therefore never begins while another one
//! is between its first and its last access. The type is neither `Send` nor `Sync`.

#![expect(unsafe_code, reason = "reads and writes the slots through a shared reference")]

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;

/// The number of slots of a new ring.
const FIRST: usize = 64;

/// A double-ended queue of copied values.
pub(super) struct Ring<T: Copy> {
    /// The first slot of an allocation that belongs to this ring. The slots of the positions from
    /// `head` to `tail` have a value.
    slots: Cell<*mut MaybeUninit<T>>,
    /// The number of slots, a power of two, less one.
    mask: Cell<usize>,
    /// With that many values, a value is not added at once: the number of slots, or 0 while the ring
    /// is armed.
    limit: Cell<usize>,
    /// The position of the first value.
    head: Cell<usize>,
    /// The position behind the last value. Both wrap around at the end of the type.
    tail: Cell<usize>,
}

impl<T: Copy> Ring<T> {
    pub(super) fn new() -> Ring<T> {
        let slots = Box::into_raw(Box::<[T]>::new_uninit_slice(FIRST));
        Ring {
            slots: Cell::new(slots.cast()),
            mask: Cell::new(FIRST - 1),
            limit: Cell::new(FIRST),
            head: Cell::new(0),
            tail: Cell::new(0),
        }
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.tail.get().wrapping_sub(self.head.get())
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.head.get() == self.tail.get()
    }

    /// Returns the address of the slot of a position.
    #[inline(always)]
    fn slot(&self, position: usize) -> *mut MaybeUninit<T> {
        // SAFETY: the index is below the number of slots, since that is a power of two.
        unsafe { self.slots.get().add(position & self.mask.get()) }
    }

    /// Adds a value at the end, if there is a slot for it and the ring is not armed. Otherwise
    /// returns `false`; [`make_room`](Ring::make_room) changes that.
    #[inline(always)]
    pub(super) fn try_push_back(&self, value: T) -> bool {
        if self.len() >= self.limit.get() {
            return false;
        }
        let slot = self.slot(self.tail.get());
        // SAFETY: the slot is in the allocation, and no reference to it exists.
        unsafe { slot.write(MaybeUninit::new(value)) };
        self.tail.set(self.tail.get().wrapping_add(1));
        true
    }

    /// Adds a value at the front, like [`try_push_back`](Ring::try_push_back).
    pub(super) fn try_push_front(&self, value: T) -> bool {
        if self.len() >= self.limit.get() {
            return false;
        }
        self.head.set(self.head.get().wrapping_sub(1));
        let slot = self.slot(self.head.get());
        // SAFETY: as in `try_push_back`.
        unsafe { slot.write(MaybeUninit::new(value)) };
        true
    }

    /// Arms the ring: it takes no value until [`make_room`](Ring::make_room) is called.
    pub(super) fn arm(&self) {
        self.limit.set(0);
    }

    /// Disarms the ring, and doubles the number of slots if there is none for another value.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room(&self) {
        if self.len() > self.mask.get() {
            self.grow();
        }
        self.limit.set(self.mask.get() + 1);
    }

    /// Returns the value `behind` places behind the first one.
    #[inline(always)]
    pub(super) fn get(&self, behind: usize) -> Option<T> {
        if behind >= self.len() {
            return None;
        }
        let slot = self.slot(self.head.get().wrapping_add(behind));
        // SAFETY: the slot is in the allocation, and nothing writes to it now.
        let value = unsafe { slot.read() };
        // SAFETY: the position is between `head` and `tail`, so the slot has a value.
        Some(unsafe { value.assume_init() })
    }

    /// Removes the first value. The ring must have one.
    #[inline(always)]
    pub(super) fn drop_front(&self) {
        debug_assert!(!self.is_empty(), "a value is removed after it was read");
        self.head.set(self.head.get().wrapping_add(1));
    }

    #[inline(always)]
    pub(super) fn pop_front(&self) -> Option<T> {
        let value = self.get(0)?;
        self.drop_front();
        Some(value)
    }

    /// Removes all values.
    pub(super) fn clear(&self) {
        self.head.set(self.tail.get());
    }

    /// Doubles the number of slots.
    fn grow(&self) {
        let len = self.len();
        let mut slots = Box::<[T]>::new_uninit_slice((self.mask.get() + 1) * 2);
        for (behind, slot) in slots.iter_mut().enumerate().take(len) {
            slot.write(self.get(behind).expect("the position is below the length"));
        }
        let mask = slots.len() - 1;
        self.free();
        self.slots.set(Box::into_raw(slots).cast());
        self.mask.set(mask);
        self.head.set(0);
        self.tail.set(len);
    }

    /// Frees the slots, which the caller replaces or never uses again.
    fn free(&self) {
        let slots = ptr::slice_from_raw_parts_mut(self.slots.get(), self.mask.get() + 1);
        // SAFETY: the pointer came from `Box::into_raw` of a slice of this length, and is taken back
        // once: the callers see to that. The values are `Copy`, so none has to be dropped.
        drop(unsafe { Box::from_raw(slots) });
    }
}

impl<T: Copy> Drop for Ring<T> {
    fn drop(&mut self) {
        self.free();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn push_back(ring: &Ring<u64>, value: u64) {
        if !ring.try_push_back(value) {
            ring.make_room();
            assert!(ring.try_push_back(value));
        }
    }

    fn push_front(ring: &Ring<u64>, value: u64) {
        if !ring.try_push_front(value) {
            ring.make_room();
            assert!(ring.try_push_front(value));
        }
    }

    #[test]
    fn an_armed_ring_takes_nothing_until_it_makes_room() {
        let ring = Ring::new();
        for value in 0..200 {
            ring.arm();
            assert!(!ring.try_push_back(value) && !ring.try_push_front(value));
            ring.make_room();
            assert!(ring.try_push_back(value));
            assert!(
                ring.len() == ring.mask.get() + 1 || ring.try_push_front(0) && ring.pop_front() == Some(0)
            );
        }
        ring.arm();
        assert_eq!(
            (0..200).map(|_| ring.pop_front()).collect::<Vec<_>>(),
            (0..200).map(Some).collect::<Vec<_>>()
        );
    }

    #[test]
    fn behaves_as_a_deque_of_std_does() {
        let (ring, mut deque) = (Ring::new(), VecDeque::new());
        let mut random = 7_u64;
        for step in 0..20_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Grows in the first half, shrinks in the second.
            match (random >> 33) % 8 {
                0 => {
                    push_front(&ring, step);
                    deque.push_front(step);
                }
                1..=3 => {
                    push_back(&ring, step);
                    deque.push_back(step);
                }
                4 | 5 if step > 10_000 => assert_eq!(ring.pop_front(), deque.pop_front()),
                _ => assert_eq!(ring.pop_front(), deque.pop_front()),
            }
            assert_eq!(ring.len(), deque.len());
            assert_eq!(ring.is_empty(), deque.is_empty());
            let behind = usize::try_from(random >> 40).expect("24 bits") % (deque.len() + 2);
            assert_eq!(ring.get(behind), deque.get(behind).copied());
        }
        ring.clear();
        assert_eq!((ring.len(), ring.pop_front()), (0, None));
    }

    #[test]
    fn positions_wrap_around() {
        let ring = Ring::new();
        ring.head.set(usize::MAX - 1);
        ring.tail.set(usize::MAX - 1);
        (0..200).for_each(|value| push_back(&ring, value));
        assert_eq!(
            (0..200).map(|_| ring.pop_front()).collect::<Vec<_>>(),
            (0..200).map(Some).collect::<Vec<_>>()
        );
        assert!(ring.is_empty());
    }
}
