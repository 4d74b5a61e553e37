//! flume: its channels between greenlets, and between threads, by `ramie::block_on`.

use std::thread;
use std::time::Duration;

use flume::{RecvError, TryRecvError, bounded, unbounded};
use ramie::{block_on, block_on_timeout, spawn, with_timeout, yield_now};

use crate::util::within;
use crate::witness::{LIMIT, in_greenlets, receive_with_random_cuts, while_others_run};

const GREENLETS: usize = 20;
const MESSAGES: usize = 200;

#[test]
fn greenlets_share_both_ends() {
    within(LIMIT, || {
        let (sender, receiver) = bounded(1);
        let receives = spawn(move || {
            let sums = in_greenlets(GREENLETS, |_| {
                let receiver = receiver.clone();
                move || std::iter::from_fn(|| block_on(receiver.recv_async()).ok()).sum::<usize>()
            });
            sums.into_iter().sum::<usize>()
        });
        in_greenlets(GREENLETS, |_| {
            let sender = sender.clone();
            move || (0..MESSAGES).for_each(|number| block_on(sender.send_async(number)).unwrap())
        });
        drop(sender);
        assert_eq!(receives.get().unwrap(), GREENLETS * (0..MESSAGES).sum::<usize>());
    });
}

#[test]
fn others_run_while_one_receives() {
    within(LIMIT, || {
        let (sender, receiver) = unbounded();
        let word = while_others_run(
            move || block_on(receiver.recv_async()).unwrap(),
            move || block_on(sender.send_async("word")).unwrap(),
        );
        assert_eq!(word, "word");
    });
}

/// A thread blocks in its own calls; the greenlet at the other end waits.
#[test]
fn threads_and_greenlets_meet() {
    within(LIMIT, || {
        let (questions, asked) = bounded::<usize>(1);
        let (answers, answered) = bounded::<usize>(1);
        let peer = thread::spawn(move || asked.iter().try_for_each(|number| answers.send(number * 2)));
        let asks = spawn(move || {
            (0..MESSAGES).for_each(|number| block_on(questions.send_async(number)).unwrap());
        });
        let doubled = (0..MESSAGES).map(|_| block_on(answered.recv_async()).unwrap()).collect::<Vec<_>>();
        assert_eq!(doubled, (0..MESSAGES).map(|number| number * 2).collect::<Vec<_>>());
        asks.join();
        peer.join().unwrap().unwrap();
    });
}

#[test]
fn a_timeout_and_a_kill_lose_no_message() {
    within(LIMIT, || {
        let (sender, receiver) = bounded(1);
        assert!(block_on_timeout(receiver.recv_async(), Duration::from_millis(5)).is_err());
        let late = with_timeout(Duration::from_millis(5), || block_on(receiver.recv_async()));
        assert!(late.is_err());
        let own = receiver.clone();
        let killed = spawn(move || block_on(own.recv_async()));
        yield_now();
        killed.kill();
        block_on(sender.send_async(1)).unwrap();

        // A message that is handed to a receiver that is killed goes to the next one.
        let own = receiver.clone();
        let first = spawn(move || block_on(own.recv_async()));
        let own = receiver.clone();
        let second = spawn(move || block_on(own.recv_async()).unwrap());
        block_on(receiver.recv_async()).unwrap();
        yield_now();
        first.kill_nowait();
        sender.send(2).unwrap();
        assert_eq!(second.get().unwrap(), 2);

        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        drop(sender);
        assert_eq!(block_on(receiver.recv_async()), Err(RecvError::Disconnected));
    });
}

#[test]
fn random_cuts_lose_no_message() {
    within(LIMIT, || {
        let (sender, receiver) = bounded(4);
        let peer = thread::spawn(move || (1..=20_000).for_each(|number| sender.send(number).unwrap()));
        let sum = receive_with_random_cuts(move || {
            let receiver = receiver.clone();
            async move { receiver.recv_async().await.ok() }
        });
        assert_eq!(sum, (1..=20_000).sum::<u64>());
        peer.join().unwrap();
    });
}
