//! `ramie::shared` under kills, limits and crowds: nothing is lost, nothing is doubled, no waiter
//! hangs.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::util::log::Log;
use crate::util::participants::{KINDS, Kind, LIMIT, LONG, SHORT, done, each_pair, ignore, on, until};
use crate::util::within;
use ramie::hub::has_hub;
use ramie::shared::channel::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};
use ramie::shared::{Event, Mutex, Semaphore, channel, oneshot};
use ramie::{Timeout, get_hub, joinall, run, sleep, spawn, yield_now};

// --- kills and limits -----------------------------------------------------------------------------------------------

#[test]
fn a_killed_waiter_leaves_the_line() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let [first, second] = [(); 2].map(|()| {
            let semaphore = semaphore.clone();
            spawn(move || semaphore.acquire())
        });
        yield_now();
        assert_eq!(semaphore.linkcount(), 2);
        first.kill();
        assert_eq!(semaphore.linkcount(), 1);
        semaphore.release();
        second.join();
        assert_eq!(semaphore.counter(), 0);
    });
}

#[test]
fn a_kill_before_the_wake_hands_it_on() {
    for kind in KINDS {
        within(LIMIT, move || {
            let semaphore = Semaphore::new(0);
            let first = spawn({
                let semaphore = semaphore.clone();
                move || semaphore.acquire()
            });
            yield_now();
            let second = on(kind, {
                let semaphore = semaphore.clone();
                move || semaphore.acquire()
            });
            until(|| semaphore.linkcount() == 2);
            first.kill_nowait();
            semaphore.release();
            assert_eq!(semaphore.linkcount(), 1, "the one that dies is told first");
            first.join();
            done(second);
            assert_eq!(semaphore.counter(), 0);
        });
    }
}

#[test]
fn a_wake_before_the_kill_is_used() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let got = Rc::new(Cell::new(false));
        let first = spawn({
            let (semaphore, got) = (semaphore.clone(), got.clone());
            move || {
                semaphore.acquire();
                got.set(true);
            }
        });
        yield_now();
        semaphore.release();
        first.kill();
        assert!(got.get());
        assert_eq!(semaphore.counter(), 0);
    });
}

#[test]
fn a_scope_timeout_leaves_every_line() {
    within(LIMIT, || {
        fn cut(wait: impl FnOnce()) {
            let start = Instant::now();
            Timeout::new(SHORT).scope(wait).expect_err("the scope times out");
            assert!(start.elapsed() >= SHORT);
        }
        let (event, semaphore, mutex) = (Event::new(), Semaphore::new(0), Mutex::new(0));
        cut(|| event.wait());
        cut(|| semaphore.acquire());
        let guard = mutex.lock();
        cut(|| drop(mutex.lock()));
        drop(guard);
        assert_eq!((event.linkcount(), semaphore.linkcount(), mutex.is_locked()), (0, 0, false));

        for room in [0, 1] {
            let (sender, receiver) = channel::bounded(room);
            cut(|| ignore(receiver.recv()));
            let message = Arc::new(());
            if room == 1 {
                sender.send(Arc::new(())).unwrap();
            }
            cut(|| ignore(sender.send(message.clone())));
            assert_eq!(Arc::strong_count(&message), 1);
            assert_eq!(receiver.try_iter().count(), room);
        }

        let (sender, receiver) = oneshot::channel();
        cut(|| ignore(receiver.recv_timeout(LONG)));
        sender.send(5).unwrap();
        assert_eq!(receiver.try_recv(), Ok(5));

        let (sender, receiver) = oneshot::channel();
        cut(|| ignore(receiver.recv()));
        assert_eq!(sender.send(5), Err(5));
    });
}

#[test]
fn every_limit_is_kept() {
    for kind in KINDS {
        within(LIMIT, move || {
            done(on(kind, || {
                fn late(wait: impl FnOnce()) {
                    let start = Instant::now();
                    wait();
                    assert!(start.elapsed() >= SHORT, "over after {:?}", start.elapsed());
                }
                let soon = || Instant::now() + SHORT;
                let (event, semaphore, mutex) = (Event::new(), Semaphore::new(0), Mutex::new(0));
                late(|| assert!(!event.wait_timeout(SHORT)));
                late(|| assert!(!event.wait_timeout(soon())));
                late(|| assert!(!semaphore.acquire_timeout(SHORT)));
                late(|| assert!(!semaphore.acquire_timeout(soon())));
                let guard = mutex.lock();
                late(|| assert!(mutex.lock_timeout(SHORT).is_none()));
                late(|| assert!(mutex.lock_timeout(soon()).is_none()));
                assert!(mutex.try_lock().is_none());
                drop(guard);
                for room in [0, 1] {
                    let (sender, receiver) = channel::bounded(room);
                    late(|| assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout)));
                    late(|| assert_eq!(receiver.recv_timeout(soon()), Err(RecvTimeoutError::Timeout)));
                    if room == 1 {
                        sender.try_send(0).unwrap();
                    }
                    let back = Err(SendTimeoutError::Timeout(1));
                    late(|| assert_eq!(sender.send_timeout(1, SHORT), back));
                    late(|| assert_eq!(sender.send_timeout(1, soon()), back));
                    assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
                    assert_eq!(sender.send_timeout(1, Duration::ZERO), back);
                    assert_eq!((receiver.len(), receiver.try_iter().count()), (room, room));
                }
                let (_sender, receiver) = oneshot::channel::<u8>();
                late(|| assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout)));
                late(|| assert_eq!(receiver.recv_timeout(soon()), Err(RecvTimeoutError::Timeout)));
                assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
            }));
        });
    }
}

#[test]
fn a_wait_in_the_hub_is_refused() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let (semaphore, event) = (Semaphore::new(0), Event::new());
        let (sender, receiver) = channel::bounded(0);
        let hub = get_hub();
        hub.run_callback({
            let semaphore = semaphore.clone();
            move || semaphore.acquire()
        });
        hub.run_callback({
            let event = event.clone();
            move || event.wait()
        });
        hub.run_callback({
            let sender = sender.clone();
            move || ignore(sender.send(1))
        });
        hub.run_callback({
            let receiver = receiver.clone();
            move || ignore(receiver.recv())
        });
        yield_now();
        assert_eq!(errors.words(), ["impossible to call a blocking function in a callback of the hub"; 4]);
        assert_eq!((semaphore.linkcount(), event.linkcount(), receiver.len()), (0, 0, 0));
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
    });
}

#[test]
fn a_callback_of_the_hub_may_do_what_does_not_wait() {
    within(LIMIT, || {
        let log = Log::new();
        let semaphore = Semaphore::new(0);
        let waiters = [1, 2, 3].map(|i| {
            let (semaphore, log) = (semaphore.clone(), log.clone());
            spawn(move || {
                semaphore.acquire();
                log.add(i);
            })
        });
        yield_now();
        get_hub().run_callback(move || {
            for _ in 0..3 {
                semaphore.release();
            }
        });
        joinall(&waiters);
        assert_eq!(log.words(), ["1", "2", "3"]);
    });
}

// --- gevent's tests across threads: test__semaphore.py and test__event.py -------------------------------------------

#[test]
fn gevent_acquire_in_one_then_another() {
    each_pair(|one, other| {
        let semaphore = Semaphore::new(1);
        let (holds, held) = oneshot::channel();
        let first = on(one, {
            let semaphore = semaphore.clone();
            move || {
                semaphore.acquire();
                holds.send(()).unwrap();
                until(|| semaphore.linkcount() == 1);
                semaphore.release();
            }
        });
        done(on(other, move || {
            held.recv().unwrap();
            semaphore.acquire();
            semaphore.release();
            assert_eq!(semaphore.counter(), 1);
        }));
        done(first);
    });
}

#[test]
fn gevent_acquire_in_one_then_another_timed() {
    each_pair(|one, other| {
        let semaphore = Semaphore::new(1);
        let gave_up = Event::new();
        semaphore.acquire();
        let first = on(one, {
            let (semaphore, gave_up) = (semaphore.clone(), gave_up.clone());
            move || {
                gave_up.wait();
                assert_eq!(semaphore.linkcount(), 0, "no waiter is left");
                semaphore.release();
            }
        });
        done(on(other, {
            let semaphore = semaphore.clone();
            move || {
                assert!(!semaphore.acquire_timeout(SHORT));
                gave_up.set();
            }
        }));
        done(first);
        assert_eq!(semaphore.counter(), 1);
    });
}

#[test]
fn gevent_acquire_in_one_wait_greenlet_wait_thread_gives_up() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(1);
        semaphore.acquire();
        let keeps = spawn({
            let semaphore = semaphore.clone();
            move || semaphore.acquire()
        });
        yield_now();
        let gives_up = on(Kind::Plain, {
            let semaphore = semaphore.clone();
            move || semaphore.acquire_timeout(Duration::from_millis(50))
        });
        until(|| semaphore.linkcount() == 2 || gives_up.is_finished());
        semaphore.release();
        keeps.join();
        assert!(!done(gives_up));
        assert_eq!((semaphore.counter(), semaphore.linkcount()), (0, 0));
    });
}

/// `test_dueling_threads`, `_timeout` and `_with_hub`.
fn duel(kind: Kind, limit: Option<Duration>) {
    within(LIMIT, move || {
        let semaphore = Semaphore::new(1);
        let duellists = [(); 2].map(|()| {
            let semaphore = semaphore.clone();
            on(kind, move || {
                for turn in 0..10_000 {
                    match limit {
                        None => semaphore.acquire(),
                        Some(limit) => until(|| semaphore.acquire_timeout(limit)),
                    }
                    if turn % 64 == 0 {
                        thread::yield_now();
                    }
                    semaphore.release();
                }
            })
        });
        duellists.into_iter().for_each(done);
        assert_eq!((semaphore.counter(), semaphore.linkcount()), (1, 0));
    });
}

#[test]
fn gevent_dueling_threads() {
    duel(Kind::Plain, None);
}

#[test]
fn gevent_dueling_threads_timeout() {
    duel(Kind::Plain, Some(Duration::from_micros(50)));
}

#[test]
fn gevent_dueling_threads_with_hub() {
    duel(Kind::Main, None);
    duel(Kind::Greenlet, None);
    duel(Kind::Greenlet, Some(Duration::from_micros(50)));
}

/// `TestEventCrossThread`: waiters, with or without a limit, and setters.
#[test]
fn gevent_cross_thread_use() {
    for limit in [None, Some(LONG)] {
        for (waiting, setting) in KINDS.into_iter().flat_map(|one| KINDS.map(|other| (one, other))) {
            within(LIMIT, move || {
                for _ in 0..20 {
                    let event = Event::new();
                    let waiter = on(waiting, {
                        let event = event.clone();
                        move || match limit {
                            None => event.wait(),
                            Some(limit) => assert!(event.wait_timeout(limit)),
                        }
                    });
                    let setter = on(setting, move || event.set());
                    done(setter);
                    done(waiter);
                }
            });
        }
    }
}

// --- many -----------------------------------------------------------------------------------------------------------

/// Sends `count` messages from each of four senders to three receivers, of all kinds; none is lost
/// and none is doubled.
fn flood(room: Option<usize>, count: u64) {
    let (sender, receiver) = room.map_or_else(channel::unbounded, channel::bounded);
    let senders = [Kind::Plain, Kind::Main, Kind::Greenlet, Kind::Plain].map(|kind| {
        let sender = sender.clone();
        on(kind, move || (1..=count).for_each(|i| sender.send(i).unwrap()))
    });
    drop(sender);
    let receivers = KINDS.map(|kind| {
        let receiver = receiver.clone();
        on(kind, move || receiver.iter().fold((0, 0), |(n, sum), i| (n + 1, sum + i)))
    });
    drop(receiver);
    senders.into_iter().for_each(done);
    let (messages, sum) =
        receivers.map(done).into_iter().fold((0, 0), |(n, sum), (m, more)| (n + m, sum + more));
    assert_eq!((messages, sum), (4 * count, 4 * count * (count + 1) / 2));
}

#[test]
fn two_hundred_thousand_messages_arrive_once() {
    within(LIMIT, || flood(Some(64), 20_000));
    within(LIMIT, || flood(Some(1), 5_000));
    within(LIMIT, || flood(Some(0), 5_000));
    within(LIMIT, || flood(None, 20_000));
}

#[test]
#[ignore = "a minute in release mode"]
fn ten_million_messages_arrive_once() {
    for (room, count) in [(Some(0), 250_000), (Some(1), 250_000), (Some(1024), 1_000_000), (None, 1_000_000)]
    {
        let start = Instant::now();
        within(20 * LIMIT, move || flood(room, count));
        println!("room {room:?}: {} messages in {:?}", 4 * count, start.elapsed());
    }
}

/// All greenlets take permits with short limits and are killed at times: in the end all permits are
/// there.
#[test]
fn no_permit_is_lost_among_kills_and_limits() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(2);
        let threads = (0..4_u64).map(|seed| {
            let semaphore = semaphore.clone();
            thread::spawn(move || {
                let mut state = seed + 1;
                let mut random = move || {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    state >> 33
                };
                if seed == 0 {
                    for _ in 0..2_000 {
                        if semaphore.acquire_timeout(Duration::from_micros(random() % 200)) {
                            semaphore.release();
                        }
                    }
                    assert!(!has_hub());
                    return;
                }
                run(|| {
                    for _ in 0..200 {
                        let greenlets = [(); 5].map(|()| {
                            let (semaphore, after) =
                                (semaphore.clone(), Duration::from_micros(random() % 300));
                            spawn(move || {
                                if after.is_zero() {
                                    semaphore.with(yield_now);
                                } else if semaphore.acquire_timeout(after) {
                                    semaphore.release();
                                }
                            })
                        });
                        yield_now();
                        for greenlet in greenlets.iter().filter(|_| random() % 3 == 0) {
                            greenlet.kill_nowait();
                        }
                        joinall(&greenlets);
                    }
                });
            })
        });
        threads.collect::<Vec<_>>().into_iter().for_each(done);
        assert_eq!((semaphore.counter(), semaphore.linkcount()), (2, 0));
    });
}

/// Receivers are killed and time out while messages come: every sent message is received.
#[test]
fn no_message_is_lost_among_kills_and_limits() {
    const EACH: usize = 5_000;
    for room in [Some(1), Some(8), None] {
        within(LIMIT, move || {
            let (sender, receiver) = room.map_or_else(channel::unbounded, channel::bounded);
            let received = Arc::new(AtomicUsize::new(0));
            let senders = [(); 2].map(|()| {
                let sender = sender.clone();
                on(Kind::Plain, move || (0..EACH).for_each(|i| sender.send(i).unwrap()))
            });
            drop(sender);
            let receivers = [(); 2].map(|()| {
                let (receiver, received) = (receiver.clone(), received.clone());
                thread::spawn(move || {
                    run(|| {
                        let ended = Rc::new(Cell::new(false));
                        while !ended.get() {
                            let greenlets = [(); 3].map(|()| {
                                let (receiver, received, ended) =
                                    (receiver.clone(), received.clone(), ended.clone());
                                spawn(move || {
                                    loop {
                                        match receiver.recv_timeout(Duration::from_micros(100)) {
                                            Ok(_) => received.fetch_add(1, Ordering::Relaxed),
                                            Err(RecvTimeoutError::Timeout) => continue,
                                            Err(RecvTimeoutError::Disconnected) => break,
                                        };
                                    }
                                    ended.set(true);
                                })
                            });
                            sleep(Duration::from_micros(300));
                            greenlets[0].kill();
                            greenlets[1].kill();
                            greenlets[2].kill();
                        }
                    });
                })
            });
            drop(receiver);
            senders.into_iter().for_each(done);
            receivers.into_iter().for_each(done);
            assert_eq!(received.load(Ordering::Relaxed), 2 * EACH);
        });
    }
}
