//! A future that is ready at a point in time, by a timer of the hub.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use crate::inbox::hub_inbox::{Inbox, Message};
use crate::loom::Mutex;
use crate::scheduler::borrowed::wake_future;
use crate::scheduler::{Core, TimerAction, Watch, WatchKind, current};
use crate::timers::TimerId;

/// A future that is ready at a point in time, for executors that let a hub run on the thread that
/// polls.
///
/// The first poll starts a timer of the hub of its thread, which is created if there was none. The
/// timer keeps the loop alive. The future may move to another thread between two polls: the next
/// poll replaces the timer by one of the hub there. The waker of the last poll is the one that is
/// woken. A poll after it was ready is ready again.
///
/// A greenlet that only has to sleep calls [`sleep`](crate::sleep).
///
/// # Cancellation
///
/// A drop cancels the timer, from any thread, and leaves nothing behind.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use ramie::hub::Sleep;
///
/// let begun = Instant::now();
/// ramie::block_on(async {
///     Sleep::after(Duration::from_millis(2)).await;
///     Sleep::until(begun + Duration::from_millis(3)).await;
/// });
/// assert!(begun.elapsed() >= Duration::from_millis(3));
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    /// `None` for a time that the clock does not reach.
    deadline: Option<Instant>,
    timer: Option<Timer>,
}

impl Sleep {
    /// Creates a future that is ready at `deadline`.
    pub fn until(deadline: Instant) -> Self {
        Sleep { deadline: Some(deadline), timer: None }
    }

    /// Creates a future that is ready after `duration` from now on.
    pub fn after(duration: Duration) -> Self {
        Sleep { deadline: Instant::now().checked_add(duration), timer: None }
    }

    /// Sets another deadline. The future must be polled again for that: its old timer is cancelled.
    pub fn reset(&mut self, deadline: Instant) {
        self.timer = None;
        self.deadline = Some(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let core = current::core();
        if let Some(timer) = this.timer.as_ref().filter(|timer| timer.is_of(&core)) {
            ready!(timer.alarm.wait(cx.waker()));
            this.timer = None;
            return Poll::Ready(());
        }
        // A timer of another thread's hub is cancelled below.
        let deadline = this.deadline.map_or(u64::MAX, |deadline| core.at(deadline));
        if deadline <= core.now() {
            this.timer = None;
            return Poll::Ready(());
        }
        this.timer = Some(Timer::start(&core, deadline, cx.waker().clone()));
        Poll::Pending
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .field("started", &self.timer.is_some())
            .finish_non_exhaustive()
    }
}

/// A timer that was started, cancelled when it is dropped on any thread.
struct Timer {
    id: TimerId,
    /// The inbox of the hub that the timer belongs to.
    inbox: Arc<Inbox>,
    alarm: Arc<Alarm>,
}

impl Timer {
    fn start(core: &Core, deadline: u64, waker: Waker) -> Timer {
        let alarm = Arc::new(Alarm(Mutex::new(State::Waits(waker))));
        let watch = Rc::new(Ring(alarm.clone()));
        let id = core.start_timer(deadline, || TimerAction::Watch(watch), true);
        Timer { id, inbox: core.foreign().inbox().clone(), alarm }
    }

    /// Returns `true` if it is a timer of this hub.
    fn is_of(&self, core: &Core) -> bool {
        core.foreign().is_inbox(&self.inbox)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if self.alarm.silence() {
            return;
        }
        let id = self.id;
        match current::core_with(&self.inbox) {
            Some(core) => core.cancel_timer(id),
            // A hub that rejects the message has ended, and its timers with it.
            None => {
                let cancel = move || {
                    if let Some(core) = current::try_core() {
                        core.cancel_timer(id);
                    }
                };
                let _ = self.inbox.post(cancel, |cancel| Message::Call(Box::new(cancel)));
            }
        }
    }
}

/// The state that a future shares with its timer.
struct Alarm(Mutex<State>);

enum State {
    /// The timer runs, and wakes this.
    Waits(Waker),
    /// The future was dropped: the timer wakes nothing.
    Silent,
    /// The timer was due.
    Due,
}

impl Alarm {
    /// Sets the waker, unless the timer was due.
    fn wait(&self, waker: &Waker) -> Poll<()> {
        match &*self.0.lock() {
            State::Due => return Poll::Ready(()),
            State::Waits(old) if old.will_wake(waker) => return Poll::Pending,
            _ => {}
        }
        // Cloning and dropping a waker are user code, so neither happens under the lock.
        let mut other = State::Waits(waker.clone());
        let mut state = self.0.lock();
        if matches!(*state, State::Due) {
            return Poll::Ready(());
        }
        std::mem::swap(&mut *state, &mut other);
        Poll::Pending
    }

    /// Drops the waker. Returns `true` if the timer was due.
    fn silence(&self) -> bool {
        let mut state = self.0.lock();
        if matches!(*state, State::Due) {
            return true;
        }
        let old = std::mem::replace(&mut *state, State::Silent);
        drop(state);
        drop(old);
        false
    }

    /// Records that the timer was due, and wakes the future.
    fn ring(&self) {
        let old = std::mem::replace(&mut *self.0.lock(), State::Due);
        if let State::Waits(waker) = old {
            wake_future(waker);
        }
    }
}

/// The timer's side, as the loop uses it.
struct Ring(Arc<Alarm>);

impl Watch for Ring {
    fn kind(&self) -> WatchKind {
        WatchKind::Timer
    }

    fn priority(&self) -> i8 {
        0
    }

    fn mark_pending(&self) {}

    fn fire_pending(self: Rc<Self>, core: &Core) {
        self.fire(core);
    }

    fn fire(&self, _core: &Core) {
        self.0.ring();
    }
}
