//! Scopes: greenlets that may borrow from the frame that spawns them, like `std::thread::scope` for
//! threads.
#![expect(unsafe_code, reason = "lets a body that borrows from a frame pass for one that does not")]

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::panic::Location;
use std::rc::Rc;

use crate::borrow::frame_guard::FrameGuard;
use crate::borrow::scope_children::{Ask, Children, Work};
use crate::exception::{Exception, Failure};
use crate::greenlet::builder::Builder;
use crate::scheduler::current;
use crate::scheduler::unwind::{Escape, guard, guard_drop};
use crate::task::AnyGreenlet;
use crate::task::LinkId;
use crate::task::body::ScopedBody;
use crate::wait::limit::Limit;
use crate::wait::waitable::Waitable;

/// A scope for spawning greenlets that may borrow. Made by [`scope`].
///
/// `'scope` is the time in which such greenlets may run, `'env` is the lifetime of the values that
/// existed before the scope.
pub struct Scope<'scope, 'env: 'scope> {
    children: Rc<Children>,
    /// Invariant, so that it cannot be shortened to lend a value that does not live long enough.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// A greenlet of a [`Scope`] with a body that returns a `T`.
///
/// A scoped greenlet dereferences to [`AnyGreenlet`], which has every method that does not depend
/// on the type of the result. A clone of the [`AnyGreenlet`] may outlive the scope; the value may
/// not, and so is kept here.
pub struct ScopedGreenlet<'scope, T> {
    any: AnyGreenlet,
    child: Ask,
    value: Rc<Cell<Option<T>>>,
    scope: PhantomData<&'scope ()>,
}

/// The work of a child, with its borrows.
type BorrowingWork<'a> = Box<dyn FnOnce() -> Result<(), Exception> + 'a>;

/// Runs `f`, which may spawn greenlets that borrow from the caller's frame, and returns when all of
/// them have ended.
///
/// The greenlets are spawned by [`Scope::spawn`]; they too may spawn into the scope. They need not
/// be `Send`, and share `Cell`s, as all greenlets of a thread do.
///
/// * When `f` returns, the scope waits for the greenlets. If one of them failed and was not
///   [joined](ScopedGreenlet::join), its failure is raised out of this call when all have ended; of
///   several, the first in time. The others are not killed because of it. A plain kill is not a
///   failure, and `SystemExit` goes to the main greenlet as always.
/// * When `f` is left by a panic or an exception, the greenlets are killed with it and waited for,
///   and then the unwinding continues.
/// * A greenlet may catch its kill, or wait in a destructor: the scope waits as long as it takes. A
///   greenlet that is spawned after the kill is not killed, so that a destructor can still run
///   work.
/// * In the main greenlet, when nothing is left that could wake any of them, they are killed with
///   the [`LoopExit`](crate::LoopExit), which is then raised here. If some of them cannot end even
///   so, stderr lists them and the process is aborted: they borrow from a frame that must not be
///   left.
///
/// # Panics
///
/// With the panic of `f`. Raises [`BlockingSwitchOutError`](crate::BlockingSwitchOutError), before
/// `f` is called, in callbacks of the hub.
///
/// # Cancellation
///
/// A kill or a timeout that arrives while the scope waits is passed on to its greenlets, and raised
/// here when all have ended. Later ones are raised at the caller's next wait, unless they have
/// become void by then.
///
/// # Examples
///
/// ```
/// use ramie::{scope, yield_now};
///
/// let words = ["no", "copies", "made"];
/// let mut longest = String::new();
/// let total = scope(|s| {
///     let lengths = s.spawn(|| words.iter().map(|word| word.len()).sum::<usize>());
///     s.spawn(|| {
///         yield_now();
///         longest.push_str(words.iter().max_by_key(|word| word.len()).unwrap());
///     });
///     lengths.join().unwrap()
/// });
/// assert_eq!((total, longest.as_str()), (12, "copies"));
/// ```
///
/// A greenlet cannot outlive the scope (the compiler's error, `lifetime may not live long enough`,
/// has no code):
///
/// ```compile_fail
/// ramie::scope(|s| s.spawn(|| 5)).join();
/// ```
///
/// Its handle cannot outlive the scope either:
///
/// ```compile_fail,E0521
/// let mut handle = None;
/// ramie::scope(|s| handle = Some(s.spawn(|| 5)));
/// ```
///
/// The scope itself cannot be kept, since it would accept borrows after its end:
///
/// ```compile_fail,E0521
/// let mut kept = None;
/// ramie::scope(|s| kept = Some(s));
/// ```
///
/// Two greenlets cannot both borrow a value mutably:
///
/// ```compile_fail,E0499
/// let mut count = 0;
/// ramie::scope(|s| {
///     s.spawn(|| count += 1);
///     s.spawn(|| count += 1);
/// });
/// ```
///
/// Values of the closure itself are gone before its greenlets are:
///
/// ```compile_fail,E0373
/// ramie::scope(|s| {
///     let own = 5;
///     s.spawn(|| println!("{own}"));
/// });
/// ```
///
/// ```compile_fail,E0597
/// ramie::scope(|s| {
///     let own = String::from("mine");
///     let lent = &own;
///     s.spawn(move || println!("{lent}"));
/// });
/// ```
///
/// A lent value cannot be used while it is lent:
///
/// ```compile_fail,E0506
/// let mut count = 0;
/// ramie::scope(|s| {
///     s.spawn(|| println!("{count}"));
///     count = 1;
/// });
/// ```
///
/// Greenlets stay on their thread:
///
/// ```compile_fail,E0277
/// ramie::scope(|s| {
///     std::thread::scope(|threads| { threads.spawn(|| { s.spawn(|| ()); }); });
/// });
/// ```
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let lender = FrameGuard::new();
    let scope = Scope { children: Children::new(), scope: PhantomData, env: PhantomData };
    let result = guard(|| f(&scope));
    let leaving = result.as_ref().err().map(Escape::exception);
    let raise = lender.wait_uninterruptibly(&*scope.children, "scope", leaving);
    lender.release();
    let failure = scope.children.failure();
    match result {
        Err(escape) => escape.resume(),
        Ok(value) => {
            let Some(exception) = raise.or_else(|| failure.map(Exception::new)) else { return value };
            guard_drop(value);
            Escape::Exception(exception).resume()
        }
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Creates a greenlet that may borrow values that outlive the scope, and queues its start. Does
    /// not let other greenlets run.
    ///
    /// The greenlet starts when the caller next waits, at the latest at the scope's end. The `Err`
    /// of a [`fallible`](crate::fallible) body is its failure.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{fallible, scope};
    ///
    /// let text = String::from("12,x");
    /// let parsed: Vec<_> = scope(|s| {
    ///     let parts: Vec<_> = text.split(',').map(|part| s.spawn(fallible(|| part.parse::<u32>()))).collect();
    ///     parts.into_iter().map(|part| part.join()).collect()
    /// });
    /// assert!(parsed[0].is_ok() && parsed[1].as_ref().unwrap_err().is::<std::num::ParseIntError>());
    /// ```
    #[track_caller]
    pub fn spawn<B: ScopedBody<Value: 'scope> + 'scope>(
        &'scope self,
        body: B,
    ) -> ScopedGreenlet<'scope, B::Value> {
        Builder::new().spawn_scoped(self, body)
    }
}

impl Builder {
    /// Creates a greenlet of a scope and queues its start; see [`Scope::spawn`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{Builder, scope};
    ///
    /// let name = String::from("worker");
    /// scope(|s| {
    ///     let g = Builder::new().name(&*name).spawn_scoped(s, || name.len());
    ///     assert_eq!(g.name(), "worker");
    ///     assert_eq!(g.join().unwrap(), 6);
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_scoped<'scope, B: ScopedBody<Value: 'scope> + 'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        body: B,
    ) -> ScopedGreenlet<'scope, B::Value> {
        let value = Rc::new(Cell::new(None));
        let kept = value.clone();
        let work: BorrowingWork<'scope> = Box::new(move || {
            kept.set(Some(body.run().map_err(Exception::new)?));
            Ok(())
        });
        // SAFETY: the types differ only in a lifetime, and the borrows of `work` live for `'scope`,
        // until `scope` is left. That is after all children are gone (points 1 and 2 of the
        // folder's head). `work` goes into the list of children below, before user code can see the
        // record, and is consumed or dropped before its child is gone (3 and 4). The value is kept
        // beside the record.
        let work = unsafe { mem::transmute::<BorrowingWork<'scope>, Work>(work) };
        let site = self.site_or(Location::caller());
        let (record, child) =
            scope.children.adopt(&current::core(), work, |errand| self.record(errand, site));
        let any = AnyGreenlet { record };
        if let Err(escape) = guard(|| self.prepare_one(&any)) {
            // The greenlet will never be started.
            match guard(|| any.end_unless_started()) {
                Ok(()) => escape.resume(),
                Err(second) => {
                    guard_drop(escape);
                    second.resume();
                }
            }
        }
        any.start();
        ScopedGreenlet { any, child, value, scope: PhantomData }
    }
}

impl<T> ScopedGreenlet<'_, T> {
    /// Waits until the greenlet has ended and moves its value out. Does not let other greenlets run
    /// if it has ended already.
    ///
    /// A failure that is returned here counts as handled: the scope does not raise it any more.
    ///
    /// # Errors
    ///
    /// The failure that the greenlet ended with. A plain kill is included, since there is no value.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller leaves the greenlet as it is; the handle is gone, and the
    /// value with it.
    pub fn join(self) -> Result<T, Failure> {
        self.end("ScopedGreenlet::join", Cell::take)
    }

    /// Returns the greenlet without its result's type.
    pub fn as_any(&self) -> &AnyGreenlet {
        &self.any
    }

    fn end(
        &self,
        reason: &'static str,
        value: impl FnOnce(&Cell<Option<T>>) -> Option<T>,
    ) -> Result<T, Failure> {
        self.any.join_for(Limit::Never, reason);
        self.child.see();
        match self.any.ended_by() {
            Some(failure) => Err(failure),
            None => value(&self.value).ok_or_else(Failure::taken),
        }
    }
}

impl<T: Clone> ScopedGreenlet<'_, T> {
    /// Waits until the greenlet has ended and returns a clone of its value.
    ///
    /// # Errors
    ///
    /// As [`join`](ScopedGreenlet::join). A failure that [is taken](Failure::is_taken), when
    /// another greenlet is cloning the value and its `clone` waits.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller leaves the greenlet as it is.
    pub fn get(&self) -> Result<T, Failure> {
        self.end("ScopedGreenlet::get", |value| {
            let back = Back(value, value.take());
            back.1.clone()
        })
    }
}

/// A value that is read, and returns to its place on drop.
struct Back<'a, T>(&'a Cell<Option<T>>, Option<T>);

impl<T> Drop for Back<'_, T> {
    fn drop(&mut self) {
        self.0.set(self.1.take());
    }
}

impl<T> Deref for ScopedGreenlet<'_, T> {
    type Target = AnyGreenlet;

    fn deref(&self) -> &AnyGreenlet {
        &self.any
    }
}

impl<T> AsRef<AnyGreenlet> for ScopedGreenlet<'_, T> {
    fn as_ref(&self) -> &AnyGreenlet {
        &self.any
    }
}

impl<T> Waitable for ScopedGreenlet<'_, T> {
    fn is_ready(&self) -> bool {
        self.any.is_ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        Waitable::rawlink(&self.any, f)
    }

    fn unlink(&self, id: LinkId) {
        self.any.unlink(id);
    }
}

impl<T> fmt::Debug for ScopedGreenlet<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.any.fmt(f)
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}
