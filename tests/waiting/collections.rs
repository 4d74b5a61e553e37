//! The arguments of `wait`, `iwait`, `joinall` and `killall`: iterables of one type, tuples of
//! several.

use std::time::Duration;

use ramie::sync::{Event, Semaphore};
use ramie::{
    AnyGreenlet, Greenlet, Group, JoinOptions, Kill, TimedOut, Timeout, Waitable, fallible, iwait, joinall,
    joinall_with, killall, killall_nowait, killall_with, sleep, spawn, wait, wait_timeout, yield_now,
};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const RAISING: JoinOptions = JoinOptions { raise_error: true, timeout: ramie::Limit::Never, count: None };

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Greenlets of three result types that end in the order third, first, second.
fn mixed() -> (Greenlet<u32>, Greenlet<&'static str>, Greenlet<Vec<u8>>) {
    let number = spawn(|| {
        sleep(ms(4));
        5
    });
    let text = spawn(|| {
        sleep(ms(8));
        "five"
    });
    (number, text, spawn(|| vec![5]))
}

#[test]
fn joinall_takes_a_tuple_and_returns_the_greenlets_in_the_order_of_their_ends() {
    within(LIMIT, || {
        let (number, text, bytes) = mixed();
        let ended = joinall((&number, &text, &bytes));
        let expected = [bytes.as_any(), number.as_any(), text.as_any()];
        assert!(ended.into_iter().eq(expected));
        assert_eq!((number.get().unwrap(), text.get().unwrap(), bytes.get().unwrap()), (5, "five", vec![5]));
        let own = mixed();
        assert_eq!(joinall(&own).len(), 3);
        assert!(own.0.dead() && own.1.dead() && own.2.dead());
    });
}

#[test]
fn every_collection_of_one_type_is_taken() {
    within(LIMIT, || {
        let greenlets: Vec<Greenlet<u32>> = (0..4).map(|n| spawn(move || n)).collect();
        let array = [spawn(|| 1), spawn(|| 2)];
        assert_eq!(joinall(&greenlets).len(), 4);
        assert_eq!(joinall(&greenlets[1..]).len(), 3);
        assert_eq!(joinall(&array).len(), 2);
        assert_eq!(joinall(greenlets.iter().rev().take(2)).len(), 2);
        assert_eq!(joinall(greenlets.iter().map(Greenlet::as_any)).len(), 4);
        let own: Vec<Greenlet<u32>> = joinall(array);
        assert_eq!(own.len(), 2);
        let own: Vec<AnyGreenlet> = wait(greenlets.iter().map(|g| g.as_any().clone()));
        assert_eq!(own.len(), 4);
        assert_eq!(iwait(greenlets).map(|g| g.take().unwrap()).sum::<u32>(), 6);
    });
}

#[test]
fn objects_of_different_kinds_are_told_apart_by_their_index() {
    within(LIMIT, || {
        let (event, semaphore) = (Event::new(), Semaphore::new(0));
        let setter = event.clone();
        let g = spawn(move || {
            setter.set();
            sleep(ms(2));
        });
        let mut ready = iwait((&semaphore, &g, &event)).timeout(ms(200));
        assert!(ready.next().is_some_and(Waitable::is_ready));
        assert_eq!(ready.last_index(), Some(2));
        assert!(ready.next().is_some());
        assert_eq!(ready.last_index(), Some(1));
        assert!(ready.next().is_none() && ready.timed_out());
        drop(ready);
        assert_eq!((semaphore.linkcount(), g.has_links()), (0, 0));
        assert_eq!(wait((&event, &g)).len(), 2);
        let own = (event, g);
        assert_eq!(wait(&own).len(), 2);
    });
}

#[test]
fn nothing_is_waited_for_in_an_empty_collection() {
    within(LIMIT, || {
        let log = Log::new();
        spawn(log.adder("other"));
        let none: [Greenlet<()>; 0] = [];
        assert!(joinall(&none).is_empty() && wait(&none).is_empty() && iwait(&none).next().is_none());
        assert!(joinall(Vec::<AnyGreenlet>::new()).is_empty());
        assert!(joinall_with(none.iter(), RAISING).is_ok_and(|ended| ended.is_empty()));
        killall(&none);
        assert_eq!(killall_with(none.iter(), Kill::new("unused")), Ok(()));
        assert!(log.is_empty(), "no call waited");
    });
}

#[test]
fn a_greenlet_that_is_listed_twice_is_returned_twice_and_killed_once() {
    within(LIMIT, || {
        let (once, twice) = (spawn(|| "once"), spawn(|| 2));
        let ended = joinall((&twice, &once, &twice));
        assert_eq!(ended.len(), 3);
        assert_eq!(ended.iter().filter(|g| **g == twice.as_any()).count(), 2);
        assert_eq!(wait(vec![&once, &once, &once]).len(), 3);

        let log = Log::new();
        let inner = log.clone();
        let stubborn = spawn(move || {
            let caught = ramie::catch::<&str, _>(|| sleep(LONG)).is_err();
            inner.add("caught");
            yield_now();
            caught
        });
        let other = spawn(|| sleep(LONG));
        yield_now();
        assert_eq!(killall_with((&stubborn, &other, &other), Kill::new("stop")), Ok(()));
        assert_eq!(log.words(), ["caught"]);
        assert!(stubborn.get().unwrap() && other.get().is_err());
    });
}

#[test]
fn joinall_of_a_tuple_raises_the_first_failure() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let (slow, failing) = (spawn(|| sleep(LONG)), spawn(fallible(|| Err::<u8, _>("no luck"))));
        let failure = joinall_with((&slow, &failing), RAISING).expect_err("one has failed");
        assert!(failure.is::<&str>());
        assert_eq!(slow.has_links(), 0);
        let first = JoinOptions { count: Some(1), ..JoinOptions::default() };
        assert_eq!(joinall_with((&slow, &failing), first).map(|ended| ended.len()).ok(), Some(1));
        slow.kill();
    });
}

#[test]
fn a_limit_ends_the_wait_for_a_tuple_and_leaves_no_links() {
    within(LIMIT, || {
        let (fast, slow) = (spawn(|| 1), spawn(|| sleep(LONG)));
        assert_eq!(wait_timeout((&slow, &fast), ms(2)).len(), 1);
        let options = JoinOptions { timeout: ms(2).into(), ..JoinOptions::default() };
        assert!(joinall_with((&slow, &fast), options).is_ok_and(|ended| ended == [fast.as_any()]));
        assert_eq!(Timeout::new(ms(2)).scope(|| joinall((&slow, &fast)).len()), Err(TimedOut));
        assert_eq!(slow.has_links(), 0);
        slow.kill();
    });
}

#[test]
fn killall_takes_tuples_and_iterators() {
    within(LIMIT, || {
        let (number, text) = (
            spawn(|| {
                sleep(LONG);
                5
            }),
            spawn(|| {
                sleep(LONG);
                "five"
            }),
        );
        yield_now();
        killall_nowait((&number, &text));
        assert!(!number.dead() && !text.dead());
        killall((&number, &text));
        assert!(number.get().is_err_and(|failure| failure.is_exit()) && text.dead());

        let group = Group::new();
        group.spawn(|| sleep(LONG));
        group.spawn(|| {
            sleep(LONG);
            5
        });
        yield_now();
        let members = group.greenlets();
        killall(group.iter());
        assert!(members.len() == 2 && members.iter().all(|g| g.dead()));
    });
}

/// The iterator runs to its end before the first greenlet is killed.
#[test]
fn an_iterator_may_wait_between_two_greenlets_that_are_killed() {
    within(LIMIT, || {
        let log = Log::new();
        let greenlets = ["a", "b"].map(|name| {
            let log = log.clone();
            spawn(move || {
                log.add(name);
                sleep(LONG);
            })
        });
        killall(greenlets.iter().inspect(|_| yield_now()));
        assert_eq!(log.words(), ["a", "b"]);
        assert!(greenlets.iter().all(|g| g.dead()));
    });
}
