//! `Hub::stats`: counts that come with what is held and go with it, whichever way it ends.

mod util;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use ramie::hub::{HubStats, StackStats};
use ramie::net::{TcpListener, TcpStream};
use ramie::sync::Event;
use ramie::{
    AnyGreenlet, Builder, Greenlet, GreenletExit, Group, Pool, Timeout, catch, get_hub, killall,
    killall_nowait, sleep, spawn, spawn_later, with_timeout, yield_now,
};

use crate::util::sleepers::parked;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(5);

fn stats() -> HubStats {
    get_hub().stats()
}

/// The counts that must be as before once everything has ended, without those that only grow.
fn held() -> [usize; 7] {
    // What is queued, and what that queues, runs first.
    (0..3).for_each(|_| yield_now());
    let stats = stats();
    let HubStats { greenlets, unrun, queued, posted, timers, sources, refs, .. } = stats;
    assert_eq!(stats.stacks.in_use, greenlets - unrun);
    [greenlets, unrun, queued, posted, timers, sources, refs]
}

/// A hub holds nothing before `f` and nothing after it.
fn leaves_nothing(f: fn()) {
    within(LIMIT, move || {
        assert_eq!(held(), [0; 7]);
        f();
        assert_eq!(held(), [0; 7]);
    });
}

/// Both ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

#[test]
fn greenlets_and_their_stacks() {
    leaves_nothing(|| {
        let event = Event::new();
        let waiter = || {
            let event = event.clone();
            spawn(move || event.wait())
        };
        let first: Vec<_> = (0..3).map(|_| waiter()).collect();
        let here = stats();
        assert_eq!((here.greenlets, here.unrun, here.queued, here.stacks.in_use), (3, 3, 3, 0));
        yield_now();
        let here = stats();
        assert_eq!((here.greenlets, here.unrun, here.queued, here.stacks.in_use), (3, 0, 0, 3));
        // One more and a delayed one; and an unstarted one, which the hub does not count.
        let more = [waiter(), spawn_later(LONG, || ())];
        let made = Greenlet::new(|| ());
        let here = stats();
        assert_eq!((here.greenlets, here.unrun, here.timers, here.stacks.in_use), (5, 2, 1, 3));
        // The one that was queued has its turn first.
        killall(&first[..2]);
        let here = stats();
        assert_eq!((here.greenlets, here.unrun, here.stacks.in_use), (3, 1, 2));
        event.set();
        killall(&more);
        first[2].join();
        drop(made);
        let stacks = stats().stacks;
        assert_eq!(
            (stacks.in_use, stacks.idle > 0),
            (0, cfg!(all(unix, not(any(miri, ramie_fiber = "thread")))))
        );
    });
}

#[test]
fn timers_of_every_kind() {
    leaves_nothing(|| {
        let sleeper = parked(|| sleep(LONG));
        let waiter = parked(|| Event::new().wait_timeout(LONG));
        let delayed = spawn_later(LONG, || ());
        let timeout = Timeout::new(LONG);
        timeout.start();
        let watcher = get_hub().timer(LONG, Duration::ZERO);
        watcher.start(|| ()).unwrap();
        assert_eq!(stats().timers, 5);
        with_timeout(LONG, || assert_eq!(stats().timers, 6)).unwrap();
        assert_eq!(stats().timers, 5);
        sleeper.kill();
        assert_eq!(stats().timers, 4);
        waiter.kill();
        assert_eq!(stats().timers, 3);
        delayed.kill();
        assert_eq!(stats().timers, 2);
        timeout.close();
        assert_eq!(stats().timers, 1);
        watcher.stop();
        assert_eq!(stats().timers, 0);
        // Those that fire are no longer counted either.
        assert!(with_timeout(SHORT, || sleep(LONG)).is_err());
        assert!(!Event::new().wait_timeout(SHORT));
        sleep(SHORT);
        assert_eq!(stats().timers, 0);
    });
}

#[test]
fn sources_and_references() {
    leaves_nothing(|| {
        let (mut near, mut far) = pair();
        let connected = stats().sources;
        let reader = parked(move || {
            near.set_read_timeout(Some(SHORT)).unwrap();
            let late = near.read(&mut [0; 8]).unwrap_err();
            near.set_read_timeout(None).unwrap();
            (late.kind(), near.read(&mut [0; 8]).unwrap(), near.read(&mut [0; 8]))
        });
        let waiting = stats();
        assert!(waiting.sources >= connected && waiting.sources <= 2);
        assert_eq!((waiting.refs, waiting.timers), (1, 1));
        sleep(2 * SHORT);
        // The timeout has ended one wait; the source stays registered for the next one.
        assert_eq!((stats().refs, stats().timers, stats().sources), (1, 0, waiting.sources));
        far.write_all(b"x").unwrap();
        sleep(SHORT);
        assert_eq!((stats().refs, reader.ready()), (1, false));
        reader.kill();
        assert_eq!((stats().refs, stats().greenlets), (0, 0));
        drop((reader, far));
        assert_eq!(stats().sources, 0);
        // A guard is a reference as well.
        let guard = get_hub().keep_alive();
        assert_eq!(stats().refs, 1);
        drop(guard);
    });
}

#[test]
fn posts_of_another_thread() {
    leaves_nothing(|| {
        let (done, ran) = (channel(), Arc::new(AtomicUsize::new(0)));
        let count = ran.clone();
        let remote = get_hub().remote();
        let posting = thread::spawn(move || {
            for _ in 0..3 {
                let count = count.clone();
                let add = move || {
                    count.fetch_add(1, Ordering::Relaxed);
                };
                remote.post(add).expect("the hub lives");
            }
            done.0.send(()).unwrap();
        });
        // Blocks this thread, hub and all: so nothing is taken during that time.
        done.1.recv().unwrap();
        assert_eq!((stats().posted, stats().queued), (3, 0));
        // It takes them when its loop comes round.
        sleep(SHORT);
        assert_eq!(stats().posted, 0);
        assert_eq!(ran.load(Ordering::Relaxed), 3);
        posting.join().unwrap();
    });
}

#[test]
fn a_look_lets_nobody_run_and_is_allowed_everywhere() {
    leaves_nothing(|| {
        struct Looks(Rc<RefCell<Vec<u64>>>);
        impl Drop for Looks {
            fn drop(&mut self) {
                self.0.borrow_mut().push(stats().waits);
            }
        }
        let seen = Rc::new(RefCell::new(Vec::new()));
        let other = spawn(|| ());
        let before = stats();
        assert_eq!(stats(), before);
        assert!(!other.ready());
        let looks = Looks(seen.clone());
        get_hub().run_callback(move || drop(looks));
        let looks = Looks(seen.clone());
        let dying = parked(move || {
            let _looks = looks;
            sleep(LONG);
        });
        let g = {
            let seen = seen.clone();
            Builder::new().stack_size(1 << 20).spawn(move || seen.borrow_mut().push(stats().waits))
        };
        g.join();
        dying.kill();
        assert_eq!(seen.borrow().len(), 3);
        // It only grows.
        assert!(seen.borrow().is_sorted());
    });
}

#[test]
fn waits_and_starts_are_counted_once_each() {
    leaves_nothing(|| {
        let before = stats().waits;
        yield_now();
        assert_eq!(stats().waits - before, 1);
        // Its start, its yields and its end, for which main waits once.
        let g = spawn(|| (0..10).for_each(|_| yield_now()));
        g.join();
        assert_eq!(stats().waits - before, 1 + 1 + 10 + 1);
        // What need not wait does not.
        let event = Event::new();
        event.set();
        event.wait();
        assert_eq!(stats().waits - before, 13);
    });
}

#[test]
fn it_prints_as_text() {
    leaves_nothing(|| {
        let sleeper = parked(|| sleep(LONG));
        spawn(|| ());
        let stats = stats();
        let StackStats { in_use, idle, reserved_bytes, .. } = stats.stacks;
        let expected = [
            "greenlets   2, of which 1 have not run yet".to_owned(),
            format!(
                "stacks      {in_use} in use, {idle} idle, {} KiB of address space",
                reserved_bytes / 1024
            ),
            "queue       1, and 0 posted by other threads".to_owned(),
            "timers      1".to_owned(),
            "sources     0".to_owned(),
            "references  0".to_owned(),
            format!("so far      {} waits, {} rounds of the loop", stats.waits, stats.iterations),
        ];
        assert_eq!(stats.to_string(), expected.join("\n"));
        sleeper.kill();
    });
}

// --- greenlets that never run ---------------------------------------------------------------------------------------

/// Notes its number when it is dropped, and whether anything unwinds then, or the hub is at it.
struct Captured(usize, Rc<RefCell<Vec<usize>>>);

impl Drop for Captured {
    fn drop(&mut self) {
        assert!(!thread::panicking() && !get_hub().in_callback());
        self.1.borrow_mut().push(self.0);
    }
}

/// Has `count` bodies made into greenlets that are killed before any of them runs.
fn killed_unrun(count: usize, kill: impl FnOnce(Vec<Box<dyn FnOnce()>>)) {
    let dropped = Rc::new(RefCell::new(Vec::new()));
    let body = |number| -> Box<dyn FnOnce()> {
        let captured = Captured(number, dropped.clone());
        Box::new(move || unreachable!("{} is killed first", captured.0))
    };
    let before = stats();
    assert_eq!(before.stacks, StackStats::default());
    kill((0..count).map(body).collect());
    // All in order, by the kill itself and not in a turn of the hub; no stack was ever mapped, and
    // no greenlet had to wait.
    assert!(dropped.borrow().iter().copied().eq(0..count));
    let after = stats();
    assert_eq!((after.stacks, after.greenlets, after.timers), (StackStats::default(), 0, 0));
    assert_eq!(after.iterations, before.iterations);
}

const MANY: usize = 10_000;

#[test]
fn killall_of_those_that_never_ran_takes_no_stack() {
    leaves_nothing(|| {
        killed_unrun(MANY, |bodies| {
            let greenlets: Vec<_> = bodies
                .into_iter()
                .enumerate()
                // Queued, delayed, not even started.
                .map(|(number, body)| match number % 3 {
                    0 => spawn(body),
                    1 => spawn_later(LONG, body),
                    _ => Greenlet::new(body),
                })
                .collect();
            assert_eq!(stats().unrun, MANY - MANY / 3);
            killall(&greenlets);
            assert!(greenlets.iter().all(|greenlet| greenlet.dead() && greenlet.successful()));
        });
        // Only their wakes are left in the queue, and resume no greenlet.
        assert_eq!(held(), [0; 7]);
        killed_unrun(MANY, |bodies| {
            let greenlets: Vec<_> = bodies.into_iter().map(spawn).collect();
            killall_nowait(&greenlets);
        });
    });
}

#[test]
fn group_kill_of_those_that_never_ran_takes_no_stack() {
    leaves_nothing(|| {
        killed_unrun(MANY, |bodies| {
            let group = Group::new();
            let greenlets: Vec<_> = bodies.into_iter().map(|body| group.spawn(body)).collect();
            assert_eq!((group.len(), stats().unrun), (MANY, MANY));
            group.kill_nowait();
            assert!(greenlets.iter().all(|greenlet| greenlet.dead()));
        });
        // The one that waits lets the members leave.
        let group = Group::new();
        let dropped = Rc::new(RefCell::new(Vec::new()));
        for number in 0..MANY {
            let captured = Captured(number, dropped.clone());
            group.spawn(move || unreachable!("{} is killed first", captured.0));
        }
        group.kill();
        assert_eq!((dropped.borrow().len(), group.len()), (MANY, 0));
        assert_eq!(stats().stacks, StackStats::default());
    });
}

#[test]
fn pool_kill_of_those_that_never_ran_takes_no_stack() {
    leaves_nothing(|| {
        let pool = Pool::new(MANY);
        killed_unrun(MANY, |bodies| {
            bodies.into_iter().for_each(|body| drop(pool.spawn(body)));
            assert_eq!((pool.free_count(), stats().unrun), (0, MANY));
            pool.kill_nowait();
        });
        pool.join();
        assert_eq!((pool.len(), pool.free_count()), (0, MANY));
        assert_eq!(stats().stacks, StackStats::default());
    });
}

#[test]
fn a_kill_that_reaches_some_in_their_waits_takes_their_stacks_alone() {
    leaves_nothing(|| {
        let running: Vec<_> = (0..5).map(|_| parked(|| catch::<GreenletExit, _>(|| sleep(LONG)))).collect();
        let dropped = Rc::new(RefCell::new(Vec::new()));
        let unrun: Vec<_> = (0..MANY)
            .map(|number| {
                let captured = Captured(number, dropped.clone());
                spawn(move || unreachable!("{} is killed first", captured.0))
            })
            .collect();
        let running = running.iter().map(|greenlet| AnyGreenlet::clone(greenlet));
        let all: Vec<_> = running.chain(unrun.iter().map(|greenlet| AnyGreenlet::clone(greenlet))).collect();
        killall(&all);
        assert!(dropped.borrow().iter().copied().eq(0..MANY));
        assert!(all.iter().all(AnyGreenlet::dead));
        let stacks = stats().stacks;
        assert_eq!(stacks.in_use, 0);
        assert!(stacks.idle <= 5);
    });
}
