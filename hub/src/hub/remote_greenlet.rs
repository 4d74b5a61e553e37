//! Greenlets that another thread spawns in a hub, and their handles there.

use std::fmt;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::{GetError, HubGone, TimedOut};
use crate::exception::{Exception, Failure};
use crate::greenlet::builder::{Builder, spawn_raw};
use crate::greenlet::handle::Greenlet;
use crate::inbox::hub_inbox::Message;
use crate::inbox::registry::Owed;
use crate::inbox::thread_bound::ThreadBound;
use crate::remote::handle::Remote;
use crate::remote::job::JobFailure;
use crate::scheduler::current;
use crate::shared::{PollWaiter, WaitQueue, Waits};
use crate::task::body::{Body, ScopedBody};
use crate::task::{AnyGreenlet, Lane, WeakTaskRef};
use crate::wait::limit::Limit;

/// A value, or a failure that is still to be made on the thread that takes it.
type Outcome<T> = Result<T, Box<dyn FnOnce() -> Failure + Send>>;

enum Progress<T> {
    /// The greenlet has not ended.
    Runs,
    Ended(Outcome<T>),
    Taken,
    /// The hub has ended before the greenlet was known to end.
    Lost,
}

struct State<T> {
    progress: Progress<T>,
    /// `false` once the handle is dropped.
    wanted: bool,
    /// The greenlet, while it is alive.
    target: Option<ThreadBound<WeakTaskRef>>,
}

impl<T> State<T> {
    fn over(&self) -> bool {
        !matches!(self.progress, Progress::Runs)
    }

    /// Takes the outcome out, if there is one.
    fn take(&mut self) -> Option<Progress<T>> {
        match mem::replace(&mut self.progress, Progress::Taken) {
            Progress::Runs => {
                self.progress = Progress::Runs;
                None
            }
            Progress::Lost => {
                self.progress = Progress::Lost;
                Some(Progress::Lost)
            }
            ended => Some(ended),
        }
    }
}

impl<T: 'static> Waits for State<T> {
    fn ready(&self, _lane: Lane) -> usize {
        if self.over() { usize::MAX } else { 0 }
    }
}

impl<T> Progress<T> {
    /// Converts this into the result of a call that has taken it.
    fn into_result(self) -> Result<T, Failure> {
        match self {
            Progress::Ended(Ok(value)) => Ok(value),
            Progress::Ended(Err(failure)) => Err(failure()),
            Progress::Lost => Err(Failure::from(Exception::new(HubGone(())))),
            Progress::Runs | Progress::Taken => Err(Failure::taken()),
        }
    }
}

/// The duty to report the end of the greenlet. It is part of the message to the hub, later an entry
/// in the registry of the hub, which drops it when it ends.
struct Report<T: 'static>(WaitQueue<State<T>>);

impl<T: 'static> Report<T> {
    /// Spawns the greenlet, in the hub.
    fn spawn<B>(self, body: B, site: &'static Location<'static>, kill_if_unwanted: bool)
    where
        B: Body + ScopedBody<Value = T, Error: Send>,
    {
        let wanted = self.0.lock().wanted;
        if !wanted && kill_if_unwanted {
            return;
        }
        let builder = Builder::new().spawn_site(site);
        if !wanted {
            drop(builder.spawn(body));
            return;
        }
        let greenlet = builder.spawn(move || body.run());
        self.0.lock().target = Some(ThreadBound::new(greenlet.as_any().record.downgrade()));
        let number = current::core().expect(Owed::Answer(Box::new(self)));
        let withdrawal = Withdrawal(number);
        greenlet.rawlink(move |greenlet| {
            let Some(Owed::Answer(report)) = current::core().foreign().remove(withdrawal.number()) else {
                return;
            };
            let report = report.downcast::<Report<T>>().expect("a number belongs to one report");
            report.end(greenlet);
        });
    }

    /// Moves the outcome of the greenlet to the handle.
    fn end<E>(self, greenlet: &Greenlet<Result<T, E>>)
    where
        E: fmt::Debug + fmt::Display + Send + 'static,
    {
        // Without a handle the value is dropped as that of any other greenlet.
        if !self.0.lock().wanted {
            return;
        }
        let outcome: Outcome<T> = match greenlet.take() {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Box::new(|| JobFailure::from_error(error).into_failure())),
            Err(failure) if failure.is_panic() => {
                // The record has the payload until the failure is reported, after this.
                spawn_raw(move || self.fail::<E>(failure));
                return;
            }
            Err(failure) => return self.fail::<E>(failure),
        };
        self.hand_over(outcome);
    }

    /// Moves a failure to the handle, in a form that can be sent.
    fn fail<E>(self, failure: Failure)
    where
        E: fmt::Debug + fmt::Display + Send + 'static,
    {
        let failure = JobFailure::<E>::from_failure(failure);
        self.hand_over(Err(Box::new(|| failure.into_failure())));
    }

    fn hand_over(self, outcome: Outcome<T>) {
        let mut state = self.0.lock();
        if state.wanted {
            state.progress = Progress::Ended(outcome);
        } else {
            drop(state);
            // The destructor may wait, which it cannot do in the hub.
            let mut outcome = Some(outcome);
            spawn_raw(move || drop(outcome.take()));
        }
    }
}

impl<T: 'static> Drop for Report<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if !state.over() {
            state.progress = Progress::Lost;
        }
        let target = state.target.take();
        drop(state);
        drop(target);
    }
}

/// Drops the report of this number with the link that would have made it: the greenlet's links may
/// be removed by any holder of a handle.
struct Withdrawal(u64);

impl Withdrawal {
    /// Returns the number. A closure that calls this captures the whole, and not a copy of the field.
    fn number(&self) -> u64 {
        self.0
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        // A hub that has ended has dropped its reports.
        if let Some(core) = current::try_core() {
            drop(core.foreign().remove(self.0));
        }
    }
}

/// A greenlet of another thread's hub. Returned by [`Remote::spawn`] and [`Remote::call`].
///
/// It may be sent to any thread, waited for there, and awaited in any executor: the future's output
/// is that of [`get`](RemoteGreenlet::get).
///
/// Dropping it leaves the greenlet of [`Remote::spawn`] alone, and kills that of [`Remote::call`].
///
/// # Examples
///
/// ```
/// use std::thread;
/// use ramie::hub::RemoteGreenlet;
/// use ramie::{get_hub, sleep};
///
/// let remote = get_hub().remote();
/// let asker = thread::spawn(move || {
///     let sum: RemoteGreenlet<u32> = remote.spawn(|| (1..=4).sum()).unwrap();
///     sum.get().unwrap()
/// });
/// while !asker.is_finished() {
///     sleep(std::time::Duration::from_millis(1));
/// }
/// assert_eq!(asker.join().unwrap(), 10);
/// ```
pub struct RemoteGreenlet<T: Send + 'static> {
    waiter: PollWaiter<State<T>>,
    remote: Remote,
    kills: bool,
}

impl<T: Send + 'static> RemoteGreenlet<T> {
    /// Waits until the greenlet has ended and moves its value out. Lets other greenlets run if it
    /// waits in a greenlet, and blocks a thread that has no hub.
    ///
    /// # Errors
    ///
    /// The failure of the greenlet, in a form that this thread can hold. The error of a
    /// [`fallible`](crate::fallible) body stays as it is, and the hub does not report it. A kill [is
    /// an exit](Failure::is_exit). A panic keeps its payload, or only its message if the hub's thread
    /// has a handle of the greenlet too. Of any other exception there is the
    /// [`FailureText`](crate::FailureText). [`HubGone`] when the hub has ended before the greenlet has,
    /// or when the greenlet's links were removed (`unlink_all`), of which the report is one. A failure
    /// that [is taken](Failure::is_taken) when the outcome was taken before.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller leaves the greenlet and its outcome as they are.
    pub fn get(&self) -> Result<T, Failure> {
        match self.get_for(Limit::Never) {
            Ok(progress) => progress.into_result(),
            Err(TimedOut) => unreachable!("the wait has no limit"),
        }
    }

    /// Waits for at most `timeout`; see [`get`](RemoteGreenlet::get).
    ///
    /// # Errors
    ///
    /// [`GetError::TimedOut`] when the greenlet has not ended by then, and the errors of
    /// [`get`](RemoteGreenlet::get).
    ///
    /// # Cancellation
    ///
    /// Same as for [`get`](RemoteGreenlet::get).
    pub fn get_timeout(&self, timeout: impl Into<Limit>) -> Result<T, GetError> {
        match self.get_for(timeout.into()) {
            Ok(progress) => progress.into_result().map_err(GetError::Failed),
            Err(TimedOut) => Err(GetError::TimedOut),
        }
    }

    fn get_for(&self, limit: Limit) -> Result<Progress<T>, TimedOut> {
        let take = |state: &mut State<T>, _| state.take();
        self.waiter.queue().wait(Lane::First, limit, "RemoteGreenlet::get", take)
    }
}

impl<T: Send + 'static> RemoteGreenlet<T> {
    /// Returns `true` if the greenlet or its hub has ended.
    pub fn ready(&self) -> bool {
        self.waiter.queue().lock().over()
    }

    /// Kills the greenlet with [`GreenletExit`](crate::GreenletExit) and waits until it or its hub
    /// has ended. Lets other greenlets run if it waits in a greenlet, and blocks a thread that has no
    /// hub. Does nothing if the greenlet has ended.
    ///
    /// # Cancellation
    ///
    /// The kill stays in force when the caller is interrupted.
    pub fn kill(&self) {
        self.kill_nowait();
        let over = |state: &mut State<T>, _| state.over().then_some(());
        let _ = self.waiter.queue().wait(Lane::First, Limit::Never, "RemoteGreenlet::kill", over);
    }

    /// Queues the kill of the greenlet with [`GreenletExit`](crate::GreenletExit). Never blocks.
    pub fn kill_nowait(&self) {
        let queue = self.waiter.queue().clone();
        // Arrives after the message that spawns the greenlet. A hub that has ended has no greenlets.
        let _ = self.remote.post(move || {
            let target = queue.lock().target.as_ref().and_then(|target| target.get()?.upgrade());
            if let Some(record) = target {
                AnyGreenlet { record }.kill_nowait();
            }
        });
    }
}

/// The output is that of [`get`](RemoteGreenlet::get), on the thread that polls. A future that is
/// dropped is a dropped handle.
impl<T: Send + 'static> Future for RemoteGreenlet<T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.waiter.poll(cx, |state, _| state.take()).map(Progress::into_result)
    }
}

impl<T: Send + 'static> Drop for RemoteGreenlet<T> {
    fn drop(&mut self) {
        let mut state = self.waiter.queue().lock();
        state.wanted = false;
        let runs = !state.over();
        let unread = mem::replace(&mut state.progress, if runs { Progress::Runs } else { Progress::Taken });
        drop(state);
        if runs && self.kills {
            self.kill_nowait();
        }
        drop(unread);
    }
}

impl<T: Send + 'static> fmt::Debug for RemoteGreenlet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteGreenlet").field("ready", &self.ready()).finish_non_exhaustive()
    }
}

impl Remote {
    /// Queues a body for the hub to spawn as a greenlet, and returns a handle of the greenlet. Never
    /// blocks. The greenlet goes on if the handle is dropped.
    ///
    /// The hub reports a panic or an exception of the greenlet as that of any other. An `Err` of a
    /// [`fallible`](crate::fallible) body goes to the handle and is reported only if there is none
    /// when the greenlet starts.
    ///
    /// # Errors
    ///
    /// [`HubGone`] with the body when the hub has ended.
    #[track_caller]
    pub fn spawn<B>(&self, body: B) -> Result<RemoteGreenlet<B::Value>, HubGone<B>>
    where
        B: Body + ScopedBody<Value: Send, Error: Send> + Send,
    {
        let site = Location::caller();
        let (handle, report) = self.handle(false);
        let post = |body| Message::Call(Box::new(move || report.spawn(body, site, false)));
        self.inbox().post(body, post)?;
        Ok(handle)
    }

    /// Calls a body in a greenlet of the hub, and returns a handle to wait for or await. Never
    /// blocks. If the handle is dropped before the call has ended, the greenlet is killed; if it has
    /// not started, the body is dropped in the hub.
    ///
    /// The failure of a call to a hub that has ended is [`HubGone`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::thread;
    /// use ramie::{fallible, get_hub};
    ///
    /// let hub = get_hub();
    /// let (done, waker) = hub.waiter();
    /// let remote = hub.remote();
    /// let asker = thread::spawn(move || {
    ///     let failed = remote.call(fallible(|| "twelve".parse::<u32>())).get().unwrap_err();
    ///     waker.wake();
    ///     failed.is::<std::num::ParseIntError>()
    /// });
    /// done.wait();
    /// assert!(asker.join().unwrap());
    /// ```
    #[track_caller]
    #[must_use = "a call whose handle is dropped is killed"]
    pub fn call<B>(&self, body: B) -> RemoteGreenlet<B::Value>
    where
        B: Body + ScopedBody<Value: Send, Error: Send> + Send,
    {
        let site = Location::caller();
        let (handle, report) = self.handle(true);
        let post = |body| Message::Call(Box::new(move || report.spawn(body, site, true)));
        // A body that is given back is dropped with its report, which is the failure of the call.
        drop(self.inbox().post(body, post));
        handle
    }

    fn handle<T: Send + 'static>(&self, kills: bool) -> (RemoteGreenlet<T>, Report<T>) {
        let queue = WaitQueue::new(State { progress: Progress::Runs, wanted: true, target: None });
        let waiter = queue.poll_waiter(Lane::First);
        (RemoteGreenlet { waiter, remote: self.clone(), kills }, Report(queue))
    }
}
