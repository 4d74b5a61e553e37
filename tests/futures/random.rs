//! Random programs of futures, killed and timed out at every await: each future is dropped once,
//! nothing is leaked, and no future is polled without a wake.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use futures::future::{LocalBoxFuture, join, select};
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use ramie::{Greenlet, GreenletExit, block_on, block_on_timeout, spawn, with_timeout, yield_now};

use crate::util::within;

/// A small generator of random numbers (xorshift), so that a seed is a program.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// The counts of a program's futures.
#[derive(Default)]
struct Counts {
    made: Cell<usize>,
    dropped: Cell<usize>,
    /// The awaits that were pending, of all futures.
    pending: Cell<usize>,
}

/// A future that counts its drop.
struct Counted {
    inner: LocalBoxFuture<'static, ()>,
    counts: Rc<Counts>,
}

impl Counted {
    fn boxed(counts: &Rc<Counts>, inner: impl Future<Output = ()> + 'static) -> LocalBoxFuture<'static, ()> {
        counts.made.set(counts.made.get() + 1);
        Counted { inner: inner.boxed_local(), counts: counts.clone() }.boxed_local()
    }
}

impl Future for Counted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.inner.as_mut().poll(context)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counts.dropped.set(self.counts.dropped.get() + 1);
    }
}

/// The thread that wakes futures from outside, after other work.
#[derive(Clone)]
struct Outside(std::sync::mpsc::Sender<oneshot::Sender<()>>);

impl Outside {
    fn new() -> Outside {
        let (sender, receiver) = std::sync::mpsc::channel::<oneshot::Sender<()>>();
        thread::spawn(move || {
            for answer in receiver {
                thread::yield_now();
                let _ = answer.send(());
            }
        });
        Outside(sender)
    }
}

struct Program {
    counts: Rc<Counts>,
    outside: Outside,
    /// The wakers of futures that a greenlet wakes later.
    parked: Rc<RefCell<VecDeque<Waker>>>,
}

impl Program {
    /// A future of random shape.
    fn future(&self, random: &mut Random, depth: u64) -> LocalBoxFuture<'static, ()> {
        let counts = &self.counts;
        let kind = if depth == 0 { random.below(5) } else { random.below(9) };
        match kind {
            // Wakes itself.
            0 => {
                let mut left = random.below(3);
                let seen = counts.clone();
                Counted::boxed(
                    counts,
                    poll_fn(move |context| {
                        if left == 0 {
                            return Poll::Ready(());
                        }
                        left -= 1;
                        seen.pending.set(seen.pending.get() + 1);
                        context.waker().wake_by_ref();
                        Poll::Pending
                    }),
                )
            }
            // Woken by a greenlet.
            1 => {
                let (parked, mut first) = (self.parked.clone(), true);
                Counted::boxed(
                    counts,
                    poll_fn(move |context| {
                        if !std::mem::take(&mut first) {
                            return Poll::Ready(());
                        }
                        parked.borrow_mut().push_back(context.waker().clone());
                        Poll::Pending
                    }),
                )
            }
            // Woken by another thread.
            2 => {
                let (sender, receiver) = oneshot::channel();
                let outside = self.outside.clone();
                Counted::boxed(counts, async move {
                    outside.0.send(sender).unwrap();
                    receiver.await.unwrap();
                })
            }
            // Waits as a greenlet inside its poll.
            3 => Counted::boxed(counts, async { yield_now() }),
            // Drives a future of its own.
            4 => {
                let inner = if depth == 0 {
                    Counted::boxed(counts, async {})
                } else {
                    self.future(random, depth - 1)
                };
                Counted::boxed(counts, async move { block_on(inner) })
            }
            5 => {
                let (one, other) = (self.future(random, depth - 1), self.future(random, depth - 1));
                Counted::boxed(counts, async move {
                    let ((), ()) = join(one, other).await;
                })
            }
            6 => {
                let (one, other) = (self.future(random, depth - 1), self.future(random, depth - 1));
                Counted::boxed(counts, async move { drop(select(one, other).await) })
            }
            7 => {
                let (one, other) = (self.future(random, depth - 1), self.future(random, depth - 1));
                Counted::boxed(counts, async move {
                    one.await;
                    other.await;
                })
            }
            _ => {
                let (mut sender, mut receiver) = mpsc::channel::<u64>(random.below(2) as usize);
                let many = random.below(4);
                let (sends, receives) = (
                    Counted::boxed(counts, async move {
                        for number in 0..many {
                            sender.send(number).await.unwrap();
                        }
                    }),
                    Counted::boxed(counts, async move {
                        let mut next = 0;
                        while let Some(number) = receiver.next().await {
                            assert_eq!(number, next);
                            next += 1;
                        }
                        assert_eq!(next, many);
                    }),
                );
                Counted::boxed(counts, async move {
                    let ((), ()) = join(sends, receives).await;
                })
            }
        }
    }
}

/// A waker that counts the wakes on their way to the driver.
struct Counting {
    inner: Waker,
    wakes: AtomicUsize,
}

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.inner.wake_by_ref();
    }
}

/// Checks that there are no more polls after the first than wakes, and stops the program after so many polls
/// by a future that is pending from then on.
async fn watched(mut future: LocalBoxFuture<'static, ()>, polls: Rc<Cell<usize>>, stop: usize) {
    let mut own: Option<Arc<Counting>> = None;
    poll_fn(move |context| {
        let counting = own.get_or_insert_with(|| {
            Arc::new(Counting { inner: context.waker().clone(), wakes: AtomicUsize::new(1) })
        });
        assert!(counting.inner.will_wake(context.waker()), "the waker of a call stays the same");
        polls.set(polls.get() + 1);
        // In all, since a thread may be between the count and the wake itself.
        assert!(polls.get() <= counting.wakes.load(Ordering::Relaxed), "polled without a wake");
        if polls.get() > stop {
            return Poll::Pending;
        }
        future.as_mut().poll(&mut Context::from_waker(&Waker::from(counting.clone())))
    })
    .await;
}

/// The way out of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    End,
    Kill,
    Timeout,
    Limit,
}

/// Runs the program of a seed, which ends in this way after so many polls. Returns the polls.
fn run(outside: &Outside, seed: u64, way: Way, stop: usize) -> usize {
    let counts = Rc::new(Counts::default());
    let parked = Rc::new(RefCell::new(VecDeque::new()));
    let program = Program { counts: counts.clone(), outside: outside.clone(), parked: parked.clone() };
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let future = program.future(&mut random, 4);
    drop(program);
    let polls = Rc::new(Cell::new(0));
    let watched = watched(future, polls.clone(), stop);
    let driver: Greenlet<bool> = spawn(move || match way {
        Way::End | Way::Kill => {
            block_on(watched);
            true
        }
        Way::Timeout => with_timeout(Duration::from_millis(1), || block_on(watched)).is_ok(),
        Way::Limit => block_on_timeout(watched, Duration::from_millis(1)).is_ok(),
    });
    let wakers = parked.clone();
    let wakes = spawn(move || {
        loop {
            yield_now();
            let next = wakers.borrow_mut().pop_front();
            next.into_iter().for_each(Waker::wake);
        }
    });
    match way {
        Way::Kill => {
            while polls.get() <= stop && !driver.dead() {
                yield_now();
            }
            driver.kill();
        }
        _ => driver.join(),
    }
    wakes.kill();
    parked.take();
    match (way, driver.get()) {
        (Way::End, ended) => assert!(ended.unwrap(), "seed {seed}"),
        (Way::Kill, ended) => assert!(ended.err().is_none_or(|failure| failure.is::<GreenletExit>())),
        (Way::Timeout | Way::Limit, ended) => drop(ended.unwrap()),
    }
    assert_eq!(counts.dropped.get(), counts.made.get(), "seed {seed}, {way:?} after {stop} polls");
    assert_eq!(Rc::strong_count(&counts), 1, "seed {seed}, {way:?} after {stop} polls");
    polls.get()
}

fn programs() -> u64 {
    if cfg!(miri) { 3 } else { 60 }
}

#[test]
fn every_program_ends_and_drops_each_future_once() {
    within(Duration::from_secs(120), || {
        let outside = Outside::new();
        for seed in 0..programs() * 20 {
            run(&outside, seed, Way::End, usize::MAX);
        }
    });
}

#[test]
fn a_kill_at_every_await_drops_each_future_once() {
    within(Duration::from_secs(120), || {
        let outside = Outside::new();
        for seed in 0..programs() {
            let polls = run(&outside, seed, Way::End, usize::MAX);
            for stop in 0..polls {
                run(&outside, seed, Way::Kill, stop);
            }
        }
    });
}

#[test]
fn a_timeout_at_every_await_drops_each_future_once() {
    within(Duration::from_secs(120), || {
        let outside = Outside::new();
        for seed in 0..programs() / 3 {
            let polls = run(&outside, seed, Way::End, usize::MAX);
            for stop in 0..polls {
                run(&outside, seed, Way::Timeout, stop);
                run(&outside, seed, Way::Limit, stop);
            }
        }
    });
}
