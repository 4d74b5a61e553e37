//! A slab that knows the order of insertion: entries are found by key in constant time, and listed in
//! order when that is asked for.

use slab::Slab;

/// The key of an entry. A key stays unique after its entry is removed: the place may be reused, the
/// number never is.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    place: u32,
    number: usize,
}

impl Key {
    /// Returns the place, which no other present entry has.
    pub(crate) fn place(self) -> u32 {
        self.place
    }

    /// Returns the number of entries that were inserted before this one.
    pub(crate) fn number(self) -> usize {
        self.number
    }
}

struct Entry<T> {
    value: T,
    number: usize,
}

pub(crate) struct OrderedSlab<T> {
    entries: Slab<Entry<T>>,
    pushed: usize,
}

impl<T> Default for OrderedSlab<T> {
    fn default() -> Self {
        OrderedSlab { entries: Slab::new(), pushed: 0 }
    }
}

impl<T> OrderedSlab<T> {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the number of entries inserted so far, which is the number of the next entry.
    pub(crate) fn pushed(&self) -> usize {
        self.pushed
    }

    /// Returns the key that the next entry will have.
    ///
    /// # Panics
    ///
    /// Panics if there are 2^32 entries.
    #[inline]
    pub(crate) fn next_key(&self) -> Key {
        let place = u32::try_from(self.entries.vacant_key());
        Key { place: place.expect("at most 2^32 entries"), number: self.pushed }
    }

    pub(crate) fn push(&mut self, value: T) -> Key {
        let key = self.next_key();
        self.insert(key, value);
        key
    }

    /// Inserts an entry with the key that [`next_key`](OrderedSlab::next_key) returns.
    #[inline]
    pub(crate) fn insert(&mut self, key: Key, value: T) {
        debug_assert_eq!(key.number, self.pushed, "the key of the next entry");
        self.pushed += 1;
        let place = self.entries.insert(Entry { value, number: key.number });
        debug_assert_eq!(place, key.place as usize, "the place of the next entry");
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let entry = self.entries.get(key.place as usize)?;
        (entry.number == key.number).then_some(&entry.value)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        self.take(key.place).map(|(_, value)| value)
    }

    /// Removes the entry at this place. Returns its number and its value.
    #[inline]
    pub(crate) fn take(&mut self, place: u32) -> Option<(usize, T)> {
        let Entry { value, number } = self.entries.try_remove(place as usize)?;
        Some((number, value))
    }

    /// Removes all entries and returns them in order.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        let keys: Vec<Key> = self.in_order().map(|(key, _)| key).collect();
        keys.into_iter().filter_map(|key| self.remove(key)).collect()
    }

    /// Iterates over all entries in any order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.entries.iter().map(|(place, entry)| {
            let place = u32::try_from(place).expect("checked when it was inserted");
            (Key { place, number: entry.number }, &entry.value)
        })
    }

    /// Iterates over all entries in order.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (Key, &T)> {
        let mut entries: Vec<_> = self.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| key.number);
        entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(slab: &OrderedSlab<char>) -> String {
        slab.in_order().map(|(_, value)| *value).collect()
    }

    #[test]
    fn order_is_that_of_coming_wherever_the_places_are() {
        let mut slab = OrderedSlab::default();
        let [a, b, c] = ['a', 'b', 'c'].map(|value| slab.push(value));
        let next = slab.next_key();
        let d = slab.push('d');
        assert_eq!((next.place, next.number), (d.place, d.number));
        assert_eq!(slab.remove(next), Some('d'));
        assert_eq!(slab.remove(b), Some('b'));
        slab.push('d');
        assert_eq!(slab.take(a.place()), Some((0, 'a')));
        slab.push('e');
        assert_eq!(values(&slab), "cde");
        assert_eq!(slab.iter().count(), 3);
        assert_eq!(slab.remove(c), Some('c'));
        assert_eq!(slab.take_all(), ['d', 'e']);
        assert_eq!((slab.len(), slab.pushed()), (0, 6));
        slab.push('f');
        assert_eq!(values(&slab), "f");
    }

    #[test]
    fn the_key_of_a_removed_entry_finds_nothing() {
        let mut slab = OrderedSlab::default();
        let old = slab.push('a');
        slab.take_all();
        let new = slab.push('b');
        assert_eq!(slab.remove(old), None);
        assert_eq!(slab.get(old), None);
        assert_eq!((slab.get(new), new.number()), (Some(&'b'), 1));
    }
}
