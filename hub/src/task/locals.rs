//! Storage of the local values of a greenlet or a tree of greenlets.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Values by the address of their key.
type Values = HashMap<usize, Rc<dyn Any>>;

/// The values of one greenlet or one tree. Nothing is allocated before the first value.
#[derive(Default)]
pub(crate) struct Locals(RefCell<Option<Box<Values>>>);

impl Locals {
    pub(crate) fn get<T: 'static>(&self, key: usize) -> Option<Rc<T>> {
        let value = self.0.borrow().as_ref()?.get(&key)?.clone();
        Some(value.downcast().expect("a key's address belongs to one type"))
    }

    pub(crate) fn insert(&self, key: usize, value: Rc<dyn Any>) {
        // The old value is dropped after the borrow, since its destructor may use locals.
        let old = self.0.borrow_mut().get_or_insert_default().insert(key, value);
        drop(old);
    }

    /// Passes every value to `dispose`, including values that destructors of other values create.
    #[inline]
    pub(crate) fn clear(&self, dispose: impl FnMut(Rc<dyn Any>)) {
        if self.0.borrow().is_some() {
            self.clear_all(dispose);
        }
    }

    #[cold]
    fn clear_all(&self, mut dispose: impl FnMut(Rc<dyn Any>)) {
        while let Some(values) = self.0.take() {
            values.into_values().for_each(&mut dispose);
        }
    }
}
