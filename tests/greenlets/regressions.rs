//! Bugs that were found and fixed, one function each.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ramie::hub::spawn_raw;
use ramie::queue::{Channel, PriorityQueue, Queue};
use ramie::sync::Event;
use ramie::sync::{AsyncResult, BoundedSemaphore, RLock};
use ramie::{
    Group, Mapping, Pool, Timeout, catch, channel, get_hub, getcurrent, raise, select, sleep, spawn, wait,
    yield_now,
};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);

/// A producer and a consumer that always had work for each other kept all other greenlets from
/// running.
#[test]
fn putters_and_getters_that_serve_each_other_let_others_run() {
    within(LIMIT, || {
        let queue = Queue::bounded(1);
        let producer = spawn({
            let queue = queue.clone();
            move || while queue.put(()).is_ok() {}
        });
        let consumer = spawn({
            let queue = queue.clone();
            move || while queue.get().is_ok() {}
        });
        sleep(Duration::from_millis(1));
        queue.shutdown();
        producer.join();
        consumer.join();
    });
}

/// So did the two ends of a channel.
#[test]
fn senders_and_receivers_that_serve_each_other_let_others_run() {
    for room in [0, 1] {
        within(LIMIT, move || {
            let (sender, receiver) = channel::bounded(room);
            let producer = spawn(move || while sender.send(()).is_ok() {});
            let consumer = spawn(move || receiver.iter().count());
            sleep(Duration::from_millis(1));
            consumer.kill();
            producer.join();
        });
    }
}

/// So did two greenlets with a rendezvous.
#[test]
fn two_who_meet_again_and_again_let_others_run() {
    within(LIMIT, || {
        let (channel, over) = (Channel::new(), Rc::new(Cell::new(false)));
        let putter = spawn({
            let (channel, over) = (channel.clone(), over.clone());
            move || {
                while !over.get() {
                    channel.put(true);
                }
            }
        });
        let getter = spawn({
            let channel = channel.clone();
            move || while channel.get() {}
        });
        sleep(Duration::from_millis(1));
        over.set(true);
        putter.join();
        channel.put(false);
        getter.join();
    });
}

/// So did a greenlet that waited again and again for a ready object: a queue, or a greenlet that
/// had ended.
#[test]
fn waiting_again_for_what_is_ready_lets_others_run() {
    within(LIMIT, || {
        let (queue, ended) = (Queue::unbounded(), spawn(|| ()));
        queue.put(()).expect("the queue is not shut down");
        ended.join();
        let over = Rc::new(Cell::new(false));
        let waiters = [
            spawn({
                let over = over.clone();
                move || {
                    while !over.get() {
                        wait(&[&queue]);
                    }
                }
            }),
            spawn({
                let over = over.clone();
                move || {
                    while !over.get() {
                        wait(&[&ended]);
                    }
                }
            }),
        ];
        yield_now();
        yield_now();
        over.set(true);
        wait(&waiters);
    });
}

/// The result stayed borrowed while its value was cloned, so that setting it in `clone` panicked.
#[test]
fn a_result_may_be_set_while_its_value_is_cloned() {
    struct Slow(u32);

    impl Clone for Slow {
        fn clone(&self) -> Self {
            yield_now();
            Slow(self.0)
        }
    }

    within(LIMIT, || {
        let result = AsyncResult::new();
        result.set(Slow(1));
        let getter = spawn({
            let result = result.clone();
            move || result.get().map(|value| value.0)
        });
        yield_now();
        result.set(Slow(2));
        assert_eq!(getter.take().expect("nothing panics").expect("a value is there"), 1);
    });
}

/// The pattern of an arm that has to match whatever comes could be one that does not: the message
/// was lost, and the default taken. Now it does not compile; what has alternatives still does.
#[test]
fn the_pattern_of_an_arm_may_have_alternatives() {
    within(LIMIT, || {
        let (sender, receiver) = channel::unbounded();
        sender.send(5).expect("a receiver is there");
        let chosen = select! {
            recv(receiver) -> Ok(_) | Err(_) => true,
            default => { false }
        };
        assert!(chosen);
    });
}

/// An item with a destructor that panics left the rest of a queue that was shut down at once
/// neither dropped nor counted.
#[test]
fn an_immediate_shutdown_counts_everything_whatever_is_dropped() {
    struct Grenade(bool);
    impl Drop for Grenade {
        fn drop(&mut self) {
            if self.0 {
                std::panic::resume_unwind(Box::new("grenade"));
            }
        }
    }

    within(LIMIT, || {
        let queue = Queue::unbounded();
        for armed in [false, true, false] {
            queue.put(Grenade(armed)).expect("the queue is open");
        }
        let shut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| queue.shutdown_immediate()));
        assert!(shut.is_err());
        assert_eq!((queue.len(), queue.unfinished_tasks()), (0, 0));
        queue.join();
    });
}

/// An order that panics left an item in the queue that no getter was woken for.
#[test]
fn an_item_whose_order_panics_is_still_there() {
    #[derive(Debug, PartialEq, Eq)]
    struct Touchy(u32);
    impl PartialOrd for Touchy {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for Touchy {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            if self.0 == 13 || other.0 == 13 {
                std::panic::resume_unwind(Box::new("13"));
            }
            self.0.cmp(&other.0)
        }
    }

    within(LIMIT, || {
        let queue = PriorityQueue::default();
        queue.put(Touchy(1)).expect("the queue is open");
        let put = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| queue.put(Touchy(13))));
        assert!(put.is_err());
        assert_eq!(queue.len(), queue.unfinished_tasks());
    });
}

/// A permit that was released inside `with` was given back once more at its end, above the bound.
#[test]
fn a_bounded_semaphore_keeps_its_bound_when_a_scope_ends() {
    let semaphore = BoundedSemaphore::new(1);
    semaphore.with(|| assert_eq!(semaphore.release(), Ok(1)));
    assert_eq!(semaphore.counter(), 1);
}

/// A guard released its lock once more after a release by hand: below zero, or while the next owner
/// held it.
#[test]
fn a_guard_gives_back_only_what_is_still_its_own() {
    within(LIMIT, || {
        let lock = RLock::new();
        let guard = lock.lock();
        lock.release().expect("it is this greenlet's");
        drop(guard);
        assert!(!lock.locked());

        let guard = lock.lock();
        lock.release().expect("it is this greenlet's");
        let other = spawn({
            let lock = lock.clone();
            move || lock.acquire()
        });
        other.join();
        drop(guard);
        assert!(lock.locked());
    });
}

/// A timeout that hit a raw greenlet after its end was reported only if a handle of the greenlet
/// was left.
#[test]
fn a_stray_timeout_of_a_forgotten_raw_greenlet_is_reported() {
    within(LIMIT, || {
        let reported = Rc::new(Cell::new(0));
        let count = reported.clone();
        get_hub().set_error_handler(Some(Rc::new(move |_, failure| {
            assert!(failure.is::<Timeout>());
            count.set(count.get() + 1);
        })));
        let armed = Rc::new(Cell::new(None));
        let keep = armed.clone();
        spawn_raw(move || {
            let timeout = Timeout::new(Duration::from_millis(1));
            timeout.start();
            keep.set(Some(timeout));
        });
        sleep(Duration::from_millis(20));
        drop(armed);
        assert_eq!(reported.get(), 1);
    });
}

/// A join of a group that began during the notification of its end returned before the earlier
/// joins.
#[test]
fn a_late_joiner_of_an_empty_group_comes_last() {
    within(LIMIT, || {
        let (group, log) = (Group::new(), Rc::new(RefCell::new(Vec::new())));
        let member = group.spawn(|| ());
        let early = spawn({
            let (group, log) = (group.clone(), log.clone());
            move || {
                group.join();
                log.borrow_mut().push("early");
            }
        });
        member.link({
            let (group, log) = (group.clone(), log.clone());
            move |_| {
                assert!(group.is_empty());
                group.join();
                log.borrow_mut().push("late");
            }
        });
        early.join();
        yield_now();
        assert_eq!(*log.borrow(), ["early", "late"]);
    });
}

/// The reader of an ordered mapping was told only when its own turn had come: one turn late if
/// others came before. And it was told of the end one turn after the last result.
#[test]
fn the_end_of_a_mapping_comes_with_its_last_result() {
    within(LIMIT, || {
        let log = Rc::new(RefCell::new(Vec::new()));
        let mut mapping = Group::new().imap(0..0, |item: i32| item);
        let other = spawn({
            let log = log.clone();
            move || {
                yield_now();
                log.borrow_mut().push("other");
            }
        });
        assert!(mapping.next().is_none());
        log.borrow_mut().push("end");
        other.join();
        assert_eq!(*log.borrow(), ["end", "other"]);
    });
}

/// A putter counted as waiting after its item was taken, until its turn came.
#[test]
fn the_balance_of_a_channel_forgets_who_was_served() {
    within(LIMIT, || {
        let channel = Channel::new();
        let getter = spawn({
            let channel = channel.clone();
            move || {
                let item: i32 = channel.get();
                (item, channel.balance())
            }
        });
        channel.put(5);
        assert_eq!(getter.get().expect("it ends well"), (5, 0));
    });
}

/// A member that was added once more after all its links had been removed stayed in its pool
/// forever.
#[test]
fn a_member_that_is_added_again_is_linked_again() {
    within(LIMIT, || {
        let pool = Pool::new(2);
        let member = pool.spawn(|| ());
        member.unlink_all();
        pool.add(&member);
        pool.join();
        assert_eq!((pool.len(), pool.free_count()), (0, 2));
    });
}

/// A greenlet that killed one member of a group stood in line behind the waiters for the member's
/// natural end.
#[test]
fn a_killer_of_one_member_is_in_line_at_once() {
    within(LIMIT, || {
        let (group, log) = (Group::new(), Rc::new(RefCell::new(Vec::new())));
        let member = group.spawn(yield_now);
        yield_now();
        let telling = log.clone();
        member.link(move |_| telling.borrow_mut().push("link"));
        // It ends by itself before its kill has its turn.
        group.killone(&member);
        log.borrow_mut().push("killed");
        assert_eq!(*log.borrow(), ["link", "killed"]);
    });
}

/// A join of a queue that began during the notification of its last task returned before the
/// earlier joins.
#[test]
fn a_late_joiner_of_a_queue_comes_last() {
    within(LIMIT, || {
        let (queue, log) = (Queue::unbounded(), Rc::new(RefCell::new(Vec::new())));
        queue.put(()).expect("the queue is open");
        let early = spawn({
            let (queue, log) = (queue.clone(), log.clone());
            move || {
                queue.join();
                log.borrow_mut().push("early");
            }
        });
        yield_now();
        queue.task_done().expect("it is the first");
        queue.join();
        log.borrow_mut().push("late");
        early.join();
        assert_eq!(*log.borrow(), ["early", "late"]);
    });
}

/// A callback of the hub counted as main, since it runs on main's stack, and released main's lock.
#[test]
fn a_callback_owns_no_lock() {
    within(LIMIT, || {
        let lock = RLock::new();
        lock.acquire();
        let other = lock.clone();
        get_hub().run_callback(move || assert!(other.release().is_err()));
        yield_now();
        assert!(lock.locked());
    });
}

/// A greenlet that was waiting when an event was set once more in the middle of a pass had to wait
/// for the next pass.
#[test]
fn a_promise_made_in_the_middle_of_a_pass_is_kept_in_it() {
    within(LIMIT, || {
        let (event, log) = (Event::new(), Rc::new(RefCell::new(Vec::new())));
        let first = spawn({
            let (event, log) = (event.clone(), log.clone());
            move || {
                event.wait();
                spawn(move || log.borrow_mut().push("other"));
                event.set();
            }
        });
        yield_now();
        event.set();
        event.clear();
        event.wait();
        log.borrow_mut().push("main");
        first.join();
        yield_now();
        assert_eq!(*log.borrow(), ["main", "other"]);
    });
}

/// A shutdown woke putters before getters, unlike gevent.
#[test]
fn a_shutdown_tells_getters_first() {
    within(LIMIT, || {
        let (queue, log) = (Queue::bounded(1), Rc::new(RefCell::new(Vec::new())));
        let getter = spawn({
            let (queue, log) = (queue.clone(), log.clone());
            move || {
                let _ = queue.get();
                log.borrow_mut().push("getter");
            }
        });
        yield_now();
        let shutting = queue.clone();
        spawn(move || shutting.shutdown());
        queue.put(1).expect("there is room");
        assert!(queue.put(2).is_err());
        log.borrow_mut().push("putter");
        getter.join();
        assert_eq!(*log.borrow(), ["getter", "putter"]);
    });
}

/// A greenlet that throws into itself let the others of its pass run first.
#[test]
fn a_throw_into_oneself_is_a_raise() {
    within(LIMIT, || {
        let (event, log) = (Event::new(), Rc::new(RefCell::new(Vec::new())));
        let waiters = ["first", "second"].map(|name| {
            let (event, log) = (event.clone(), log.clone());
            spawn(move || {
                event.wait();
                let caught = catch::<&str, _>(|| getcurrent().throw(name)).expect_err("it is raised");
                log.borrow_mut().push(*caught);
            })
        });
        yield_now();
        event.set();
        waiters.iter().for_each(|waiter| waiter.join());
        assert_eq!(*log.borrow(), ["first", "second"]);
    });
}

/// A member that was discarded during a join, and failed before the joiner continued, was
/// forgotten.
#[test]
fn a_discarded_member_that_fails_in_time_counts() {
    within(LIMIT, || {
        let group = Group::new();
        let member = group.spawn(|| {
            yield_now();
            raise("failed");
        });
        spawn({
            let (group, member) = (group.clone(), member.as_any().clone());
            move || {
                yield_now();
                group.discard(&member);
            }
        });
        assert_eq!(group.join_raising().unwrap_err().to_string(), "failed");
    });
}

/// An immediate shutdown woke putters before joiners of the queue.
#[test]
fn an_immediate_shutdown_tells_joiners_first() {
    within(LIMIT, || {
        let (queue, log) = (Queue::bounded(1), Rc::new(RefCell::new(Vec::new())));
        queue.put(1).expect("there is room");
        let putter = spawn({
            let (queue, log) = (queue.clone(), log.clone());
            move || {
                assert!(queue.put(2).is_err());
                log.borrow_mut().push("putter");
            }
        });
        let joiner = spawn({
            let (queue, log) = (queue.clone(), log.clone());
            move || {
                queue.join();
                log.borrow_mut().push("joiner");
            }
        });
        yield_now();
        queue.shutdown_immediate();
        putter.join();
        joiner.join();
        assert_eq!(*log.borrow(), ["joiner", "putter"]);
    });
}

/// A payload that was caught on behalf of other code panicked once more when it was dropped, in
/// places that did not expect it: fibers were left by a panic, scopes and results waited forever.
mod twice {
    use std::fmt;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use ramie::hub::{add_spawn_callback, remove_spawn_callback};
    use ramie::{ThreadPool, fallible, get_hub, raise, scope};

    use super::*;

    /// A payload that panics when it is dropped.
    struct Payload;

    impl Drop for Payload {
        fn drop(&mut self) {
            resume_unwind(Box::new("dropped"));
        }
    }

    fn panics() -> ! {
        resume_unwind(Box::new(Payload))
    }

    struct PanicsInDrop;

    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panics();
        }
    }

    /// An error that has no text: formatting it panics.
    #[derive(Debug)]
    struct Mute;

    impl fmt::Display for Mute {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panics()
        }
    }

    ramie::greenlet_local! {
        static LOCAL: PanicsInDrop = PanicsInDrop;
    }

    #[test]
    fn a_scope_whose_child_is_killed_unrun_ends() {
        within(LIMIT, || {
            scope(|s| {
                let captured = PanicsInDrop;
                s.spawn(move || drop(captured)).kill();
            });
            let left = catch_unwind(AssertUnwindSafe(|| {
                scope(|s| -> () {
                    let captured = PanicsInDrop;
                    s.spawn(move || drop(captured));
                    resume_unwind(Box::new("left"))
                })
            }));
            assert_eq!(left.unwrap_err().downcast_ref(), Some(&"left"));
        });
    }

    #[test]
    fn a_greenlet_ends() {
        within(LIMIT, || {
            assert!(spawn(fallible(|| Err::<(), _>(Mute))).take().unwrap_err().is::<Mute>());
            let with_local = spawn(|| LOCAL.with(|_| 5));
            with_local.rawlink(|_| panics());
            assert_eq!(with_local.take().unwrap(), 5);
            let callback = add_spawn_callback(|_| panics());
            let told_of = spawn(|| 5);
            assert!(remove_spawn_callback(callback));
            assert_eq!(told_of.take().unwrap(), 5);
            get_hub().set_error_handler(Some(Rc::new(|_, _| panics())));
            assert!(spawn(|| raise("reported")).take().is_err());
        });
    }

    #[test]
    fn a_job_has_its_result() {
        within(LIMIT, || {
            let pool = ThreadPool::new(1);
            let failed = pool.spawn(fallible(|| Err::<(), _>(Mute)));
            assert!(failed.take().unwrap_err().is::<Mute>());
        });
    }

    #[test]
    fn a_hub_ends() {
        within(LIMIT, || {
            let posted = PanicsInDrop;
            get_hub().remote().post(move || drop(posted)).unwrap();
            LOCAL.with(|_| ());
        });
    }
}
