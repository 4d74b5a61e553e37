//! `ramie::shared`: the same primitives between greenlets of several hubs and threads that have
//! none.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::util::log::Log;
use crate::util::participants::{KINDS, Kind, LIMIT, LONG, SHORT, done, each_pair, ignore, on, until};
use crate::util::{assert_send, within};
use ramie::generic::{self, Sharing};
use ramie::hub::{abandoned_greenlets, has_hub};
use ramie::shared::channel::{RecvError, SendError, TryRecvError, TrySendError};
use ramie::shared::{Event, Mutex, MutexGuard, Semaphore, channel, oneshot};
use ramie::{GreenletExit, get_hub, iwait, raise, run, select, sleep, spawn, yield_now};

#[test]
fn types_may_be_shared_as_those_of_std() {
    fn assert_both<T: Send + Sync>() {}
    assert_both::<Event>();
    assert_both::<Semaphore>();
    assert_both::<Mutex<Cell<u8>>>();
    assert_both::<Arc<Mutex<str>>>();
    assert_both::<channel::Sender<Cell<u8>>>();
    assert_both::<channel::Receiver<Cell<u8>>>();
    assert_both::<oneshot::Sender<Cell<u8>>>();
    assert_both::<oneshot::Receiver<Cell<u8>>>();
    assert_send::<channel::IntoIter<u8>>();
    fn assert_sync<T: Sync>() {}
    assert_sync::<MutexGuard<'_, u8>>();
}

// --- every primitive, between every two kinds -----------------------------------------------------------------------

#[test]
fn event_wakes_everybody() {
    each_pair(|waiting, setting| {
        let event = Event::new();
        let waiters = [(); 3].map(|()| {
            let event = event.clone();
            on(waiting, move || event.wait())
        });
        let setter = on(setting, {
            let event = event.clone();
            move || {
                until(|| event.linkcount() == 3);
                event.set();
            }
        });
        waiters.into_iter().chain([setter]).for_each(done);
        assert!(event.is_set());
        assert_eq!(event.linkcount(), 0);
    });
}

#[test]
fn event_set_and_cleared_at_once_wakes_all_the_same() {
    each_pair(|waiting, setting| {
        let event = Event::new();
        let waiters = [(); 3].map(|()| {
            let event = event.clone();
            on(waiting, move || assert!(event.wait_timeout(LONG)))
        });
        let setter = on(setting, {
            let event = event.clone();
            move || {
                until(|| event.linkcount() == 3);
                event.set();
                event.clear();
            }
        });
        waiters.into_iter().chain([setter]).for_each(done);
        assert!(!event.is_set());
    });
}

#[test]
fn semaphore_passes_a_permit() {
    each_pair(|one, other| {
        let (here, there) = (Semaphore::new(0), Semaphore::new(0));
        let players =
            [(one, here.clone(), there.clone()), (other, there, here.clone())].map(|(kind, mine, yours)| {
                on(kind, move || {
                    for _ in 0..100 {
                        mine.acquire();
                        yours.release();
                    }
                })
            });
        here.release();
        players.into_iter().for_each(done);
        assert_eq!(here.counter(), 1);
    });
}

#[test]
fn waiting_for_a_permit_takes_none() {
    each_pair(|waiting, releasing| {
        let semaphore = Semaphore::new(0);
        let waiters = [(); 3].map(|()| {
            let semaphore = semaphore.clone();
            on(waiting, move || assert_eq!(semaphore.wait(), 1))
        });
        let releaser = on(releasing, {
            let semaphore = semaphore.clone();
            move || {
                until(|| semaphore.linkcount() == 3);
                semaphore.release();
            }
        });
        waiters.into_iter().chain([releaser]).for_each(done);
        assert_eq!((semaphore.counter(), semaphore.linkcount()), (1, 0));
        assert!(semaphore.try_acquire());
        done(on(waiting, move || assert_eq!(semaphore.wait_timeout(SHORT), 0)));
    });
}

/// Takes all permits but one of a semaphore of either kind.
fn take_all_but_one<K: Sharing>(semaphore: &generic::Semaphore<K>) {
    while semaphore.counter() > 1 {
        semaphore.permit().forget();
    }
}

#[test]
fn one_function_serves_both_kinds() {
    let (local, shared) = (ramie::sync::Semaphore::new(3), Semaphore::new(2));
    take_all_but_one(&local);
    take_all_but_one(&shared);
    assert_eq!((local.counter(), shared.counter()), (1, 1));
    assert_eq!(format!("{local:?}"), format!("{shared:?}"));
}

#[test]
fn mutex_admits_one() {
    each_pair(|one, other| {
        let total = Arc::new(Mutex::new(0));
        let adders = [one, other, one, other].map(|kind| {
            let total = total.clone();
            on(kind, move || {
                for _ in 0..200 {
                    let mut total = total.lock();
                    let before = *total;
                    if has_hub() {
                        yield_now();
                    }
                    *total = before + 1;
                }
            })
        });
        adders.into_iter().for_each(done);
        assert_eq!(*total.lock(), 800);
        assert!(!total.is_locked());
    });
}

#[test]
fn channel_keeps_the_order_of_a_sender() {
    each_pair(|sending, receiving| {
        for room in [Some(0), Some(1), Some(7), None] {
            let (sender, receiver) = room.map_or_else(channel::unbounded, channel::bounded);
            let sender = on(sending, move || (0..300).for_each(|i| sender.send(i).unwrap()));
            let received = done(on(receiving, move || receiver.iter().collect::<Vec<_>>()));
            done(sender);
            assert_eq!(received, (0..300).collect::<Vec<_>>(), "room {room:?}");
        }
    });
}

#[test]
fn oneshot_brings_its_message() {
    each_pair(|sending, receiving| {
        let (sender, receiver) = oneshot::channel();
        let receiver = on(receiving, move || receiver.recv());
        done(on(sending, move || sender.send(5).unwrap()));
        assert_eq!(done(receiver), Ok(5));
    });
}

// --- peers that go --------------------------------------------------------------------------------------------------

#[test]
fn the_last_sender_ends_every_receiver() {
    each_pair(|dropping, receiving| {
        for room in [0, 3] {
            let (sender, receiver) = channel::bounded::<u8>(room);
            let receivers = [(); 3].map(|()| {
                let receiver = receiver.clone();
                on(receiving, move || receiver.recv())
            });
            done(on(dropping, move || drop(sender)));
            for receiver in receivers {
                assert_eq!(done(receiver), Err(RecvError));
            }
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        }
    });
}

#[test]
fn the_last_receiver_gives_every_message_back() {
    each_pair(|dropping, sending| {
        for room in [0, 1] {
            let (sender, receiver) = channel::bounded(room);
            if room == 1 {
                sender.send(0).unwrap();
            }
            let senders = [1, 2, 3].map(|i| {
                let sender = sender.clone();
                on(sending, move || sender.send(i))
            });
            done(on(dropping, move || drop(receiver)));
            assert_eq!(senders.map(done), [1, 2, 3].map(|i| Err(SendError(i))));
            assert_eq!(sender.try_send(4), Err(TrySendError::Disconnected(4)));
            assert!(sender.is_empty());
        }
    });
}

#[test]
fn a_dropped_half_of_a_oneshot_is_an_error() {
    each_pair(|dropping, waiting| {
        let (sender, receiver) = oneshot::channel::<u8>();
        let receiver = on(waiting, move || receiver.recv());
        done(on(dropping, move || drop(sender)));
        assert_eq!(done(receiver), Err(RecvError));

        let (sender, receiver) = oneshot::channel();
        drop(receiver);
        assert!(sender.is_disconnected());
        assert_eq!(sender.send(5), Err(5));
    });
}

#[test]
fn a_message_nobody_receives_is_dropped_once() {
    within(LIMIT, || {
        let message = Arc::new(());
        let (sender, receiver) = channel::unbounded();
        sender.send(message.clone()).unwrap();
        drop(receiver);
        assert_eq!(Arc::strong_count(&message), 1);
        drop(sender);

        let (sender, receiver) = oneshot::channel();
        sender.send(message.clone()).unwrap();
        drop(receiver);
        assert_eq!(Arc::strong_count(&message), 1);
    });
}

#[test]
fn a_messages_destructor_may_use_its_channel() {
    struct Nosy(channel::Sender<Nosy>, Arc<AtomicUsize>);
    impl Drop for Nosy {
        fn drop(&mut self) {
            assert_eq!(self.0.len(), 0);
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    within(LIMIT, || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = channel::bounded(5);
        for _ in 0..3 {
            sender.try_send(Nosy(sender.clone(), dropped.clone())).map_err(|_| "full").unwrap();
        }
        drop(receiver);
        assert_eq!(dropped.load(Ordering::Relaxed), 3);
    });
}

// --- hubs that end --------------------------------------------------------------------------------------------------

/// Calls a function when it is dropped.
struct Late<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for Late<F> {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|f| f());
    }
}

/// A thread that ends while a greenlet of its hub is in `wait`. No kill ends the greenlet.
fn abandon(wait: impl FnOnce() + Send + 'static) {
    let before = abandoned_greenlets();
    done(thread::spawn(move || {
        let greenlet = spawn(|| {
            let _late = Late(Some(wait));
            raise(GreenletExit);
        });
        yield_now();
        assert!(greenlet.started());
    }));
    assert!(abandoned_greenlets() > before);
}

#[test]
fn a_hub_that_ends_leaves_the_line() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let waits = semaphore.clone();
        abandon(move || waits.acquire());
        assert_eq!(semaphore.linkcount(), 0);
        let waiter = on(Kind::Plain, {
            let semaphore = semaphore.clone();
            move || semaphore.acquire()
        });
        semaphore.release();
        done(waiter);
        assert_eq!(semaphore.counter(), 0);
    });
}

#[test]
fn a_wake_that_reaches_a_hub_too_late_is_handed_on() {
    for kind in KINDS {
        within(LIMIT, move || {
            let semaphore = Semaphore::new(0);
            let (waits, releases) = (semaphore.clone(), semaphore.clone());
            let (second, third) = (semaphore.clone(), semaphore.clone());
            let waiter = thread::spawn(move || {
                until(|| second.linkcount() == 1);
                done(on(kind, move || second.acquire()));
            });
            // The greenlet is told, and killed before its turn: its thread ends without another
            // turn of the loop.
            done(thread::spawn(move || {
                spawn(move || waits.acquire());
                yield_now();
                until(|| releases.linkcount() == 2);
                releases.release();
                assert_eq!(releases.linkcount(), 1);
            }));
            done(waiter);
            assert_eq!(third.counter(), 0);
        });
    }
}

#[test]
fn a_hub_that_ends_swallows_no_message() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let waits = receiver.clone();
        abandon(move || ignore(waits.recv()));
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)), "no living receiver waits");
        let sends = thread::spawn(move || sender.send(2));
        assert_eq!(receiver.recv(), Ok(2));
        assert_eq!(done(sends), Ok(()));
    });
}

#[test]
fn what_a_hub_that_ends_was_sending_is_dropped() {
    within(LIMIT, || {
        for room in [0, 1] {
            let message = Arc::new(());
            let (sender, receiver) = channel::bounded(room);
            if room == 1 {
                sender.send(message.clone()).unwrap();
            }
            let (sends, sent) = (sender.clone(), message.clone());
            abandon(move || ignore(sends.send(sent)));
            assert_eq!(receiver.len(), room);
            sender.send_timeout(message.clone(), SHORT).unwrap_err();
            assert_eq!(receiver.try_iter().count(), room);
            assert!(receiver.is_empty());
        }
    });
}

#[test]
fn a_hub_that_ends_in_recv_is_a_dropped_receiver() {
    within(LIMIT, || {
        let (sender, receiver) = oneshot::channel();
        abandon(move || ignore(receiver.recv()));
        assert_eq!(sender.send(5), Err(5));
    });
}

#[test]
fn a_hub_that_ends_takes_its_links_along() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let linked = semaphore.clone();
        abandon(move || ignore(iwait(&[linked]).next()));
        assert_eq!(semaphore.linkcount(), 0);
    });
}

#[test]
fn run_drops_what_greenlets_hold() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded::<u8>(1);
        done(thread::spawn(move || {
            run(|| {
                spawn(move || ignore(receiver.recv()));
                yield_now();
            });
        }));
        assert_eq!(sender.send(1), Err(SendError(1)));
    });
}

// --- order, and the progress of other greenlets ---------------------------------------------------------------------

#[test]
fn waiters_of_all_kinds_are_told_in_order() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiters = (0..9).map(|i| {
            let waiter = on(KINDS[i % 3], {
                let (semaphore, order) = (semaphore.clone(), order.clone());
                move || {
                    semaphore.acquire();
                    order.lock().push(i);
                    semaphore.release();
                }
            });
            until(|| semaphore.linkcount() == i + 1);
            waiter
        });
        let waiters = waiters.collect::<Vec<_>>();
        semaphore.release();
        waiters.into_iter().for_each(done);
        assert_eq!(*order.lock(), (0..9).collect::<Vec<_>>());
    });
}

#[test]
fn whoever_asks_while_it_is_there_is_faster() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let log = Log::new();
        let [first, second] = [1, 2].map(|i| {
            let (semaphore, log) = (semaphore.clone(), log.clone());
            spawn(move || {
                semaphore.acquire();
                log.add(i);
            })
        });
        yield_now();
        semaphore.release();
        assert!(semaphore.try_acquire());
        yield_now();
        assert_eq!(semaphore.linkcount(), 2, "a waiter is back in line after an unused wake-up");
        semaphore.release();
        first.join();
        semaphore.release();
        second.join();
        assert_eq!(log.words(), ["1", "2"]);
    });
}

#[test]
fn others_run_while_a_greenlet_waits() {
    within(LIMIT, || {
        let event = Event::new();
        let waiter = spawn({
            let event = event.clone();
            move || event.wait()
        });
        let setter = on(Kind::Plain, {
            let event = event.clone();
            move || {
                until(|| event.linkcount() == 1);
                event.set();
            }
        });
        let turns = Rc::new(Cell::new(0));
        let other = spawn({
            let turns = turns.clone();
            move || {
                (0..10).for_each(|_| {
                    turns.set(turns.get() + 1);
                    yield_now();
                })
            }
        });
        waiter.join();
        other.join();
        assert_eq!(turns.get(), 10);
        done(setter);
    });
}

#[test]
fn a_call_that_need_not_wait_lets_nobody_run() {
    within(LIMIT, || {
        let ran = Rc::new(Cell::new(false));
        spawn({
            let ran = ran.clone();
            move || ran.set(true)
        });
        let (event, semaphore, mutex) = (Event::new(), Semaphore::new(1), Mutex::new(0));
        event.set();
        event.wait();
        semaphore.acquire();
        semaphore.release();
        *mutex.lock() += 1;
        let (sender, receiver) = channel::bounded(1);
        sender.send(1).unwrap();
        receiver.recv().unwrap();
        let (sender, receiver) = oneshot::channel();
        sender.send(1).unwrap();
        receiver.recv().unwrap();
        assert!(!ran.get());
    });
}

#[test]
fn a_waiter_keeps_its_loop_alive_and_no_longer() {
    within(LIMIT, || {
        let before = get_hub().stats().refs;
        let event = Event::new();
        let setter = on(Kind::Plain, {
            let event = event.clone();
            move || {
                until(|| event.linkcount() == 1);
                event.set();
            }
        });
        event.wait();
        done(setter);
        assert_eq!(get_hub().stats().refs, before);
    });
}

// --- the rendezvous -------------------------------------------------------------------------------------------------

#[test]
fn without_room_a_sender_waits_until_it_is_received() {
    each_pair(|sending, receiving| {
        let (sender, receiver) = channel::bounded(0);
        let received = Arc::new(AtomicUsize::new(0));
        let sender = on(sending, {
            let received = received.clone();
            move || {
                sender.send(1).unwrap();
                received.load(Ordering::SeqCst)
            }
        });
        done(on(receiving, move || {
            until(|| receiver.len() == 1);
            received.store(1, Ordering::SeqCst);
            assert_eq!(receiver.recv(), Ok(1));
        }));
        assert_eq!(done(sender), 1);
    });
}

#[test]
fn without_room_try_send_needs_a_receiver_that_waits() {
    each_pair(|sending, receiving| {
        let (sender, receiver) = channel::bounded(0);
        assert_eq!(sender.try_send(0), Err(TrySendError::Full(0)));
        let receiver = on(receiving, move || receiver.recv());
        done(on(sending, move || {
            until(|| sender.try_send(1).is_ok());
            let second = sender.try_send(2);
            assert!(second.is_err(), "one receiver takes one message");
        }));
        assert_eq!(done(receiver), Ok(1));
    });
}

#[test]
fn what_a_killed_receiver_was_to_take_is_not_lost() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let killed = spawn({
            let receiver = receiver.clone();
            move || receiver.recv()
        });
        yield_now();
        killed.kill_nowait();
        assert_eq!(sender.try_send(1), Ok(()));
        killed.join();
        assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
        assert_eq!(receiver.recv(), Ok(1));
    });
}

#[test]
fn without_room_a_killed_sender_takes_its_message_back() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let [killed, other] = [1, 2].map(|i| {
            let sender = sender.clone();
            spawn(move || sender.send(i))
        });
        yield_now();
        assert_eq!(receiver.len(), 2);
        killed.kill();
        assert_eq!(receiver.recv(), Ok(2));
        assert_eq!(other.take().expect("it was not killed"), Ok(()));
    });
}

// --- selections -----------------------------------------------------------------------------------------------------

#[test]
fn a_selection_takes_what_another_thread_sends() {
    for kind in KINDS {
        within(LIMIT, move || {
            for room in [0, 1] {
                let (sender, receiver) = channel::bounded(room);
                let (_never, never) = channel::bounded::<u8>(1);
                let sender = on(kind, move || (0..100).for_each(|i| sender.send(i).unwrap()));
                let mut received = Vec::new();
                loop {
                    select! {
                        recv(receiver) -> message => match message {
                            Ok(message) => received.push(message),
                            Err(RecvError) => break,
                        },
                        recv(never) -> _ => panic!("nothing was sent there"),
                        default(LONG) => panic!("nothing came"),
                    }
                }
                done(sender);
                assert_eq!(received, (0..100).collect::<Vec<_>>());
            }
        });
    }
}

#[test]
fn a_selection_waits_for_the_rest_too() {
    within(LIMIT, || {
        let (event, semaphore) = (Event::new(), Semaphore::new(0));
        let (sender, receiver) = oneshot::channel();
        let waker = on(Kind::Plain, {
            let (event, semaphore) = (event.clone(), semaphore.clone());
            move || {
                until(|| semaphore.linkcount() == 1);
                semaphore.release();
                until(|| semaphore.counter() == 0);
                event.set();
                until(|| !event.is_set());
                sender.send(5).unwrap();
            }
        });
        let mut seen = BTreeSet::new();
        while seen.len() < 3 {
            select! {
                recv(event) -> () => {
                    event.clear();
                    seen.insert("event");
                },
                recv(semaphore) -> () => {
                    seen.insert("semaphore");
                },
                recv(receiver) -> message => {
                    assert_eq!(message, Ok(5));
                    seen.insert("oneshot");
                },
            }
        }
        done(waker);
        assert_eq!((event.linkcount(), semaphore.linkcount()), (0, 0));
    });
}

#[test]
fn a_link_takes_nothing_from_those_behind_it() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let linked = spawn({
            let semaphore = semaphore.clone();
            move || iwait(&[semaphore]).count()
        });
        yield_now();
        let waiter = on(Kind::Plain, {
            let semaphore = semaphore.clone();
            move || semaphore.acquire()
        });
        until(|| semaphore.linkcount() == 2);
        semaphore.release();
        assert_eq!(linked.take().expect("it does not fail"), 1);
        done(waiter);
        assert_eq!(semaphore.counter(), 0);
    });
}

// --- the lock -------------------------------------------------------------------------------------------------------

#[test]
fn a_mutex_is_not_poisoned() {
    within(LIMIT, || {
        let mutex = Arc::new(Mutex::new(1));
        let panics = mutex.clone();
        thread::Builder::new()
            .spawn(move || {
                let _guard = panics.lock();
                std::panic::resume_unwind(Box::new("on purpose"));
            })
            .expect("a thread can be had")
            .join()
            .unwrap_err();
        assert_eq!(*mutex.lock(), 1);
        let killed = spawn({
            let mutex = mutex.clone();
            move || {
                let _guard = mutex.lock();
                sleep(LONG);
            }
        });
        yield_now();
        assert!(mutex.is_locked());
        killed.kill();
        *mutex.lock() += 1;
        let mut mutex = Arc::into_inner(mutex).expect("the others are gone");
        assert_eq!(*mutex.get_mut(), 2);
        assert_eq!(mutex.into_inner(), 2);
    });
}

#[test]
fn a_holder_that_waits_stops_no_thread() {
    within(LIMIT, || {
        let mutex = Rc::new(Mutex::new(()));
        let holder = spawn({
            let mutex = mutex.clone();
            move || {
                let _guard = mutex.lock();
                sleep(SHORT);
            }
        });
        yield_now();
        drop(mutex.lock());
        assert!(holder.ready());
    });
}
