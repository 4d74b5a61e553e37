//! Reaching a hub from other threads: in order, exactly once, and with an answer when the hub has
//! ended.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use ramie::hub::{HubGone, KeepAlive, Remote, Reply, Waker};
use ramie::sync::Event;
use ramie::{LoopExit, catch, get_hub, getcurrent, joinall, sleep, spawn, yield_now};

use crate::util::footprint::settled;
use crate::util::log::Log;
use crate::util::{assert_send, within};

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(5);

thread_local! {
    static ARRIVED: RefCell<Vec<Vec<usize>>> = const { RefCell::new(Vec::new()) };
    static DONE: RefCell<Option<Event>> = const { RefCell::new(None) };
}

#[test]
fn handles_go_to_other_threads() {
    assert_send::<Remote>();
    assert_send::<Waker>();
    assert_send::<Reply<String>>();
    fn assert_sync<T: Sync>() {}
    assert_sync::<Remote>();
}

#[test]
fn messages_arrive_in_order_and_once() {
    within(LIMIT, || {
        const SENDERS: usize = 8;
        const EACH: usize = 100_000 / SENDERS;
        let before = settled();
        let _alive = get_hub().keep_alive();
        ARRIVED.set(vec![Vec::new(); SENDERS]);
        let done = Event::new();
        DONE.set(Some(done.clone()));
        // A local greenlet runs all the while, and is not starved.
        let turns = Rc::new(Cell::new(0));
        let count = turns.clone();
        let local = spawn(move || {
            loop {
                count.set(count.get() + 1);
                sleep(Duration::from_millis(1));
            }
        });
        let remote = get_hub().remote();
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let remote = remote.clone();
                thread::spawn(move || {
                    for number in 0..EACH {
                        let posted = remote.post(move || {
                            let all = ARRIVED.with_borrow_mut(|arrived| {
                                arrived[sender].push(number);
                                arrived.iter().map(Vec::len).sum::<usize>()
                            });
                            if all == SENDERS * EACH {
                                DONE.take().expect("set once").set();
                            }
                        });
                        posted.expect("the hub is there");
                    }
                })
            })
            .collect();
        done.wait();
        for sender in senders {
            sender.join().unwrap();
        }
        ARRIVED.with_borrow(|arrived| {
            for numbers in arrived {
                assert!(numbers.iter().copied().eq(0..EACH));
            }
        });
        assert!(turns.get() > 0);
        local.kill();
        drop(_alive);
        assert_eq!(settled(), before);
    });
}

#[test]
fn closures_run_in_the_hub_and_greenlets_on_stacks_of_their_own() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let _alive = get_hub().keep_alive();
        let (send, receive) = channel();
        let remote = get_hub().remote();
        thread::spawn(move || {
            let told = send.clone();
            remote.post(move || told.send(("post", getcurrent().is_main())).unwrap()).unwrap();
            // A posted closure cannot wait, and its panic affects no other code.
            remote.post(|| sleep(SHORT)).unwrap();
            remote.post(|| std::panic::resume_unwind(Box::new("posted"))).unwrap();
            let told = send.clone();
            let spawned = move || {
                sleep(SHORT);
                told.send(("spawn", getcurrent().is_main())).unwrap();
            };
            remote.spawn(spawned).unwrap();
            remote.post(move || send.send(("last", true)).unwrap()).unwrap();
        });
        let mut told = Vec::new();
        while told.len() < 3 {
            sleep(Duration::from_millis(1));
            told.extend(receive.try_iter());
        }
        assert_eq!(told, [("post", true), ("last", true), ("spawn", false)]);
        let waits = "impossible to call a blocking function in a callback of the hub";
        assert_eq!(errors.words(), [waits, "panicked: posted"]);
    });
}

#[test]
fn greenlets_are_spawned_from_many_threads() {
    within(LIMIT, || {
        static RAN: AtomicUsize = AtomicUsize::new(0);
        let before = settled();
        let (waiter, waker) = get_hub().waiter();
        let remote = get_hub().remote();
        thread::spawn(move || {
            let senders: Vec<_> = (0..4)
                .map(|_| {
                    let remote = remote.clone();
                    thread::spawn(move || {
                        for _ in 0..500 {
                            let body = || {
                                yield_now();
                                RAN.fetch_add(1, Ordering::Relaxed);
                            };
                            remote.spawn(body).expect("the hub is there");
                        }
                    })
                })
                .collect();
            senders.into_iter().for_each(|sender| sender.join().unwrap());
            waker.wake()
        });
        waiter.wait();
        drop(waiter);
        get_hub().join();
        assert_eq!(RAN.load(Ordering::Relaxed), 2000);
        assert_eq!(settled(), before);
    });
}

#[test]
fn hub_that_is_gone_gives_the_payload_back() {
    within(LIMIT, || {
        let remote = thread::spawn(|| get_hub().remote()).join().unwrap();
        assert!(remote.is_closed());
        let payload = String::from("precious");
        let HubGone(closure) = remote.post(move || drop(payload)).unwrap_err();
        closure();
        let text = String::from("given back");
        let (send, receive) = channel();
        let gone = remote.spawn(move || send.send(text).unwrap()).unwrap_err();
        assert_eq!(gone.to_string(), "the hub is gone");
        gone.into_inner()();
        assert_eq!(receive.recv().unwrap(), "given back");
    });
}

#[test]
fn hub_that_goes_drops_what_it_has_accepted() {
    within(LIMIT, || {
        // A sender posts while the hub ends: each closure is run, dropped or given back, and none
        // is lost.
        static SEEN: AtomicUsize = AtomicUsize::new(0);
        struct Counted;
        impl Drop for Counted {
            fn drop(&mut self) {
                SEEN.fetch_add(1, Ordering::Relaxed);
            }
        }
        for _ in 0..20 {
            SEEN.store(0, Ordering::Relaxed);
            let (send, receive) = channel();
            let hub = thread::spawn(move || {
                send.send(get_hub().remote()).unwrap();
                sleep(Duration::from_millis(1));
            });
            let remote = receive.recv().unwrap();
            let mut sent = 0;
            loop {
                let counted = Counted;
                sent += 1;
                if remote.post(move || drop(counted)).is_err() {
                    break;
                }
            }
            hub.join().unwrap();
            assert_eq!(SEEN.load(Ordering::Relaxed), sent);
        }
    });
}

#[test]
fn waiter_is_woken_once_from_any_thread() {
    within(LIMIT, || {
        let before = settled();
        for _ in 0..50 {
            let (waiter, waker) = get_hub().waiter();
            let other = thread::spawn(move || waker.wake());
            waiter.wait();
            waiter.wait();
            assert!(waiter.wait_timeout(Duration::ZERO));
            assert!(other.join().unwrap());
        }
        assert_eq!(settled(), before);
    });
}

#[test]
fn wake_before_the_wait_is_kept() {
    within(LIMIT, || {
        let (waiter, waker) = get_hub().waiter();
        assert!(waker.wake());
        // Not yet told, then told.
        waiter.wait();
        let start = Instant::now();
        assert!(waiter.wait_timeout(LIMIT));
        assert!(start.elapsed() < LIMIT);
        let (waiter, waker) = get_hub().waiter();
        assert!(!waiter.wait_timeout(SHORT));
        assert!(waker.wake());
        yield_now();
        sleep(Duration::from_millis(1));
        waiter.wait();
    });
}

#[test]
fn every_greenlet_that_waits_is_woken() {
    within(LIMIT, || {
        let (waiter, waker) = get_hub().waiter();
        let waiter = Rc::new(waiter);
        let log = Log::new();
        let greenlets: Vec<_> = (0..3)
            .map(|number: usize| {
                let (waiter, log) = (waiter.clone(), log.clone());
                spawn(move || {
                    waiter.wait();
                    log.add(number);
                })
            })
            .collect();
        yield_now();
        assert!(!waiter.wait_timeout(Duration::from_millis(1)));
        greenlets[1].kill();
        thread::spawn(move || waker.wake());
        joinall(&greenlets);
        log.expect("0 2");
    });
}

#[test]
fn waker_of_a_waiter_that_is_gone_does_nothing() {
    within(LIMIT, || {
        let before = settled();
        let (waiter, waker) = get_hub().waiter();
        drop(waiter);
        assert!(waker.wake());
        let killed = spawn(|| {
            let (waiter, waker) = get_hub().waiter();
            thread::spawn(move || {
                thread::sleep(SHORT);
                waker.wake()
            });
            waiter.wait();
        });
        yield_now();
        killed.kill();
        sleep(SHORT + SHORT);
        drop(killed);
        assert_eq!(settled(), before);
    });
}

#[test]
fn waker_that_is_dropped_wakes() {
    within(LIMIT, || {
        let (waiter, waker) = get_hub().waiter();
        drop(waker);
        waiter.wait();
        let (waiter, waker) = get_hub().waiter();
        let worker = thread::spawn(move || {
            let _waker = waker;
            std::panic::resume_unwind(Box::new("the worker fails"));
        });
        waiter.wait();
        assert!(worker.join().is_err());
    });
}

#[test]
fn keep_alive_holds_the_loop() {
    within(LIMIT, || {
        let remote = get_hub().remote();
        let alive: KeepAlive = get_hub().keep_alive();
        let event = Event::new();
        DONE.set(Some(event.clone()));
        thread::spawn(move || {
            thread::sleep(SHORT);
            remote.post(|| DONE.take().expect("set once").set()).expect("the hub is there");
        });
        event.wait();
        assert!(!get_hub().join_timeout(SHORT));
        drop(alive);
        get_hub().join();
    });
}

#[test]
fn remote_alone_does_not_hold_the_loop() {
    within(LIMIT, || {
        let remote = get_hub().remote();
        let exit = catch::<LoopExit, _>(|| Event::new().wait()).unwrap_err();
        assert_eq!(exit.waiting[0].reason, "Event::wait");
        // What was posted before the loop looked for something to do is still done.
        let event = Event::new();
        DONE.set(Some(event.clone()));
        remote.post(|| DONE.take().expect("set once").set()).unwrap();
        event.wait();
    });
}

#[test]
fn two_hubs_talk_to_each_other() {
    within(LIMIT, || {
        const ROUNDS: usize = 2000;
        thread_local! {
            static COUNT: Cell<usize> = const { Cell::new(0) };
        }
        fn bounce(to: Remote, back: Remote) {
            COUNT.set(COUNT.get() + 1);
            let reply = to.clone();
            // The other side may be through with its part.
            let _ = to.post(move || bounce(back, reply));
        }
        fn play() {
            let _alive = get_hub().keep_alive();
            while COUNT.get() < ROUNDS {
                sleep(Duration::from_millis(1));
            }
        }
        let (send, receive) = channel();
        let other = thread::spawn(move || {
            send.send(get_hub().remote()).unwrap();
            play();
        });
        let there = receive.recv().unwrap();
        bounce(there, get_hub().remote());
        play();
        other.join().unwrap();
    });
}

// --- replies --------------------------------------------------------------------------------------------------------

#[test]
fn a_reply_reaches_what_never_leaves_the_thread() {
    within(LIMIT, || {
        let log = Log::new();
        let replies: Vec<Reply<u32>> = (0..3)
            .map(|i| {
                let log = log.clone();
                get_hub().reply(move |answer| log.add(format!("{i}:{answer}")))
            })
            .collect();
        assert_eq!(get_hub().stats().refs, 3);
        let answering = thread::spawn(move || {
            // In whatever order, and one not at all.
            let mut replies = replies.into_iter().rev();
            replies.next().expect("there are three").send(20).expect("the hub lives");
            drop(replies.next());
            replies.next().expect("there are three").send(0).expect("the hub lives");
        });
        // The replies keep the loop alive until the last has come.
        get_hub().join();
        log.expect("2:20 0:0");
        assert_eq!(get_hub().stats().refs, 0);
        answering.join().expect("it does not panic");
        // On the very thread: in a turn of its own, and what is given up is dropped at once.
        let (log, token) = (Log::new(), Rc::new(()));
        let (adds, captured) = (log.clone(), token.clone());
        get_hub().reply(move |answer: u32| adds.add(answer)).send(7).expect("the hub lives");
        drop(get_hub().reply(move |(): ()| drop(captured)));
        assert_eq!((log.len(), Rc::strong_count(&token)), (0, 1));
        yield_now();
        yield_now();
        log.expect("7");
    });
}

#[test]
fn a_reply_that_fails_is_reported() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        get_hub().reply(|(): ()| ramie::raise("no use for it")).send(()).expect("the hub lives");
        get_hub().join();
        errors.expect("no use for it");
    });
}

#[test]
fn a_hub_that_has_ended_gives_the_answer_back() {
    within(LIMIT, || {
        struct Tells(std::sync::mpsc::Sender<&'static str>, &'static str);
        impl Drop for Tells {
            fn drop(&mut self) {
                let _ = self.0.send(self.1);
            }
        }
        let (tell, told) = channel();
        let (late, dropped) = (tell.clone(), tell.clone());
        let (reply, unsent) = thread::spawn(move || {
            let captured = Tells(dropped, "function");
            let early = get_hub().reply(|_: Tells| unreachable!("the hub ends before its turn"));
            let _ = early.send(Tells(tell, "early answer"));
            let reply = get_hub().reply(move |_: Tells| drop(captured));
            (reply, get_hub().reply(|(): ()| ()))
        })
        .join()
        .expect("it does not panic");
        let mut ends: Vec<_> = told.try_iter().collect();
        ends.sort_unstable();
        assert_eq!(ends, ["early answer", "function"], "dropped with the hub");
        drop(unsent);
        let HubGone(back) = reply.send(Tells(late, "late answer")).expect_err("the hub has ended");
        assert!(told.try_recv().is_err());
        drop(back);
        assert_eq!(told.try_recv(), Ok("late answer"));
    });
}
