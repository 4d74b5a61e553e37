//! The timers of the current tick and of the past, in exact order.
//!
//! Timers that come from the wheel arrive together, and usually in order: they form the *run*,
//! which is sorted once and then taken from its end. Timers that are started within the tick go to
//! a *heap*. A table has the position of each timer in either.

use std::cmp::Reverse;

use super::arena::NIL;

/// The number of children of a heap entry: with four a heap is half as deep as with two, and the
/// children lie side by side.
const CHILDREN: usize = 4;

/// A near timer. The key is copied here so that ordering reads no node.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) deadline: u64,
    pub(super) sequence: u64,
    pub(super) index: u32,
}

impl Entry {
    /// Returns the order of firing as one number, which compares without a branch.
    fn key(&self) -> u128 {
        u128::from(self.deadline) << 64 | u128::from(self.sequence)
    }
}

pub(super) struct CurrentTick {
    /// The earliest entry is the last. An entry removed from the middle stays as a tombstone with
    /// the index `NIL`; the last entry is never a tombstone.
    run: Vec<Entry>,
    /// A heap: no entry comes before its parent. The parent of entry `i` is entry `(i - 1) / 4`.
    heap: Vec<Entry>,
    /// The position of each timer in the run or in the heap, by node index; meaningless for timers
    /// that are in neither.
    positions: Vec<u32>,
}

impl CurrentTick {
    pub(super) fn new() -> Self {
        Self { run: Vec::new(), heap: Vec::new(), positions: Vec::new() }
    }

    pub(super) fn first(&self) -> Option<&Entry> {
        match (self.run.last(), self.heap.first()) {
            (Some(run), Some(heap)) => Some(if run.key() < heap.key() { run } else { heap }),
            (run, heap) => run.or(heap),
        }
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.make_room(entry.index);
        self.heap.push(entry);
        self.rise(self.heap.len() - 1);
    }

    /// Adds an entry to the run without ordering it. [`restore`](Self::restore) must follow.
    pub(super) fn append(&mut self, entry: Entry) {
        self.make_room(entry.index);
        self.run.push(entry);
    }

    fn make_room(&mut self, index: u32) {
        let index = index as usize;
        if index >= self.positions.len() {
            self.positions.resize(index + 1, 0);
        }
    }

    /// Sorts the run after entries were appended to an empty run.
    ///
    /// The timers of a slot are usually in order already, the latest first: equal timeouts are
    /// started in the order of their deadlines, and the timer linked last is first in its slot.
    /// Then the sort costs one pass.
    pub(super) fn restore(&mut self) {
        self.run.sort_unstable_by_key(|entry| Reverse(entry.key()));
        for (position, entry) in self.run.iter().enumerate() {
            self.positions[entry.index as usize] = position as u32;
        }
    }

    /// Removes a timer from the run or the heap.
    pub(super) fn remove(&mut self, index: u32) {
        let position = self.positions[index as usize] as usize;
        if let Some(entry) = self.run.get_mut(position).filter(|entry| entry.index == index) {
            entry.index = NIL;
            while self.run.last().is_some_and(|last| last.index == NIL) {
                self.run.pop();
            }
            return;
        }
        debug_assert_eq!(self.heap[position].index, index, "a near timer is in the run or in the heap");
        let key = self.heap.swap_remove(position).key();
        if position == self.heap.len() {
            return;
        }
        if self.heap[position].key() < key {
            self.rise(position);
        } else {
            self.sink(position);
        }
    }

    /// Moves an entry towards the root until no parent comes after it.
    fn rise(&mut self, mut position: usize) {
        let entry = self.heap[position];
        while position > 0 {
            let parent = (position - 1) / CHILDREN;
            if self.heap[parent].key() <= entry.key() {
                break;
            }
            self.put(position, self.heap[parent]);
            position = parent;
        }
        self.put(position, entry);
    }

    /// Moves an entry away from the root until no child comes before it.
    fn sink(&mut self, mut position: usize) {
        let entry = self.heap[position];
        loop {
            let first = position * CHILDREN + 1;
            let last = (first + CHILDREN).min(self.heap.len());
            let Some(child) = (first..last).min_by_key(|&child| self.heap[child].key()) else { break };
            if entry.key() <= self.heap[child].key() {
                break;
            }
            self.put(position, self.heap[child]);
            position = child;
        }
        self.put(position, entry);
    }

    fn put(&mut self, position: usize, entry: Entry) {
        self.heap[position] = entry;
        self.positions[entry.index as usize] = position as u32;
    }
}

#[cfg(test)]
impl CurrentTick {
    /// Checks the order, the positions, and that no entry belongs in the wheel. Returns the number
    /// of entries.
    pub(super) fn check(&self, wheel: &super::wheel::Wheel) -> usize {
        let there = self.run.iter().enumerate().filter(|(_, entry)| entry.index != NIL);
        let mut count = 0;
        for (position, entry) in there.chain(self.heap.iter().enumerate()) {
            assert_eq!(self.positions[entry.index as usize] as usize, position);
            assert_eq!(wheel.slot_of(entry.deadline), None);
            count += 1;
        }
        assert!(self.run.is_sorted_by(|one, next| one.key() > next.key()));
        assert!(self.run.last().is_none_or(|last| last.index != NIL));
        for (position, entry) in self.heap.iter().enumerate().skip(1) {
            assert!(self.heap[(position - 1) / CHILDREN].key() < entry.key());
        }
        count
    }
}
