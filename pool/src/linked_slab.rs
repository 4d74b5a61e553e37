//! A slab with a linked list through it: entries in order of insertion, found by key in constant
//! time.

use std::iter;

use slab::Slab;

/// The key of an entry. A key stays unique after its entry is removed: the place may be reused, the
/// number never is.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    place: usize,
    number: usize,
}

impl Key {
    /// Returns the number of entries that were inserted before this one.
    pub(crate) fn number(self) -> usize {
        self.number
    }
}

struct Entry<T> {
    value: T,
    number: usize,
    /// The places of the neighbours.
    before: Option<usize>,
    after: Option<usize>,
}

pub(crate) struct LinkedSlab<T> {
    entries: Slab<Entry<T>>,
    first: Option<usize>,
    last: Option<usize>,
    pushed: usize,
}

impl<T> Default for LinkedSlab<T> {
    fn default() -> Self {
        LinkedSlab { entries: Slab::new(), first: None, last: None, pushed: 0 }
    }
}

impl<T> LinkedSlab<T> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the number of entries inserted so far, which is the number of the next entry.
    pub(crate) fn pushed(&self) -> usize {
        self.pushed
    }

    /// Returns the key that the next entry will have.
    pub(crate) fn next_key(&self) -> Key {
        Key { place: self.entries.vacant_key(), number: self.pushed }
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

    /// Removes all entries and returns them in order.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        iter::from_fn(|| self.remove(self.key(self.first?))).collect()
    }

    /// Iterates over all entries in order.
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

    fn values(linked_slab: &LinkedSlab<char>) -> String {
        linked_slab.iter().map(|(_, value)| *value).collect()
    }

    #[test]
    fn order_is_that_of_coming_wherever_the_places_are() {
        let mut linked_slab = LinkedSlab::default();
        let [a, b, c] = ['a', 'b', 'c'].map(|value| linked_slab.push(value));
        let next = linked_slab.next_key();
        let d = linked_slab.push('d');
        assert_eq!((next.place, next.number), (d.place, d.number));
        assert_eq!(linked_slab.remove(next), Some('d'));
        assert_eq!(linked_slab.remove(b), Some('b'));
        linked_slab.push('d');
        assert_eq!(linked_slab.remove(a), Some('a'));
        linked_slab.push('e');
        assert_eq!(values(&linked_slab), "cde");
        assert_eq!(linked_slab.remove(c), Some('c'));
        assert_eq!(linked_slab.take_all(), ['d', 'e']);
        assert_eq!((linked_slab.len(), linked_slab.pushed()), (0, 6));
        linked_slab.push('f');
        assert_eq!(values(&linked_slab), "f");
    }

    #[test]
    fn the_key_of_one_who_left_finds_nobody() {
        let mut linked_slab = LinkedSlab::default();
        let old = linked_slab.push('a');
        linked_slab.take_all();
        let new = linked_slab.push('b');
        assert_eq!(linked_slab.remove(old), None);
        assert_eq!(linked_slab.get(old), None);
        assert_eq!((linked_slab.get(new), new.number()), (Some(&'b'), 1));
    }
}
