//! std's tests of `mpsc` channels, restated for [`ramie::channel`]: sending, receiving,
//! disconnecting.
//!
//! Those of channels that store nothing are in `std_channel_zero.rs`.

use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::channel::{
    self, Receiver, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryRecvError,
    TrySendError,
};
use ramie::{joinall, sleep, spawn, with_timeout, yield_now};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

/// A channel of each kind that stores something.
fn both<T: 'static>() -> [(Sender<T>, Receiver<T>); 2] {
    [channel::unbounded(), channel::bounded(1)]
}

/// A message that counts its drops.
struct Counted(Rc<Cell<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

fn counter() -> (Rc<Cell<usize>>, impl Fn() -> Counted) {
    let drops = Rc::new(Cell::new(0));
    let counted = drops.clone();
    (drops, move || Counted(counted.clone()))
}

// --- sending and receiving --------------------------------------------------------------------------------------------

#[test]
fn a_message_arrives() {
    within(LIMIT, || {
        for (sender, receiver) in both() {
            sender.send(1).unwrap();
            assert_eq!((receiver.len(), receiver.recv(), receiver.is_empty()), (1, Ok(1), true));
            // Boxes, and what is no Send, arrive as they are.
            let (sender, receiver) = channel::bounded(1);
            let shared = Rc::new(5);
            sender.send(Box::new(shared.clone())).unwrap();
            assert!(Rc::ptr_eq(&receiver.recv().unwrap(), &shared));
        }
    });
}

#[test]
fn messages_arrive_in_order_also_from_a_clone() {
    within(LIMIT, || {
        for (sender, receiver) in both() {
            let clone = sender.clone();
            let g = spawn(move || {
                for i in 0..100 {
                    let end = if i % 2 == 0 { &sender } else { &clone };
                    end.send(i).unwrap();
                }
            });
            assert!(receiver.iter().eq(0..100));
            g.get().unwrap();
        }
    });
}

#[test]
fn sending_into_a_channel_without_limit_lets_nobody_run() {
    within(LIMIT, || {
        let (sender, receiver) = channel::unbounded();
        let reader = spawn(move || receiver.iter().count());
        yield_now();
        for i in 0..1000 {
            sender.send(i).unwrap();
        }
        assert_eq!((sender.len(), sender.capacity()), (1000, None));
        drop(sender);
        assert_eq!(reader.get().unwrap(), 1000);
    });
}

#[test]
fn a_full_channel_makes_the_sender_wait() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(3);
        let g = spawn({
            let sender = sender.clone();
            move || (0..10).for_each(|i| sender.send(i).unwrap())
        });
        yield_now();
        assert_eq!((sender.len(), sender.is_empty(), sender.capacity()), (3, false, Some(3)));
        for i in 0..7 {
            assert_eq!(receiver.recv(), Ok(i));
            yield_now();
            assert_eq!(receiver.len(), 3);
        }
        assert!(g.ready());
    });
}

#[test]
fn a_receiver_waits_for_a_message() {
    within(LIMIT, || {
        for (sender, receiver) in both() {
            let g = spawn(move || {
                sleep(SHORT);
                sender.send(10).unwrap();
            });
            assert_eq!(receiver.recv(), Ok(10));
            assert_eq!(receiver.recv(), Err(RecvError));
            g.get().unwrap();
        }
    });
}

#[test]
fn each_message_reaches_one_receiver() {
    within(LIMIT, || {
        let (sender, receiver) = channel::unbounded();
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let receiver = receiver.clone();
                spawn(move || receiver.recv().unwrap())
            })
            .collect();
        yield_now();
        (0..4).for_each(|i| sender.send(i).unwrap());
        // Served in the order in which they came.
        assert!(readers.iter().map(|reader| reader.get().unwrap()).eq(0..4));
    });
}

// --- disconnecting --------------------------------------------------------------------------------------------------

#[test]
fn without_a_receiver_sending_gives_the_message_back() {
    within(LIMIT, || {
        for (sender, receiver) in both() {
            let second = receiver.clone();
            drop(receiver);
            sender.send("kept").unwrap();
            drop(second);
            assert_eq!(sender.send("a").map_err(SendError::into_inner), Err("a"));
            assert_eq!(sender.try_send("b"), Err(TrySendError::Disconnected("b")));
            assert_eq!(sender.send_timeout("c", LONG), Err(SendTimeoutError::Disconnected("c")));
            assert_eq!(sender.send_timeout("d", Instant::now()), Err(SendTimeoutError::Disconnected("d")));
            assert!(sender.is_empty());
        }
    });
}

#[test]
fn without_a_sender_receiving_ends_after_what_was_sent() {
    within(LIMIT, || {
        for (sender, receiver) in both() {
            let second = sender.clone();
            drop(sender);
            second.send(1).unwrap();
            drop(second);
            assert_eq!(receiver.recv_timeout(LONG), Ok(1));
            assert_eq!(receiver.recv(), Err(RecvError));
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
            assert_eq!(receiver.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
            assert_eq!(receiver.recv_timeout(Instant::now()), Err(RecvTimeoutError::Disconnected));
        }
    });
}

#[test]
fn the_last_receiver_releases_all_who_wait_to_send() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(1);
        sender.send(0).unwrap();
        let waiting: Vec<_> = (1..4)
            .map(|i| {
                let sender = sender.clone();
                spawn(move || sender.send(i).map_err(SendError::into_inner))
            })
            .collect();
        let timed = spawn({
            let sender = sender.clone();
            move || sender.send_timeout(4, LONG)
        });
        yield_now();
        let clone = receiver.clone();
        drop(receiver);
        yield_now();
        assert!(waiting.iter().all(|g| !g.ready()));
        drop(clone);
        assert!(waiting.iter().map(|g| g.get().unwrap()).eq((1..4).map(Err)));
        assert_eq!(timed.get().unwrap(), Err(SendTimeoutError::Disconnected(4)));
    });
}

#[test]
fn the_last_sender_releases_all_who_wait_to_receive() {
    within(LIMIT, || {
        for (sender, receiver) in both::<u32>() {
            let waiting: Vec<_> = (0..3)
                .map(|_| {
                    let receiver = receiver.clone();
                    spawn(move || receiver.recv())
                })
                .collect();
            let timed = spawn({
                let receiver = receiver.clone();
                move || receiver.recv_timeout(LONG)
            });
            yield_now();
            let clone = sender.clone();
            drop(sender);
            yield_now();
            assert!(waiting.iter().all(|g| !g.ready()));
            clone.send(7).unwrap();
            drop(clone);
            let got: Vec<_> = waiting.iter().map(|g| g.get().unwrap()).collect();
            assert_eq!(got, [Ok(7), Err(RecvError), Err(RecvError)]);
            assert_eq!(timed.get().unwrap(), Err(RecvTimeoutError::Disconnected));
        }
    });
}

/// A message that was sent and never received is dropped once, at the latest with the last end.
#[test]
fn queued_messages_are_dropped_once() {
    within(LIMIT, || {
        for sender_first in [false, true] {
            let (drops, message) = counter();
            let (sender, receiver) = channel::unbounded();
            for _ in 0..5 {
                assert!(sender.send(message()).is_ok());
            }
            drop(receiver.recv());
            assert_eq!(drops.get(), 1);
            if sender_first {
                drop(sender);
                assert_eq!((drops.get(), receiver.len()), (1, 4));
                drop(receiver);
            } else {
                drop(receiver);
                assert_eq!(drops.get(), 5);
                drop(sender);
            }
            assert_eq!(drops.get(), 5);
        }
    });
}

/// The message of a sender that is ended, by whatever, is dropped once and never arrives.
#[test]
fn the_message_of_a_sender_that_left_is_dropped_once() {
    within(LIMIT, || {
        for room in [0, 1] {
            let (drops, message) = counter();
            let (sender, receiver) = channel::bounded(room);
            for _ in 0..room {
                assert!(sender.send(message()).is_ok());
            }
            let (killed, late) = (sender.clone(), sender.clone());
            let (first, second, third) = (message(), message(), message());
            let killed = spawn(move || killed.send(first).is_ok());
            yield_now();
            killed.kill();
            assert_eq!(drops.get(), 1);
            assert!(with_timeout(SHORT, || sender.send(second)).is_err());
            assert_eq!(drops.get(), 2);
            drop(late.send_timeout(third, SHORT).unwrap_err().into_inner());
            assert_eq!((drops.get(), receiver.len()), (3, room));
            drop((sender, late));
            assert_eq!(receiver.into_iter().count(), room);
            assert_eq!(drops.get(), 3 + room);
        }
    });
}

/// A message's destructor may use the channel it lay in.
#[test]
fn a_message_may_send_when_it_is_dropped() {
    struct Last(Sender<Last>, Rc<Cell<usize>>);
    impl Drop for Last {
        fn drop(&mut self) {
            assert_eq!(self.0.len(), 0);
            let answer = self.0.try_send(Last(self.0.clone(), self.1.clone()));
            // What is given back would come here again.
            let TrySendError::Disconnected(refused) = answer.expect_err("no receiver is left") else {
                panic!("there is room");
            };
            self.1.set(self.1.get() + 1);
            if self.1.get() > 3 {
                let _kept = std::mem::ManuallyDrop::new(refused);
            }
        }
    }
    within(LIMIT, || {
        let drops = Rc::new(Cell::new(0));
        let (sender, receiver) = channel::bounded(1);
        assert!(sender.try_send(Last(sender.clone(), drops.clone())).is_ok());
        drop(receiver);
        assert_eq!(drops.get(), 4);
        assert!(sender.is_empty());
    });
}

// --- without waiting, and with a limit --------------------------------------------------------------------------------

#[test]
fn trying_lets_nobody_run_and_says_why_it_failed() {
    within(LIMIT, || {
        let ran = Rc::new(Cell::new(false));
        let other = ran.clone();
        spawn(move || other.set(true));
        let (sender, receiver) = channel::bounded(1);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(sender.try_send(1), Ok(()));
        let refused = sender.try_send(2).unwrap_err();
        assert!(refused.is_full() && !refused.is_disconnected());
        assert_eq!(refused.into_inner(), 2);
        assert_eq!(receiver.try_recv(), Ok(1));
        drop(sender);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        assert!(!ran.get());
    });
}

#[test]
fn a_limit_is_kept_and_a_message_in_time_beats_it() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(1);
        let start = Instant::now();
        assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        assert_eq!(receiver.recv_timeout(Instant::now() + SHORT), Err(RecvTimeoutError::Timeout));
        sender.send(1).unwrap();
        assert_eq!(sender.send_timeout(2, SHORT), Err(SendTimeoutError::Timeout(2)));
        assert_eq!(sender.send_timeout(3, Instant::now() + SHORT), Err(SendTimeoutError::Timeout(3)));
        assert!(start.elapsed() >= SHORT * 4);
        let reader = spawn(move || [receiver.recv(), receiver.recv()]);
        assert_eq!(sender.send_timeout(4, LONG), Ok(()));
        assert_eq!(reader.get().unwrap(), [Ok(1), Ok(4)]);
    });
}

#[test]
fn a_receiver_that_gives_up_may_ask_again() {
    within(LIMIT, || {
        let (sender, receiver) = channel::unbounded();
        let g = spawn(move || {
            for i in 0..5 {
                sleep(SHORT * 2);
                sender.send(i).unwrap();
            }
        });
        let mut got = Vec::new();
        loop {
            match receiver.recv_timeout(SHORT) {
                Ok(message) => got.push(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        assert_eq!(got, [0, 1, 2, 3, 4]);
        g.get().unwrap();
    });
}

// --- iterating ------------------------------------------------------------------------------------------------------

#[test]
fn iterating_ends_with_the_senders() {
    within(LIMIT, || {
        for (sender, receiver) in both() {
            let g = spawn(move || (0..5).for_each(|i| sender.send(i).unwrap()));
            let mut sum = 0;
            for i in &receiver {
                sum += i;
            }
            assert_eq!(sum, 10);
            assert_eq!(receiver.iter().next(), None);
            g.get().unwrap();
        }
    });
}

#[test]
fn iterating_over_what_is_there_waits_for_nothing() {
    within(LIMIT, || {
        let (sender, receiver) = channel::unbounded();
        assert_eq!(receiver.try_iter().next(), None);
        (0..3).for_each(|i| sender.send(i).unwrap());
        assert!(receiver.try_iter().eq(0..3));
        assert_eq!(receiver.try_iter().next(), None);
        sender.send(9).unwrap();
        assert!(receiver.try_iter().eq([9]));
    });
}

#[test]
fn an_iterator_that_owns_its_receiver_disconnects_when_it_goes() {
    within(LIMIT, || {
        let (sender, receiver) = channel::unbounded();
        (0..3).for_each(|i| sender.send(i).unwrap());
        let mut messages = receiver.into_iter();
        assert_eq!(messages.next(), Some(0));
        drop(messages);
        assert!(sender.send(3).is_err());
    });
}

// --- the rest -------------------------------------------------------------------------------------------------------

/// std: `stress_shared` and its kin, crossbeam: `mpmc`.
#[test]
fn many_senders_and_receivers_lose_and_double_nothing() {
    within(LIMIT, || {
        for room in [Some(0), Some(1), Some(7), None] {
            let (sender, receiver) = room.map_or_else(channel::unbounded, channel::bounded);
            let senders: Vec<_> = (0..10)
                .map(|s: u32| {
                    let sender = sender.clone();
                    spawn(move || {
                        for i in 0..50 {
                            sender.send((s, i)).unwrap();
                            if (s + i).is_multiple_of(7) {
                                yield_now();
                            }
                        }
                    })
                })
                .collect();
            drop(sender);
            let receivers: Vec<_> = (0..8)
                .map(|_| {
                    let receiver = receiver.clone();
                    spawn(move || {
                        let mut got = Vec::new();
                        for (i, message) in receiver.iter().enumerate() {
                            got.push(message);
                            if i.is_multiple_of(5) {
                                yield_now();
                            }
                        }
                        got
                    })
                })
                .collect();
            drop(receiver);
            joinall(&senders);
            let got = receivers.iter().map(|g| g.get().unwrap()).collect::<Vec<_>>();
            // Each receiver sees each sender's messages in order.
            for list in &got {
                for s in 0..10 {
                    let of_one: Vec<u32> =
                        list.iter().filter(|(from, _)| *from == s).map(|(_, i)| *i).collect();
                    assert!(of_one.is_sorted());
                }
            }
            let mut all = got.concat();
            all.sort_unstable();
            let sent: Vec<_> = (0..10).flat_map(|s| (0..50).map(move |i| (s, i))).collect();
            assert_eq!(all, sent, "with room for {room:?}");
        }
    });
}

#[test]
fn ends_know_their_channel() {
    within(LIMIT, || {
        let [(sender, receiver), (other, others)] = both::<()>();
        assert!(sender.same_channel(&sender.clone()) && receiver.same_channel(&receiver.clone()));
        assert!(!sender.same_channel(&other) && !receiver.same_channel(&others));
    });
}

#[test]
fn errors_say_what_happened_and_are_errors_whatever_the_message() {
    fn text(error: impl Error + 'static) -> String {
        format!("{error}; {error:?}")
    }
    struct Mute;
    const SENDING: &str = "sending on a channel without receivers";
    const RECEIVING: &str = "receiving on an empty channel without senders";
    assert_eq!(text(SendError(Mute)), format!("{SENDING}; SendError(..)"));
    assert_eq!(text(TrySendError::Disconnected(Mute)), format!("{SENDING}; Disconnected(..)"));
    assert_eq!(text(TrySendError::Full(Mute)), "sending on a full channel; Full(..)");
    assert_eq!(text(SendTimeoutError::Timeout(Mute)), "timed out sending on a channel; Timeout(..)");
    assert_eq!(text(SendTimeoutError::Disconnected(Mute)), format!("{SENDING}; Disconnected(..)"));
    assert_eq!(text(RecvError), format!("{RECEIVING}; RecvError"));
    assert_eq!(text(TryRecvError::Empty), "receiving on an empty channel; Empty");
    assert_eq!(text(TryRecvError::Disconnected), format!("{RECEIVING}; Disconnected"));
    assert_eq!(text(RecvTimeoutError::Timeout), "timed out receiving on a channel; Timeout");
    assert_eq!(text(RecvTimeoutError::Disconnected), format!("{RECEIVING}; Disconnected"));
}
