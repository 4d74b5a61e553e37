//! Counted references to records.
//!
//! A record is one block of memory: the counts, the [`Task`], which has the same type for all
//! greenlets, and the body with its typed result. [`TaskRef`] is to a record what `Rc` is to a
//! value, with two differences: it is one word, since the record itself knows the type of its body,
//! and the memory is reused without the allocator.
//!
//! Rules of the counts (all on one thread at a time; no reference is `Send`):
//! 1. `strong` is the number of `TaskRef`s. When it becomes zero, the task and the body are dropped.
//! 2. `weak` is the number of `WeakTaskRef`s, and one more for all `TaskRef`s together. When it becomes
//!    zero, the block is given back.

#![expect(unsafe_code, reason = "counts references to records in reused memory")]

use std::alloc::Layout;
use std::cell::Cell;
use std::ops::Deref;
use std::process;
use std::ptr::{self, NonNull};

use super::blocks::{self, Shape};
use super::record::{Run, Task};

/// The part of a record that has the same type for all greenlets.
#[repr(C)]
pub(crate) struct Record {
    strong: Cell<u32>,
    weak: Cell<u32>,
    kind: &'static BodyKind,
    pub(crate) task: Task,
}

/// A record with its body.
#[repr(C)]
struct Whole<B: ?Sized> {
    // First, so that both have the same address.
    record: Record,
    body: B,
}

/// The properties of the type of a body.
struct BodyKind {
    shape: Shape,
    /// Adds the type of the body to a pointer to a record with such a body.
    whole: fn(NonNull<Record>) -> NonNull<Whole<dyn Run>>,
}

impl<B: Run> Whole<B> {
    const KIND: &'static BodyKind =
        &BodyKind { shape: Shape::of(Layout::new::<Whole<B>>()), whole: |record| record.cast::<Whole<B>>() };
}

/// A counted reference to a record.
pub(crate) struct TaskRef(NonNull<Record>);

impl TaskRef {
    /// Creates a record. The task is made in its place.
    #[inline(always)]
    pub(crate) fn new<B: Run>(body: B, task: impl FnOnce() -> Task) -> TaskRef {
        let kind = Whole::<B>::KIND;
        let block = blocks::take(&kind.shape).cast::<Whole<B>>();
        let record = Record { strong: Cell::new(1), weak: Cell::new(1), kind, task: task() };
        // SAFETY: the block is unused, and its shape is that of this type.
        unsafe { block.write(Whole { record, body }) };
        TaskRef(block.cast())
    }

    /// Returns a further reference to the record of a [`TaskPtr`](super::TaskPtr).
    ///
    /// # Safety
    ///
    /// The pointer must come from [`as_ptr`](TaskRef::as_ptr), and the record must still have a
    /// reference.
    #[inline(always)]
    pub(super) unsafe fn another(record: NonNull<Record>) -> TaskRef {
        // SAFETY: a record with a reference is alive.
        add(&unsafe { record.as_ref() }.strong);
        TaskRef(record)
    }

    /// Returns the address of the record.
    #[inline(always)]
    pub(crate) fn as_ptr(&self) -> NonNull<Record> {
        self.0
    }

    /// Returns `true` if both refer to the same record.
    #[inline]
    pub(crate) fn is(&self, other: &TaskRef) -> bool {
        self.0 == other.0
    }

    /// Returns the number of references.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.strong.get() as usize
    }

    /// Returns a reference that does not keep the task and the body alive.
    #[inline]
    pub(crate) fn downgrade(&self) -> WeakTaskRef {
        add(&self.weak);
        WeakTaskRef(self.0)
    }

    /// Returns the body.
    #[inline(always)]
    pub(crate) fn body(&self) -> &dyn Run {
        let whole = (self.kind.whole)(self.0);
        // SAFETY: the kind was stored with a body of its type. Body and record are alive while
        // there is a reference, and this one is borrowed.
        let whole = unsafe { whole.as_ref() };
        &whole.body
    }
}

impl Deref for TaskRef {
    type Target = Record;

    #[inline(always)]
    fn deref(&self) -> &Record {
        // SAFETY: a record with a reference is alive (rule 1), and only shared references to it
        // exist until then.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for TaskRef {
    #[inline(always)]
    fn clone(&self) -> TaskRef {
        add(&self.strong);
        TaskRef(self.0)
    }
}

impl Drop for TaskRef {
    #[inline(always)]
    fn drop(&mut self) {
        let left = self.strong.get() - 1;
        self.strong.set(left);
        if left == 0 {
            // SAFETY: this was the last reference (rule 1).
            unsafe { drop_whole(self.0) };
        }
    }
}

/// Drops the task and the body of a record, and its block unless a `WeakTaskRef` is left.
///
/// # Safety
///
/// There must be no `TaskRef` to the record, and this must be called once.
#[inline(never)]
unsafe fn drop_whole(record: NonNull<Record>) {
    // The share of the strong references (rule 2), dropped even if a destructor panics.
    let _block = WeakTaskRef(record);
    // SAFETY: the record is alive until it is dropped below.
    let kind = unsafe { record.as_ref() }.kind;
    let whole = (kind.whole)(record);
    // SAFETY: there is no reference left: `WeakTaskRef::upgrade` creates none once the count is
    // zero. The pointer has the provenance of the whole block. This happens once.
    unsafe { ptr::drop_in_place(whole.as_ptr()) };
}

/// A reference to a record that does not keep its task and body alive.
pub(crate) struct WeakTaskRef(NonNull<Record>);

impl WeakTaskRef {
    /// Returns a weak reference to the record of a [`TaskPtr`](super::TaskPtr).
    ///
    /// # Safety
    ///
    /// As for [`TaskRef::another`].
    #[inline(always)]
    pub(super) unsafe fn another(record: NonNull<Record>) -> WeakTaskRef {
        // SAFETY: a record with a reference is alive.
        add(&unsafe { record.as_ref() }.weak);
        WeakTaskRef(record)
    }

    /// Returns a reference to the record, unless the last one is gone.
    pub(crate) fn upgrade(&self) -> Option<TaskRef> {
        // SAFETY: the block exists while there is a weak reference (rule 2), and the count is not
        // dropped with the task. No reference to the task, which may be dropped, is made.
        let strong = unsafe { &*(&raw const (*self.0.as_ptr()).strong) };
        if strong.get() == 0 {
            return None;
        }
        add(strong);
        Some(TaskRef(self.0))
    }
}

impl Drop for WeakTaskRef {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: as in `upgrade`.
        let weak = unsafe { &*(&raw const (*self.0.as_ptr()).weak) };
        let left = weak.get() - 1;
        weak.set(left);
        if left == 0 {
            // SAFETY: as above; this field has no destructor.
            let kind = unsafe { *(&raw const (*self.0.as_ptr()).kind) };
            // SAFETY: the block was taken with this shape. No reference to it is left (rules 1
            // and 2).
            unsafe { blocks::give_back(self.0.cast(), &kind.shape) };
        }
    }
}

/// Counts a reference. References that are leaked by the billion end the process, as with `Rc`.
#[inline(always)]
fn add(count: &Cell<u32>) {
    let more = count.get().wrapping_add(1);
    if more == 0 {
        process::abort();
    }
    count.set(more);
}

#[cfg(test)]
mod tests {
    use std::any::Any;
    use std::panic::{AssertUnwindSafe, Location, catch_unwind};
    use std::rc::Rc;
    use std::thread;

    use super::*;
    use crate::exception::Exception;
    use crate::task::Kind;

    /// A body of any size and alignment, with a value whose drop can be observed.
    struct Of<T>(T);

    impl<T: 'static> Run for Of<T> {
        fn run(&self) -> thread::Result<Result<(), Exception>> {
            Ok(Ok(()))
        }

        fn discard(&self) {}

        fn drop_value(&self) {}

        fn value(&self) -> &dyn Any {
            &self.0
        }
    }

    fn record<T: 'static>(value: T) -> TaskRef {
        TaskRef::new(Of(value), || Task::new(Kind::Raw, Location::caller(), 0, None, None))
    }

    /// Runs `f` with open lists, and frees them.
    fn opened(f: impl FnOnce()) {
        blocks::open();
        f();
        blocks::close();
    }

    #[test]
    fn the_last_reference_drops_the_body_and_the_block_waits_for_weak_ones() {
        opened(|| {
            let value = Rc::new(5);
            let first = record(value.clone());
            let (second, weak) = (first.clone(), first.downgrade());
            assert!(first.is(&second) && first.count() == 2);
            assert_eq!(first.body().value().downcast_ref(), Some(&value));
            drop(first);
            assert_eq!((second.count(), Rc::strong_count(&value)), (1, 2));
            drop(weak.upgrade());
            drop(second);
            assert_eq!(Rc::strong_count(&value), 1);
            assert!(weak.upgrade().is_none());
            let other = record(value.clone());
            assert!(weak.0 != other.as_ptr(), "the block is not free yet");
        });
    }

    #[test]
    fn a_block_is_used_again_for_a_body_of_about_the_same_size() {
        opened(|| {
            let first = record([0_u8; 3]);
            let place = first.as_ptr();
            drop(first);
            let large = record([0_u8; 500]);
            assert!(large.as_ptr() != place);
            assert_eq!(record([0_u8; 5]).as_ptr(), place);
        });
    }

    #[test]
    fn a_body_of_any_size_and_alignment_is_found() {
        #[repr(align(256))]
        struct Aligned(u8);
        opened(|| {
            let aligned = record(Aligned(7));
            let found: &Aligned = aligned.body().value().downcast_ref().expect("it has this type");
            assert_eq!((found.0, std::ptr::from_ref(found).addr() % 256), (7, 0));
            let huge = record([9_u8; 10_000]);
            assert_eq!(huge.body().value().downcast_ref(), Some(&[9_u8; 10_000]));
            assert_eq!(record(()).body().value().downcast_ref(), Some(&()));
        });
    }

    #[test]
    fn a_block_outlives_the_lists_and_a_panic_of_its_body() {
        struct Panics;
        impl Drop for Panics {
            fn drop(&mut self) {
                panic!("in a destructor");
            }
        }
        let (before, mut later) = (record(1), None);
        opened(|| {
            drop(before);
            let panics = record(Panics);
            assert!(catch_unwind(AssertUnwindSafe(|| drop(panics))).is_err());
            later = Some(record(2));
        });
        drop(later);
    }
}
