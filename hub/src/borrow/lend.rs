//! Lending: a closure that borrows from the caller's frame and runs on the thread that takes it.
#![expect(unsafe_code, reason = "lets a closure that borrows from a frame pass for one that does not")]

use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::sync::Arc;

use crate::borrow::frame_guard::{Borrowers, FrameGuard};
use crate::error::NotRun;
use crate::exception::{Exception, Failure};
use crate::inbox::lease::Lease;
use crate::inbox::registry::Owed;
use crate::inbox::thread_bound::hub_number;
use crate::loom::Mutex;
use crate::remote::handle::{Waiter, Waker};
use crate::remote::job::{JobFailure, run_job_for};
use crate::scheduler::Core;
use crate::scheduler::unwind::{Escape, guard, guard_drop};
use crate::task::WaitToken;

/// Lent work, which runs on any thread that takes it. Made by [`lend`].
///
/// Dropping it ends the lender's wait as well: then [`lend`] returns an error. Leaking it
/// (`mem::forget`, a cycle of reference counts) makes the lender wait forever.
pub struct Lent {
    work: Option<Box<dyn FnOnce() + Send>>,
    gate: Arc<Lease>,
    // Dropped last: the work and all its borrows are gone when the waker wakes.
    _waker: Waker,
}

impl Lent {
    /// Runs the work. Its panics and exceptions go to the lender and not to the caller.
    pub fn run(mut self) {
        self.end(|work| work());
    }

    fn end(&mut self, how: impl FnOnce(Box<dyn FnOnce() + Send>)) {
        let Some(work) = self.work.take() else { return };
        if let Some(_within) = self.gate.enter() {
            how(work);
        } else {
            // The borrowed frame may be gone with the lender's thread: not even the destructors of
            // the work may run.
            let _leaked = ManuallyDrop::new(work);
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.end(drop);
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent(..)")
    }
}

/// The lender waits for the signal of the waker in its [`Lent`].
impl Borrowers for Waiter {
    fn left(&self) -> usize {
        usize::from(!self.is_woken())
    }

    fn tell(&self, token: WaitToken) {
        self.set_token(token);
    }

    fn interrupt(&self, _: &Core, _: &Exception) -> Option<Exception> {
        // Work on another thread cannot be interrupted.
        None
    }

    fn describe(&self) -> String {
        "work that was given to another thread".to_owned()
    }
}

/// Passes `f`, which may borrow from the caller's frame, to `start`, and waits until it has been
/// run or dropped.
///
/// This is the building block for running code elsewhere, for example on a pool of threads, without
/// moving every value into it. `start` is called at once, on the caller's stack, and passes the
/// [`Lent`] to the thread that will run it; `start` may wait. Then this call lets other greenlets
/// run until the work is done.
///
/// # Errors
///
/// The [`Failure`] of `f`: a panic with its payload; an exception that was [raised](crate::raise)
/// in it, as its [text](crate::FailureText) if that was on another thread; [`NotRun`] when the work
/// was dropped instead of run.
///
/// # Panics
///
/// With the panic of `start`, after the work is done. Raises
/// [`BlockingSwitchOutError`](crate::BlockingSwitchOutError), before anything is lent, in callbacks
/// of the hub.
///
/// # Cancellation
///
/// The caller's frame is in use, so a kill or a timeout does not interrupt this call: the first one
/// is raised, and the result dropped, as soon as the work is done. Later ones are raised at the
/// caller's next wait, unless they have become void by then.
///
/// A greenlet that waits here when its thread ends is killed like any other, without an effect on
/// its work: the work has a second to end, and then the greenlet is
/// [abandoned](crate#the-end-of-a-hub). Work that another thread has begun by then continues, and
/// the thread-locals that it may be using are leaked. (Where that is impossible the ending thread
/// blocks until the work has ended.) Work that no thread has begun never runs, and is leaked. The
/// main thread, and so the process, does not wait for lent work at all.
///
/// Work that is run by a greenlet of another thread, and is abandoned with that greenlet, never
/// ends: this call does not return.
///
/// # Examples
///
/// ```
/// use std::thread;
/// use ramie::hub::lend;
///
/// let mut numbers = vec![3, 1, 2];
/// let largest = lend(
///     || {
///         numbers.sort();
///         numbers.last().copied()
///     },
///     |work| drop(thread::spawn(move || work.run())),
/// );
/// assert_eq!(largest.unwrap(), Some(3));
/// assert_eq!(numbers, [1, 2, 3]);
/// ```
///
/// The work must be `Send`:
///
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// let here = Rc::new(5);
/// let _ = ramie::hub::lend(|| *here + 1, |work| work.run());
/// ```
///
/// Its result must be `Send` as well:
///
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// let _ = ramie::hub::lend(|| Rc::new(5), |work| work.run());
/// ```
///
/// The borrow lasts as long as the call, so `start` cannot read a value that the work writes:
///
/// ```compile_fail,E0502
/// let mut count = 0;
/// let _ = ramie::hub::lend(|| count += 1, |work| { println!("{count}"); work.run() });
/// ```
///
/// The result cannot borrow from a value that `f` owns:
///
/// ```compile_fail,E0515
/// let _ = ramie::hub::lend(|| { let own = vec![5]; own.as_slice() }, |work| work.run());
/// ```
pub fn lend<'a, T: Send + 'a>(
    f: impl FnOnce() -> T + Send + 'a,
    start: impl FnOnce(Lent),
) -> Result<T, Failure> {
    let lender = FrameGuard::new();
    let (waiter, waker) = Waiter::new();
    let packet = Arc::new(Mutex::new(None));
    let theirs = packet.clone();
    let home = hub_number();
    let work: Box<dyn FnOnce() + Send + 'a> = Box::new(move || {
        *theirs.lock() = Some(run_job_for(home, f));
    });
    // SAFETY: the types differ only in a lifetime, and the borrows of `work` live as long as this
    // call. It is left only after the waker has signalled (points 1 and 2 of the folder's head),
    // which is after the `Lent`, run or not, has dropped `work` and all that it holds (3). The
    // mailbox between the threads orders the drop before the code that follows here.
    let work = unsafe { mem::transmute::<Box<dyn FnOnce() + Send + 'a>, Box<dyn FnOnce() + Send>>(work) };
    let gate = Arc::new(Lease::new(home));
    let record = lender.core().current();
    let number = lender.core().expect(Owed::Work(gate.clone(), record));
    let started = guard(|| start(Lent { work: Some(work), gate, _waker: waker }));
    let leaving = started.as_ref().err().map(Escape::exception);
    let raise = lender.wait_uninterruptibly(&waiter, "lend", leaving);
    // The hub may end when the lender is released, so values that belong to the hub are dropped
    // first.
    drop(waiter);
    drop(lender.core().foreign().remove(number));
    let outcome = packet.lock().take();
    let outcome = outcome.map_or_else(
        || Err(Failure::from(Exception::new(NotRun))),
        |outcome| outcome.map_err(JobFailure::into_failure),
    );
    lender.release();
    let raise = match started {
        Ok(()) => raise.map(Escape::Exception),
        Err(escape) => Some(escape),
    };
    let Some(escape) = raise else { return outcome };
    guard_drop(outcome);
    escape.resume()
}
