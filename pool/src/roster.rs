//! Entries in the order in which they came, each found by its key at once: a slab with a list through it.

use std::iter;

use slab::Slab;

/// Names an entry, also after it has left: its place may be another's by then, its number never is.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    place: usize,
    number: usize,
}

impl Key {
    /// How many came before it.
    pub(crate) fn number(self) -> usize {
        self.number
    }
}

struct Entry<T> {
    value: T,
    number: usize,
    /// The places of its neighbours.
    before: Option<usize>,
    after: Option<usize>,
}

pub(crate) struct Roster<T> {
    entries: Slab<Entry<T>>,
    first: Option<usize>,
    last: Option<usize>,
    pushed: usize,
}

impl<T> Default for Roster<T> {
    fn default() -> Self {
        Roster { entries: Slab::new(), first: None, last: None, pushed: 0 }
    }
}

impl<T> Roster<T> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many have come so far, which is the number of the next.
    pub(crate) fn pushed(&self) -> usize {
        self.pushed
    }

    pub(crate) fn push(&mut self, value: T) -> Key {
        let number = self.pushed;
        self.pushed += 1;
        let place = self.entries.insert(Entry { value, number, before: self.last, after: None });
        match self.last.replace(place) {
            Some(last) => self.entries[last].after = Some(place),
            None => self.first = Some(place),
        }
        Key { place, number }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        self.entries.get(key.place).filter(|entry| entry.number == key.number).map(|entry| &entry.value)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        let Entry { value, before, after, .. } = self.entries.remove(key.place);
        match before {
            Some(before) => self.entries[before].after = after,
            None => self.first = after,
        }
        match after {
            Some(after) => self.entries[after].before = before,
            None => self.last = before,
        }
        Some(value)
    }

    /// Takes all out, in order.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        iter::from_fn(|| self.remove(self.key(self.first?))).collect()
    }

    /// All, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        let places = iter::successors(self.first, |place| self.entries[*place].after);
        places.map(|place| (self.key(place), &self.entries[place].value))
    }

    fn key(&self, place: usize) -> Key {
        Key { place, number: self.entries[place].number }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(roster: &Roster<char>) -> String {
        roster.iter().map(|(_, value)| *value).collect()
    }

    #[test]
    fn order_is_that_of_coming_wherever_the_places_are() {
        let mut roster = Roster::default();
        let [a, b, c] = ['a', 'b', 'c'].map(|value| roster.push(value));
        assert_eq!(roster.remove(b), Some('b'));
        roster.push('d');
        assert_eq!(roster.remove(a), Some('a'));
        roster.push('e');
        assert_eq!(values(&roster), "cde");
        assert_eq!(roster.remove(c), Some('c'));
        assert_eq!(roster.take_all(), ['d', 'e']);
        assert_eq!((roster.len(), roster.pushed()), (0, 5));
        roster.push('f');
        assert_eq!(values(&roster), "f");
    }

    #[test]
    fn the_key_of_one_who_left_finds_nobody() {
        let mut roster = Roster::default();
        let old = roster.push('a');
        roster.take_all();
        let new = roster.push('b');
        assert_eq!(roster.remove(old), None);
        assert_eq!(roster.get(old), None);
        assert_eq!((roster.get(new), new.number()), (Some(&'b'), 1));
    }
}
