//! The timers of the current tick and of the past, in exact order: a heap that knows where each timer is.

/// How many children an entry has: with four of them a heap is half as deep as with two, and they lie side by
/// side.
const CHILDREN: usize = 4;

/// A timer in the heap. The key is copied here so that ordering touches no node.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) deadline: u64,
    pub(super) sequence: u64,
    pub(super) index: u32,
}

impl Entry {
    /// The order of firing as one number, which compares without a branch.
    fn key(&self) -> u128 {
        u128::from(self.deadline) << 64 | u128::from(self.sequence)
    }
}

pub(super) struct Near {
    /// No entry comes before its parent; the parent of entry `i` is entry `(i - 1) / 4`.
    heap: Vec<Entry>,
    /// Where in the heap the timer with a given index is; meaningless for timers that are not in it.
    positions: Vec<u32>,
}

impl Near {
    pub(super) fn new() -> Self {
        Self { heap: Vec::new(), positions: Vec::new() }
    }

    pub(super) fn first(&self) -> Option<&Entry> {
        self.heap.first()
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.append(entry);
        self.rise(self.heap.len() - 1);
    }

    /// Adds an entry at the end without ordering the heap; [`restore`](Self::restore) must follow.
    pub(super) fn append(&mut self, entry: Entry) {
        let index = entry.index as usize;
        if index >= self.positions.len() {
            self.positions.resize(index + 1, 0);
        }
        self.heap.push(entry);
    }

    /// Orders the heap after entries were appended to an empty one.
    ///
    /// Sorting does more than a heap needs. But the timers of a slot are usually sorted already, in reverse,
    /// because equal timeouts are started in the order of their deadlines, and then it costs one pass.
    pub(super) fn restore(&mut self) {
        self.heap.sort_unstable_by_key(Entry::key);
        for (position, entry) in self.heap.iter().enumerate() {
            self.positions[entry.index as usize] = position as u32;
        }
    }

    /// Removes a timer that is in the heap.
    pub(super) fn remove(&mut self, index: u32) {
        let position = self.positions[index as usize] as usize;
        debug_assert_eq!(self.heap[position].index, index, "the timer is not in the heap");
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
impl Near {
    /// Checks the order, the positions and that no entry belongs into the wheel, and returns the number of
    /// entries.
    pub(super) fn check(&self, wheel: &super::Wheel) -> usize {
        for (position, entry) in self.heap.iter().enumerate() {
            assert_eq!(self.positions[entry.index as usize] as usize, position);
            assert_eq!(wheel.slot_of(entry.deadline), None);
            assert!(position == 0 || self.heap[(position - 1) / CHILDREN].key() < entry.key());
        }
        self.heap.len()
    }
}
