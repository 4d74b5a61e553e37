//! Many greenlets at once: that they all live and end, how long that takes, and how much memory
//! each one costs.
//!
//! The figures are printed: `cargo test --release --test scale -- --nocapture`. The million has to
//! be asked for: `cargo test --release --test scale million_parked -- --ignored --nocapture`.

mod util;

use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ramie::hub::StackError;
use ramie::sync::Event;
use ramie::{Builder, Greenlet, GreenletExit, catch, get_hub, joinall, killall, sleep, spawn, yield_now};

use crate::util::footprint::{mappings, page_tables, resident, settled};
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(120);
const LONG: Duration = Duration::from_secs(3600);

/// The tests measure the whole process, so they run one after another.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The resources of the process: its memory, and the page tables for it.
fn memory() -> Option<(usize, usize)> {
    Some((resident()?, page_tables()?))
}

/// The kind of wait of a greenlet.
type Park = fn(&Event);

/// Parks `count` greenlets, prints what each costs, has `wake` end them all, and returns how many
/// got to their ends.
fn park_and_wake(name: &str, count: usize, park: Park, wake: fn(&Event, &[Greenlet<()>])) -> usize {
    spawn(|| ()).join();
    let before = (settled(), memory());
    let start = Instant::now();
    let (event, ended) = (Event::new(), Rc::new(Cell::new(0)));
    let greenlets: Vec<Greenlet<()>> = (0..count)
        .map(|_| {
            let (event, ended) = (event.clone(), ended.clone());
            spawn(move || {
                park(&event);
                ended.set(ended.get() + 1);
            })
        })
        .collect();
    yield_now();
    let parked = (start.elapsed(), memory());
    assert_eq!(get_hub().stats().greenlets, count);
    let start = Instant::now();
    wake(&event, &greenlets);
    let woken = start.elapsed();
    assert!(greenlets.iter().all(|greenlet| greenlet.dead()));
    println!("{name}: {count} parked in {:?}, woken in {woken:?}", parked.0);
    if let (Some((memory, tables)), Some((more, more_tables))) = (before.1, parked.1) {
        let each = |before: usize, after: usize| after.saturating_sub(before) / count;
        let (memory, tables) = (each(memory, more), each(tables, more_tables));
        println!("{name}: {memory} bytes of memory and {tables} bytes of page tables each");
    } else {
        println!("skipped: the system does not tell how much memory a process has");
    }
    drop(greenlets);
    assert_eq!(settled(), before.0);
    ended.get()
}

#[test]
fn hundred_thousand_sleepers() {
    let _alone = alone();
    within(LIMIT, || {
        // Woken by a kill, not by the clock: a slow machine takes seconds to put the last one to
        // sleep.
        let wake = |_: &Event, greenlets: &[Greenlet<()>]| killall(greenlets);
        let nap = |_: &Event| assert!(catch::<GreenletExit, _>(|| sleep(LONG)).is_err());
        let ended = park_and_wake("sleepers", 100_000, nap, wake);
        assert_eq!(ended, 100_000);
    });
}

#[test]
#[ignore = "takes about 5 GB of memory"]
fn million_parked() {
    let _alone = alone();
    within(LIMIT, || {
        let wake = |event: &Event, greenlets: &[Greenlet<()>]| {
            event.set();
            for greenlet in greenlets {
                greenlet.join();
            }
        };
        assert_eq!(park_and_wake("a million", 1_000_000, Event::wait, wake), 1_000_000);
    });
}

#[test]
fn forty_thousand_live_under_the_usual_limit_on_mappings() {
    let _alone = alone();
    within(LIMIT, || {
        const COUNT: usize = 40_000;
        let before = mappings();
        let event = Event::new();
        let errors = Rc::new(Cell::new(0));
        let count = errors.clone();
        get_hub().set_error_handler(Some(Rc::new(move |_, failure| {
            assert!(failure.is::<StackError>(), "{failure}");
            count.set(count.get() + 1);
        })));
        let greenlets: Vec<_> = (0..COUNT)
            .map(|_| {
                let event = event.clone();
                spawn(move || event.wait())
            })
            .collect();
        yield_now();
        let after = mappings();
        event.set();
        joinall(&greenlets);
        if let Some(failure) = greenlets.iter().find_map(|greenlet| greenlet.exception()) {
            // Where a guard takes a mapping of its own there is no room for so many; but it says
            // so.
            let text = failure.to_string();
            assert!(!cfg!(target_os = "linux") || text.contains("vm.max_map_count"), "{text}");
            return println!("skipped: {} of {COUNT} were refused: {text}", errors.get());
        }
        assert!(greenlets.iter().all(|greenlet| greenlet.successful()));
        println!("{COUNT} live: {before:?} mappings became {after:?}");
    });
}

#[test]
fn mass_kill_of_those_that_never_ran() {
    let _alone = alone();
    within(LIMIT, || {
        let before = settled();
        let started: Vec<_> = (0..50_000).map(|_| spawn(|| unreachable!("it is killed first"))).collect();
        let made: Vec<_> =
            (0..50_000).map(|_| Greenlet::<()>::new(|| unreachable!("it is never started"))).collect();
        let start = Instant::now();
        killall(&started);
        killall(&made);
        println!("100000 killed before they ran: {:?}", start.elapsed());
        assert!(started.iter().chain(&made).all(|greenlet| greenlet.dead() && greenlet.successful()));
        drop((started, made));
        assert_eq!(settled(), before);
    });
}

#[test]
fn mass_kill_of_those_that_wait() {
    let _alone = alone();
    within(LIMIT, || {
        let parks: [(&str, Park); 3] = [
            ("killed in a sleep", |_| sleep(LONG)),
            ("killed in a wait for one event", Event::wait),
            ("killed backwards in a wait for one event", Event::wait),
        ];
        for (name, park) in parks {
            let wake = |_: &Event, greenlets: &[Greenlet<()>]| killall(greenlets);
            let backwards = |_: &Event, greenlets: &[Greenlet<()>]| {
                killall(greenlets.iter().rev().cloned().collect::<Vec<_>>());
            };
            let wake = if name.contains("backwards") { backwards } else { wake };
            assert_eq!(park_and_wake(name, 20_000, park, wake), 0);
        }
    });
}

#[test]
fn deep_greenlet_has_the_stack_that_it_asked_for() {
    fn depth(level: usize) -> usize {
        let frame = black_box([level; 128]);
        if level == 0 { frame[0] } else { depth(level - 1) + frame[1] - level + 1 }
    }
    within(LIMIT, || {
        // A kilobyte a level, and more in a debug build: far more than the default has.
        let deep = Builder::new().stack_size(8 << 20).spawn(|| depth(2000));
        assert_eq!(deep.get().unwrap(), 2000);
        // The stack is used again, and so is one of the usual size.
        let again = Builder::new().stack_size(8 << 20).spawn(|| depth(2000));
        assert_eq!(again.get().unwrap(), 2000);
        assert_eq!(spawn(|| depth(20)).get().unwrap(), 20);
    });
}

#[test]
fn deep_stacks_are_given_back() {
    const COUNT: usize = 200;
    const DEPTH: usize = 180 << 10;
    // So much of each stack, next to its top, stays in memory for the next greenlet.
    const KEPT: usize = 32 << 10;
    fn deep(event: &Event) {
        let mut frame = [0; DEPTH];
        frame.fill(1_u8);
        black_box(&mut frame);
        event.wait();
        black_box(&mut frame);
    }
    let _alone = alone();
    within(LIMIT, || {
        // Stacks of the usual size are as deep as that; the first round maps them and the second
        // one uses them again.
        for _ in 0..2 {
            let (before, event) = (resident(), Event::new());
            let greenlets: Vec<_> = (0..COUNT)
                .map(|_| {
                    let event = event.clone();
                    spawn(move || deep(&event))
                })
                .collect();
            yield_now();
            let during = resident();
            event.set();
            joinall(&greenlets);
            assert_eq!(get_hub().stats().stacks.in_use, 0);
            let (Some(before), Some(during), Some(after)) = (before, during, resident()) else {
                return println!("skipped: the system does not tell how much memory a process has");
            };
            assert!(during >= before + COUNT * (DEPTH - KEPT) * 9 / 10, "{before} became {during}");
            // Of each the part next to its top stays, 32 KiB; the rest of the room is for whatever
            // else the process does.
            assert!(
                after <= before + COUNT * (32 << 10) + (4 << 20),
                "{before} became {during}, then {after}"
            );
        }
    });
}
