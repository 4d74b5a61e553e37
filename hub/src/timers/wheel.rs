//! The timers after the current tick, in slots that grow coarser with the distance.
//!
//! A tick is read as a number of eight digits in base 64. A timer is compared with the current
//! tick: the highest digit in which the two differ is its level, and the value of its own digit
//! there is its slot.
//!
//! ```text
//!                 level  7  6  5  4  3  2  1  0
//!          current tick  0  0  0  0  0  7 63 62
//!  a timer at this tick  0  0  0  0  0  7 63 63    lies in level 0, slot 63, with those of the same tick
//!           and at this  0  0  0  0  0  9  1 20    lies in level 2, slot 9, with all that begin with 9
//! ```
//!
//! This has four consequences. (1) The digit of a timer is greater than the digit of the current
//! tick, so the slots of a level are in order and never wrap around. (2) Every timer of a level
//! comes before every timer of a higher level: the earliest timer is in the lowest level in use, in
//! its first slot in use. (3) As long as the current tick does not enter a slot, the timers in the
//! slot stay valid, however the tick moves. (4) When the tick enters a slot, all timers there
//! cascade to lower levels or leave the wheel, so a timer moves at most eight times, and usually
//! never.

use super::arena::{NIL, Nodes};

/// The number of bits of a tick's length: 2^20 ns.
const TICK_BITS: u32 = 20;
/// The number of bits of a digit: six, so that the used slots of a level fit in one word.
const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
/// The number of levels: enough for the 44 bits of any tick. The highest level uses four of its
/// slots.
const LEVELS: usize = (u64::BITS - TICK_BITS).div_ceil(DIGIT_BITS) as usize;
/// The largest number of timers of a slot that are searched for a new earliest one.
const SCAN: usize = 16;

#[derive(Clone, Copy)]
struct Slot {
    /// The first node of the list, which is in no order; `NIL` if the slot is empty.
    head: u32,
    /// `true` if the earliest timer was cancelled and the next one has not been searched for.
    in_doubt: bool,
    /// A lower bound of the slot's deadlines, which itself belongs to the slot. Meaningless if the
    /// slot is empty.
    earliest: u64,
}

pub(super) struct Wheel {
    /// The current tick. All timers in the wheel come after it.
    tick: u64,
    /// One bit for each slot in use.
    in_use: [u64; LEVELS],
    slots: [Slot; LEVELS * SLOTS],
}

impl Wheel {
    pub(super) fn new() -> Self {
        let empty = Slot { head: NIL, in_doubt: false, earliest: 0 };
        Self { tick: 0, in_use: [0; LEVELS], slots: [empty; LEVELS * SLOTS] }
    }

    /// Returns the slot of a timer with this deadline, or `None` if the timer does not belong in
    /// the wheel.
    #[inline(always)]
    pub(super) fn slot_of(&self, deadline: u64) -> Option<usize> {
        let tick = deadline >> TICK_BITS;
        if tick <= self.tick {
            return None;
        }
        let level = (tick ^ self.tick).ilog2() / DIGIT_BITS;
        let digit = (tick >> (level * DIGIT_BITS)) as usize % SLOTS;
        Some(level as usize * SLOTS + digit)
    }

    /// Links a timer into its slot.
    ///
    /// The timer goes to the front, because the node there was linked last and is most likely
    /// cached.
    #[inline(always)]
    pub(super) fn link<P>(&mut self, nodes: &mut Nodes<P>, slot: usize, index: u32) {
        let node = &mut nodes[index];
        let deadline = node.deadline;
        let Slot { head, earliest, .. } = self.slots[slot];
        node.prev = NIL;
        node.next = head;
        self.slots[slot].head = index;
        if head == NIL {
            self.in_use[slot / SLOTS] |= 1 << (slot % SLOTS);
        } else {
            nodes[head].prev = index;
            if deadline > earliest {
                return;
            }
        }
        self.slots[slot].earliest = deadline;
        self.slots[slot].in_doubt = false;
    }

    /// Unlinks a timer from its slot.
    #[inline(always)]
    pub(super) fn unlink<P>(&mut self, nodes: &mut Nodes<P>, slot: usize, index: u32) {
        let node = &nodes[index];
        let (deadline, prev, next) = (node.deadline, node.prev, node.next);
        if next != NIL {
            nodes[next].prev = prev;
        }
        if prev != NIL {
            nodes[prev].next = next;
        } else {
            debug_assert_eq!(self.slots[slot].head, index, "the first timer of a slot is its head");
            self.slots[slot].head = next;
            if next == NIL {
                self.in_use[slot / SLOTS] &= !(1 << (slot % SLOTS));
            }
        }
        if self.slots[slot].earliest == deadline {
            self.slots[slot].in_doubt = true;
        }
    }

    /// Returns a lower bound of the deadlines in the wheel: usually the earliest deadline itself.
    ///
    /// If the earliest timer of the first slot was cancelled, the next one is searched for, once
    /// and only among a few timers. In a crowded slot the cancelled deadline stays: otherwise a
    /// server that cancels its timeouts in the order of their deadlines would search its longest
    /// list again and again.
    pub(super) fn earliest<P>(&mut self, nodes: &Nodes<P>) -> Option<u64> {
        let slot = &mut self.slots[self.first()?];
        if slot.in_doubt {
            slot.in_doubt = false;
            let mut index = slot.head;
            let mut earliest = u64::MAX;
            for _ in 0..SCAN {
                earliest = earliest.min(nodes[index].deadline);
                index = nodes[index].next;
                if index == NIL {
                    slot.earliest = earliest;
                    break;
                }
            }
        }
        Some(slot.earliest)
    }

    /// Moves the current tick towards `now`, but not past a slot in use.
    ///
    /// If the tick enters a slot, this returns the list of that slot. Its timers are then out of
    /// the wheel, and each needs a new place. Otherwise no timer of the wheel is due.
    pub(super) fn advance(&mut self, now: u64) -> Option<u32> {
        let target = now >> TICK_BITS;
        if let Some(slot) = self.first().filter(|&slot| self.start_of(slot) <= target) {
            // Moves straight to the earliest timer, so that a timer alone in its slot goes from any
            // level to the near timers at once.
            self.tick = target.min(self.slots[slot].earliest >> TICK_BITS);
            self.in_use[slot / SLOTS] &= !(1 << (slot % SLOTS));
            return Some(std::mem::replace(&mut self.slots[slot].head, NIL));
        }
        self.tick = self.tick.max(target);
        None
    }

    /// Returns the slot of the earliest timer.
    fn first(&self) -> Option<usize> {
        let level = self.in_use.iter().position(|&bits| bits != 0)?;
        Some(level * SLOTS + self.in_use[level].trailing_zeros() as usize)
    }

    /// Returns the first tick of a slot that lies ahead.
    fn start_of(&self, slot: usize) -> u64 {
        let shift = (slot / SLOTS) as u32 * DIGIT_BITS;
        let above = shift + DIGIT_BITS;
        self.tick >> above << above | ((slot % SLOTS) as u64) << shift
    }
}

#[cfg(test)]
impl Wheel {
    /// Checks the slot of every timer, and returns the number of timers.
    pub(super) fn check<P>(&self, nodes: &Nodes<P>) -> usize {
        let mut count = 0;
        for (number, slot) in self.slots.iter().enumerate() {
            assert_eq!(slot.head != NIL, self.in_use[number / SLOTS] >> (number % SLOTS) & 1 == 1);
            let (mut prev, mut index) = (NIL, slot.head);
            while index != NIL {
                let node = &nodes[index];
                assert_eq!(node.prev, prev);
                assert_eq!(self.slot_of(node.deadline), Some(number));
                assert!(slot.earliest <= node.deadline);
                assert!(self.start_of(number) <= slot.earliest >> TICK_BITS);
                count += 1;
                (prev, index) = (index, node.next);
            }
        }
        count
    }
}
