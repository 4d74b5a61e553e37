//! `block_on`: the wakes of a future, their order among greenlets, and every way out of the call.

use std::cell::{Cell, RefCell};
use std::future::{self, Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::{mpsc as async_mpsc, oneshot};
use futures::{SinkExt as _, StreamExt as _};
use ramie::hub::BlockingSwitchOutError;
use ramie::{
    Greenlet, LoopExit, TimedOut, block_on, block_on_timeout, catch, get_hub, sleep, spawn, with_timeout,
    yield_now,
};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(20);

/// A future that wakes itself and is pending so many times.
fn yields(times: usize) -> impl Future<Output = ()> {
    let mut left = times;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// A place where a pending future leaves its waker.
#[derive(Clone, Default)]
struct Slot(Rc<RefCell<Option<Waker>>>);

impl Slot {
    /// A future that leaves its waker here until `open` is set.
    fn until(&self, open: &Rc<Cell<bool>>) -> impl Future<Output = ()> + use<> {
        let (slot, open) = (self.clone(), open.clone());
        poll_fn(move |context| {
            if open.get() {
                return Poll::Ready(());
            }
            slot.0.replace(Some(context.waker().clone()));
            Poll::Pending
        })
    }

    fn take(&self) -> Option<Waker> {
        self.0.take()
    }
}

/// Counts the drops of a future that is pending forever and keeps no waker.
struct Pending(Rc<Cell<u32>>);

impl Future for Pending {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_ready_future_returns_its_output() {
    within(LIMIT, || {
        let text = String::from("borrowed");
        assert_eq!(block_on(async { text.len() }), 8);
        assert_eq!(spawn(|| block_on(async { 7 })).get().unwrap(), 7);
    });
}

#[test]
fn it_can_be_nested_and_wait_inside() {
    within(LIMIT, || {
        let value = block_on(async {
            let inner = block_on(async {
                sleep(Duration::from_millis(1));
                yields(3).await;
                1
            });
            yields(2).await;
            inner + spawn(|| block_on(async { 2 })).get().unwrap()
        });
        assert_eq!(value, 3);
    });
}

#[test]
fn a_future_that_wakes_itself_lets_others_run_in_turn() {
    within(LIMIT, || {
        let log = Rc::new(RefCell::new(Vec::new()));
        let all = ["a", "b"].map(|name| {
            let log = log.clone();
            spawn(move || {
                for _ in 0..3 {
                    log.borrow_mut().push(name);
                    block_on(yields(1));
                }
            })
        });
        ramie::joinall(&all);
        assert_eq!(log.take(), ["a", "b", "a", "b", "a", "b"]);
    });
}

#[test]
fn a_wake_queues_the_greenlet_behind_what_is_queued() {
    within(LIMIT, || {
        let (slot, open) = (Slot::default(), Rc::new(Cell::new(false)));
        let log = Rc::new(RefCell::new(Vec::new()));
        let say = |text| {
            let log = log.clone();
            move || log.borrow_mut().push(text)
        };
        let (waits, done) = (slot.until(&open), say("woken"));
        let waiter = spawn(move || {
            block_on(waits);
            done();
        });
        yield_now();
        let before = spawn(say("before"));
        open.set(true);
        let waker = slot.take().unwrap();
        waker.wake_by_ref();
        // Woken already: nothing is queued twice.
        waker.wake();
        let after = spawn(say("after"));
        assert!(log.borrow().is_empty(), "a wake does not switch");
        ramie::joinall((&waiter, &before, &after));
        assert_eq!(log.take(), ["before", "woken", "after"]);
    });
}

#[test]
fn futures_channels_connect_two_greenlets() {
    within(LIMIT, || {
        let ((mut ping, mut pinged), (mut pong, mut ponged)) =
            (async_mpsc::channel(0), async_mpsc::channel(0));
        let answers = spawn(move || {
            block_on(async {
                while let Some(number) = pinged.next().await {
                    pong.send(number + 1).await.unwrap();
                }
            });
        });
        let asks = spawn(move || {
            (0..1000)
                .map(|number| {
                    block_on(async {
                        ping.send(number).await.unwrap();
                        ponged.next().await.unwrap()
                    })
                })
                .sum::<i32>()
        });
        assert_eq!(asks.get().unwrap(), 1000 * 1001 / 2);
        answers.join();
    });
}

#[test]
fn another_thread_wakes_main_and_greenlets() {
    within(LIMIT, || {
        for in_main in [true, false] {
            let (sender, receiver) = oneshot::channel();
            let thread = thread::spawn(move || {
                thread::sleep(Duration::from_millis(5));
                sender.send(7).unwrap();
            });
            let answer = if in_main {
                block_on(receiver).unwrap()
            } else {
                spawn(move || block_on(receiver).unwrap()).get().unwrap()
            };
            assert_eq!(answer, 7);
            thread.join().unwrap();
        }
    });
}

#[test]
fn threads_and_greenlets_exchange_messages_in_order() {
    within(LIMIT, || {
        let (mut there, mut arrived) = async_mpsc::channel(1);
        let (mut back, mut returned) = async_mpsc::channel(1);
        let thread = thread::spawn(move || {
            futures::executor::block_on(async {
                while let Some(number) = arrived.next().await {
                    back.send(number).await.unwrap();
                }
            });
        });
        let sends = spawn(move || (0..2000_u32).for_each(|number| block_on(there.send(number)).unwrap()));
        let received = spawn(move || {
            block_on(async {
                let mut all = Vec::new();
                while let Some(number) = returned.next().await {
                    all.push(number);
                }
                all
            })
        });
        assert_eq!(received.take().unwrap(), (0..2000).collect::<Vec<_>>());
        sends.join();
        thread.join().unwrap();
    });
}

#[test]
fn ten_thousand_futures_wait_at_once() {
    within(Duration::from_secs(60), || {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..10_000).map(|_| oneshot::channel::<usize>()).unzip();
        let waiters =
            receivers.into_iter().map(|one| spawn(move || block_on(one).unwrap())).collect::<Vec<_>>();
        yield_now();
        let (middle, end) = (5_000, 10_000);
        let mut senders = senders.into_iter().enumerate().collect::<Vec<_>>();
        let far = senders.split_off(middle);
        let thread = thread::spawn(move || far.into_iter().for_each(|(at, one)| one.send(at).unwrap()));
        senders.into_iter().for_each(|(at, one)| one.send(at).unwrap());
        let sum = waiters.iter().map(|waiter| waiter.get().unwrap()).sum::<usize>();
        assert_eq!(sum, end * (end - 1) / 2);
        thread.join().unwrap();
    });
}

#[test]
fn a_kill_drops_the_future_once() {
    within(LIMIT, || {
        let drops = Rc::new(Cell::new(0));
        for started in [true, false] {
            drops.set(0);
            let future = Pending(drops.clone());
            let waiter = spawn(move || block_on(future));
            if started {
                yield_now();
            }
            waiter.kill();
            assert!(waiter.dead());
            assert_eq!(drops.get(), 1);
        }
    });
}

#[test]
fn a_scope_timeout_drops_the_future_once() {
    within(LIMIT, || {
        let drops = Rc::new(Cell::new(0));
        let future = Pending(drops.clone());
        let late = with_timeout(Duration::from_millis(2), move || block_on(future));
        assert!(late.is_err());
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn a_limit_of_its_own_drops_the_future_once() {
    within(LIMIT, || {
        let drops = Rc::new(Cell::new(0));
        assert_eq!(block_on_timeout(Pending(drops.clone()), Duration::from_millis(2)), Err(TimedOut));
        assert_eq!(drops.get(), 1);
        assert_eq!(block_on_timeout(Pending(drops.clone()), Duration::ZERO), Err(TimedOut));
        assert_eq!(block_on_timeout(Pending(drops.clone()), Instant::now()), Err(TimedOut));
        assert_eq!(drops.get(), 3);
        assert_eq!(block_on_timeout(yields(5), None), Ok(()));
        // A future that is ready does not look at the limit.
        assert_eq!(block_on_timeout(async { 7 }, Duration::ZERO), Ok(7));
    });
}

#[test]
fn a_limit_counts_over_all_waits_of_the_future() {
    within(LIMIT, || {
        // The first poll takes longer than the limit, and waits.
        let mut polls = 0;
        let slow = poll_fn(|context| {
            polls += 1;
            sleep(Duration::from_millis(10));
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!(block_on_timeout(slow, Duration::from_millis(5)), Err(TimedOut));
        assert_eq!(polls, 2, "a future that was woken is polled a last time");
        // Never ready, but woken all the time.
        let start = Instant::now();
        assert_eq!(block_on_timeout(yields(usize::MAX), Duration::from_millis(10)), Err(TimedOut));
        assert!(start.elapsed() >= Duration::from_millis(10));
    });
}

#[test]
fn a_future_woken_at_the_limit_is_polled_a_last_time() {
    within(LIMIT, || {
        let (slot, open) = (Slot::default(), Rc::new(Cell::new(false)));
        let waits = slot.until(&open);
        let waiter = spawn(move || block_on_timeout(waits, Duration::from_millis(2)));
        yield_now();
        // The limit is long over when the loop sees it, and so is the wake, which the future sees
        // first.
        open.set(true);
        let waker = slot.take().unwrap();
        thread::sleep(Duration::from_millis(10));
        waker.wake();
        assert_eq!(waiter.get().unwrap(), Ok(()));
    });
}

/// Runs a greenlet whose future has left its waker with `keep`, and which waits elsewhere now.
fn in_another_wait(keep: impl FnOnce(Waker) + 'static) -> Greenlet<bool> {
    spawn(move || {
        let mut keep = Some(keep);
        block_on(poll_fn(|context| {
            if let Some(keep) = keep.take() {
                keep(context.waker().clone());
            }
            Poll::Ready(())
        }));
        let start = Instant::now();
        sleep(Duration::from_millis(20));
        start.elapsed() >= Duration::from_millis(20)
    })
}

#[test]
fn a_stale_wake_ends_no_other_wait() {
    within(LIMIT, || {
        let (sender, receiver) = mpsc::channel::<Waker>();
        let thread = thread::spawn(move || {
            let waker = receiver.recv().unwrap();
            for _ in 0..500 {
                waker.wake_by_ref();
                thread::sleep(Duration::from_micros(20));
            }
        });
        assert!(in_another_wait(move |waker| sender.send(waker).unwrap()).get().unwrap());
        thread.join().unwrap();

        let slot = Slot::default();
        let kept = slot.clone();
        let sleeper = in_another_wait(move |waker| drop(kept.0.replace(Some(waker))));
        yield_now();
        let waker = slot.take().unwrap();
        while !sleeper.dead() {
            waker.wake_by_ref();
            sleep(Duration::from_micros(200));
        }
        assert!(sleeper.get().unwrap());
    });
}

/// The waker of a call that was killed, or that ended by its limit, belongs to no later call.
#[test]
fn a_kept_waker_wakes_no_later_future() {
    within(LIMIT, || {
        let slot = Slot::default();
        let closed = Rc::new(Cell::new(false));
        assert_eq!(block_on_timeout(slot.until(&closed), Duration::from_millis(1)), Err(TimedOut));
        let stale = slot.take().unwrap();
        let polls = Rc::new(Cell::new(0));
        let counted = polls.clone();
        let waiter = spawn(move || {
            block_on(poll_fn(|_| {
                counted.set(counted.get() + 1);
                Poll::<()>::Pending
            }));
        });
        yield_now();
        stale.wake_by_ref();
        sleep(Duration::from_millis(1));
        stale.wake();
        sleep(Duration::from_millis(1));
        assert_eq!(polls.get(), 1);
        waiter.kill();
    });
}

#[test]
fn a_wake_during_another_wait_of_the_poll_is_kept() {
    within(LIMIT, || {
        let mut polls = 0;
        block_on(poll_fn(|context| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            let waker = context.waker().clone();
            let wakes = spawn(move || waker.wake());
            sleep(Duration::from_millis(2));
            assert!(wakes.dead());
            Poll::Pending
        }));
        assert_eq!(polls, 2);
    });
}

#[track_caller]
fn loop_exit(body: impl FnOnce()) -> String {
    catch::<LoopExit, _>(body).expect_err("nothing can wake the future").to_string()
}

#[test]
fn a_future_without_wakers_is_a_loop_exit() {
    within(LIMIT, || {
        let exit = loop_exit(|| block_on(future::pending::<()>()));
        assert!(exit.contains("block_on"), "{exit}");
        let waiter = spawn(|| block_on(future::pending::<()>()));
        let exit = loop_exit(|| waiter.join());
        assert!(exit.contains("block_on"), "{exit}");
        waiter.kill();
    });
}

#[test]
fn the_drop_of_the_last_waker_is_a_loop_exit() {
    within(LIMIT, || {
        // By a greenlet of this thread.
        let slot = Slot::default();
        let closed = Rc::new(Cell::new(false));
        let polls = Rc::new(Cell::new(0));
        let (waits, counted) = (slot.until(&closed), polls.clone());
        let waiter = spawn(move || {
            let mut waits = std::pin::pin!(waits);
            block_on(poll_fn(|context| {
                counted.set(counted.get() + 1);
                waits.as_mut().poll(context)
            }));
        });
        yield_now();
        let waker = slot.take().unwrap();
        let (one, other) = (waker.clone(), waker);
        drop(one);
        let drops = spawn(move || {
            sleep(Duration::from_millis(2));
            drop(other);
        });
        let exit = loop_exit(|| waiter.join());
        assert!(exit.contains("block_on"), "{exit}");
        assert!(drops.dead());
        assert_eq!(polls.get(), 1, "the drop of a waker polls nothing");
        waiter.kill();

        // By another thread, while the hub sleeps.
        let (sender, receiver) = mpsc::channel::<Waker>();
        let thread = thread::spawn(move || {
            let waker = receiver.recv().unwrap();
            thread::sleep(Duration::from_millis(20));
            drop(waker);
        });
        let start = Instant::now();
        let mut sender = Some(sender);
        let exit = loop_exit(|| {
            block_on(poll_fn(|context| {
                if let Some(sender) = sender.take() {
                    sender.send(context.waker().clone()).unwrap();
                }
                Poll::<()>::Pending
            }));
        });
        assert!(exit.contains("block_on"), "{exit}");
        assert!(start.elapsed() >= Duration::from_millis(20), "a waker was left");
        thread.join().unwrap();
    });
}

#[test]
fn a_callback_of_the_hub_is_refused() {
    within(LIMIT, || {
        let polled = Arc::new(AtomicBool::new(false));
        let seen = polled.clone();
        let refused = Rc::new(Cell::new(false));
        let told = refused.clone();
        let waiter = spawn(|| ());
        waiter.rawlink(move |_| {
            let refusal = catch::<BlockingSwitchOutError, _>(|| {
                block_on(async move { seen.store(true, Ordering::Relaxed) });
            });
            told.set(refusal.is_err());
        });
        waiter.join();
        yield_now();
        assert!(refused.get());
        assert!(!polled.load(Ordering::Relaxed));
    });
}

#[test]
fn a_callback_of_the_hub_wakes() {
    within(LIMIT, || {
        let (sender, receiver) = oneshot::channel();
        let waiter = spawn(move || block_on(receiver).unwrap());
        let ends = spawn(yield_now);
        let sender = Cell::new(Some(sender));
        ends.rawlink(move |_| sender.take().unwrap().send(7).unwrap());
        assert_eq!(waiter.get().unwrap(), 7);
    });
}

#[test]
fn a_panic_of_the_future_is_the_failure_of_its_greenlet() {
    within(LIMIT, || {
        let waiter = spawn(|| {
            block_on(async {
                yields(1).await;
                panic!("the future panics");
            });
        });
        let failure = waiter.get().unwrap_err();
        assert!(failure.to_string().contains("the future panics"), "{failure}");
        // The allocation of the waker is in order afterwards.
        block_on(yields(2));
        assert!(catch_unwind(AssertUnwindSafe(|| block_on(async { panic!("again") }))).is_err());
        block_on(yields(2));
    });
}

#[test]
fn a_waker_outlives_its_greenlet_its_hub_and_its_thread() {
    within(LIMIT, || {
        let (sender, receiver) = mpsc::channel::<Waker>();
        let thread = thread::spawn(move || {
            let waiter = spawn(move || {
                block_on(poll_fn(|context| {
                    sender.send(context.waker().clone()).unwrap();
                    Poll::<()>::Pending
                }));
            });
            yield_now();
            drop(waiter);
        });
        let waker = receiver.recv().unwrap();
        waker.wake_by_ref();
        thread.join().unwrap();
        waker.wake_by_ref();
        let clone = waker.clone();
        assert!(clone.will_wake(&waker));
        drop(waker);
        clone.wake();
    });
}

/// The waker's allocation is reused only when no clone is left, so two futures that are pending at
/// the same time never share one.
#[test]
fn pending_futures_have_wakers_of_their_own() {
    within(LIMIT, || {
        let slots = [Slot::default(), Slot::default()];
        let opens = [Rc::new(Cell::new(false)), Rc::new(Cell::new(false))];
        let waiters = [0, 1].map(|at| {
            let waits = slots[at].until(&opens[at]);
            spawn(move || block_on(waits))
        });
        yield_now();
        let wakers = slots.each_ref().map(|slot| slot.take().unwrap());
        assert!(!wakers[0].will_wake(&wakers[1]));
        opens[1].set(true);
        wakers[1].wake_by_ref();
        waiters[1].join();
        assert!(!waiters[0].dead());
        opens[0].set(true);
        wakers[0].wake_by_ref();
        waiters[0].join();
    });
}

/// A loop over futures that are ready at once does not keep the thread.
#[test]
fn ready_futures_let_others_run_after_a_budget() {
    within(LIMIT, || {
        let stop = Rc::new(Cell::new(false));
        let stopped = stop.clone();
        let busy = spawn(move || {
            while !stopped.get() {
                block_on(async {});
            }
        });
        yield_now();
        sleep(Duration::from_millis(1));
        stop.set(true);
        busy.join();
        assert_eq!(get_hub().stats().greenlets, 0);
    });
}
