//! Stacks as slots of large mappings.
//!
//! A mapping for each stack would be simple, and would fail at about 32,000 greenlets: a guarded
//! stack takes two of the 65,530 mappings that Linux allows a process. So stacks are cut from
//! chunks of up to 1024, and where the kernel supports it (6.13 and later) their guards take no
//! mapping either.
//!
//! ```text
//!  chunk   [slot 0][slot 1][slot 2] ...             one mapping, 16 slots at first, each chunk twice the last
//!
//!  slot    limit()          guard().end                                              top()
//!          |  guard, 64 KiB|  size() bytes, lazily backed           |   colour room   |..|
//!          low                              stacks grow towards the low end             high
//! ```
//!
//! *Guards.* Rust code touches each page of a large frame, so one page would suffice for it. C and
//! assembly code does not: a frame of several pages steps over a guard of one page, and writes into
//! the slot below. So a guard is as large as the frames of such code are likely to be. It costs
//! address space, and page-table memory where the kernel marks each of its pages; in mappings it
//! costs as much as one page.
//!
//! *Sizes.* They are rounded up to a power of two, so that few classes serve every size and a stack
//! is soon reused. The rounding adds only address space that is never touched. Stacks above 64 MiB
//! are rare, and too large to round or to keep: they are mapped one by one and unmapped when they
//! are returned.
//!
//! *Colours.* If all tops had the same offset in their page, the busiest lines of all greenlets
//! would compete for the same few sets of the cache. So tops are lowered by 0 to 23 times 128
//! bytes, in turn. A batch of 1000 greenlets runs three times as fast with colours. The space for
//! them is added to the size.
//!
//! *Reuse.* The stack that was returned last is handed out first: its pages are in memory, and
//! possibly in the cache. Pages stay with an idle stack, except when it was used deeper than about
//! 30 KiB: then the pages below are discarded, since otherwise one deep call on each stack would
//! raise the memory in use permanently. Depth is judged by two places of 128 bytes. The *mark* ends
//! the first 4 KiB and has a pattern; the *canary* lies about 30 KiB deep and is zero. A stack whose
//! mark is intact was not deep. Only behind an overwritten mark is the canary read, since the first
//! read costs a page fault. A frame that skips the mark or the canary, or that holds zeroes in the
//! canary, goes unnoticed; [`StackPool::trim`] uses neither and includes such stacks.
//!
//! The rules of the state:
//!
//! 1. A slot that has been cut and guarded is in one place: in its class's `idle`, or out as a
//!    [`Stack`].
//! 2. A stack that is dropped is out forever. Its memory is neither reused nor unmapped.
//! 3. `idle` has capacity for every slot of its class, so a return never allocates.

#![expect(unsafe_code, reason = "reads and writes marks on idle stacks, and discards pages")]

use std::env;
use std::fmt;
use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;

use super::{MIN_STACK_SIZE, StackError, StackStats, mmap};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The largest size that is rounded to a power of two and kept.
const MAX_POOLED_SIZE: usize = 64 * MIB;
/// One class for each power of two from the smallest to the largest pooled size.
const CLASSES: usize = (MAX_POOLED_SIZE.ilog2() - MIN_STACK_SIZE.ilog2()) as usize + 1;
/// The class of a stack that is too large for one.
const UNPOOLED: u32 = u32::MAX;

const FIRST_CHUNK_SLOTS: usize = 16;
const MAX_CHUNK_SLOTS: usize = 1024;
const MAX_CHUNK_BYTES: usize = 256 * MIB;

const COLOURS: usize = 24;
const COLOUR_STEP: usize = 128;
const MAX_COLOUR: usize = (COLOURS - 1) * COLOUR_STEP;

/// The size of a guard, rounded up to whole pages. Linux reserves as much below the stack of a
/// process, for the same reason.
const GUARD: usize = 64 * KIB;

/// The number of bytes below the highest address of a slot that stay in memory when a stack is
/// returned.
const KEEP: usize = 32 * KIB;
/// The size of the part of a slot that a small greenlet touches. The mark is its lowest end, which is
/// in the same page as the top, whatever the system's page size and the colour.
const FIRST_BLOCK: usize = 4 * KIB;
/// The content of the mark, which no frame is likely to have. Not zeroes, which many buffers hold.
const MARK: [u64; CANARY_WORDS] = [0x9E37_79B9_7F4A_7C15; CANARY_WORDS];
const _: () = assert!(MAX_COLOUR + size_of_val(&MARK) < FIRST_BLOCK);

/// The depth of the canary below every top, whatever its colour. The canary is therefore inside the
/// lowest part of the kept memory: it shares no cache sets with its neighbours' canaries and needs
/// no page fault after a trim.
const CANARY_DEPTH: usize = KEEP - MAX_COLOUR;
const CANARY_WORDS: usize = 16;

/// A guarded stack, taken from a [`StackPool`].
///
/// Return it with [`StackPool::give_back`]. A stack that is dropped instead is leaked on purpose: a
/// greenlet that was abandoned half-way has live frames on it, and other greenlets may hold
/// pointers into them.
#[derive(Debug)]
pub(crate) struct Stack {
    top: usize,
    limit: usize,
    size: usize,
    guard_len: u32,
    class: u32,
    chunk: u32,
}

impl Stack {
    /// Returns the highest address, at which the first frame starts. It is a multiple of 128.
    #[inline]
    pub(crate) fn top(&self) -> usize {
        self.top
    }

    /// Returns the lowest address, which belongs to the guard.
    #[inline]
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the addresses at which an overflow faults.
    #[inline]
    pub(crate) fn guard(&self) -> Range<usize> {
        self.limit..self.limit + self.guard_len as usize
    }

    /// Returns the number of bytes that a greenlet may use: the requested size, rounded up.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    fn mark(&self) -> *mut [u64; CANARY_WORDS] {
        ptr::with_exposed_provenance_mut((self.top - 1) & !(FIRST_BLOCK - 1))
    }

    fn canary(&self) -> *mut [u64; CANARY_WORDS] {
        ptr::with_exposed_provenance_mut(self.top - CANARY_DEPTH)
    }

    /// Writes the mark. Only for a stack of a class with canaries.
    fn set_mark(&self) {
        // SAFETY: the mark lies in the slot, above the guard, since the stack is larger than KEEP. It
        // is aligned to FIRST_BLOCK. The slot is mapped until its pool unmaps it. We have the stack,
        // and no greenlet runs on it.
        unsafe { self.mark().write(MARK) };
    }

    /// Returns `true` if a frame has overwritten the mark.
    ///
    /// Only for a returned stack of a class with canaries: the stack is larger than [`KEEP`].
    #[inline]
    fn left_first_block(&self) -> bool {
        // SAFETY: the mark lies in the slot, above the guard, since the stack is larger than KEEP. It
        // is aligned to FIRST_BLOCK. The slot is mapped until its pool unmaps it. No other code writes
        // to it: we own the stack by value, so no greenlet runs on it. Its bytes were written by
        // `set_mark`, stored by machine code, or are the system's zeroes.
        let words = unsafe { self.mark().read() };
        words.iter().zip(MARK).fold(0, |all, (word, mark)| all | (word ^ mark)) != 0
    }

    /// Returns `true` if a frame has written at the depth of the canary, and writes the mark again.
    ///
    /// Only for a returned stack of a class with canaries: the stack is larger than [`KEEP`].
    #[inline(never)]
    fn was_deep(&self) -> bool {
        self.set_mark();
        // SAFETY: as in `left_first_block`; the canary is aligned, since `top` is a multiple of 128.
        let words = unsafe { self.canary().read() };
        words.iter().fold(0, |all, word| all | word) != 0
    }

    /// Discards the pages deeper than [`KEEP`] and resets the canary.
    #[cold]
    fn trim_depth(&self, stride: usize) {
        // SAFETY: as in `left_first_block`; and the remains of a finished greenlet are not read.
        unsafe { self.canary().write([0; CANARY_WORDS]) };
        let start = self.guard().end;
        let page = mmap::page_size();
        let end = (self.limit + stride - KEEP) & !(page - 1);
        if start < end {
            // SAFETY: both ends are at a page inside the slot, above its guard. We own the stack
            // and nothing on it is needed.
            unsafe { mmap::discard(start, end - start) };
        }
    }

    /// Discards all pages.
    fn trim_all(&self, stride: usize) {
        let start = self.guard().end;
        // SAFETY: the slot starts and ends at a page, the guard is excluded, and nothing on an idle
        // stack is needed.
        unsafe { mmap::discard(start, self.limit + stride - start) };
    }
}

/// A mapping that slots are cut from.
#[derive(Debug)]
struct Chunk {
    start: usize,
    len: usize,
    /// The number of slots cut so far.
    cut: usize,
    /// The number of slots that fit.
    slots: usize,
}

impl Chunk {
    #[inline]
    fn holds(&self, stack: &Stack) -> bool {
        stack.limit.wrapping_sub(self.start) < self.len
    }
}

/// The stacks of one size.
struct Class {
    size: usize,
    /// The size of a whole slot: guard, stack, and space for the colour.
    stride: usize,
    /// `true` if the stacks have a mark and a canary, which are checked on return.
    has_canary: bool,
    idle: Vec<Stack>,
    /// The number of stacks at the bottom of `idle` that have no pages left to trim.
    trimmed: usize,
    chunks: Vec<Chunk>,
}

impl Class {
    fn new(size: usize, page: usize) -> Class {
        let size = size.max(page);
        let stride = size + GUARD.next_multiple_of(page) + MAX_COLOUR.next_multiple_of(page);
        let has_canary = size > KEEP && !under_valgrind();
        Class { size, stride, has_canary, idle: Vec::new(), trimmed: 0, chunks: Vec::new() }
    }

    fn cut_total(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.cut).sum()
    }

    /// Cuts the next slot, from a new chunk if necessary.
    #[cold]
    fn cut(&mut self, class: usize) -> Result<Stack, StackError> {
        if self.chunks.last().is_none_or(|chunk| chunk.cut == chunk.slots) {
            self.grow().map_err(|error| StackError::reserve(self.size, error))?;
        }
        let number = self.chunks.len() - 1;
        let chunk = self.chunks.last_mut().expect("a chunk with a free slot exists");
        let limit = chunk.start + chunk.cut * self.stride;
        let guard_len = GUARD.next_multiple_of(mmap::page_size());
        // SAFETY: the slot is inside the chunk, and only the chunk's slots up to `cut` are in use.
        // The slot starts at a page and is longer than the guard, which has whole pages.
        unsafe { mmap::guard(limit, guard_len) }.map_err(|error| StackError::guard(self.size, error))?;
        let top = limit + self.stride - chunk.cut % COLOURS * COLOUR_STEP;
        chunk.cut += 1;
        let stack = Stack {
            top,
            limit,
            size: self.size,
            guard_len: small(guard_len),
            class: small(class),
            chunk: small(number),
        };
        if self.has_canary {
            stack.set_mark();
        }
        Ok(stack)
    }

    /// Maps one more chunk, twice as large as the last, or as large as the system allows.
    fn grow(&mut self) -> io::Result<()> {
        let fit = (MAX_CHUNK_BYTES / self.stride).clamp(1, MAX_CHUNK_SLOTS);
        let mut slots = self.chunks.last().map_or(FIRST_CHUNK_SLOTS, |chunk| chunk.slots * 2).min(fit);
        let start = loop {
            match mmap::reserve(slots * self.stride) {
                Ok(start) => break start,
                Err(error) if slots == 1 => return Err(error),
                // Under a limit on address space, or without overcommit, a smaller chunk may still
                // fit.
                Err(_) => slots /= 2,
            }
        };
        let total = self.cut_total() + slots;
        self.idle.reserve(total - self.idle.len());
        self.chunks.push(Chunk { start, len: slots * self.stride, cut: 0, slots });
        Ok(())
    }

    fn trim(&mut self) {
        for stack in &self.idle[self.trimmed..] {
            stack.trim_all(self.stride);
        }
        self.trimmed = self.idle.len();
    }

    fn close(&mut self) {
        let mut idle = vec![0; self.chunks.len()];
        for stack in &self.idle {
            idle[stack.chunk as usize] += 1;
        }
        let mut position = 0;
        self.idle.retain(|stack| {
            let number = stack.chunk as usize;
            let stays = self.chunks[number].cut != idle[number];
            if stays && position >= self.trimmed {
                stack.trim_all(self.stride);
            }
            position += 1;
            stays
        });
        self.trimmed = self.idle.len();
        for (chunk, idle) in self.chunks.iter_mut().zip(idle) {
            if chunk.cut == idle && chunk.len > 0 {
                // SAFETY: the chunk was reserved as a whole. All slots ever cut from it were idle
                // (rule 1), and the stacks of these slots were dropped above, so nothing can refer
                // to it.
                unsafe { mmap::unmap(chunk.start, chunk.len) };
                *chunk = Chunk { start: 0, len: 0, cut: 0, slots: 0 };
            }
        }
        // The others keep their places, by which their stacks name them.
        while self.chunks.last().is_some_and(|chunk| chunk.len == 0) {
            self.chunks.pop();
        }
    }
}

/// Converts a page size or a number of chunks, both far below 2^32.
fn small(number: usize) -> u32 {
    u32::try_from(number).expect("bounded by the address space over the size of a chunk")
}

/// Returns `true` if valgrind runs this process, by the library that it preloads.
///
/// Valgrind reports each check of a canary as a read of dead frames, which it is.
pub(crate) fn under_valgrind() -> bool {
    static UNDER_VALGRIND: OnceLock<bool> = OnceLock::new();
    *UNDER_VALGRIND.get_or_init(|| {
        env::var_os("LD_PRELOAD").is_some_and(|libraries| libraries.to_string_lossy().contains("vgpreload_"))
    })
}

/// The stacks of one hub: takes them from the system, and keeps returned stacks.
///
/// Taking and returning cost a few nanoseconds each. A stack that must be cut first costs less than
/// a few microseconds, for its guard and its first page.
///
/// When the pool is dropped, mappings with a stack that is still out stay forever. The others are
/// unmapped.
pub(crate) struct StackPool {
    classes: [Class; CLASSES],
    /// The mappings of stacks that are too large to keep, all of which are out.
    unpooled: Vec<Chunk>,
}

impl StackPool {
    /// Creates a pool. It maps nothing yet.
    pub(crate) fn new() -> StackPool {
        let page = mmap::page_size();
        StackPool {
            classes: std::array::from_fn(|class| Class::new(MIN_STACK_SIZE << class, page)),
            unpooled: Vec::new(),
        }
    }

    /// Takes a stack of at least `size` bytes, and at least [`MIN_STACK_SIZE`].
    ///
    /// # Errors
    ///
    /// When the system has no memory or address space left. Nothing changes then; a stack that is
    /// returned can still be taken.
    #[inline]
    pub(crate) fn take(&mut self, size: usize) -> Result<Stack, StackError> {
        if size > MAX_POOLED_SIZE {
            return self.take_unpooled(size);
        }
        // The logarithm of the size, rounded up.
        let log = usize::BITS - (size.max(MIN_STACK_SIZE) - 1).leading_zeros();
        let index = (log - MIN_STACK_SIZE.ilog2()) as usize;
        let class = &mut self.classes[index];
        match class.idle.pop() {
            Some(stack) => {
                class.trimmed = class.trimmed.min(class.idle.len());
                Ok(stack)
            }
            None => class.cut(index),
        }
    }

    /// Takes back a stack that nothing runs on any more, for the next [`take`](StackPool::take) of
    /// its size.
    ///
    /// # Panics
    ///
    /// When the stack belongs to another pool.
    #[inline]
    pub(crate) fn give_back(&mut self, stack: Stack) {
        let Some(class) = self.classes.get_mut(stack.class as usize) else {
            return self.give_back_unpooled(stack);
        };
        // Mapped addresses are unique, so this proves that the chunk belongs to the stack, and to
        // this pool.
        let ours = class.chunks.get(stack.chunk as usize).is_some_and(|chunk| chunk.holds(&stack));
        assert!(ours, "a stack must be returned to its own pool");
        if class.has_canary && stack.left_first_block() && stack.was_deep() {
            stack.trim_depth(class.stride);
        }
        class.idle.push(stack);
    }

    /// Returns the memory of all idle stacks to the system. The stacks stay in the pool.
    ///
    /// This costs a system call for each idle stack that was used since the last call.
    pub(crate) fn trim(&mut self) {
        for class in &mut self.classes {
            class.trim();
        }
    }

    /// Unmaps each mapping that no stack is out of, and returns the memory of all other idle stacks
    /// to the system.
    pub(crate) fn close(&mut self) {
        self.classes.iter_mut().for_each(Class::close);
    }

    /// Returns the counts of the stacks.
    pub(crate) fn stats(&self) -> StackStats {
        let mut stats = StackStats { in_use: self.unpooled.len(), ..StackStats::default() };
        for class in &self.classes {
            stats.idle += class.idle.len();
            stats.in_use += class.cut_total() - class.idle.len();
        }
        let chunks = self.classes.iter().flat_map(|class| &class.chunks).chain(&self.unpooled);
        stats.reserved_bytes = chunks.map(|chunk| chunk.len).sum();
        stats
    }

    #[cold]
    fn take_unpooled(&mut self, size: usize) -> Result<Stack, StackError> {
        let guard_len = GUARD.next_multiple_of(mmap::page_size());
        let rounded =
            size.checked_next_multiple_of(MIB.max(guard_len)).filter(|&size| size <= isize::MAX as usize / 2);
        let Some(size) = rounded else {
            return Err(StackError::reserve(size, io::ErrorKind::OutOfMemory.into()));
        };
        let len = size + guard_len;
        let limit = mmap::reserve(len).map_err(|error| StackError::reserve(size, error))?;
        // SAFETY: the range is the start of a mapping that was made just now, in whole pages.
        if let Err(error) = unsafe { mmap::guard(limit, guard_len) } {
            // SAFETY: the mapping was made just now and has not been shared.
            unsafe { mmap::unmap(limit, len) };
            return Err(StackError::guard(size, error));
        }
        self.unpooled.push(Chunk { start: limit, len, cut: 1, slots: 1 });
        Ok(Stack { top: limit + len, limit, size, guard_len: small(guard_len), class: UNPOOLED, chunk: 0 })
    }

    #[cold]
    fn give_back_unpooled(&mut self, stack: Stack) {
        let ours = self.unpooled.iter().position(|chunk| chunk.start == stack.limit);
        let ours = ours.expect("a stack must be returned to its own pool");
        let chunk = self.unpooled.swap_remove(ours);
        // SAFETY: the mapping holds only this stack, which we own by value, so nothing runs on it.
        unsafe { mmap::unmap(chunk.start, chunk.len) };
    }
}

impl Drop for StackPool {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for StackPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StackPool").field(&self.stats()).finish()
    }
}
