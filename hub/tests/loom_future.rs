//! Models of the state between a greenlet that drives a future and the future's wakers, in every
//! order that the memory model allows.
//!
//! The file under test is included unchanged. The greenlet is modelled as a thread, and a wake-up
//! by the hub as an unpark with the token of the wait.
#![cfg(loom)]
#![allow(dead_code, unreachable_pub, reason = "the included file is made for more than the models use")]

#[path = "../src/future/wake_state.rs"]
mod wake_state;

use std::sync::Arc;

use ::loom::cell::UnsafeCell;
use ::loom::model::Builder;
use ::loom::sync::{Condvar, Mutex};
use ::loom::thread;

use crate::wake_state::{Parking, Released, WakeState};

mod loom {
    pub(crate) use ::loom::sync::atomic::{AtomicUsize, Ordering, fence};
}

/// The queue of the hub, as far as the owner's wake-ups go through it.
#[derive(Default)]
struct Queue {
    tokens: Mutex<Vec<u64>>,
    pushed: Condvar,
}

impl Queue {
    fn push(&self, token: u64) {
        self.tokens.lock().unwrap().push(token);
        self.pushed.notify_one();
    }

    /// Waits for a token. A missing wake-up leaves the owner here forever, which loom reports as a
    /// deadlock.
    fn pop(&self) -> u64 {
        let mut tokens = self.tokens.lock().unwrap();
        loop {
            match tokens.pop() {
                Some(token) => return token,
                None => tokens = self.pushed.wait(tokens).unwrap(),
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.tokens.lock().unwrap().is_empty()
    }
}

/// The allocation. loom reports an access that does not come before its end.
struct Shared {
    state: WakeState,
    /// The wait of the owner, written before it parks.
    token: UnsafeCell<u64>,
    /// What the last release frees: an access of it after, or beside, the free is reported.
    life: UnsafeCell<bool>,
    queue: Arc<Queue>,
}

impl Shared {
    fn new(wakers: usize) -> Arc<Shared> {
        let state = WakeState::new();
        (0..wakers).for_each(|_| assert!(state.retain()));
        let (token, life) = (UnsafeCell::new(0), UnsafeCell::new(true));
        Arc::new(Shared { state, token, life, queue: Arc::default() })
    }

    fn token(&self) -> u64 {
        // SAFETY: loom checks that no write is under way.
        self.life.with(|life| assert!(unsafe { *life }, "used after the free"));
        // SAFETY: as above.
        self.token.with(|token| unsafe { *token })
    }

    fn notify(&self) {
        if self.state.notify() {
            self.queue.push(self.token());
        }
    }

    fn release(&self) {
        let queue = self.queue.clone();
        match self.state.release(|| self.token()) {
            Released::Shared => {}
            Released::Abandoned(token) => queue.push(token),
            Released::Last => self.life.with_mut(|life| {
                // SAFETY: loom checks that no other access is under way.
                let life = unsafe { &mut *life };
                assert!(*life, "freed twice");
                *life = false;
            }),
        }
    }

    /// The owner's wait. Returns `true` if it was notified, and `false` if no waker is left.
    fn wait(&self, number: u64) -> bool {
        loop {
            // SAFETY: loom checks that no other access is under way.
            self.token.with_mut(|token| unsafe { *token = number });
            match self.state.park() {
                Parking::Notified => {}
                Parking::Parked => assert_eq!(self.queue.pop(), number),
                Parking::Alone => {
                    assert!(!self.state.unpark());
                    return false;
                }
            }
            if self.state.unpark() {
                return true;
            }
        }
    }
}

fn waker(shared: &Arc<Shared>, body: impl FnOnce(&Shared) + Send + 'static) -> thread::JoinHandle<()> {
    let shared = Sent(shared.clone());
    thread::spawn(move || {
        let shared = shared;
        body(&shared.0);
    })
}

/// loom's cells are not `Sync`; it checks the accesses itself.
struct Sent(Arc<Shared>);

// SAFETY: loom reports every access that is not ordered with the others.
unsafe impl Send for Sent {}

/// Bounded, since the models of three threads would take hours otherwise.
fn model(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

#[test]
fn a_notification_is_never_lost() {
    ::loom::model(|| {
        let shared = Shared::new(1);
        let thread = waker(&shared, |shared| {
            shared.notify();
            shared.release();
        });
        assert!(shared.wait(1), "the waker notifies before it is released");
        // The next wait finds that no waker is left, before or after the release.
        assert!(!shared.wait(2));
        shared.release();
        thread.join().unwrap();
        assert!(shared.queue.is_empty());
    });
}

#[test]
fn a_release_without_a_notification_ends_the_wait() {
    ::loom::model(|| {
        let shared = Shared::new(1);
        let thread = waker(&shared, Shared::release);
        assert!(!shared.wait(1));
        assert!(shared.state.is_fresh());
        shared.release();
        thread.join().unwrap();
        assert!(shared.queue.is_empty());
    });
}

#[test]
fn the_last_of_two_releases_ends_the_wait() {
    model(2, || {
        let shared = Shared::new(2);
        let threads = [waker(&shared, Shared::release), waker(&shared, Shared::release)];
        assert!(!shared.wait(1));
        shared.release();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(shared.queue.is_empty());
    });
}

#[test]
fn one_waker_notifies_and_one_is_released() {
    model(2, || {
        let shared = Shared::new(2);
        let threads = [
            waker(&shared, Shared::release),
            waker(&shared, |shared| {
                shared.notify();
                shared.release();
            }),
        ];
        assert!(shared.wait(1));
        assert!(!shared.wait(2));
        shared.release();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(shared.queue.is_empty());
    });
}

/// Two notifications of one wait queue the owner once.
#[test]
fn two_notifications_wake_once() {
    model(2, || {
        let shared = Shared::new(2);
        let threads = [(); 2].map(|()| {
            waker(&shared, |shared| {
                shared.notify();
                shared.release();
            })
        });
        assert!(shared.wait(1));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // The second one may have come before or after the first wait.
        if shared.state.park() == Parking::Notified {
            assert!(shared.state.unpark());
        }
        assert!(shared.queue.is_empty());
        shared.state.unpark();
        shared.release();
    });
}

/// The owner is killed in its wait: it leaves without a wake-up.
#[test]
fn an_owner_that_leaves_frees_nothing_under_a_waker() {
    ::loom::model(|| {
        let shared = Shared::new(1);
        let thread = waker(&shared, |shared| {
            shared.notify();
            shared.release();
        });
        // SAFETY: loom checks that no other access is under way.
        shared.token.with_mut(|token| unsafe { *token = 1 });
        shared.state.park();
        shared.state.unpark();
        shared.release();
        thread.join().unwrap();
    });
}
