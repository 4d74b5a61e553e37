//! Pooled stacks for the bare coroutines, so that they are compared on equal terms: one allocation however
//! many, and tops that do not all compete for the same cache sets. They are for Unix, and bare indeed: they
//! have no guards.
#![expect(unsafe_code, reason = "tells corosensei of memory that was cut into stacks")]

use std::rc::Rc;

use corosensei::stack::{Stack, StackPointer};

const SIZE: usize = 16 * 1024;
const PAGE: usize = 4096;
const COLOURS: usize = 24;
const COLOUR_STEP: usize = 128;

/// One stack. It keeps the allocation that it was cut from.
#[derive(Debug)]
pub struct Slot {
    base: StackPointer,
    limit: StackPointer,
    _memory: Rc<Vec<u8>>,
}

/// Cuts that many stacks.
pub fn slots(count: usize) -> Vec<Slot> {
    // Zeroes of this size come from the system untouched: a slot takes memory when it is used.
    let mut memory = vec![0; (count + 1) * SIZE];
    let start = memory.as_mut_ptr().expose_provenance().next_multiple_of(PAGE);
    let memory = Rc::new(memory);
    let address = |address| StackPointer::new(address).expect("nothing is allocated at zero");
    let cut = |number: usize| Slot {
        base: address(start + (number + 1) * SIZE - number % COLOURS * COLOUR_STEP),
        limit: address(start + number * SIZE),
        _memory: memory.clone(),
    };
    (0..count).map(cut).collect()
}

// SAFETY: the range is the slot's own, lives as long as the slot, is aligned, and is larger than
// MIN_STACK_SIZE. It has no guard; the coroutines of the benches use a small part of it, as their frames are
// known.
unsafe impl Stack for Slot {
    fn base(&self) -> StackPointer {
        self.base
    }

    fn limit(&self) -> StackPointer {
        self.limit
    }
}
