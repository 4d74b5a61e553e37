//! The golden traces of queues and channels; see `golden.rs` for the others and the rules.

use std::time::Duration;

use ramie::queue::{Channel, Queue};
use ramie::{GreenletExit, catch, raise, spawn, yield_now};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);

/// A greenlet that puts `i` and logs that it did.
fn putter(queue: &Queue<u32>, log: &Log, i: u32) -> ramie::Greenlet<()> {
    let (queue, log) = (queue.clone(), log.clone());
    spawn(move || match queue.put(i) {
        Ok(()) => log.add(format!("put{i}")),
        Err(refused) => log.add(format!("refused{}", refused.into_inner())),
    })
}

/// Logs what the queue holds, in brackets, and empties it.
fn log_rest(queue: &Queue<u32>, log: &Log) {
    let rest: Vec<String> =
        std::iter::from_fn(|| queue.try_get().ok()).map(|item| item.to_string()).collect();
    log.add(format!("[{}]", rest.join(",")));
}

#[test]
fn b_56_room_is_given_to_the_waiting_putters_in_order() {
    within(LIMIT, || {
        let log = Log::new();
        let queue = Queue::bounded(2);
        for i in 0..5 {
            putter(&queue, &log, i);
        }
        yield_now();
        for _ in 0..2 {
            log.add(queue.get().unwrap());
        }
        yield_now();
        assert_eq!(queue.waiting(), (1, 0));
        log_rest(&queue, &log);
        log.expect("put0 put1 0 1 put2 put3 [2,3]");
    });
}

#[test]
fn b_57_the_item_of_a_killed_putter_never_enters() {
    within(LIMIT, || {
        let log = Log::new();
        let queue = Queue::bounded(1);
        queue.put(0).unwrap();
        let victim = putter(&queue, &log, 1);
        putter(&queue, &log, 2);
        yield_now();
        victim.kill();
        log.add(queue.get().unwrap());
        yield_now();
        log_rest(&queue, &log);
        log.expect("0 put2 [2]");
    });
}

#[test]
fn b_58_an_item_goes_to_who_asks_before_who_waits() {
    within(LIMIT, || {
        let log = Log::new();
        let queue = Queue::unbounded();
        let (getter, gets) = (queue.clone(), log.clone());
        let g = spawn(move || gets.add(getter.get().unwrap()));
        yield_now();
        queue.put("c").unwrap();
        log.add(format!("main-{}", queue.try_get().unwrap()));
        yield_now();
        assert!(!g.ready());
        assert_eq!(queue.waiting(), (0, 1));
        log.expect("main-c");
    });
}

#[test]
fn b_59_of_two_who_meet_the_getter_goes_on_first() {
    fn meet(putter_first: bool) -> Log {
        let log = Log::new();
        let channel = Channel::new();
        let put = {
            let (channel, log) = (channel.clone(), log.clone());
            move || {
                channel.put("x");
                log.add("put");
            }
        };
        let (getter, gets) = (channel.clone(), log.clone());
        let get = move || gets.add(format!("got-{}", getter.get()));
        if putter_first {
            spawn(put);
            yield_now();
            spawn(get);
        } else {
            spawn(get);
            yield_now();
            spawn(put);
        }
        yield_now();
        yield_now();
        assert_eq!(channel.balance(), 0);
        log
    }
    within(LIMIT, || {
        meet(true).expect("got-x put");
        meet(false).expect("got-x put");
    });
}

#[test]
fn b_60_a_shutdown_refuses_those_who_wait_to_put_and_keeps_what_is_there() {
    within(LIMIT, || {
        let log = Log::new();
        let queue = Queue::bounded(1);
        queue.put(0).unwrap();
        putter(&queue, &log, 1);
        yield_now();
        queue.shutdown();
        log.add("shut");
        yield_now();
        log.add(queue.get().unwrap());
        log.add(if queue.get().is_err() { "over" } else { "more" });
        log.expect("shut refused1 0 over");
    });
}

// Below: what section 6.4 of the reference was measured to do and no numbered trace has.

#[test]
fn a_kill_queued_after_the_wake_up_comes_after_the_item() {
    within(LIMIT, || {
        let log = Log::new();
        let queue = Queue::unbounded();
        let (getter, gets) = (queue.clone(), log.clone());
        let g = spawn(move || {
            gets.add(getter.get().unwrap());
            let end = catch::<GreenletExit, _>(yield_now);
            if let Err(exit) = end {
                gets.add("exit");
                raise(exit.into_exception())
            }
        });
        yield_now();
        queue.put("item").unwrap();
        g.kill_nowait();
        yield_now();
        log.expect("item exit");
        assert!(queue.is_empty());
    });
}

#[test]
fn a_peeker_ahead_and_a_getter_behind_it_share_one_item() {
    within(LIMIT, || {
        let log = Log::new();
        let queue = Queue::unbounded();
        for (name, takes) in [("peeker", false), ("getter", true), ("late-peeker", false)] {
            let (queue, log) = (queue.clone(), log.clone());
            spawn(move || {
                let item: u32 = if takes { queue.get() } else { queue.peek() }.unwrap();
                log.add(format!("{name}-{item}"));
            });
        }
        yield_now();
        queue.put(1).unwrap();
        yield_now();
        log.expect("peeker-1 getter-1");
        assert_eq!(queue.waiting(), (0, 1));
        queue.put(2).unwrap();
        yield_now();
        log.expect("peeker-1 getter-1 late-peeker-2");
    });
}

/// In gevent the getter is told of the shutdown, and the item stays.
#[test]
fn a_getter_about_to_be_woken_takes_the_item_although_the_queue_is_shut_down() {
    within(LIMIT, || {
        let log = Log::new();
        let queue = Queue::unbounded();
        let (getter, gets) = (queue.clone(), log.clone());
        spawn(move || gets.add(getter.get().is_ok()));
        yield_now();
        queue.put(1).unwrap();
        queue.shutdown();
        yield_now();
        log_rest(&queue, &log);
        log.expect("true []");
    });
}

#[test]
fn more_room_is_given_to_the_waiting_putters() {
    // Hazard 11: in gevent they wait for the next get.
    within(LIMIT, || {
        let log = Log::new();
        let queue = Queue::bounded(1);
        for i in 0..4 {
            putter(&queue, &log, i);
        }
        yield_now();
        queue.set_maxsize(Some(3));
        log.add("raised");
        yield_now();
        log.expect("put0 raised put1 put2");
        queue.set_maxsize(None);
        yield_now();
        log_rest(&queue, &log);
        log.expect("put0 raised put1 put2 put3 [0,1,2,3]");
    });
}
