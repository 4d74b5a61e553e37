//! gevent's tests of the channel that stores nothing (from `test__queue.py`), restated.

use std::time::Duration;

use ramie::queue::{Channel, TryGetError, TryPutError};
use ramie::{Timeout, get_hub, sleep, spawn, yield_now};

use crate::util::generic_waits::{
    ended_by_a_timeout_of_the_callers, ended_by_a_timeout_with_an_error_of_its_own, expires_with_an_error,
    outer_timeout_is_not_lost,
};
use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);

/// gevent: `TestChannel::test_put_nowait_simple`, `test_get_nowait_unlock_channel`.
#[test]
fn the_hub_cannot_meet_anybody() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let channel = Channel::new();
        let putter = spawn({
            let channel = channel.clone();
            move || channel.put(1)
        });
        yield_now();
        let asked = channel.clone();
        get_hub().run_callback(move || assert!(asked.try_get().is_err()));
        let asked = channel.clone();
        get_hub().run_callback(move || assert!(asked.try_put(2).is_err()));
        yield_now();
        assert_eq!(errors.len(), 2);
        // Neither has left anything behind.
        assert_eq!((channel.balance(), putter.ready()), (1, false));
        assert_eq!(channel.get(), 1);
        putter.get().unwrap();
    });
}

/// gevent: `TestChannel::test_send_last`.
#[test]
fn a_getter_receives_what_is_put_later() {
    within(LIMIT, || {
        let channel = Channel::new();
        let waiter = spawn({
            let channel = channel.clone();
            move || Timeout::new(LONG).scope(|| channel.get())
        });
        sleep(Duration::from_millis(1));
        assert_eq!(channel.balance(), -1);
        channel.put("item");
        assert_eq!(waiter.get().unwrap(), Ok("item"));
        assert_eq!(channel.balance(), 0);
    });
}

/// gevent: `TestChannel::test_zero_max_size`.
#[test]
fn a_putter_waits_until_a_getter_comes() {
    within(LIMIT, || {
        let log = Log::new();
        let channel = Channel::new();
        let (puts, notes) = (channel.clone(), log.clone());
        spawn(move || {
            puts.put("hello");
            notes.add("put");
        });
        let (gets, notes) = (channel.clone(), log.clone());
        let getter = spawn(move || {
            sleep(Duration::from_millis(2));
            notes.add("asks");
            notes.add(gets.get());
        });
        getter.get().unwrap();
        yield_now();
        log.expect("asks hello put");
    });
}

/// gevent: `TestChannel::test_send`.
#[test]
fn messages_and_their_putters_alternate() {
    within(LIMIT, || {
        let log = Log::new();
        let channel = Channel::new();
        let (puts, notes) = (channel.clone(), log.clone());
        let g = spawn(move || {
            notes.add("sending");
            puts.put("hello");
            notes.add("sent-hello");
            puts.put("world");
            notes.add("sent-world");
        });
        log.add(channel.get());
        log.add(channel.get());
        g.get().unwrap();
        log.expect("sending hello sent-hello world sent-world");
    });
}

/// gevent: `TestChannel::test_wait`.
#[test]
fn a_putter_goes_on_when_its_getter_waits_again() {
    within(LIMIT, || {
        let log = Log::new();
        let channel = Channel::new();
        let (puts, notes) = (channel.clone(), log.clone());
        spawn(move || {
            notes.add("sending-hello");
            puts.put("hello");
            notes.add("sending-world");
            puts.put("world");
            notes.add("sent-world");
        });
        log.add("waiting");
        log.add(channel.get());
        log.add(channel.get());
        log.expect("waiting sending-hello hello sending-world world");
        yield_now();
        log.expect("waiting sending-hello hello sending-world world sent-world");
    });
}

/// gevent: `TestChannel::test_iterable`. There is no sentinel; an item says that it is the last.
#[test]
fn items_may_be_taken_until_one_says_that_it_is_the_last() {
    within(LIMIT, || {
        let channel = Channel::new();
        let putter = spawn({
            let channel = channel.clone();
            move || {
                (1..=3).for_each(|i| channel.put(Some(i)));
                channel.put(None);
            }
        });
        let items: Vec<u32> = std::iter::from_fn(|| channel.get()).collect();
        assert_eq!(items, [1, 2, 3]);
        putter.get().unwrap();
    });
}

/// gevent: `TestGetInterruptChannel`, `TestPutInterruptChannel`, GET.
#[test]
fn both_ends_pass_the_get_battery() {
    within(LIMIT, || {
        let channel = Channel::new();
        expires_with_an_error(|limit| channel.get_timeout(limit) == Err(TryGetError::Empty));
        ended_by_a_timeout_of_the_callers(|| assert_eq!(channel.get(), 0));
        ended_by_a_timeout_with_an_error_of_its_own(|| assert_eq!(channel.get(), 0));
        outer_timeout_is_not_lost(|limit| assert!(channel.get_timeout(limit).is_err()));
        expires_with_an_error(|limit| channel.put_timeout(1, limit) == Err(TryPutError::Full(1)));
        ended_by_a_timeout_of_the_callers(|| channel.put(2));
        ended_by_a_timeout_with_an_error_of_its_own(|| channel.put(3));
        outer_timeout_is_not_lost(|limit| assert!(channel.put_timeout(4, limit).is_err()));
        assert_eq!(channel.balance(), 0);
    });
}

/// Hazard 20: the calls that do not wait let others run once, and succeed when a peer waits
/// already.
#[test]
fn without_a_partner_nothing_is_handed_over_and_with_one_it_is() {
    within(LIMIT, || {
        let log = Log::new();
        let channel = Channel::new();
        spawn(log.adder("ran"));
        assert_eq!(channel.try_put(1), Err(TryPutError::Full(1)));
        assert_eq!(channel.try_get(), Err(TryGetError::Empty));
        log.expect("ran");
        let getter = spawn({
            let channel = channel.clone();
            move || channel.get()
        });
        yield_now();
        assert_eq!(channel.try_put(2), Ok(()));
        assert_eq!(getter.get().unwrap(), 2);
        let putter = spawn({
            let channel = channel.clone();
            move || channel.put(3)
        });
        yield_now();
        assert_eq!(channel.try_get(), Ok(3));
        putter.get().unwrap();
    });
}

/// Pairs meet in the order in which both sides came, and a waiter that left in between leaves no
/// gap.
#[test]
fn pairs_meet_in_order() {
    within(LIMIT, || {
        for victim in 0..4 {
            let log = Log::new();
            let channel = Channel::new();
            let putters: Vec<_> = (0..4)
                .map(|i| {
                    let channel = channel.clone();
                    spawn(move || channel.put(i))
                })
                .collect();
            yield_now();
            putters[victim].kill();
            for name in ["a", "b", "c"] {
                let (channel, log) = (channel.clone(), log.clone());
                spawn(move || log.add(format!("{name}{}", channel.get())));
            }
            yield_now();
            yield_now();
            let left: Vec<usize> = (0..4).filter(|i| *i != victim).collect();
            log.expect(&format!("a{} b{} c{}", left[0], left[1], left[2]));
            assert!(putters.iter().all(|putter| putter.ready()));
            assert_eq!(channel.balance(), 0);
        }
    });
}
