//! Greenlets, results and events of one thread as futures, in an executor on that thread.

use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ramie::sync::{AsyncResult, Event};
use ramie::{sleep, spawn, yield_now};

use crate::util::executor::{Wakes, in_greenlet, poll, poll_once};
use crate::util::log::Log;
use crate::util::participants::LIMIT;
use crate::util::within;

#[test]
fn a_greenlet_is_awaited_by_reference_and_by_value() {
    within(LIMIT, || {
        let value = in_greenlet(async {
            let greenlet = spawn(|| {
                sleep(Duration::from_millis(1));
                vec![1, 2]
            });
            let copy = (&greenlet).await.unwrap();
            let moved = greenlet.clone().await.unwrap();
            assert!((&greenlet).await.unwrap_err().is_taken());
            (copy, moved)
        });
        assert_eq!(value, (vec![1, 2], vec![1, 2]));
    });
}

#[test]
fn the_failure_of_a_greenlet_is_the_same_for_all() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let greenlet = spawn(|| -> u8 { ramie::raise("no luck") });
        let failure = in_greenlet(async { (&greenlet).await.unwrap_err() });
        assert!(failure.same(&greenlet.get().unwrap_err()));
        let killed = spawn(|| sleep(LIMIT));
        yield_now();
        killed.kill_nowait();
        assert!(in_greenlet(async { (&killed).await.unwrap_err() }).is_exit());
    });
}

#[test]
fn results_and_events_wake_the_executor_once() {
    within(LIMIT, || {
        let (result, event) = (AsyncResult::new(), Event::new());
        let mut got = (&result).into_future();
        let mut set = (&event).into_future();
        let (wakes, waker) = Wakes::new();
        assert!(poll(&mut got, &waker).is_pending());
        assert!(poll(&mut set, &waker).is_pending());
        assert_eq!((result.linkcount(), event.linkcount()), (1, 1));
        result.set(5);
        event.set();
        event.clear();
        assert_eq!(wakes.count(), 0);
        yield_now();
        assert_eq!(wakes.count(), 2);
        assert_eq!(poll(&mut got, &waker).map(Result::unwrap), Poll::Ready(5));
        assert_eq!(poll(&mut set, &waker), Poll::Ready(()));
        assert_eq!((result.linkcount(), event.linkcount()), (0, 0));
        assert_eq!(Arc::strong_count(&wakes), 2, "no waker is left");
    });
}

#[test]
fn a_dropped_future_leaves_no_link() {
    within(LIMIT, || {
        for polls in 0..3 {
            for set in [false, true] {
                let event = Event::new();
                let greenlet = spawn({
                    let event = event.clone();
                    move || event.wait()
                });
                yield_now();
                let links = (event.linkcount(), greenlet.has_links());
                let mut futures = ((&event).into_future(), (&greenlet).into_future());
                let (wakes, waker) = Wakes::new();
                for _ in 0..polls {
                    assert!(poll(&mut futures.0, &waker).is_pending());
                    assert!(poll(&mut futures.1, &waker).is_pending());
                }
                if set {
                    event.set();
                }
                drop(futures);
                if !set {
                    assert_eq!((event.linkcount(), greenlet.has_links()), links);
                    event.set();
                }
                greenlet.join();
                assert_eq!(wakes.count(), 0);
                assert_eq!(Arc::strong_count(&wakes), 2);
            }
        }
    });
}

#[test]
fn a_poll_with_another_waker_replaces_the_first() {
    within(LIMIT, || {
        let event = Event::new();
        let mut future = (&event).into_future();
        let ((first, one), (second, other)) = (Wakes::new(), Wakes::new());
        assert!(poll(&mut future, &one).is_pending());
        assert!(poll(&mut future, &other).is_pending());
        event.set();
        yield_now();
        assert_eq!((first.count(), second.count()), (0, 1));
        assert_eq!(event.linkcount(), 0);
        assert!(poll_once(&mut future).is_ready());
    });
}

#[test]
fn futures_and_greenlets_are_woken_in_the_order_of_their_arrival() {
    within(LIMIT, || {
        let event = Event::new();
        let log = Log::new();
        let wait = |name: &'static str| {
            let (event, log) = (event.clone(), log.clone());
            let greenlet = spawn(move || {
                event.wait();
                log.add(name);
            });
            yield_now();
            greenlet
        };
        let first = wait("greenlet");
        let future = spawn({
            let (event, log) = (event.clone(), log.clone());
            move || {
                in_greenlet(async { (&event).await });
                log.add("future");
            }
        });
        yield_now();
        let last = wait("greenlet");
        event.set();
        [first, future, last].into_iter().for_each(|greenlet| greenlet.join());
        // A wake of an executor only queues it.
        log.expect("greenlet greenlet future");
    });
}

#[test]
fn a_greenlet_that_awaits_is_killed_and_leaves_no_link() {
    within(LIMIT, || {
        let event = Event::new();
        let kept = Rc::new(());
        let waits = spawn({
            let (event, kept) = (event.clone(), kept.clone());
            move || {
                in_greenlet(async {
                    let _kept = kept;
                    (&event).await;
                });
            }
        });
        yield_now();
        assert_eq!(event.linkcount(), 1);
        waits.kill();
        assert_eq!((event.linkcount(), Rc::strong_count(&kept)), (0, 1));
    });
}

#[test]
fn a_waker_that_panics_is_reported_and_the_next_is_woken() {
    struct Panics;

    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("the waker panics on purpose");
        }
    }

    within(LIMIT, || {
        let errors = Log::of_errors();
        let event = Event::new();
        let (mut bad, mut good) = ((&event).into_future(), (&event).into_future());
        let (wakes, waker) = Wakes::new();
        assert!(poll(&mut bad, &Arc::new(Panics).into()).is_pending());
        assert!(poll(&mut good, &waker).is_pending());
        event.set();
        yield_now();
        assert_eq!(wakes.count(), 1);
        assert!(poll_once(&mut bad).is_ready() && poll_once(&mut good).is_ready());
        assert_eq!(errors.len(), 1);
    });
}
