//! Values that belong to a greenlet, or to a tree of greenlets.
//!
//! [`greenlet_local!`](crate::greenlet_local) is to greenlets what `thread_local!` is to threads:
//! each greenlet has a value of its own, created at its first use and dropped when the greenlet
//! ends. [`tree_local!`](crate::tree_local) declares a value that a greenlet shares with all
//! greenlets spawned below it, for example a request's number or a logger.

use std::fmt;
use std::rc::Rc;

use crate::scheduler::current;

/// The set of greenlets that share a value.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalScope {
    /// One greenlet.
    Greenlet,
    /// A greenlet spawned by main, and all greenlets spawned below it.
    Tree,
}

/// A key made by [`greenlet_local!`](crate::greenlet_local) or [`tree_local!`](crate::tree_local).
pub struct LocalKey<T: 'static> {
    scope: LocalScope,
    init: fn() -> T,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new(scope: LocalScope, init: fn() -> T) -> Self {
        LocalKey { scope, init }
    }

    /// Calls `f` with the value of this greenlet (or tree), which is created first if there is
    /// none.
    ///
    /// `f` may wait and let other greenlets run.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.value())
    }

    fn value(&'static self) -> Rc<T> {
        let key = std::ptr::from_ref(self).addr();
        let record = current::core().current();
        let tree;
        let locals = match self.scope {
            LocalScope::Greenlet => &record.task.cold().locals,
            LocalScope::Tree => {
                tree = record.task.tree();
                &*tree
            }
        };
        if let Some(value) = locals.get(key) {
            return value;
        }
        // Created without a borrow: the initialiser may wait, or use other locals.
        let value = Rc::new((self.init)());
        locals.insert(key, value.clone());
        value
    }
}

impl<T: Clone + 'static> LocalKey<T> {
    /// Returns a clone of the value.
    pub fn get(&'static self) -> T {
        (*self.value()).clone()
    }
}

impl<T> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Declares values that each greenlet has for itself, like `thread_local!` for threads.
///
/// A value is created when its greenlet first uses it, and dropped when the greenlet ends, on the
/// greenlet's stack. A value of the main greenlet lives as long as its hub.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use ramie::{greenlet_local, spawn};
///
/// greenlet_local! {
///     static COUNT: Cell<u32> = Cell::new(0);
/// }
///
/// COUNT.with(|count| count.set(5));
/// let other = spawn(|| COUNT.with(|count| count.get()));
/// assert_eq!(other.get().unwrap(), 0);
/// assert_eq!(COUNT.with(|count| count.get()), 5);
/// ```
#[macro_export]
macro_rules! greenlet_local {
    ($($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = $init:expr);* $(;)?) => {
        $($(#[$attr])* $vis static $name: $crate::LocalKey<$t> =
            $crate::LocalKey::new($crate::LocalScope::Greenlet, || $init);)*
    };
}

/// Declares values that a greenlet shares with all greenlets spawned below it: gevent's spawn-tree
/// locals.
///
/// A greenlet spawned by the main greenlet begins a new tree.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use ramie::{spawn, tree_local};
///
/// tree_local! {
///     static REQUEST: Cell<u32> = Cell::new(0);
/// }
///
/// let root = spawn(|| {
///     REQUEST.with(|request| request.set(7));
///     spawn(|| REQUEST.with(|request| request.get())).get().unwrap()
/// });
/// assert_eq!(root.get().unwrap(), 7);
/// ```
#[macro_export]
macro_rules! tree_local {
    ($($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = $init:expr);* $(;)?) => {
        $($(#[$attr])* $vis static $name: $crate::LocalKey<$t> =
            $crate::LocalKey::new($crate::LocalScope::Tree, || $init);)*
    };
}
