//! std's and crossbeam's tests of channels that store nothing, restated for [`ramie::channel`].

use std::time::{Duration, Instant};

use ramie::channel::{
    self, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use ramie::{get_hub, joinall, sleep, spawn, yield_now};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

#[test]
fn it_has_no_room_and_is_always_empty() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded::<u32>(0);
        assert_eq!(sender.capacity(), Some(0));
        assert!(sender.is_empty() && receiver.is_empty());
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_sender_returns_when_its_message_was_taken() {
    within(LIMIT, || {
        let log = Log::new();
        let (sender, receiver) = channel::bounded(0);
        let notes = log.clone();
        let g = spawn(move || {
            for i in 0..3 {
                notes.add(format!("offers{i}"));
                sender.send(i).unwrap();
                notes.add(format!("rid-of{i}"));
            }
        });
        yield_now();
        yield_now();
        log.expect("offers0");
        for i in 0..3 {
            log.add(format!("got{}", receiver.recv().unwrap()));
            let _ = i;
        }
        assert_eq!(receiver.recv(), Err(RecvError));
        g.get().unwrap();
        assert_eq!(log.words().len(), 9);
        // Each is taken before its sender continues, and the next is not offered before.
        let at = |word: String| log.words().iter().position(|logged| *logged == word).unwrap();
        for i in 0..3 {
            assert!(at(format!("offers{i}")) < at(format!("rid-of{i}")));
            assert!(at(format!("got{i}")) < at(format!("rid-of{i}")) || i > 0);
        }
    });
}

#[test]
fn of_two_who_meet_the_receiver_goes_on_first() {
    fn meet(sender_first: bool) -> Log {
        let log = Log::new();
        let (sender, receiver) = channel::bounded(0);
        let notes = log.clone();
        let send = move || {
            sender.send("x").unwrap();
            notes.add("sent");
        };
        let notes = log.clone();
        let receive = move || notes.add(format!("got-{}", receiver.recv().unwrap()));
        if sender_first {
            spawn(send);
            yield_now();
            spawn(receive);
        } else {
            spawn(receive);
            yield_now();
            spawn(send);
        }
        get_hub().join();
        log
    }
    within(LIMIT, || {
        meet(true).expect("got-x sent");
        meet(false).expect("got-x sent");
    });
}

#[test]
fn senders_and_receivers_meet_in_order() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let log = Log::new();
        let senders: Vec<_> = (0..4)
            .map(|i| {
                let (sender, log) = (sender.clone(), log.clone());
                spawn(move || {
                    sender.send(i).unwrap();
                    log.add(format!("s{i}"));
                })
            })
            .collect();
        yield_now();
        assert_eq!(sender.len(), 4);
        for name in ["a", "b", "c", "d"] {
            let (receiver, log) = (receiver.clone(), log.clone());
            spawn(move || log.add(format!("{name}{}", receiver.recv().unwrap())));
        }
        joinall(&senders);
        let got: Vec<String> = log.words().into_iter().filter(|word| !word.starts_with('s')).collect();
        let sent: Vec<String> = log.words().into_iter().filter(|word| word.starts_with('s')).collect();
        assert_eq!(got, ["a0", "b1", "c2", "d3"]);
        assert_eq!(sent, ["s0", "s1", "s2", "s3"]);
    });
}

#[test]
fn trying_succeeds_when_somebody_waits_on_the_other_side() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let waiter = spawn({
            let receiver = receiver.clone();
            move || receiver.recv()
        });
        yield_now();
        assert_eq!(sender.try_send(1), Ok(()));
        // No waiter is left.
        assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
        assert_eq!(waiter.get().unwrap(), Ok(1));
        let waiter = spawn({
            let sender = sender.clone();
            move || sender.send(3)
        });
        yield_now();
        assert_eq!(receiver.try_recv(), Ok(3));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(waiter.get().unwrap(), Ok(()));
    });
}

/// A sender that tries to send more messages than receivers wait is refused.
#[test]
fn one_waiting_receiver_accepts_one_message() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let waiters = [(); 2].map(|()| {
            let receiver = receiver.clone();
            spawn(move || receiver.recv().unwrap())
        });
        yield_now();
        let tries: Vec<_> = (0..4)
            .map(|i| {
                let sender = sender.clone();
                spawn(move || sender.try_send(i).is_ok())
            })
            .collect();
        let accepted: Vec<bool> = tries.iter().map(|g| g.get().unwrap()).collect();
        assert_eq!(accepted, [true, true, false, false]);
        assert_eq!(waiters.map(|waiter| waiter.get().unwrap()), [0, 1]);
    });
}

#[test]
fn limits_are_kept_on_both_sides() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let start = Instant::now();
        assert_eq!(sender.send_timeout(1, SHORT), Err(SendTimeoutError::Timeout(1)));
        assert_eq!(sender.send_timeout(2, Instant::now() + SHORT), Err(SendTimeoutError::Timeout(2)));
        assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        assert_eq!(receiver.recv_timeout(Instant::now() + SHORT), Err(RecvTimeoutError::Timeout));
        assert!(start.elapsed() >= SHORT * 4);
        let reader = spawn({
            let receiver = receiver.clone();
            move || receiver.recv_timeout(LONG)
        });
        assert_eq!(sender.send_timeout(3, LONG), Ok(()));
        assert_eq!(reader.get().unwrap(), Ok(3));
    });
}

/// crossbeam: `disconnect_wakes_sender`, `disconnect_wakes_receiver`.
#[test]
fn a_disconnection_wakes_whoever_waits() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let senders = [1, 2].map(|i| {
            let sender = sender.clone();
            spawn(move || sender.send(i).map_err(SendError::into_inner))
        });
        yield_now();
        drop(receiver);
        assert_eq!(senders.map(|g| g.get().unwrap()), [Err(1), Err(2)]);
        assert_eq!(sender.send(3), Err(SendError(3)));
        assert_eq!(sender.try_send(4), Err(TrySendError::Disconnected(4)));
        assert!(sender.is_empty());

        let (sender, receiver) = channel::bounded::<u32>(0);
        let receivers = [(); 2].map(|()| {
            let receiver = receiver.clone();
            spawn(move || receiver.recv())
        });
        yield_now();
        drop(sender);
        assert_eq!(receivers.map(|g| g.get().unwrap()), [Err(RecvError); 2]);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    });
}

/// A sender has sent its message once it was taken, even if every receiver is gone before it runs.
#[test]
fn what_was_taken_was_sent() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let g = spawn(move || sender.send(1));
        yield_now();
        assert_eq!(receiver.try_recv(), Ok(1));
        drop(receiver);
        assert_eq!(g.get().unwrap(), Ok(()));
    });
}

/// A sender that is killed after its message was taken and before it knows leaves the count of
/// those right.
#[test]
fn a_sender_killed_when_its_message_is_gone_disturbs_nobody() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let [first, second] = [1, 2].map(|i| {
            let sender = sender.clone();
            spawn(move || sender.send(i))
        });
        yield_now();
        first.kill_nowait();
        assert_eq!(receiver.try_recv(), Ok(1));
        yield_now();
        assert!(first.ready() && !second.ready());
        assert_eq!(receiver.recv(), Ok(2));
        assert_eq!(second.get().unwrap(), Ok(()));
        assert_eq!(sender.send_timeout(3, SHORT), Err(SendTimeoutError::Timeout(3)));
    });
}

#[test]
fn limits_and_messages_that_cross_lose_nothing() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let sending = spawn(move || {
            for i in 0..50 {
                if i % 3 == 0 {
                    sleep(Duration::from_micros(700));
                }
                let mut message = i;
                while let Err(refused) = sender.send_timeout(message, Duration::from_micros(300)) {
                    assert!(refused.is_timeout());
                    message = refused.into_inner();
                }
            }
        });
        let mut got = Vec::new();
        loop {
            if got.len().is_multiple_of(4) {
                sleep(Duration::from_micros(500));
            }
            match receiver.recv_timeout(Duration::from_micros(200)) {
                Ok(message) => got.push(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        assert!(got.into_iter().eq(0..50));
        sending.get().unwrap();
    });
}

#[test]
fn an_iterator_takes_what_is_offered() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let senders = [1, 2].map(|i| {
            let sender = sender.clone();
            spawn(move || sender.send(i))
        });
        assert_eq!(receiver.try_iter().next(), None);
        yield_now();
        assert!(receiver.try_iter().eq([1, 2]));
        drop(sender);
        assert!(senders.iter().all(|g| g.get().unwrap().is_ok()));
        assert_eq!(receiver.into_iter().next(), None);
    });
}
