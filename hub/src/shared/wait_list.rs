//! One line of those who wait, in the order of their tickets, and the count of those who were told.

use std::collections::VecDeque;

pub(super) struct Line<W> {
    waiting: VecDeque<(u64, W)>,
    /// How many were taken out to be woken and have not come back yet.
    told: usize,
}

impl<W> Line<W> {
    pub(super) const fn new() -> Self {
        Line { waiting: VecDeque::new(), told: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Puts somebody in line: at the end, or, who was told in vain, where it stood before.
    pub(super) fn enter(&mut self, ticket: u64, who: W) {
        let at = self.waiting.partition_point(|(other, _)| *other < ticket);
        self.waiting.insert(at, (ticket, who));
    }

    /// Takes back who entered: out of the line, or off the count of those who were told.
    pub(super) fn leave(&mut self, ticket: u64) -> Option<W> {
        match self.waiting.binary_search_by_key(&ticket, |(other, _)| *other) {
            Ok(at) => self.waiting.remove(at).map(|(_, who)| who),
            Err(_) => {
                debug_assert!(self.told > 0, "who left was neither in line nor told");
                self.told -= 1;
                None
            }
        }
    }

    /// Takes the next one out to be told, if more are `ready` to go on than were told.
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
        let mut line = Line::new();
        for ticket in 1..=3 {
            line.enter(ticket, ticket);
        }
        assert_eq!((line.next(2), line.next(2), line.next(2)), (Some(1), Some(2), None));
    }

    #[test]
    fn keeps_the_place_of_who_was_told_in_vain() {
        let mut line = Line::new();
        for ticket in 1..=3 {
            line.enter(ticket, ticket);
        }
        assert_eq!(line.next(1), Some(1));
        assert_eq!(line.leave(1), None);
        line.enter(1, 1);
        assert_eq!(line.next(1), Some(1));
    }

    #[test]
    fn who_leaves_hands_on() {
        let mut line = Line::new();
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
