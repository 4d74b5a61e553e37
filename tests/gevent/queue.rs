//! gevent's tests of queues (`test__queue.py`), restated; those of channels are in
//! `gevent_channel.rs`.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ramie::queue::{
    Fifo, Lifo, LifoQueue, Order, PriorityQueue, Queue, SimpleQueue, Smallest, TryGetError, TryPutError,
};
use ramie::{Greenlet, LoopExit, TimedOut, Timeout, catch, get_hub, sleep, spawn, with_timeout, yield_now};

use crate::util::generic_waits::{
    ended_by_a_timeout_of_the_callers, ended_by_a_timeout_with_an_error_of_its_own, expires_with_an_error,
    outer_timeout_is_not_lost,
};
use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

/// The operations that all these queues have, so that each test serves for every kind.
trait Kind: Clone + 'static {
    fn name() -> &'static str {
        std::any::type_name::<Self>()
    }
    fn bounded(maxsize: usize) -> Self;
    fn unbounded() -> Self;
    fn put(&self, item: u32);
    fn try_put(&self, item: u32) -> Result<(), TryPutError<u32>>;
    fn put_timeout(&self, item: u32, timeout: Duration) -> Result<(), TryPutError<u32>>;
    fn get(&self) -> u32;
    fn try_get(&self) -> Result<u32, TryGetError>;
    fn get_timeout(&self, timeout: Duration) -> Result<u32, TryGetError>;
    fn peek(&self) -> u32;
    fn try_peek(&self) -> Result<u32, TryGetError>;
    fn peek_timeout(&self, timeout: Duration) -> Result<u32, TryGetError>;
    fn len(&self) -> usize;
}

macro_rules! kind {
    ([$($generics:tt)*] $kind:ty, $bounded:expr, $unbounded:expr, $unwrap:expr) => {
        impl<$($generics)*> Kind for $kind {
            fn bounded(maxsize: usize) -> Self {
                $bounded(maxsize)
            }
            fn unbounded() -> Self {
                $unbounded
            }
            fn put(&self, item: u32) {
                <$kind>::put_timeout(self, item, LONG).expect("the queue is not shut down");
            }
            fn try_put(&self, item: u32) -> Result<(), TryPutError<u32>> {
                <$kind>::try_put(self, item)
            }
            fn put_timeout(&self, item: u32, timeout: Duration) -> Result<(), TryPutError<u32>> {
                <$kind>::put_timeout(self, item, timeout)
            }
            fn get(&self) -> u32 {
                $unwrap(<$kind>::get(self))
            }
            fn try_get(&self) -> Result<u32, TryGetError> {
                <$kind>::try_get(self)
            }
            fn get_timeout(&self, timeout: Duration) -> Result<u32, TryGetError> {
                <$kind>::get_timeout(self, timeout)
            }
            fn peek(&self) -> u32 {
                $unwrap(<$kind>::peek(self))
            }
            fn try_peek(&self) -> Result<u32, TryGetError> {
                <$kind>::try_peek(self)
            }
            fn peek_timeout(&self, timeout: Duration) -> Result<u32, TryGetError> {
                <$kind>::peek_timeout(self, timeout)
            }
            fn len(&self) -> usize {
                <$kind>::len(self)
            }
        }
    };
}

kind!([] SimpleQueue<u32>, SimpleQueue::bounded, SimpleQueue::unbounded(), |item| item);
kind!(
    [O: Order<u32> + 'static] Queue<u32, O>,
    |maxsize| Queue::with_maxsize(Some(maxsize), []),
    Queue::default(),
    |item: Result<u32, _>| item.expect("the queue is not shut down")
);

/// Runs a test with every kind of queue.
macro_rules! for_each_kind {
    ($test:ident) => {
        within(LIMIT, || {
            $test::<SimpleQueue<u32>>();
            $test::<Queue<u32, Fifo<u32>>>();
            $test::<Queue<u32, Lifo<u32>>>();
            $test::<Queue<u32, Smallest<u32>>>();
        })
    };
}

/// Runs a function in the hub, as a callback, and returns what it returns.
fn in_hub<T: 'static>(f: impl FnOnce() -> T + 'static) -> T {
    let result = Rc::new(RefCell::new(None));
    let slot = result.clone();
    get_hub().run_callback(move || {
        let value = f();
        *slot.borrow_mut() = Some(value);
    });
    yield_now();
    result.take().expect("the callback has returned")
}

/// A greenlet that gets and ends with what it got.
fn getter<Q: Kind>(queue: &Q) -> Greenlet<u32> {
    let queue = queue.clone();
    spawn(move || queue.get())
}

/// A greenlet that gives up before anything is put, and ends with whether it did.
fn hopeless_getter<Q: Kind>(queue: &Q) -> Greenlet<bool> {
    let queue = queue.clone();
    spawn(move || with_timeout(Duration::ZERO, || queue.get()) == Err(TimedOut))
}

/// gevent: `test_put_nowait_simple`, `test_get_nowait_simple`.
#[test]
fn the_hub_puts_and_gets_without_waiting() {
    fn test<Q: Kind>() {
        let queue = Q::bounded(1);
        let q = queue.clone();
        assert_eq!(
            in_hub(move || (q.try_put(1), q.try_put(2))),
            (Ok(()), Err(TryPutError::Full(2))),
            "{}",
            Q::name()
        );
        let q = queue;
        assert_eq!(
            in_hub(move || (q.try_get(), q.try_get())),
            (Ok(1), Err(TryGetError::Empty)),
            "{}",
            Q::name()
        );
    }
    for_each_kind!(test);
}

/// gevent: `test_put_nowait_unlock`.
#[test]
fn what_the_hub_puts_wakes_a_getter() {
    fn test<Q: Kind>() {
        let queue = Q::unbounded();
        let g = getter(&queue);
        yield_now();
        assert!(!g.ready());
        let q = queue;
        in_hub(move || q.try_put(5)).unwrap();
        yield_now();
        assert!(g.ready());
        assert_eq!(g.get().unwrap(), 5);
    }
    for_each_kind!(test);
}

/// gevent: `test_get_nowait_unlock`.
#[test]
fn what_the_hub_gets_makes_room_for_a_putter() {
    fn test<Q: Kind>() {
        let queue = Q::bounded(1);
        let q = queue.clone();
        let putter = spawn(move || {
            q.put(1);
            q.put(2);
        });
        yield_now();
        assert!(!putter.ready());
        let q = queue.clone();
        assert_eq!(in_hub(move || q.try_get()), Ok(1));
        yield_now();
        assert!(putter.ready());
        assert_eq!(queue.get(), 2);
    }
    for_each_kind!(test);
}

/// gevent: `test_send_last`.
#[test]
fn a_getter_receives_what_is_put_later() {
    fn test<Q: Kind>() {
        let queue = Q::unbounded();
        let q = queue.clone();
        let waiter = spawn(move || Timeout::new(LONG).scope(|| q.get()));
        sleep(Duration::from_millis(1));
        queue.put(5);
        assert_eq!(waiter.get().unwrap(), Ok(5));
    }
    for_each_kind!(test);
}

/// gevent: `test_send_first`.
#[test]
fn putting_peeking_and_getting_let_nobody_run_where_nothing_is_waited_for() {
    fn test<Q: Kind>() {
        let log = Log::new();
        spawn(log.adder("other"));
        let queue = Q::bounded(1);
        queue.put(5);
        assert_eq!((queue.peek(), queue.try_peek(), queue.get()), (5, Ok(5), 5));
        assert!(log.is_empty());
        yield_now();
        log.expect("other");
    }
    for_each_kind!(test);
}

/// gevent: `test_peek_empty`.
#[test]
fn peeking_into_an_empty_queue_waits() {
    fn test<Q: Kind>() {
        let queue = Q::unbounded();
        assert!(catch::<LoopExit, _>(|| queue.peek()).is_err());
        assert_eq!(queue.try_peek(), Err(TryGetError::Empty));
        assert_eq!(queue.peek_timeout(SHORT), Err(TryGetError::Empty));
        assert_eq!(queue.peek_timeout(Duration::ZERO), Err(TryGetError::Empty));
    }
    for_each_kind!(test);
}

/// gevent: `test_peek_multi_greenlet`.
#[test]
fn a_peeker_is_woken_and_the_item_stays() {
    fn test<Q: Kind>() {
        let queue = Q::unbounded();
        let q = queue.clone();
        let peeker = spawn(move || q.peek());
        yield_now();
        assert!(!peeker.ready());
        queue.put(1);
        assert_eq!((peeker.get().unwrap(), queue.len()), (1, 1));
        assert_eq!((queue.peek(), queue.get(), queue.len()), (1, 1, 0));
    }
    for_each_kind!(test);
}

/// gevent: `test_max_size`.
#[test]
fn the_third_item_waits_for_room() {
    fn test<Q: Kind>(order: [u32; 3]) {
        let log = Log::new();
        let queue = Q::bounded(2);
        let (q, notes) = (queue.clone(), log.clone());
        let putter = spawn(move || {
            for i in 1..=3 {
                q.put(i);
                notes.add(i);
            }
        });
        yield_now();
        log.expect("1 2");
        assert_eq!(queue.get(), order[0], "{}", Q::name());
        yield_now();
        log.expect("1 2 3");
        assert_eq!([queue.get(), queue.get()], order[1..], "{}", Q::name());
        putter.get().unwrap();
    }
    within(LIMIT, || {
        test::<SimpleQueue<u32>>([1, 2, 3]);
        test::<Queue<u32>>([1, 2, 3]);
        test::<LifoQueue<u32>>([2, 3, 1]);
        test::<PriorityQueue<u32>>([1, 2, 3]);
    });
}

/// gevent: `test_multiple_waiters`.
#[test]
fn each_item_wakes_one_getter() {
    fn test<Q: Kind>() {
        let log = Log::new();
        let queue = Q::unbounded();
        for name in 0..4 {
            let (q, log) = (queue.clone(), log.clone());
            spawn(move || log.add(format!("{name}-{}", q.get())));
        }
        yield_now();
        for (item, words) in ["0-0", "0-0 1-1", "0-0 1-1 2-2", "0-0 1-1 2-2 3-3"].iter().enumerate() {
            queue.put(u32::try_from(item).unwrap());
            yield_now();
            log.expect(words);
        }
    }
    for_each_kind!(test);
}

/// gevent: `test_waiters_that_cancel`.
#[test]
fn a_getter_that_gave_up_swallows_nothing() {
    fn test<Q: Kind>() {
        let queue = Q::unbounded();
        assert!(hopeless_getter(&queue).get().unwrap());
        yield_now();
        queue.put(5);
        assert_eq!(queue.get(), 5);
    }
    for_each_kind!(test);
}

/// gevent: `test_senders_that_die`.
#[test]
fn an_item_outlives_its_putter() {
    fn test<Q: Kind>() {
        let queue = Q::unbounded();
        let q = queue.clone();
        spawn(move || q.put(5)).join();
        assert_eq!(queue.get(), 5);
    }
    for_each_kind!(test);
}

/// gevent: `test_two_waiters_one_dies`.
#[test]
fn the_second_getter_is_served_when_the_first_gave_up() {
    fn test<Q: Kind>() {
        let queue = Q::unbounded();
        let hopeless = hopeless_getter(&queue);
        let g = getter(&queue);
        assert!(hopeless.get().unwrap());
        yield_now();
        queue.put(5);
        assert_eq!(g.get().unwrap(), 5);
    }
    for_each_kind!(test);
}

/// gevent: `test_two_bogus_waiters`.
#[test]
fn an_item_stays_when_both_getters_gave_up() {
    fn test<Q: Kind>() {
        let queue = Q::unbounded();
        let hopeless = [(); 2].map(|()| hopeless_getter(&queue));
        yield_now();
        assert!(hopeless.iter().all(|g| g.get().unwrap()));
        queue.put(5);
        assert_eq!((queue.len(), queue.get()), (1, 5));
    }
    for_each_kind!(test);
}

/// gevent: `TestGetInterrupt` and its kin, GET.
#[test]
fn getting_passes_the_get_battery() {
    fn test<Q: Kind>() {
        let queue = Q::unbounded();
        expires_with_an_error(|limit| queue.get_timeout(limit) == Err(TryGetError::Empty));
        expires_with_an_error(|limit| queue.peek_timeout(limit) == Err(TryGetError::Empty));
        ended_by_a_timeout_of_the_callers(|| assert_eq!(queue.get(), 0));
        ended_by_a_timeout_with_an_error_of_its_own(|| assert_eq!(queue.get(), 0));
        outer_timeout_is_not_lost(|limit| assert!(queue.get_timeout(limit).is_err()));
        queue.put(1);
        assert_eq!(queue.try_get(), Ok(1));
    }
    for_each_kind!(test);
}

/// gevent: `TestPutInterrupt` and its kin, GET.
#[test]
fn putting_passes_the_get_battery() {
    fn test<Q: Kind>() {
        let queue = Q::bounded(1);
        queue.put(0);
        expires_with_an_error(|limit| queue.put_timeout(1, limit) == Err(TryPutError::Full(1)));
        ended_by_a_timeout_of_the_callers(|| queue.put(2));
        ended_by_a_timeout_with_an_error_of_its_own(|| queue.put(3));
        outer_timeout_is_not_lost(|limit| assert!(queue.put_timeout(4, limit).is_err()));
        assert_eq!((queue.len(), queue.get(), queue.try_get()), (1, 0, Err(TryGetError::Empty)));
    }
    for_each_kind!(test);
}

// --- Queue alone --------------------------------------------------------------------------------------------------

/// gevent: `TestQueue::test_issue_45`.
#[test]
fn joining_a_queue_never_used_lets_nobody_run() {
    within(LIMIT, || {
        let log = Log::new();
        spawn(log.adder("other"));
        Queue::<u32>::unbounded().join();
        assert!(Queue::<u32>::bounded(1).join_timeout(Duration::ZERO));
        assert!(log.is_empty());
    });
}

/// gevent: `TestQueue::test_task_done`.
#[test]
fn a_task_is_counted_until_it_is_done() {
    within(LIMIT, || {
        let queue = Queue::unbounded();
        queue.put(1).unwrap();
        assert_eq!(queue.unfinished_tasks(), 1);
        assert_eq!(queue.get(), Ok(1));
        assert_eq!(queue.unfinished_tasks(), 1);
        assert!(!queue.join_timeout(SHORT));
        queue.task_done().unwrap();
        assert_eq!(queue.unfinished_tasks(), 0);
        queue.join();
        assert!(queue.task_done().is_err());
    });
}

/// A joiner is told of the moment at which all was done, and not of one before it came.
#[test]
fn who_joins_waits_for_the_tasks_put_before() {
    within(LIMIT, || {
        let queue = Queue::with_maxsize(None, [1]);
        let early = spawn({
            let queue: Queue<u32> = queue.clone();
            move || queue.join_timeout(LONG)
        });
        yield_now();
        queue.task_done().unwrap();
        queue.put(2).unwrap();
        assert!(!queue.join_timeout(SHORT));
        assert!(early.ready() && early.get().unwrap());
        queue.task_done().unwrap();
        assert!(queue.join_timeout(LONG));
    });
}

/// gevent: `TestQueue::test_shutdown_all_methods_in_one_thread`.
#[test]
fn after_a_shutdown_what_is_left_can_be_got() {
    within(LIMIT, || {
        let queue = Queue::bounded(2);
        queue.put("L").unwrap();
        assert_eq!(queue.try_put("O"), Ok(()));
        queue.shutdown();
        assert!(queue.put("E").is_err_and(|error| error.into_inner() == "E"));
        assert_eq!(queue.try_put("W"), Err(TryPutError::ShutDown("W")));
        assert_eq!(queue.put_timeout("W", LONG), Err(TryPutError::ShutDown("W")));
        assert_eq!((queue.peek(), queue.get()), (Ok("L"), Ok("L")));
        queue.task_done().unwrap();
        assert_eq!(queue.try_get(), Ok("O"));
        queue.task_done().unwrap();
        assert!(queue.get().is_err());
        assert_eq!(
            (queue.try_get(), queue.try_peek()),
            (Err(TryGetError::ShutDown), Err(TryGetError::ShutDown))
        );
        queue.join();
        assert!(queue.task_done().is_err() && queue.is_shutdown());
        queue.shutdown();
    });
}

/// gevent: `TestQueue::test_shutdown_immediate_all_methods_in_one_thread`.
#[test]
fn after_an_immediate_shutdown_nothing_is_left() {
    within(LIMIT, || {
        let queue = Queue::bounded(2);
        queue.put("L").unwrap();
        queue.put("O").unwrap();
        queue.shutdown_immediate();
        assert!(queue.put("E").is_err());
        assert_eq!(queue.try_put("W"), Err(TryPutError::ShutDown("W")));
        assert!(queue.get().is_err());
        assert_eq!((queue.len(), queue.try_get()), (0, Err(TryGetError::ShutDown)));
        assert!(queue.task_done().is_err());
        queue.join();
    });
}

/// Items that were taken before stay unfinished; dropped items count as done and may release a
/// joiner.
#[test]
fn an_immediate_shutdown_counts_what_it_drops_as_done() {
    within(LIMIT, || {
        let queue = Queue::with_maxsize(Some(2), [1, 2, 3]);
        let queue: Queue<u32> = queue;
        assert!(queue.is_full() && queue.len() == 3);
        let joiner = spawn({
            let queue = queue.clone();
            move || queue.join()
        });
        assert_eq!(queue.get(), Ok(1));
        yield_now();
        queue.shutdown_immediate();
        assert_eq!(queue.unfinished_tasks(), 1);
        yield_now();
        assert!(!joiner.ready());
        queue.task_done().unwrap();
        yield_now();
        assert!(joiner.ready());
    });
}

/// Every waiter gets a shutdown, and putters get their items back.
#[test]
fn a_shutdown_reaches_everybody_who_waits() {
    within(LIMIT, || {
        for immediate in [false, true] {
            let end =
                |queue: &Queue<u32>| if immediate { queue.shutdown_immediate() } else { queue.shutdown() };
            let full = Queue::bounded(1);
            full.put(0).unwrap();
            let putters = [1, 2].map(|i| {
                let queue = full.clone();
                spawn(move || queue.put(i).unwrap_err().into_inner())
            });
            let empty = Queue::unbounded();
            let getters = [(); 2].map(|()| {
                let queue: Queue<u32> = empty.clone();
                spawn(move || (queue.get().is_err(), queue.peek().is_err()))
            });
            yield_now();
            assert_eq!((full.waiting(), empty.waiting()), ((2, 0), (0, 2)));
            end(&full);
            end(&empty);
            yield_now();
            assert_eq!(putters.map(|putter| putter.try_get().unwrap()), [1, 2]);
            assert_eq!(getters.map(|getter| getter.try_get().unwrap()), [(true, true); 2]);
            assert_eq!((full.waiting(), empty.waiting()), ((0, 0), (0, 0)));
        }
    });
}

/// gevent ends an iteration with a sentinel, here a shutdown does.
#[test]
fn iterating_ends_with_the_shutdown_and_leaves_nothing() {
    within(LIMIT, || {
        let queue = Queue::bounded(1);
        let reader = spawn({
            let queue: Queue<u32> = queue.clone();
            move || queue.iter().collect::<Vec<_>>()
        });
        for i in 0..5 {
            queue.put(i).unwrap();
        }
        queue.shutdown();
        assert_eq!(reader.get().unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!((&queue).into_iter().next(), None);
    });
}

/// gevent's priority queue breaks ties by payload, and so does an item that orders by payload;
/// equal items keep their order.
#[test]
fn a_priority_queue_gives_the_smallest_and_keeps_equals_in_order() {
    #[derive(Debug, Clone, Copy)]
    struct Job(u32, &'static str);
    impl PartialEq for Job {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Job {}
    impl PartialOrd for Job {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for Job {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            self.0.cmp(&other.0)
        }
    }
    within(LIMIT, || {
        let queue = PriorityQueue::default();
        for job in [Job(2, "b"), Job(1, "a"), Job(2, "c"), Job(1, "d"), Job(0, "first"), Job(2, "e")] {
            queue.put(job).unwrap();
        }
        queue.shutdown();
        let names: Vec<&str> = queue.iter().map(|Job(_, name)| name).collect();
        assert_eq!(names, ["first", "a", "d", "b", "c", "e"]);
    });
}

/// gevent takes zero for no limit and warns; here a queue without room is one into which nothing
/// can be put.
#[test]
fn a_queue_for_no_items_admits_none_until_it_may() {
    within(LIMIT, || {
        let queue = Queue::bounded(0);
        assert_eq!(queue.try_put(1), Err(TryPutError::Full(1)));
        assert_eq!(queue.put_timeout(1, SHORT), Err(TryPutError::Full(1)));
        let putter = spawn({
            let queue = queue.clone();
            move || queue.put(1)
        });
        yield_now();
        queue.set_maxsize(Some(1));
        assert_eq!(queue.maxsize(), Some(1));
        assert_eq!(queue.get(), Ok(1));
        putter.get().unwrap().unwrap();
    });
}

/// gevent loses the last two items: a getter that waits at the shutdown is told of the end.
#[test]
fn a_getter_that_a_shutdown_finds_waiting_takes_what_is_left() {
    within(LIMIT, || {
        let queue = Queue::bounded(2);
        let getter = spawn({
            let queue = queue.clone();
            move || {
                let mut got = Vec::new();
                while let Ok(item) = queue.get() {
                    got.push(item);
                }
                got
            }
        });
        yield_now();
        for item in 0..8 {
            queue.put(item).unwrap();
        }
        queue.shutdown();
        assert_eq!(getter.take().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(queue.is_empty());
    });
}

/// The same with a limit, and for `peek`. A getter for which nothing is left is told of the end.
#[test]
fn of_several_that_wait_at_a_shutdown_as_many_get_something_as_there_is() {
    within(LIMIT, || {
        let queue = Queue::unbounded();
        let own = queue.clone();
        let peeker = spawn(move || own.peek_timeout(LONG));
        let getters = [(); 3].map(|()| {
            let queue = queue.clone();
            spawn(move || queue.get_timeout(LONG))
        });
        yield_now();
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        queue.shutdown();
        assert_eq!(peeker.take().unwrap(), Ok(1));
        let ends = getters.map(|getter| getter.take().unwrap());
        assert_eq!(ends, [Ok(1), Ok(2), Err(TryGetError::ShutDown)]);
    });
}
