//! The nodes of all timers: one vector in which a freed node is the next to be used.

use std::mem::ManuallyDrop;
use std::ops::{Index, IndexMut};

/// Stands for no node at the ends of lists.
pub(super) const NIL: u32 = u32::MAX;

/// The name of one timer, which no other timer of the same [`Timers`](super::Timers) ever has.
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

/// One timer, or one free place for a timer.
pub(super) struct Node<P> {
    pub(super) deadline: u64,
    pub(super) sequence: u64,
    /// The neighbours in the list of a slot; meaningless in the heap.
    pub(super) prev: u32,
    /// In a free node, the next free one.
    pub(super) next: u32,
    /// That of the timer which is here or will be here next.
    generation: u32,
    /// `None` in a free node.
    payload: Option<P>,
}

/// What is left of a timer when its node has been freed.
pub(super) struct Removed<P> {
    pub(super) id: TimerId,
    pub(super) payload: P,
}

pub(super) struct Nodes<P> {
    nodes: Vec<Node<P>>,
    /// The node freed last: the one most likely still in the cache.
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

    /// Returns the node of a timer, unless that has fired or was cancelled.
    #[inline(always)]
    pub(super) fn get(&self, id: TimerId) -> Option<&Node<P>> {
        self.nodes.get(id.index as usize).filter(|node| node.generation == id.generation)
    }

    /// Fills a node; its place in a list is the caller's matter.
    ///
    /// # Panics
    ///
    /// Panics if there are 2^32 - 1 nodes and none is free.
    // Inlined, as all is on the way from a start or a cancel, and the payload is made where nothing can unwind any more: so it
    // goes from registers to its place. A copy of what was written in parts just now would wait for the writing to arrive.
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
        // Nothing was here, so there is nothing to drop.
        let _none = ManuallyDrop::new(node.payload.replace(payload()));
        TimerId { index, generation: node.generation }
    }

    /// Makes room for one more.
    #[cold]
    fn add(&mut self) {
        let index = u32::try_from(self.nodes.len()).unwrap_or(NIL);
        assert!(index != NIL, "too many timers");
        let (deadline, sequence, payload) = (0, 0, None);
        self.nodes.push(Node { deadline, sequence, prev: NIL, next: NIL, generation: 0, payload });
        self.free = index;
    }

    /// Frees a node that is in no list any more.
    ///
    /// Its generation counts up, and so makes ids of the past invalid. A node whose generations are used up
    /// is never filled again: some fifty bytes lost in four thousand million timers are the price for ids
    /// that never lie.
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
    /// Brings a node that is in use to its last generation.
    pub(super) fn wear_out(&mut self, id: TimerId) -> TimerId {
        self.nodes[id.index as usize].generation = u32::MAX - 1;
        TimerId { index: id.index, generation: u32::MAX - 1 }
    }

    /// Counts the nodes, used, free and worn out.
    pub(super) fn total(&self) -> usize {
        self.nodes.len()
    }
}
