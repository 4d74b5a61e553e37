//! The combinators of futures, by `ramie::block_on`: no runtime is needed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use futures::future::{Either, join_all, select, try_join_all};
use futures::stream::{FuturesUnordered, iter};
use futures::{FutureExt, SinkExt, StreamExt};
use ramie::sync::Event;
use ramie::{block_on, block_on_timeout, sleep, spawn, with_timeout, yield_now};

use crate::util::within;
use crate::witness::{LIMIT, in_greenlets, while_others_run};

const GREENLETS: usize = 20;

#[test]
fn join_all_waits_for_greenlets() {
    within(LIMIT, || {
        let running = Rc::new(Cell::new(0));
        let greenlets = (0..GREENLETS).map(|number| {
            let running = running.clone();
            spawn(move || {
                running.set(running.get() + 1);
                yield_now();
                assert_eq!(running.get(), GREENLETS, "all run at once");
                number
            })
        });
        let values = block_on(join_all(greenlets.map(IntoFuture::into_future)));
        let values = values.into_iter().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(values, (0..GREENLETS).collect::<Vec<_>>());
    });
}

#[test]
fn try_join_all_ends_with_the_first_failure() {
    within(LIMIT, || {
        let fails = spawn(|| panic!("one of several"));
        let never = spawn(|| sleep(Duration::from_secs(3600)));
        let joined = block_on(try_join_all([&fails, &never].map(IntoFuture::into_future)));
        assert!(joined.unwrap_err().to_string().contains("one of several"));
        assert!(!never.dead(), "a future that is dropped leaves its greenlet");
        never.kill();
    });
}

#[test]
fn select_takes_the_first() {
    within(LIMIT, || {
        let (sender, receiver) = oneshot::channel::<&str>();
        let event = Event::new();
        let setter = event.clone();
        let taken = while_others_run(
            move || match block_on(select(receiver, (&event).into_future())) {
                Either::Left(_) => "the channel",
                Either::Right(_) => "the event",
            },
            move || setter.set(),
        );
        assert_eq!(taken, "the event");
        assert!(sender.is_canceled(), "the other future is dropped");
    });
}

#[test]
fn the_macro_select_drives_streams() {
    within(LIMIT, || {
        let (mut numbers, mut words) = (mpsc::channel::<u32>(1), mpsc::channel::<&str>(1));
        let sends = spawn(move || (0..100).for_each(|number| block_on(numbers.0.send(number)).unwrap()));
        let says = spawn(move || (0..100).for_each(|_| block_on(words.0.send("word")).unwrap()));
        let (mut sum, mut said) = (0, 0);
        block_on(async {
            let (mut numbers, mut words) = (numbers.1.fuse(), words.1.fuse());
            loop {
                futures::select! {
                    number = numbers.next() => sum += number.unwrap_or_default(),
                    word = words.next() => said += word.map_or(0, str::len),
                    complete => break,
                }
            }
        });
        assert_eq!((sum, said), (4950, 400));
        ramie::joinall((&sends, &says));
    });
}

#[test]
fn futures_unordered_yields_in_the_order_of_completion() {
    within(LIMIT, || {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..GREENLETS).map(|_| oneshot::channel()).unzip();
        let answers = spawn(move || {
            for (number, sender) in senders.into_iter().enumerate().rev() {
                sender.send(number).unwrap();
                yield_now();
            }
        });
        let seen = block_on(receivers.into_iter().collect::<FuturesUnordered<_>>().collect::<Vec<_>>());
        let seen = seen.into_iter().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(seen, (0..GREENLETS).rev().collect::<Vec<_>>());
        answers.join();
    });
}

/// A bound on greenlets: as many as the buffer has room for are spawned.
#[test]
fn buffer_unordered_bounds_greenlets() {
    within(LIMIT, || {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let done = Rc::new(RefCell::new(Vec::new()));
        let jobs = iter(0..GREENLETS).map(|number| {
            let done = done.clone();
            let job = spawn(move || {
                sleep(Duration::from_millis(1));
                done.borrow_mut().push(number);
                number
            });
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            job.into_future().inspect(|_| running.set(running.get() - 1))
        });
        let sum = jobs.buffer_unordered(4).fold(0, async |sum, value| sum + value.unwrap());
        assert_eq!(block_on(sum), (0..GREENLETS).sum::<usize>());
        assert_eq!((running.get(), most.get(), done.borrow().len()), (0, 4, GREENLETS));
    });
}

#[test]
fn a_timeout_and_a_kill_drop_the_combinator() {
    within(LIMIT, || {
        let (sender, mut receiver) = mpsc::channel::<u32>(1);
        assert!(block_on_timeout(receiver.next(), Duration::from_millis(5)).is_err());
        let both = || block_on(join_all([receiver.next()]));
        assert!(with_timeout(Duration::from_millis(5), both).is_err());

        let (one, other) = (oneshot::channel::<()>(), oneshot::channel::<()>());
        let waiter = spawn(move || block_on(join_all([one.1, other.1])));
        yield_now();
        waiter.kill();
        assert!(one.0.is_canceled() && other.0.is_canceled());

        // The stream that was cut serves all the same.
        let sending = spawn(move || {
            in_greenlets(GREENLETS, |_| {
                let mut sender = sender.clone();
                move || block_on(sender.send(1)).unwrap()
            })
        });
        let sum = block_on(receiver.fold(0, async |sum, value| sum + value));
        assert_eq!(sum, 20);
        sending.join();
    });
}
