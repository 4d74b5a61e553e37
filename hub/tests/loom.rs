//! Models of the interaction of threads, in every order that the memory model allows.
//!
//! The files under test are included unchanged; `loom`, `waiter` and a few names replace their
//! dependencies. A hub is modelled as a thread that owns a mailbox and sleeps in its poll by
//! parking. Parking is made of a lock and a condition, because loom's own `unpark` also ends a
//! `join` that blocks the thread by then.
#![cfg(loom)]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the included files are made for more than the models use"
)]

#[path = "../src/inbox/mailbox.rs"]
mod mailbox;
#[path = "../src/shared/poll_waiter.rs"]
mod poll_waiter;
#[path = "../src/wait/turn.rs"]
mod turn;
#[path = "../src/shared/wait_list.rs"]
mod wait_list;
#[path = "../src/shared/wait_queue.rs"]
mod wait_queue;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use ::loom::model::Builder;
use ::loom::thread;

use crate::inbox::registry::ForeignQueue as _;
use crate::mailbox::Mailbox;
use crate::task::Lane;
use crate::wait::limit::Limit;
use crate::wait_queue::{WaitQueue, Waits};
use crate::waiter::{Hub, Killed, Target, Thread, park};

mod loom {
    pub(crate) use ::loom::sync::MutexGuard;
    pub(crate) use ::loom::sync::atomic::{AtomicBool, Ordering};

    pub(crate) struct Mutex<T>(::loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(::loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}

mod task {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Lane {
        First,
        Second,
    }
}

mod error {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct TimedOut;
}

mod wait {
    pub(crate) use crate::turn;

    pub(crate) mod limit {
        /// The end of a wait of the models, apart from a wake-up. Every event that may come before
        /// the end of the time or the kill comes before it in some order, so neither has to be
        /// late.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Limit {
            Never,
            Over,
            Killed,
        }
    }
}

mod inbox {
    pub(crate) mod registry {
        use std::sync::Arc;

        use crate::task::Lane;

        pub(crate) trait ForeignQueue {
            fn abandon(&self, lane: Lane, ticket: u64);
            fn unlink(&self, lane: Lane, ticket: u64);
        }

        pub(crate) struct Registration {
            pub(crate) queue: Arc<dyn ForeignQueue>,
            pub(crate) lane: Lane,
            pub(crate) ticket: u64,
        }
    }
}

/// The ends of a wake-up: a thread, or a greenlet of a hub that sleeps on a mailbox.
mod waiter {
    use std::cell::RefCell;
    use std::panic::resume_unwind;
    use std::sync::Arc;
    use std::task::Waker;

    use ::loom::sync::{Condvar, Mutex};

    use crate::inbox::registry::Registration;
    use crate::mailbox::Mailbox;
    use crate::wait::limit::Limit;

    pub(super) struct Killed;

    /// A thread, as far as it can be parked.
    #[derive(Clone)]
    pub(super) struct Thread(Arc<(Mutex<bool>, Condvar)>);

    impl Thread {
        pub(super) fn current() -> Thread {
            HERE.with(|thread| thread.clone())
        }

        pub(super) fn unpark(&self) {
            *self.0.0.lock().unwrap() = true;
            self.0.1.notify_one();
        }
    }

    pub(super) fn park() {
        let thread = Thread::current();
        let mut token = thread.0.0.lock().unwrap();
        while !*token {
            token = thread.0.1.wait(token).unwrap();
        }
        *token = false;
    }

    /// A hub: its mailbox, and its thread, which is unparked in place of a wake-up of the poll.
    pub(super) struct Hub {
        pub(super) mailbox: Mailbox<u64>,
        thread: Thread,
    }

    ::loom::thread_local! {
        static HUB: RefCell<Option<Arc<Hub>>> = RefCell::new(None);
        static WAITS: RefCell<u64> = RefCell::new(0);
        static HERE: Thread = Thread(Arc::new((Mutex::new(false), Condvar::new())));
    }

    impl Hub {
        /// Gives this thread a hub.
        pub(super) fn make() -> Arc<Hub> {
            let hub = Arc::new(Hub { mailbox: Mailbox::new(), thread: Thread::current() });
            HUB.with(|here| *here.borrow_mut() = Some(hub.clone()));
            hub
        }
    }

    pub(super) enum Target {
        Greenlet(Arc<Hub>, u64),
        Thread(Thread),
        Future(Waker),
    }

    impl Target {
        pub(super) fn wake(self) {
            match self {
                Target::Thread(thread) => thread.unpark(),
                Target::Future(waker) => waker.wake(),
                Target::Greenlet(hub, wait) => {
                    if let Ok(true) = hub.mailbox.push(wait, |wait| wait) {
                        hub.thread.unpark();
                    }
                }
            }
        }
    }

    pub(super) struct Refused;

    impl Refused {
        pub(super) fn raise(self) -> ! {
            unreachable!()
        }
    }

    pub(super) struct WaitSite {
        limit: Limit,
        hub: Option<Arc<Hub>>,
        wait: u64,
    }

    impl WaitSite {
        pub(super) fn here(
            limit: Limit,
            _reason: &'static str,
            _registered: impl FnOnce() -> Registration,
        ) -> Result<WaitSite, Refused> {
            Ok(WaitSite { limit, hub: HUB.with(|hub| hub.borrow().clone()), wait: 0 })
        }

        pub(super) fn target(&mut self) -> Target {
            match &self.hub {
                None => Target::Thread(Thread::current()),
                Some(hub) => {
                    self.wait = WAITS.with(|waits| {
                        *waits.borrow_mut() += 1;
                        *waits.borrow()
                    });
                    Target::Greenlet(hub.clone(), self.wait)
                }
            }
        }

        pub(super) fn park(&self) -> bool {
            match (self.limit, &self.hub) {
                (Limit::Over, _) => return false,
                (Limit::Killed, _) => resume_unwind(Box::new(Killed)),
                (Limit::Never, None) => park(),
                (Limit::Never, Some(hub)) => loop {
                    if hub.mailbox.signalled() {
                        if hub.mailbox.take().contains(&self.wait) {
                            break;
                        }
                    } else {
                        park();
                    }
                },
            }
            true
        }

        pub(super) fn unregister(&mut self) {}
    }
}

/// A counter of permits, to which every primitive reduces.
struct Permits(usize);

impl Waits for Permits {
    fn ready(&self, _lane: Lane) -> usize {
        self.0
    }
}

type Semaphore = WaitQueue<Permits>;

fn semaphore(permits: usize) -> Semaphore {
    WaitQueue::new(Permits(permits))
}

fn acquire(semaphore: &Semaphore, limit: Limit) -> bool {
    let taken = semaphore.wait(Lane::First, limit, "acquire", |permits, _| {
        permits.0 = permits.0.checked_sub(1)?;
        Some(())
    });
    taken.is_ok()
}

fn release(semaphore: &Semaphore) {
    semaphore.lock().0 += 1;
}

/// The executor of one future: its thread is unparked in place of a poll.
impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        self.unpark();
    }
}

fn acquire_async(semaphore: &Semaphore) -> impl Future<Output = ()> + Unpin + use<> {
    semaphore.wait_async(Lane::First, |permits: &mut Permits, _| {
        permits.0 = permits.0.checked_sub(1)?;
        Some(())
    })
}

fn waker() -> Waker {
    Waker::from(Arc::new(Thread::current()))
}

fn poll(future: &mut (impl Future<Output = ()> + Unpin), waker: &Waker) -> bool {
    pin!(future).poll(&mut Context::from_waker(waker)).is_ready()
}

/// Polls a future after each wake-up, with another waker each time.
fn block_on(mut future: impl Future<Output = ()> + Unpin) {
    while !poll(&mut future, &waker()) {
        park();
    }
}

/// Bounded, since the models of three threads would take hours otherwise.
fn model(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

fn spawn(with_hub: bool, body: impl FnOnce() + 'static) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        if with_hub {
            Hub::make();
        }
        body();
    })
}

#[test]
fn no_wake_is_lost_between_look_and_wait() {
    for with_hub in [false, true] {
        ::loom::model(move || {
            let permits = semaphore(0);
            let waiter = spawn(with_hub, {
                let permits = permits.clone();
                move || assert!(acquire(&permits, Limit::Never))
            });
            release(&permits);
            waiter.join().unwrap();
            assert_eq!(permits.lock().0, 0);
        });
    }
}

#[test]
fn two_wakers_wake_one_waiter() {
    for with_hub in [false, true] {
        model(3, move || {
            let permits = semaphore(0);
            let wakers = [(); 2].map(|()| {
                let permits = permits.clone();
                thread::spawn(move || release(&permits))
            });
            if with_hub {
                Hub::make();
            }
            assert!(acquire(&permits, Limit::Never));
            assert!(acquire(&permits, Limit::Never));
            wakers.into_iter().for_each(|waker| waker.join().unwrap());
            let left = permits.lock();
            assert_eq!((left.0, left.waiting()), (0, [0, 0]));
        });
    }
}

#[test]
fn one_waker_wakes_two_waiters() {
    for with_hub in [false, true] {
        model(3, move || {
            let permits = semaphore(0);
            let waiters = [(); 2].map(|()| {
                let permits = permits.clone();
                spawn(with_hub, move || assert!(acquire(&permits, Limit::Never)))
            });
            release(&permits);
            release(&permits);
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        });
    }
}

#[test]
fn whoever_is_first_a_permit_is_passed_on() {
    for with_hub in [false, true] {
        model(3, move || {
            let permits = semaphore(1);
            let users = [(); 2].map(|()| {
                let permits = permits.clone();
                spawn(with_hub, move || {
                    assert!(acquire(&permits, Limit::Never));
                    release(&permits);
                })
            });
            assert!(acquire(&permits, Limit::Never));
            release(&permits);
            users.into_iter().for_each(|user| user.join().unwrap());
            assert_eq!(permits.lock().0, 1);
        });
    }
}

#[test]
fn a_wake_that_meets_a_kill_is_handed_on() {
    for with_hub in [false, true] {
        model(3, move || {
            let permits = semaphore(0);
            let killed = spawn(with_hub, {
                let permits = permits.clone();
                move || {
                    let ended = catch_unwind(AssertUnwindSafe(|| acquire(&permits, Limit::Killed)));
                    match ended {
                        // The wait was served at the first check, so it owes a permit.
                        Ok(taken) => {
                            assert!(taken);
                            release(&permits);
                        }
                        Err(payload) => assert!(payload.is::<Killed>()),
                    }
                }
            });
            let waiter = spawn(with_hub, {
                let permits = permits.clone();
                move || assert!(acquire(&permits, Limit::Never))
            });
            release(&permits);
            killed.join().unwrap();
            waiter.join().unwrap();
            let left = permits.lock();
            assert_eq!((left.0, left.waiting()), (0, [0, 0]));
        });
    }
}

#[test]
fn a_wake_that_meets_the_end_of_the_time_is_used_or_handed_on() {
    for with_hub in [false, true] {
        model(3, move || {
            let permits = semaphore(0);
            let timed = spawn(with_hub, {
                let permits = permits.clone();
                move || {
                    if acquire(&permits, Limit::Over) {
                        release(&permits);
                    }
                }
            });
            let waiter = spawn(with_hub, {
                let permits = permits.clone();
                move || assert!(acquire(&permits, Limit::Never))
            });
            release(&permits);
            timed.join().unwrap();
            waiter.join().unwrap();
            assert_eq!(permits.lock().0, 0);
        });
    }
}

#[test]
fn a_hub_that_ends_swallows_no_wake() {
    model(3, || {
        let permits = semaphore(0);
        let ending = thread::spawn({
            let permits = permits.clone();
            move || {
                // A greenlet waits here when its thread ends, which is handled by `Core::close`.
                let hub = Hub::make();
                let mut locked = permits.lock();
                let ticket = locked.ticket();
                locked.enter(Lane::First, ticket, Target::Greenlet(hub.clone(), 1));
                drop(locked);
                hub.mailbox.close();
                permits.inner.abandon(Lane::First, ticket);
            }
        });
        let waiter = thread::spawn({
            let permits = permits.clone();
            move || assert!(acquire(&permits, Limit::Never))
        });
        release(&permits);
        ending.join().unwrap();
        waiter.join().unwrap();
        let left = permits.lock();
        assert_eq!((left.0, left.waiting()), (0, [0, 0]));
    });
}

#[test]
fn a_mailbox_loses_no_letter_and_rings_for_each_burst() {
    ::loom::model(|| {
        let hub = Hub::make();
        let senders = [1, 2].map(|letter| {
            let hub = hub.clone();
            thread::spawn(move || Target::Greenlet(hub, letter).wake())
        });
        let mut letters = Vec::new();
        while letters.len() < 2 {
            if hub.mailbox.signalled() {
                letters.extend(hub.mailbox.take());
            } else {
                // A missing wake-up leaves the owner here forever, which loom reports as a
                // deadlock.
                park();
            }
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        letters.sort_unstable();
        assert_eq!(letters, [1, 2]);
    });
}

#[test]
fn a_mailbox_keeps_the_order_of_a_sender() {
    ::loom::model(|| {
        let hub = Hub::make();
        let sender = thread::spawn({
            let hub = hub.clone();
            move || (1..=3).for_each(|letter| Target::Greenlet(hub.clone(), letter).wake())
        });
        let mut letters = Vec::new();
        while letters.len() < 3 {
            if hub.mailbox.signalled() {
                letters.extend(hub.mailbox.take());
            } else {
                park();
            }
        }
        sender.join().unwrap();
        assert_eq!(letters, [1, 2, 3]);
    });
}

#[test]
fn a_closed_mailbox_gives_back_what_it_does_not_hold() {
    ::loom::model(|| {
        let mailbox = Arc::new(Mailbox::<u64>::new());
        let senders = [1, 2].map(|letter| {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.push(letter, |letter| letter).is_ok())
        });
        let mut held = mailbox.take();
        held.extend(mailbox.close());
        let accepted = senders.map(|sender| sender.join().unwrap());
        assert_eq!(held.len(), accepted.iter().filter(|accepted| **accepted).count());
        assert!(mailbox.push(3, |letter| letter).is_err());
    });
}

#[test]
fn no_wake_is_lost_between_a_poll_and_its_end() {
    ::loom::model(|| {
        let permits = semaphore(0);
        let waiter = thread::spawn({
            let permits = permits.clone();
            move || block_on(acquire_async(&permits))
        });
        release(&permits);
        waiter.join().unwrap();
        let left = permits.lock();
        assert_eq!((left.0, left.waiting()), (0, [0, 0]));
    });
}

#[test]
fn a_wake_that_meets_a_poll_with_another_waker_is_used() {
    model(3, || {
        let permits = semaphore(0);
        let waiter = thread::spawn({
            let permits = permits.clone();
            move || {
                let mut future = acquire_async(&permits);
                // The wakers of the first polls wake nothing.
                if poll(&mut future, Waker::noop()) || poll(&mut future, Waker::noop()) {
                    return;
                }
                block_on(future);
            }
        });
        release(&permits);
        waiter.join().unwrap();
        let left = permits.lock();
        assert_eq!((left.0, left.waiting()), (0, [0, 0]));
    });
}

#[test]
fn a_wake_that_meets_the_drop_of_a_future_is_handed_on() {
    for (with_hub, by_future) in [(false, false), (true, false), (false, true)] {
        model(3, move || {
            let permits = semaphore(0);
            let dropped = thread::spawn({
                let permits = permits.clone();
                move || {
                    let mut future = acquire_async(&permits);
                    if poll(&mut future, &waker()) {
                        release(&permits);
                    }
                }
            });
            let waiter = spawn(with_hub, {
                let permits = permits.clone();
                move || match by_future {
                    true => block_on(acquire_async(&permits)),
                    false => assert!(acquire(&permits, Limit::Never)),
                }
            });
            release(&permits);
            dropped.join().unwrap();
            waiter.join().unwrap();
            let left = permits.lock();
            assert_eq!((left.0, left.waiting()), (0, [0, 0]));
        });
    }
}

#[test]
fn a_future_that_is_dropped_on_another_thread_hands_its_wake_on() {
    model(3, || {
        let permits = semaphore(0);
        let mut future = acquire_async(&permits);
        assert!(!poll(&mut future, &waker()));
        let dropper = thread::spawn(move || drop(future));
        let waiter = thread::spawn({
            let permits = permits.clone();
            move || block_on(acquire_async(&permits))
        });
        release(&permits);
        dropper.join().unwrap();
        waiter.join().unwrap();
        let left = permits.lock();
        assert_eq!((left.0, left.waiting()), (0, [0, 0]));
    });
}

#[test]
fn a_permit_goes_round_futures_and_greenlets() {
    model(2, || {
        let permits = semaphore(1);
        let future = thread::spawn({
            let permits = permits.clone();
            move || {
                block_on(acquire_async(&permits));
                release(&permits);
            }
        });
        let greenlet = spawn(true, {
            let permits = permits.clone();
            move || {
                assert!(acquire(&permits, Limit::Never));
                release(&permits);
            }
        });
        block_on(acquire_async(&permits));
        release(&permits);
        future.join().unwrap();
        greenlet.join().unwrap();
        assert_eq!(permits.lock().0, 1);
    });
}
