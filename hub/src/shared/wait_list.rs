//! A list of waiters in the order of their tickets, with a count of notified waiters.

use std::collections::VecDeque;

pub(super) struct WaitList<W> {
    waiting: VecDeque<(u64, W)>,
    /// The number of waiters that were removed to be woken and have not come back yet.
    told: usize,
}

impl<W> WaitList<W> {
    pub(super) const fn new() -> Self {
        WaitList { waiting: VecDeque::new(), told: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Inserts a waiter at its ticket's position: at the end, or at its old place after a wake-up
    /// without result.
    pub(super) fn enter(&mut self, ticket: u64, who: W) {
        let at = self.waiting.partition_point(|(other, _)| *other < ticket);
        self.waiting.insert(at, (ticket, who));
    }

    /// Replaces a waiter that is in the list, and returns the old one. If the waiter is notified,
    /// clears its mark and returns the new one as the error.
    pub(super) fn renew(&mut self, ticket: u64, who: W) -> Result<W, W> {
        match self.find(ticket) {
            Ok(at) => Ok(std::mem::replace(&mut self.waiting[at].1, who)),
            Err(_) => {
                self.come_back();
                Err(who)
            }
        }
    }

    /// Withdraws a waiter: from the list, or from the count of notified waiters.
    pub(super) fn leave(&mut self, ticket: u64) -> Option<W> {
        match self.find(ticket) {
            Ok(at) => self.waiting.remove(at).map(|(_, who)| who),
            Err(_) => {
                self.come_back();
                None
            }
        }
    }

    fn find(&self, ticket: u64) -> Result<usize, usize> {
        self.waiting.binary_search_by_key(&ticket, |(other, _)| *other)
    }

    /// Clears the mark of a notified waiter.
    fn come_back(&mut self) {
        debug_assert!(self.told > 0, "a waiter is in the list or notified");
        self.told -= 1;
    }

    /// Removes the next waiter to notify, if more waiters are `ready` to proceed than are notified.
    pub(super) fn next(&mut self, ready: usize) -> Option<W> {
        if self.told >= ready {
            return None;
        }
        let (_, who) = self.waiting.pop_front()?;
        self.told += 1;
        Some(who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_in_order_and_no_more_than_ready() {
        let mut line = WaitList::new();
        for ticket in 1..=3 {
            line.enter(ticket, ticket);
        }
        assert_eq!((line.next(2), line.next(2), line.next(2)), (Some(1), Some(2), None));
    }

    #[test]
    fn keeps_the_place_of_who_was_told_in_vain() {
        let mut line = WaitList::new();
        for ticket in 1..=3 {
            line.enter(ticket, ticket);
        }
        assert_eq!(line.next(1), Some(1));
        assert_eq!(line.leave(1), None);
        line.enter(1, 1);
        assert_eq!(line.next(1), Some(1));
    }

    #[test]
    fn a_renewed_waiter_keeps_its_place() {
        let mut line = WaitList::new();
        for ticket in 1..=2 {
            line.enter(ticket, ticket);
        }
        assert_eq!(line.renew(1, 10), Ok(1));
        assert_eq!(line.next(1), Some(10));
        assert_eq!(line.renew(1, 11), Err(11));
        assert_eq!(line.next(1), Some(2));
    }

    #[test]
    fn who_leaves_hands_on() {
        let mut line = WaitList::new();
        for ticket in 1..=3 {
            line.enter(ticket, ticket);
        }
        assert_eq!((line.next(1), line.next(1)), (Some(1), None));
        assert_eq!(line.leave(2), Some(2));
        assert_eq!(line.next(1), None);
        assert_eq!(line.leave(1), None);
        assert_eq!(line.next(1), Some(3));
    }
}
