//! Futures in shared queues that are dropped after any number of polls: nothing is lost or doubled,
//! and an unused wake-up is passed on.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;

use proptest::prelude::*;
use ramie::shared::{Semaphore, channel};
use ramie::{run, spawn, yield_now};

use crate::util::executor::{Wakes, on_thread, poll, poll_once};
use crate::util::participants::{LIMIT, done};
use crate::util::within;

#[test]
fn a_notified_future_that_is_dropped_passes_its_wake_to_a_greenlet() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let mut future = semaphore.acquire_async();
        assert!(poll_once(&mut future).is_pending());
        let waiter = spawn({
            let semaphore = semaphore.clone();
            move || semaphore.acquire()
        });
        yield_now();
        semaphore.release();
        yield_now();
        assert!(!waiter.ready(), "the future has the wake");
        drop(future);
        waiter.join();
        assert_eq!((semaphore.counter(), semaphore.linkcount()), (0, 0));
    });
}

#[test]
fn a_notified_greenlet_that_is_killed_passes_its_wake_to_a_future() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let waiter = spawn({
            let semaphore = semaphore.clone();
            move || semaphore.acquire()
        });
        yield_now();
        let (wakes, waker) = Wakes::new();
        let mut future = semaphore.acquire_async();
        assert!(poll(&mut future, &waker).is_pending());
        // Queued before the wake-up, so that the kill comes first.
        waiter.kill_nowait();
        semaphore.release();
        assert_eq!(wakes.count(), 0);
        waiter.join();
        assert_eq!((wakes.count(), poll_once(&mut future)), (1, Poll::Ready(())));
    });
}

#[test]
fn a_future_that_is_dropped_after_each_number_of_polls_keeps_nothing() {
    within(LIMIT, || {
        for polls in 0..5 {
            for released in 0..=polls {
                let semaphore = Semaphore::new(0);
                let mut first = semaphore.acquire_async();
                let (wakes, waker) = Wakes::new();
                let mut second = semaphore.acquire_async();
                let mut served = false;
                for i in 0..polls {
                    if i == released {
                        semaphore.release();
                    }
                    if poll_once(&mut first).is_ready() {
                        served = true;
                        break;
                    }
                    if i == 0 {
                        assert!(poll(&mut second, &waker).is_pending());
                    }
                }
                if polls == released {
                    semaphore.release();
                }
                drop(first);
                if served {
                    semaphore.release();
                }
                assert!(poll(&mut second, &waker).is_ready(), "after {polls} polls");
                assert!(wakes.count() <= 1);
                assert_eq!((semaphore.counter(), semaphore.linkcount()), (0, 0));
            }
        }
    });
}

#[test]
fn a_dropped_receiver_leaves_the_message_to_the_next() {
    for room in [0, 1, 3] {
        let (sender, receiver) = channel::bounded(room);
        let mut first = receiver.recv_async();
        assert!(poll_once(&mut first).is_pending());
        let (wakes, waker) = Wakes::new();
        let mut second = receiver.recv_async();
        assert!(poll(&mut second, &waker).is_pending());
        sender.try_send(5).expect("a receiver waits");
        assert_eq!(wakes.count(), 0);
        drop(first);
        assert_eq!((wakes.count(), poll_once(&mut second)), (1, Poll::Ready(Ok(5))));
        assert!(sender.is_empty());
        if room == 0 {
            assert!(sender.try_send(6).is_err(), "no receiver is counted any more");
        }
    }
}

#[test]
fn a_dropped_sender_takes_its_offer_back_or_has_sent() {
    for taken in [false, true] {
        let message = Rc::new(());
        let (sender, receiver) = channel::bounded(0);
        let mut sent = sender.send_async(message.clone());
        assert!(poll_once(&mut sent).is_pending());
        assert_eq!(sender.len(), 1);
        let received = taken.then(|| receiver.try_recv().expect("it is offered"));
        drop(sent);
        assert_eq!(sender.len(), 0);
        assert_eq!(Rc::strong_count(&message), 1 + usize::from(received.is_some()));
        assert!(receiver.try_recv().is_err());
    }
}

/// A message that counts where it ends.
struct Parcel {
    number: usize,
    ends: Arc<[AtomicUsize]>,
}

impl Drop for Parcel {
    fn drop(&mut self) {
        self.ends[self.number].fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(usize),
    Receive(usize),
    /// Polls a future.
    Poll(usize),
    /// Drops a future.
    Drop(usize),
    /// Lets greenlets run.
    Yield,
    KillSender(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..3usize).prop_map(Step::Send),
        (0..3usize).prop_map(Step::Receive),
        (0..8usize).prop_map(Step::Poll),
        (0..8usize).prop_map(Step::Poll),
        (0..8usize).prop_map(Step::Drop),
        Just(Step::Yield),
        (0..4usize).prop_map(Step::KillSender),
    ];
    proptest::collection::vec(step, 1..60)
}

type Pending<'a> = (Option<usize>, Box<dyn Future<Output = Option<usize>> + Unpin + 'a>);

/// Runs the steps on one thread, and checks that every message is either received once, or dropped
/// by a call that has not sent it.
fn play(room: usize, steps: &[Step]) {
    let ends: Arc<[AtomicUsize]> = (0..steps.len()).map(|_| AtomicUsize::new(0)).collect();
    let (sender, receiver) = channel::bounded::<Parcel>(room);
    let received = Rc::new(Cell::new(Vec::new()));
    let take = |number: usize| {
        let mut all = received.take();
        all.push(number);
        received.set(all);
    };
    let mut sent = BTreeMap::new();
    let mut futures: Vec<Pending<'_>> = Vec::new();
    let mut senders = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Send(0) => {
                let sender = sender.clone();
                let parcel = Parcel { number, ends: ends.clone() };
                senders.push((number, spawn(move || sender.send(parcel).is_ok())));
            }
            Step::Send(_) => {
                let future = sender.send_async(Parcel { number, ends: ends.clone() });
                let mut future = Box::pin(async move {
                    assert!(future.await.is_ok());
                    None
                });
                if poll_once(&mut future).is_ready() {
                    sent.insert(number, true);
                } else {
                    futures.push((Some(number), Box::new(future)));
                }
            }
            Step::Receive(0) => {
                let (receiver, received) = (receiver.clone(), received.clone());
                spawn(move || {
                    if let Ok(parcel) = receiver.recv() {
                        let mut all = received.take();
                        all.push(parcel.number);
                        received.set(all);
                    }
                });
            }
            Step::Receive(_) => {
                let future = receiver.recv_async();
                let mut future = Box::pin(async move { future.await.ok().map(|parcel| parcel.number) });
                match poll_once(&mut future) {
                    Poll::Ready(number) => take(number.expect("the channel is connected")),
                    Poll::Pending => futures.push((None, Box::new(future))),
                }
            }
            Step::Poll(at) if at < futures.len() => match (poll_once(&mut futures[at].1), futures[at].0) {
                (Poll::Pending, _) => {}
                (Poll::Ready(message), sender) => {
                    drop(futures.remove(at));
                    match (message, sender) {
                        (Some(number), None) => take(number),
                        (None, Some(number)) => drop(sent.insert(number, true)),
                        other => panic!("neither sent nor received: {other:?}"),
                    }
                }
            },
            Step::Drop(at) if at < futures.len() => {
                if let (Some(number), _) = futures.remove(at) {
                    sent.insert(number, false);
                }
            }
            Step::Poll(_) | Step::Drop(_) => {}
            Step::Yield => yield_now(),
            Step::KillSender(at) => {
                if let Some((_, sender)) = senders.get(at) {
                    sender.kill_nowait();
                }
            }
        }
    }
    // Whatever is left is received here, until nothing is offered any more.
    for (sender, _) in futures {
        if let Some(number) = sender {
            sent.insert(number, false);
        }
    }
    loop {
        yield_now();
        let over = senders.iter().all(|(_, sender)| sender.ready());
        while let Ok(parcel) = receiver.try_recv() {
            take(parcel.number);
        }
        if over {
            break;
        }
    }
    for (number, sender) in senders {
        sent.insert(number, sender.take().unwrap_or(false));
    }
    drop(sender);
    let mut received = received.take();
    received.sort_unstable();
    let mut once = received.clone();
    once.dedup();
    assert_eq!(received, once, "a message was received twice");
    for (number, sent) in sent {
        assert_eq!(ends[number].load(Ordering::SeqCst), 1, "message {number} ended once");
        if sent {
            assert!(received.contains(&number), "message {number} was sent and lost");
        } else if room > 0 {
            assert!(!received.contains(&number), "message {number} was cancelled and received");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_are_sent_once_or_not_at_all(room in 0..3usize, steps in steps()) {
        within(LIMIT, move || run(|| play(room, &steps)));
    }
}

#[test]
fn permits_survive_futures_that_are_dropped_on_every_thread() {
    within(LIMIT, || {
        const PERMITS: usize = 2;
        let semaphore = Semaphore::new(PERMITS);
        let inside = Arc::new(AtomicUsize::new(0));
        let workers = (0..4usize).map(|seed| {
            let (semaphore, inside) = (semaphore.clone(), inside.clone());
            thread::spawn(move || {
                for round in 0..2_000 {
                    let mut future = semaphore.permit_async();
                    let polls = (seed + round * 7) % 4;
                    let early = (0..polls).find_map(|_| match poll_once(&mut future) {
                        Poll::Ready(permit) => Some(permit),
                        Poll::Pending => None,
                    });
                    let _permit = match early {
                        Some(permit) => permit,
                        None if round % 3 == 0 => continue,
                        None => on_thread(future),
                    };
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < PERMITS);
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            })
        });
        let workers = workers.collect::<Vec<_>>();
        let greenlets = thread::spawn({
            let semaphore = semaphore.clone();
            move || {
                for round in 0..1_000 {
                    let greenlet = spawn({
                        let semaphore = semaphore.clone();
                        move || drop(semaphore.permit())
                    });
                    yield_now();
                    if round % 2 == 0 {
                        greenlet.kill();
                    }
                }
            }
        });
        workers.into_iter().chain([greenlets]).for_each(done);
        assert_eq!((semaphore.counter(), semaphore.linkcount()), (PERMITS, 0));
    });
}
