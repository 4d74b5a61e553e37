//! The functions of the user that a hub calls on its own account: the error handler and the spawn
//! callbacks.

use std::any::TypeId;
use std::cell::RefCell;
use std::collections::HashMap;

use super::report::ErrorHandler;
use super::unwind::guard_drop;
use crate::exception::{Failure, SystemExit};
use crate::task::SpawnCallback;

/// The error handler, the failures that the default report ignores, and the spawn callbacks.
pub(super) struct Hooks {
    handler: RefCell<Option<ErrorHandler>>,
    not_error: RefCell<HashMap<TypeId, OfKind>>,
    spawn_callbacks: RefCell<Vec<(u64, SpawnCallback)>>,
}

/// A function that returns `true` for failures of one kind.
type OfKind = fn(&Failure) -> bool;

impl Hooks {
    pub(super) fn new() -> Hooks {
        let hooks = Hooks {
            handler: RefCell::default(),
            not_error: RefCell::default(),
            spawn_callbacks: RefCell::default(),
        };
        hooks.not_error::<SystemExit>();
        hooks
    }

    pub(super) fn error_handler(&self) -> Option<ErrorHandler> {
        self.handler.borrow().clone()
    }

    /// Sets the error handler, and returns the old one.
    pub(super) fn set_error_handler(&self, handler: Option<ErrorHandler>) -> Option<ErrorHandler> {
        self.handler.replace(handler)
    }

    /// Makes the default report ignore failures of a kind.
    pub(super) fn not_error<E: 'static>(&self) {
        self.not_error.borrow_mut().insert(TypeId::of::<E>(), Failure::is::<E>);
    }

    /// Returns `true` if the default report prints the failure.
    pub(super) fn is_error(&self, failure: &Failure) -> bool {
        !self.not_error.borrow().values().any(|matches| matches(failure))
    }

    #[inline(always)]
    pub(super) fn has_spawn_callbacks(&self) -> bool {
        !self.spawn_callbacks.borrow().is_empty()
    }

    pub(super) fn spawn_callbacks(&self) -> Vec<SpawnCallback> {
        self.spawn_callbacks.borrow().iter().map(|(_, callback)| callback.clone()).collect()
    }

    pub(super) fn add_spawn_callback(&self, number: u64, callback: SpawnCallback) {
        self.spawn_callbacks.borrow_mut().push((number, callback));
    }

    /// Removes a spawn callback, and returns it.
    pub(super) fn remove_spawn_callback(&self, number: u64) -> Option<SpawnCallback> {
        let mut callbacks = self.spawn_callbacks.borrow_mut();
        let at = callbacks.iter().position(|(other, _)| *other == number)?;
        Some(callbacks.remove(at).1)
    }

    /// Drops every function.
    pub(super) fn close(&self) {
        self.spawn_callbacks.take().into_iter().for_each(guard_drop);
        guard_drop(self.handler.take());
    }
}
