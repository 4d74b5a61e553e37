//! The arena of timer nodes: one vector in which the node freed last is reused first.

use std::mem::ManuallyDrop;
use std::ops::{Index, IndexMut};

/// The index that means "no node" at the ends of lists.
pub(super) const NIL: u32 = u32::MAX;

/// The id of a timer, unique within its [`Timers`](super::Timers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerId {
    index: u32,
    generation: u32,
}

impl TimerId {
    pub(super) fn index(self) -> u32 {
        self.index
    }
}

/// A timer, or a free node.
pub(super) struct Node<P> {
    pub(super) deadline: u64,
    pub(super) sequence: u64,
    /// The neighbours in the list of a slot; meaningless for a near timer.
    pub(super) prev: u32,
    /// The next node in the list; in a free node, the next free node.
    pub(super) next: u32,
    /// The generation of the present timer, or of the next timer in a free node.
    generation: u32,
    /// `None` in a free node.
    payload: Option<P>,
}

/// The id and payload of a timer after its node has been freed.
pub(super) struct Removed<P> {
    pub(super) id: TimerId,
    pub(super) payload: P,
}

pub(super) struct Nodes<P> {
    nodes: Vec<Node<P>>,
    /// The node freed last, which is most likely still in the cache.
    free: u32,
    len: usize,
}

impl<P> Nodes<P> {
    pub(super) fn new() -> Self {
        Self { nodes: Vec::new(), free: NIL, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the node of a timer, unless the timer has fired or was cancelled.
    #[inline(always)]
    pub(super) fn get(&self, id: TimerId) -> Option<&Node<P>> {
        self.nodes.get(id.index as usize).filter(|node| node.generation == id.generation)
    }

    /// Fills a node. The caller links it into a list.
    ///
    /// # Panics
    ///
    /// Panics if there are 2^32 - 1 nodes and none is free.
    // Inlined, as is everything on the path of a start or a cancel. The payload is constructed
    // after the last point that can unwind, so it goes from registers to its place. Copying a value
    // that was just written in parts would wait for the writes: store-to-load forwarding fails.
    #[inline(always)]
    pub(super) fn insert(&mut self, deadline: u64, sequence: u64, payload: impl FnOnce() -> P) -> TimerId {
        if self.free == NIL {
            self.add();
        }
        self.len += 1;
        let index = self.free;
        let node = &mut self.nodes[index as usize];
        self.free = node.next;
        node.deadline = deadline;
        node.sequence = sequence;
        // The node was empty, so there is nothing to drop.
        let _none = ManuallyDrop::new(node.payload.replace(payload()));
        TimerId { index, generation: node.generation }
    }

    /// Adds one free node.
    #[cold]
    fn add(&mut self) {
        let index = u32::try_from(self.nodes.len()).unwrap_or(NIL);
        assert!(index != NIL, "too many timers");
        let (deadline, sequence, payload) = (0, 0, None);
        self.nodes.push(Node { deadline, sequence, prev: NIL, next: NIL, generation: 0, payload });
        self.free = index;
    }

    /// Frees a node that is in no list.
    ///
    /// Its generation is incremented, which invalidates old ids. A node without further generations
    /// is never filled again: a loss of some fifty bytes in four thousand million timers is the
    /// price for ids that are never ambiguous.
    ///
    /// # Panics
    ///
    /// Panics if the node is free.
    #[inline(always)]
    pub(super) fn remove(&mut self, index: u32) -> Removed<P> {
        let node = &mut self.nodes[index as usize];
        let payload = node.payload.take().expect("the node of a pending timer has a payload");
        let id = TimerId { index, generation: node.generation };
        node.generation += 1;
        if node.generation < u32::MAX {
            node.next = self.free;
            self.free = index;
        }
        self.len -= 1;
        Removed { id, payload }
    }
}

impl<P> Index<u32> for Nodes<P> {
    type Output = Node<P>;

    fn index(&self, index: u32) -> &Node<P> {
        &self.nodes[index as usize]
    }
}

impl<P> IndexMut<u32> for Nodes<P> {
    fn index_mut(&mut self, index: u32) -> &mut Node<P> {
        &mut self.nodes[index as usize]
    }
}

#[cfg(test)]
impl<P> Nodes<P> {
    /// Sets a node in use to its last generation.
    pub(super) fn wear_out(&mut self, id: TimerId) -> TimerId {
        self.nodes[id.index as usize].generation = u32::MAX - 1;
        TimerId { index: id.index, generation: u32::MAX - 1 }
    }

    /// Returns the number of nodes: used, free and retired.
    pub(super) fn total(&self) -> usize {
        self.nodes.len()
    }
}
