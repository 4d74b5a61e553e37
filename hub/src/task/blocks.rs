//! The memory blocks of records, reused without the allocator.
//!
//! A greenlet that ends leaves a block that the next one of about the same size takes. The blocks
//! are kept per thread, in lists by size, from the creation of the thread's hub to its end.
//!
//! Rules of the state:
//! 1. All blocks of a class have the same layout, and each was allocated with that layout. So any
//!    thread may return any block: a list only decides whether the allocator is called.
//! 2. A block in a list is unused, and is in one list once.
//! 3. While the lists are closed, they are empty and have no room.

#![expect(unsafe_code, reason = "keeps unused memory in linked lists")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// Sizes are rounded up to a multiple of this.
const STEP: usize = 32;

/// The number of classes. Larger blocks are not kept.
const CLASSES: usize = 32;

/// The largest alignment of a block that is kept, which every allocation has.
const ALIGN: usize = 16;

/// The largest number of unused blocks of a class.
const MOST: u32 = 1024;

/// The size of a block, and its class.
pub(super) struct Shape {
    layout: Layout,
    /// `CLASSES` if such a block is not kept.
    class: usize,
}

impl Shape {
    /// Returns the shape of blocks for values with this layout.
    pub(super) const fn of(layout: Layout) -> Shape {
        let class = layout.size().div_ceil(STEP).saturating_sub(1);
        if class >= CLASSES || layout.align() > ALIGN {
            return Shape { layout, class: CLASSES };
        }
        match Layout::from_size_align((class + 1) * STEP, ALIGN) {
            Ok(layout) => Shape { layout, class },
            Err(_) => Shape { layout, class: CLASSES },
        }
    }
}

/// The head of an unused block.
struct Unused {
    next: *mut Unused,
}

/// The unused blocks of one class.
struct List {
    first: Cell<*mut Unused>,
    /// The number of blocks that may still be added.
    room: Cell<u32>,
}

thread_local! {
    /// Const and without a destructor, so that it is valid until the thread has ended.
    static LISTS: [List; CLASSES] =
        const { [const { List { first: Cell::new(ptr::null_mut()), room: Cell::new(0) } }; CLASSES] };
}

/// Takes a block for a value of this shape.
#[inline(always)]
pub(super) fn take(shape: &'static Shape) -> NonNull<u8> {
    LISTS.with(|lists| {
        let Some(list) = lists.get(shape.class) else { return allocate(shape) };
        let Some(first) = NonNull::new(list.first.get()) else { return allocate(shape) };
        // SAFETY: a block in a list is unused memory with the head of an unused block.
        let next = unsafe { first.read() }.next;
        list.first.set(next);
        list.room.set(list.room.get() + 1);
        first.cast()
    })
}

#[cold]
#[inline(never)]
fn allocate(shape: &Shape) -> NonNull<u8> {
    // SAFETY: a record has fields, so the size is not zero.
    let block = unsafe { alloc(shape.layout) };
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(shape.layout))
}

/// Returns a block that is not used any more.
///
/// # Safety
///
/// The block must come from [`take`] with this shape. It must not be used afterwards.
#[inline(always)]
pub(super) unsafe fn give_back(block: NonNull<u8>, shape: &'static Shape) {
    LISTS.with(|lists| {
        if let Some(list) = lists.get(shape.class) {
            if let Some(room) = list.room.get().checked_sub(1) {
                let unused = block.cast::<Unused>();
                // SAFETY: the block is unused, large enough for one pointer, and aligned for it.
                unsafe { unused.write(Unused { next: list.first.get() }) };
                list.first.set(unused.as_ptr());
                list.room.set(room);
                return;
            }
        }
        // SAFETY: the block was allocated with the layout of its shape (rule 1), and is unused.
        unsafe { dealloc(block.as_ptr(), shape.layout) };
    });
}

/// Lets this thread keep unused blocks.
pub(super) fn open() {
    LISTS.with(|lists| {
        lists.iter().filter(|list| list.first.get().is_null()).for_each(|list| list.room.set(MOST))
    });
}

/// Frees the unused blocks of this thread, which keeps none from now on.
pub(super) fn close() {
    LISTS.with(|lists| {
        for (class, list) in lists.iter().enumerate() {
            list.room.set(0);
            let layout =
                Shape::of(Layout::from_size_align((class + 1) * STEP, ALIGN).expect("a small size")).layout;
            let mut next = list.first.replace(ptr::null_mut());
            while let Some(block) = NonNull::new(next) {
                // SAFETY: as in `take`.
                next = unsafe { block.read() }.next;
                // SAFETY: the block was allocated with the layout of its class (rule 1), and is in
                // no list any more.
                unsafe { dealloc(block.as_ptr().cast(), layout) };
            }
        }
    });
}
