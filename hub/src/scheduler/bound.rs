//! A body and the place for its value, as stored in the hub's records.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::mem::needs_drop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crate::exception::Exception;
use crate::scheduler::current;
use crate::task::Run;
use crate::task::body::Body;

/// A body and the place for its value.
///
/// A body or value that is left when the record is dropped is dropped where the last handle is
/// dropped. In the hub nothing can wait, so there it is passed to a greenlet that drops it.
pub(super) struct Bound<B: Body> {
    body: Cell<Option<B>>,
    value: RefCell<Option<B::Value>>,
}

impl<B: Body> Bound<B> {
    pub(super) fn new(body: B) -> Self {
        Bound { body: Cell::new(Some(body)), value: RefCell::new(None) }
    }
}

impl<B: Body> Run for Bound<B> {
    // Caught here, so that an unwinding crosses no separate frame for an inlined closure.
    fn run(&self) -> thread::Result<Result<(), Exception>> {
        let body = || self.body.take().expect("a body runs once").run();
        // An unwinding leaves no state of the hub half-changed: every wait cleans up by guards.
        let value = match catch_unwind(AssertUnwindSafe(body))? {
            Ok(value) => value,
            Err(error) => return Ok(Err(Exception::new(error))),
        };
        *self.value.borrow_mut() = Some(value);
        Ok(Ok(()))
    }

    fn discard(&self) {
        drop(self.body.take());
    }

    fn drop_value(&self) {
        if needs_drop::<B::Value>() {
            // After the borrow, since the destructor may access the value.
            let value = self.value.take();
            drop(value);
        }
    }

    fn value(&self) -> &dyn Any {
        &self.value
    }
}

impl<B: Body> Drop for Bound<B> {
    #[inline]
    fn drop(&mut self) {
        if needs_drop::<B>() {
            if let Some(body) = self.body.take() {
                drop_where_it_may_wait(body);
            }
        }
        if needs_drop::<B::Value>() {
            if let Some(value) = self.value.take() {
                drop_where_it_may_wait(value);
            }
        }
    }
}

#[cold]
fn drop_where_it_may_wait<T: 'static>(left: T) {
    match current::try_core() {
        Some(core) if core.in_hub() => core.drop_in_greenlet(Box::new(left)),
        _ => drop(left),
    }
}
