//! The `_async` forms of `ramie::shared`, between executors, greenlets and threads.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;

use ramie::shared::channel::{RecvError, SendError};
use ramie::shared::{Event, Mutex, Semaphore, channel, oneshot};
use ramie::{get_hub, spawn, yield_now};

use crate::util::executor::{Wakes, in_greenlet, on_thread, poll, poll_once};
use crate::util::log::Log;
use crate::util::participants::{KINDS, LIMIT, done, on, until};
use crate::util::within;

fn is_send<T: Send>(_: &T) {}

#[test]
fn futures_are_send_where_the_values_are() {
    let (sender, receiver) = channel::bounded::<Cell<u8>>(1);
    is_send(&sender.send_async(Cell::new(1)));
    is_send(&receiver.recv_async());
    let (_answer, question) = oneshot::channel::<Cell<u8>>();
    is_send(&question.recv_async());
    let semaphore = Semaphore::new(1);
    is_send(&semaphore.acquire_async());
    is_send(&semaphore.permit_async());
    is_send(&semaphore.wait_async());
    is_send(&Event::new().wait_async());
    is_send(&Mutex::new(Cell::new(1)).lock_async());
}

/// Calls `test` with a future's executor on another thread, and on a greenlet's.
fn each_executor<T: Send + 'static>(
    wait: impl FnOnce(bool) -> T + Clone + Send + 'static,
    wake: impl Fn() + Clone + Send + 'static,
) -> Vec<T> {
    let mut values = Vec::new();
    for in_a_greenlet in [false, true] {
        for kind in KINDS {
            let (wait, wake) = (wait.clone(), wake.clone());
            let waiter = thread::spawn(move || wait(in_a_greenlet));
            done(on(kind, wake));
            values.push(done(waiter));
        }
    }
    values
}

fn drive<F: Future>(in_a_greenlet: bool, future: F) -> F::Output {
    if in_a_greenlet {
        get_hub();
        in_greenlet(future)
    } else {
        on_thread(future)
    }
}

#[test]
fn a_message_reaches_an_executor() {
    within(LIMIT, || {
        for room in [0, 1, 5] {
            let (sender, receiver) = channel::bounded(room);
            let received = each_executor(
                move |here| drive(here, receiver.recv_async()),
                move || sender.send(room).expect("the receiver lives"),
            );
            assert_eq!(received, [Ok(room); 6]);
        }
    });
}

#[test]
fn an_executor_sends_a_message() {
    within(LIMIT, || {
        for room in [0, 1] {
            let (sender, receiver) = channel::bounded(room);
            if room == 1 {
                sender.send(1).expect("there is room");
            }
            let sent = each_executor(
                move |here| drive(here, sender.send_async(1)),
                move || assert_eq!(receiver.recv(), Ok(1)),
            );
            assert_eq!(sent, [Ok(()); 6]);
        }
    });
}

#[test]
fn a_permit_reaches_an_executor() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let (free, release) = (semaphore.clone(), semaphore.clone());
        each_executor(
            move |here| drive(here, free.acquire_async()),
            move || {
                until(|| release.linkcount() == 1);
                release.release();
            },
        );
        assert_eq!((semaphore.counter(), semaphore.linkcount()), (0, 0));
    });
}

#[test]
fn an_event_reaches_an_executor_even_if_it_is_cleared_at_once() {
    within(LIMIT, || {
        let event = Event::new();
        let (waited, set) = (event.clone(), event.clone());
        each_executor(
            move |here| drive(here, waited.wait_async()),
            move || {
                until(|| set.linkcount() == 1);
                set.set();
                set.clear();
            },
        );
        assert_eq!(event.linkcount(), 0);
    });
}

#[test]
fn a_mutex_excludes_greenlets_and_executors() {
    within(LIMIT, || {
        let total = Arc::new(Mutex::new(0));
        let executors = [false, true].map(|here| {
            let total = total.clone();
            thread::spawn(move || {
                for _ in 0..500 {
                    let mut total = drive(here, total.lock_async());
                    let before = *total;
                    thread::yield_now();
                    *total = before + 1;
                }
            })
        });
        let others = KINDS.map(|kind| {
            let total = total.clone();
            on(kind, move || {
                for _ in 0..500 {
                    let mut total = total.lock();
                    let before = *total;
                    until(|| true);
                    *total = before + 1;
                }
            })
        });
        executors.into_iter().chain(others).for_each(done);
        assert_eq!(*total.lock(), 2500);
    });
}

#[test]
fn a_one_shot_reaches_an_executor() {
    within(LIMIT, || {
        for sends in [true, false] {
            let (answer, question) = oneshot::channel();
            let waiter = thread::spawn(move || on_thread(async { question.await }));
            if sends {
                answer.send(5).expect("the receiver lives");
            } else {
                drop(answer);
            }
            assert_eq!(done(waiter), if sends { Ok(5) } else { Err(RecvError) });
        }
    });
}

#[test]
fn a_one_shot_whose_future_is_dropped_is_disconnected() {
    let (answer, question) = oneshot::channel();
    let mut received = question.recv_async();
    assert!(poll_once(&mut received).is_pending());
    drop(received);
    assert!(answer.is_disconnected());
    assert_eq!(answer.send(5), Err(5));
}

#[test]
fn disconnection_ends_pending_futures() {
    let (sender, receiver) = channel::bounded::<u8>(0);
    let (wakes, waker) = Wakes::new();
    let mut received = receiver.recv_async();
    assert!(poll(&mut received, &waker).is_pending());
    drop(sender);
    assert_eq!((wakes.count(), poll_once(&mut received)), (1, Poll::Ready(Err(RecvError))));
    for room in [0, 1] {
        let (sender, receiver) = channel::bounded(room);
        let (wakes, waker) = Wakes::new();
        (0..room).for_each(|_| sender.send(0).expect("there is room"));
        let mut sent = sender.send_async(7);
        assert!(poll(&mut sent, &waker).is_pending());
        drop(receiver);
        assert_eq!((wakes.count(), poll_once(&mut sent)), (1, Poll::Ready(Err(SendError(7)))));
    }
}

#[test]
fn a_future_creates_no_hub_and_does_nothing_before_its_first_poll() {
    within(LIMIT, || {
        let (sender, receiver) = channel::unbounded();
        let first = receiver.recv_async();
        drop(sender.send_async(1));
        assert!(sender.is_empty());
        sender.send(2).expect("the receiver lives");
        assert_eq!(on_thread(first), Ok(2));
        assert!(!ramie::hub::has_hub());
    });
}

#[test]
fn greenlets_and_futures_are_served_in_the_order_of_their_arrival() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let log = Log::new();
        let mut futures = Vec::new();
        for i in 0..3 {
            let (waits, served) = (semaphore.clone(), log.clone());
            spawn(move || {
                waits.acquire();
                served.add(format!("greenlet {i}"));
            });
            yield_now();
            let mut future = semaphore.acquire_async();
            assert!(poll_once(&mut future).is_pending());
            futures.push(future);
        }
        for i in 0..3 {
            semaphore.release();
            yield_now();
            // Every future is polled, and only the next one is served.
            assert!(futures.iter_mut().all(|future| poll_once(future).is_pending()));
            semaphore.release();
            yield_now();
            assert!(poll_once(&mut futures[0]).is_ready());
            drop(futures.remove(0));
            log.add(format!("future {i}"));
        }
        let order = ["greenlet 0", "future 0", "greenlet 1", "future 1", "greenlet 2", "future 2"];
        assert_eq!(log.words(), order);
    });
}

#[test]
fn a_poll_without_a_wake_keeps_the_place() {
    let semaphore = Semaphore::new(0);
    let (wakes, waker) = Wakes::new();
    let (mut first, mut second) = (semaphore.acquire_async(), semaphore.acquire_async());
    assert!(poll(&mut first, &waker).is_pending());
    assert!(poll(&mut second, Waker::noop()).is_pending());
    assert!(poll(&mut first, &waker).is_pending());
    semaphore.release();
    assert_eq!(wakes.count(), 1);
    // The permit is free, and reserved for the first.
    assert!(poll_once(&mut second).is_pending());
    assert_eq!((poll_once(&mut first), poll_once(&mut second)), (Poll::Ready(()), Poll::Pending));
}
