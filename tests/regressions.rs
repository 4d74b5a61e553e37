//! Bugs that were found and fixed, one function each.

mod util;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ramie::queue::{Channel, PriorityQueue, Queue};
use ramie::sync::AsyncResult;
use ramie::{channel, select, sleep, spawn, wait, yield_now};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);

/// A producer and a consumer that always had something to do for each other kept everybody else from running for ever.
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

/// So did two who hand over without a store.
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

/// So did one who waited again and again for what was ready: a queue, or a greenlet that had ended.
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

/// The result stayed borrowed while its value was cloned, so that setting it meanwhile panicked.
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

/// The pattern of an arm that has to match whatever comes could be one that does not: the message was lost, and the
/// default taken. Now it does not compile; what has alternatives still does.
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

/// An item whose destructor panics left the rest of a queue that was shut down at once neither dropped nor counted.
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

/// An order that panics left an item in the queue that nobody was told of.
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

/// What was caught on behalf of somebody panicked once more when it was dropped, in places that did not expect it: fibers were
/// left by a panic, scopes and results waited for ever.
mod twice {
    use std::fmt;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use ramie::{ThreadPool, add_spawn_callback, fallible, get_hub, raise, remove_spawn_callback, scope};

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

    /// An error whose text cannot be had.
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
