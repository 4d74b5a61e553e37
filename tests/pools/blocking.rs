//! `blocking`: a call on another thread that borrows from its caller's frame, whatever becomes of
//! the caller.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use ramie::hub::{BlockingSwitchOutError, FailureText, NotRun};
use ramie::{
    Failure, GreenletExit, Kill, ThreadPool, TimedOut, Timeout, blocking, catch, fallible, get_hub, raise,
    sleep, spawn, with_timeout, yield_now,
};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

/// A call that lasts until it is told to end.
fn held() -> (Sender<()>, impl FnOnce() + Send) {
    let (end, ended): (_, Receiver<()>) = channel();
    (end, move || assert!(ended.recv().is_err()))
}

#[test]
fn others_run_meanwhile() {
    within(LIMIT, || {
        let (end, wait) = held();
        // Only another greenlet can end the call.
        spawn(move || drop(end));
        let here = thread::current().id();
        let there = blocking(|| {
            wait();
            thread::current().id()
        });
        assert_ne!(here, there);
    });
}

#[test]
fn borrows_in_and_out() {
    within(LIMIT, || {
        let words = ["a", "bcd", "ef"].map(str::to_owned);
        let mut total = 0;
        let longest = blocking(|| {
            total = words.iter().map(String::len).sum();
            words.iter().max_by_key(|word| word.len()).map(String::as_str)
        });
        assert_eq!((longest, total), (Some("bcd"), 6));
    });
}

#[test]
fn panics_arrive_as_they_are() {
    within(LIMIT, || {
        #[derive(Debug, PartialEq)]
        struct Payload(u32);
        let caught = catch_unwind(|| blocking(|| -> () { std::panic::panic_any(Payload(5)) }));
        assert_eq!(*caught.unwrap_err().downcast::<Payload>().unwrap(), Payload(5));
        let failure = spawn(|| blocking(|| -> () { panic!("no luck") })).get().unwrap_err();
        assert_eq!(failure.panic_message(), Some("no luck"));
    });
}

#[test]
fn errors_are_values() {
    within(LIMIT, || {
        let read = spawn(fallible(|| blocking(|| std::fs::read("no/such/file"))));
        let failure = read.get().unwrap_err();
        assert_eq!(failure.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn what_is_raised_there_is_raised_here_as_text() {
    within(LIMIT, || {
        let caught = catch::<FailureText, _>(|| blocking(|| -> () { raise("no luck") })).unwrap_err();
        assert_eq!((caught.kind(), caught.to_string()), ("&str", "no luck".to_owned()));
    });
}

#[test]
fn a_kill_waits_for_the_call() {
    within(LIMIT, || {
        let (end, wait) = held();
        let done = Rc::new(Cell::new(false));
        let seen = done.clone();
        let g = spawn(move || {
            let mut frame = [0_u8; 512];
            let caught = catch::<GreenletExit, _>(|| {
                blocking(|| {
                    wait();
                    frame.fill(7);
                });
                unreachable!("it was killed");
            });
            assert!(caught.is_err());
            seen.set(frame.iter().all(|byte| *byte == 7));
        });
        yield_now();
        assert!(!g.kill_with(Kill::default().timeout(SHORT)));
        assert!(!g.ready());
        drop(end);
        g.get().unwrap();
        assert!(done.get());
    });
}

#[test]
fn a_timeout_waits_for_the_call() {
    within(LIMIT, || {
        let (end, wait) = held();
        spawn(move || {
            sleep(SHORT * 5);
            drop(end);
        });
        let finished = AtomicUsize::new(0);
        let result = with_timeout(SHORT, || {
            blocking(|| {
                wait();
                finished.fetch_add(1, Ordering::SeqCst);
            });
        });
        assert_eq!((result, finished.load(Ordering::SeqCst)), (Err(TimedOut), 1));
        // A limit that is long enough is none.
        assert_eq!(Timeout::new(LONG).scope(|| blocking(|| 5)), Ok(5));
    });
}

#[test]
fn the_value_of_a_killed_call_is_dropped_at_home() {
    within(LIMIT, || {
        struct Told(thread::ThreadId, Sender<bool>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.1.send(thread::current().id() != self.0).unwrap();
            }
        }
        let (end, wait) = held();
        let (tell, told) = channel();
        let g = spawn(move || {
            blocking(move || {
                wait();
                Told(thread::current().id(), tell)
            });
        });
        yield_now();
        g.kill_nowait();
        yield_now();
        assert!(!g.ready());
        drop(end);
        g.join();
        assert_eq!(told.iter().collect::<Vec<_>>(), [true]);
    });
}

#[test]
fn nested_calls_run_where_they_are() {
    within(LIMIT, || {
        let pool = ThreadPool::new(1);
        let inner = pool.clone();
        let same = pool.blocking(|| {
            let outer = thread::current().id();
            inner.blocking(|| inner.blocking(|| thread::current().id() == outer))
        });
        assert!(same);
        let global = blocking(|| {
            let outer = thread::current().id();
            blocking(|| thread::current().id() == outer)
        });
        assert!(global);
    });
}

#[test]
fn calls_beyond_the_size_of_the_pool_stand_in_line() {
    within(LIMIT, || {
        let pool = ThreadPool::new(2);
        let count = 300;
        let running = Rc::new(AtomicUsize::new(0));
        let calls: Vec<_> = (0..count)
            .map(|i| {
                let (pool, running) = (pool.clone(), running.clone());
                spawn(move || {
                    let running = &*running;
                    pool.blocking(|| {
                        assert!(running.fetch_add(1, Ordering::SeqCst) < 2);
                        thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                        i
                    })
                })
            })
            .collect();
        let sum: usize = calls.iter().map(|call| call.get().unwrap()).sum();
        assert_eq!(sum, count * (count - 1) / 2);
        pool.join();
        assert!(pool.size() <= 2 && pool.is_empty());
    });
}

#[test]
fn a_pool_that_takes_nothing_more_says_so() {
    within(LIMIT, || {
        let pool = ThreadPool::new(1);
        pool.shutdown();
        let mut touched = false;
        let caught = catch::<NotRun, _>(|| pool.blocking(|| touched = true));
        assert!(caught.is_err() && !touched);

        // Given up while the call stands in line.
        let pool = ThreadPool::new(0);
        let waiting = spawn({
            let pool = pool.clone();
            move || pool.blocking(|| ())
        });
        yield_now();
        pool.abandon();
        assert!(waiting.get().unwrap_err().is::<NotRun>());
    });
}

#[test]
fn callbacks_of_the_hub_cannot_wait() {
    within(LIMIT, || {
        let seen = Rc::new(Cell::new(false));
        let log = seen.clone();
        let old = get_hub().set_error_handler(Some(Rc::new(move |_, failure: &Failure| {
            log.set(failure.is::<BlockingSwitchOutError>());
        })));
        get_hub().run_callback(|| blocking(|| unreachable!("no greenlet could wait for it")));
        yield_now();
        get_hub().set_error_handler(old);
        assert!(seen.get());
    });
}

#[test]
fn destructors_may_block_while_their_greenlet_unwinds() {
    within(LIMIT, || {
        struct Saves(Rc<Cell<u32>>);
        impl Drop for Saves {
            fn drop(&mut self) {
                let mut saved = 0;
                blocking(|| saved = 5);
                self.0.set(saved);
            }
        }
        let saved = Rc::new(Cell::new(0));
        let saves = Saves(saved.clone());
        let g = spawn(move || {
            let _saves = saves;
            sleep(LONG);
        });
        yield_now();
        g.kill();
        assert_eq!(saved.get(), 5);
        let saves = Saves(saved.clone());
        saved.set(0);
        assert!(
            catch_unwind(AssertUnwindSafe(move || {
                let _saves = saves;
                panic!("in main");
            }))
            .is_err()
        );
        assert_eq!(saved.get(), 5);
    });
}

/// Counts how many have ended, begun or not.
struct Ends(Rc<Cell<u32>>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Kills and timeouts at any moment; every call is made or not begun, and no frame is left while it
/// is in use.
#[test]
fn frames_stay_while_they_are_in_use() {
    within(LIMIT, || {
        let pool = ThreadPool::new(2);
        let rounds = if cfg!(miri) { 10 } else { 400 };
        let ended = Rc::new(Cell::new(0_u32));
        for round in 0..rounds {
            let (pool, ends) = (pool.clone(), Ends(ended.clone()));
            let g = spawn(move || {
                let _ends = ends;
                let mut frame = [round; 64];
                for step in 1..=3 {
                    pool.blocking(|| frame.iter_mut().for_each(|cell| *cell += step));
                    assert!(frame.iter().all(|cell| *cell == frame[0]));
                }
                frame[0] - round
            });
            for _ in 0..round % 4 {
                yield_now();
            }
            match round % 3 {
                0 => g.kill_nowait(),
                1 => drop(with_timeout(Duration::from_micros(50), || g.join())),
                _ => assert_eq!(g.get().unwrap(), 6),
            }
        }
        get_hub().join();
        assert_eq!(ended.get(), rounds);
        pool.join();
    });
}
