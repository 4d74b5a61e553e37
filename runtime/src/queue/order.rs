//! The orders in which a queue returns its items.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;

/// The order of a queue: [`Fifo`], [`Lifo`] or [`Smallest`].
pub trait Order<T>: Default {
    /// `true` if [`push`](Order::push) and [`pop`](Order::pop) call code of the items, such as a
    /// comparison. That code must not wait: the queue is borrowed during the call, and a wait
    /// raises [`WaitWhileBorrowed`](crate::hub::WaitWhileBorrowed).
    const CALLS_ITEMS: bool = true;

    /// Adds an item.
    fn push(&mut self, item: T);
    /// Removes and returns the next item.
    fn pop(&mut self) -> Option<T>;
    /// Returns the next item.
    fn head(&self) -> Option<&T>;
    /// Returns the number of items.
    fn size(&self) -> usize;
}

/// First in, first out.
pub struct Fifo<T>(VecDeque<T>);

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Fifo(VecDeque::new())
    }
}

impl<T> Order<T> for Fifo<T> {
    const CALLS_ITEMS: bool = false;

    fn push(&mut self, item: T) {
        self.0.push_back(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    fn head(&self) -> Option<&T> {
        self.0.front()
    }

    fn size(&self) -> usize {
        self.0.len()
    }
}

/// Last in, first out.
pub struct Lifo<T>(Vec<T>);

impl<T> Default for Lifo<T> {
    fn default() -> Self {
        Lifo(Vec::new())
    }
}

impl<T> Order<T> for Lifo<T> {
    const CALLS_ITEMS: bool = false;

    fn push(&mut self, item: T) {
        self.0.push(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    fn head(&self) -> Option<&T> {
        self.0.last()
    }

    fn size(&self) -> usize {
        self.0.len()
    }
}

/// The smallest item first; equal items in the order in which they were put.
pub struct Smallest<T> {
    heap: BinaryHeap<Reverse<Ranked<T>>>,
    put: u64,
}

struct Ranked<T> {
    item: T,
    put: u64,
}

impl<T: Ord> Ord for Ranked<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.item.cmp(&other.item).then(self.put.cmp(&other.put))
    }
}

impl<T: Ord> PartialOrd for Ranked<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> PartialEq for Ranked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T: Ord> Eq for Ranked<T> {}

impl<T: Ord> Default for Smallest<T> {
    fn default() -> Self {
        Smallest { heap: BinaryHeap::new(), put: 0 }
    }
}

impl<T: Ord> Order<T> for Smallest<T> {
    fn push(&mut self, item: T) {
        self.put += 1;
        self.heap.push(Reverse(Ranked { item, put: self.put }));
    }

    fn pop(&mut self) -> Option<T> {
        self.heap.pop().map(|Reverse(ranked)| ranked.item)
    }

    fn head(&self) -> Option<&T> {
        self.heap.peek().map(|Reverse(ranked)| &ranked.item)
    }

    fn size(&self) -> usize {
        self.heap.len()
    }
}

impl<T> fmt::Debug for Fifo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fifo")
    }
}

impl<T> fmt::Debug for Lifo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lifo")
    }
}

impl<T> fmt::Debug for Smallest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Smallest")
    }
}
