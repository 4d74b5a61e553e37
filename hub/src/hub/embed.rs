//! Running a hub inside the loop of another program.

#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::Waker;
use std::time::Instant;

use super::handle::Hub;
use crate::scheduler::{Mode, Next, current};

/// Embedding: the loop of another program runs the hub of its thread, one iteration at a time.
///
/// A program that has a loop of its own (of a window system, of another runtime, of C) calls
/// [`poll_once`](Hub::poll_once) from it, and waits in its own way until the hub wants the next
/// iteration: until the deadline of [`Next::At`], until the hub's descriptor is readable, or until
/// the driver is woken.
///
/// | what happens | how the program learns of it |
/// |---|---|
/// | something is still queued after the iteration | [`Next::Now`] |
/// | a sleep, a limit or a timeout ends | [`Next::At`] |
/// | a source becomes ready | the descriptor becomes readable |
/// | another thread posts, or wakes a greenlet | the descriptor becomes readable |
/// | the program itself spawns, wakes, kills or starts a timer between two iterations | the [driver](Hub::set_driver) is woken |
///
/// # The descriptor
///
/// On Unix a `Hub` has a descriptor ([`AsFd`](std::os::fd::AsFd) and
/// [`AsRawFd`](std::os::fd::AsRawFd)), to be watched for reading by `epoll`, `poll` or anything
/// built on them. It must not be read, written, or changed.
///
/// * *Level-triggered* (`poll`, `epoll` by default): watch it and call `poll_once` whenever it is
///   readable. Each call takes what there was, so the descriptor is not readable afterwards until
///   something new happens. It may be readable for nothing: a new socket may be written, and no
///   greenlet waits for that.
/// * *Edge-triggered* (`EPOLLET`, mio, tokio's `AsyncFd`): the same, but clear the readiness that
///   the outer loop keeps (`AsyncFdReadyGuard::clear_ready`) *before* the call. An event after the
///   call is a new edge. An event that does not fit into one call makes it return `Next::Now`.
///
/// The descriptor of `AsFd` stays open until the process ends, even if the thread and its hub end
/// earlier, since a borrow can last that long. The number of `AsRawFd` is that of a descriptor
/// which the hub closes when it ends, at the end of its thread, unless `AsFd` was used too.
impl Hub {
    /// Runs one iteration of the loop and never blocks. Lets other greenlets run.
    ///
    /// The iteration is the same as one of the loop that runs while the main greenlet waits: it runs
    /// what is queued at the time of the call, polls, and runs what is due then: timers and ready
    /// sources. What these queue in turn is left to the next iteration, so greenlets that always
    /// yield have one turn each. After the [switch interval](Hub::set_switch_interval), the rest of
    /// the queue is left to the next iteration too. Nothing is preempted: the iteration takes as
    /// long as the greenlets that run in it.
    ///
    /// Never raises [`LoopExit`](crate::LoopExit): a hub with nothing left to do is
    /// [`Next::Idle`]. [`Hub::greenlets`] and [`Hub::stats`] tell whether greenlets are left.
    ///
    /// # Cancellation
    ///
    /// An exception for the main greenlet (a kill of it, a timeout around the call,
    /// [`SystemExit`](crate::SystemExit) or another error that goes to main) ends the call, as it
    /// ends every wait of main. Nothing is lost: the rest of the iteration is left to the next one.
    /// A program that [catches](crate::catch) the exception should then call `poll_once` as after
    /// [`Next::Now`]. A driver is told so.
    ///
    /// # Panics
    ///
    /// When it is not called from the main greenlet. Raises the system's error if the poll fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc, thread, time::{Duration, Instant}};
    /// use ramie::hub::Next;
    /// use ramie::{get_hub, sleep, spawn};
    ///
    /// let hub = get_hub();
    /// let done = Rc::new(Cell::new(false));
    /// let flag = done.clone();
    /// spawn(move || {
    ///     sleep(Duration::from_millis(5));
    ///     flag.set(true);
    /// });
    /// loop {
    ///     let next = hub.poll_once();
    ///     if done.get() {
    ///         break;
    ///     }
    ///     // A real program waits for its own events and for the hub's descriptor too.
    ///     thread::sleep(next.timeout(Instant::now()).expect("the greenlet sleeps"));
    /// }
    /// assert_eq!(hub.poll_once(), Next::Idle);
    /// ```
    pub fn poll_once(&self) -> Next {
        let core = current::core();
        assert!(core.mode() == Mode::Main, "Hub::poll_once must be called from the main greenlet");
        core.poll_once()
    }

    /// Returns the deadline of the earliest timer: of a sleep, a limit, a timeout or a watcher.
    /// `None` if there is none.
    ///
    /// The deadline may have passed already. It may also be that of a timer that was cancelled, but
    /// it is never later than that of a running one. What is queued does not count; see
    /// [`poll_once`](Hub::poll_once). Does not let other greenlets run.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use ramie::{get_hub, spawn_later};
    ///
    /// assert_eq!(get_hub().next_deadline(), None);
    /// let start = Instant::now();
    /// let second = Duration::from_secs(1);
    /// let g = spawn_later(second, || {});
    /// assert!(get_hub().next_deadline().unwrap() >= start + second);
    /// g.kill();
    /// assert_eq!(get_hub().next_deadline(), None);
    /// ```
    pub fn next_deadline(&self) -> Option<Instant> {
        current::core().next_deadline()
    }

    /// Sets the waker of the program that drives the hub by [`poll_once`](Hub::poll_once). `None`
    /// removes it. Does not let other greenlets run.
    ///
    /// The waker is woken when the program must call `poll_once` earlier than the last call said:
    /// something is queued (by a spawn, `Event::set`, a kill, a callback, and so on), or a timer with
    /// an earlier deadline is started, by main itself between two calls. It is woken once, until the
    /// next call of `poll_once` or another wait of main. It is also woken
    ///
    /// * at the end of another wait of main (a `sleep` or `join`, which runs the whole loop), or of
    ///   a call that an exception has ended, if something is left;
    /// * by `set_driver` itself, if something is queued, and the waker is not the present one
    ///   ([`Waker::will_wake`]).
    ///
    /// It is not woken while greenlets run, or after [`Next::Now`]. A wait of main that yields or has a
    /// time limit may wake it for its own entry. Sources and other threads do not wake it: they make
    /// the descriptor readable.
    ///
    /// The waker runs under the rules of a callback of the hub: it must not wait, and a panic in it is
    /// reported.
    ///
    /// # Panics
    ///
    /// When it is not called from the main greenlet.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use std::sync::Arc;
    /// use std::task::Wake;
    /// use ramie::{get_hub, spawn};
    ///
    /// #[derive(Default)]
    /// struct Count(AtomicUsize);
    /// impl Wake for Count {
    ///     fn wake(self: Arc<Self>) {
    ///         self.0.fetch_add(1, Ordering::Relaxed);
    ///     }
    /// }
    ///
    /// let count = Arc::new(Count::default());
    /// get_hub().set_driver(Some(count.clone().into()));
    /// get_hub().poll_once();
    /// spawn(|| {});
    /// spawn(|| {});
    /// assert_eq!(count.0.load(Ordering::Relaxed), 1);
    /// # get_hub().set_driver(None);
    /// ```
    pub fn set_driver(&self, waker: Option<Waker>) {
        let core = current::core();
        assert!(core.mode() == Mode::Main, "Hub::set_driver must be called from the main greenlet");
        core.set_driver(waker);
    }
}

/// The descriptor of the hub's poll, readable when a source is ready or another thread has posted.
/// See [Embedding](#the-descriptor).
#[cfg(unix)]
impl AsFd for Hub {
    fn as_fd(&self) -> BorrowedFd<'_> {
        current::core().reactor().borrow_fd().expect("a hub that is found has a poll")
    }
}

/// The number of the descriptor of the hub's poll, which the hub closes when it ends.
#[cfg(unix)]
impl AsRawFd for Hub {
    fn as_raw_fd(&self) -> RawFd {
        current::core().reactor().raw_fd().expect("a hub that is found has a poll")
    }
}
