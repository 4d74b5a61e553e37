//! Whatever code of the user's does that ramie calls: no call of it breaks, hangs or ends the
//! process.
//!
//! Each cell of the table is one place where code of the user's runs, times one thing that it does
//! there. A cell runs in a process of its own, with a watchdog, so that an abort, a hang and an
//! exit have a name. After it the hub must be as good as new. The places are those of
//! `callback_places.rs`.
#![cfg(unix)]

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::process;
use std::rc::Rc;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use ramie::hub::{add_spawn_callback, lend, remove_spawn_callback};
use ramie::sync::{AsyncResult, Event};
use ramie::{
    AnyGreenlet, Builder, Group, Pool, Timeout, get_hub, getcurrent, scope, sleep, spawn, with_timeout,
    yield_now,
};

use crate::callback_places::PLACES;
use crate::util::borrow_fixtures::OnDrop;
use crate::util::subprocess::{again, part, stderr};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(1);
/// As long as a callback waits for a kill or a timeout.
const TIRED: Duration = Duration::from_millis(50);
/// After this a cell hangs.
const WATCH: Duration = Duration::from_secs(60);
/// The status of a process that a callback ends.
const STATUS: i32 = 7;

// --- what a callback does -------------------------------------------------------------------------------------------

/// The action of a callback, with the greenlet that it was given, if it was given one.
pub(crate) type Act = Rc<dyn Fn(Option<&AnyGreenlet>)>;

pub(crate) fn panics() {
    resume_unwind(Box::new("matrix"));
}

fn waits() {
    sleep(SHORT);
    yield_now();
    spawn(yield_now).join();
}

fn is_killed() {
    let this = getcurrent();
    if !get_hub().in_callback() {
        this.kill_nowait();
    }
    // One that has ended, and drops or reports what is left of it, is not interrupted any more.
    sleep(TIRED);
}

fn is_timed_out() {
    if get_hub().in_callback() {
        let _ = with_timeout(SHORT, || sleep(TIRED));
    } else {
        Timeout::new(SHORT).start();
        sleep(TIRED);
    }
}

pub(crate) fn waits_while_it_unwinds() {
    let _late = OnDrop(waits);
    panics();
}

fn times_out_while_it_unwinds() {
    let _late = OnDrop(|| {
        scope(|s| drop(s.spawn(waits)));
        let _ = with_timeout(SHORT, waits);
        let _ = lend(|| 5, |work| work.run());
    });
    panics();
}

/// Whatever does not wait.
fn reenters() {
    let hub = get_hub();
    let id = add_spawn_callback(|_| ());
    let g = spawn(|| 5);
    g.link(|_| ());
    let link = g.rawlink(|_| ());
    g.unlink(link);
    spawn(yield_now).kill_nowait();
    Builder::new().prepare(AnyGreenlet::start).spawn_later(SHORT, || ());
    remove_spawn_callback(id);
    hub.run_callback(|| ()).stop();
    hub.run_callback(|| ());
    hub.remote().post(|| ()).unwrap();
    let old = hub.set_error_handler(None);
    hub.set_error_handler(old);
    let (event, result) = (Event::new(), AsyncResult::new());
    event.set();
    result.set(5);
    assert_eq!(result.try_get().unwrap(), 5);
    Group::new().spawn(|| ());
    Pool::new(2).spawn(|| ()).kill_nowait();
    hub.trim_stacks();
    let _ = format!("{:?} {:?}", hub.waiting(), hub.greenlets());
}

const ACTIONS: [(&str, fn()); 8] = [
    ("returns", || ()),
    ("panics", panics),
    ("waits", waits),
    ("is killed", is_killed),
    ("is timed out", is_timed_out),
    ("waits while it unwinds", waits_while_it_unwinds),
    ("scopes while it unwinds", times_out_while_it_unwinds),
    ("reenters", reenters),
];

thread_local! {
    static KEPT: RefCell<Vec<AnyGreenlet>> = const { RefCell::new(Vec::new()) };
}

/// An action, with the greenlet that the callback is given.
type Boxed = Box<dyn Fn(Option<&AnyGreenlet>)>;

/// Does it once, in the first of what may be many calls.
fn once(action: &str) -> Act {
    let done = Cell::new(false);
    let find = ACTIONS.iter().find(|(name, _)| *name == action);
    let action: Boxed = match (action, find) {
        ("keeps the handle", _) => Box::new(|greenlet| {
            let keep = |greenlet: &AnyGreenlet| KEPT.with_borrow_mut(|kept| kept.push(greenlet.clone()));
            greenlet.into_iter().for_each(keep);
            keep(&getcurrent());
        }),
        ("exits", _) => Box::new(|_| process::exit(STATUS)),
        (_, Some((_, action))) => Box::new(|_| action()),
        (other, None) => panic!("no such action: {other}"),
    };
    Rc::new(move |greenlet| {
        if !done.replace(true) {
            action(greenlet);
        }
    })
}

// --- the cells ------------------------------------------------------------------------------------------------------

fn play(cell: &str) {
    thread::spawn(|| {
        thread::sleep(WATCH);
        eprintln!("it hangs");
        process::abort();
    });
    let (place, action) = cell.split_once(" / ").unwrap();
    let (_, run) = PLACES.iter().find(|(name, _)| *name == place).unwrap();
    let act = once(action);
    // Not in main, so that a kill hits a greenlet and not the test.
    let driver = spawn(move || run(act));
    driver.join();
    drop(driver);
    // Whatever was kept is as good as any handle.
    for greenlet in KEPT.take() {
        if !greenlet.is_main() {
            greenlet.start();
            greenlet.start_later(Duration::ZERO);
            greenlet.link(|_| ());
            greenlet.kill_nowait();
            greenlet.throw("late");
            greenlet.join();
        }
    }
    // The hub is as good as new.
    let hub = get_hub();
    hub.set_error_handler(None);
    let fresh = spawn(|| {
        yield_now();
        sleep(SHORT);
        5
    });
    assert_eq!(fresh.get().unwrap(), 5);
    let called = Rc::new(Cell::new(0));
    let count = called.clone();
    spawn(|| ()).rawlink(move |_| count.set(1));
    yield_now();
    sleep(SHORT);
    assert_eq!(called.get(), 1);
    hub.kill_all(Some(LONG)).unwrap();
    // Those that have ended may be about to drop what is left of them.
    while !hub.greenlets().is_empty() {
        sleep(SHORT);
    }
    assert!(!hub.in_callback() && getcurrent().is_main() && !thread::panicking());
    println!("survived");
}

#[test]
fn no_callback_breaks_the_hub() {
    if let Some(cell) = part() {
        return play(&cell);
    }
    let actions: Vec<&str> =
        ACTIONS.iter().map(|(name, _)| *name).chain(["keeps the handle", "exits"]).collect();
    let mut cells: Vec<String> = PLACES
        .iter()
        .flat_map(|(place, _)| actions.iter().map(move |action| format!("{place} / {action}")))
        .collect();
    let failed = Mutex::new(Vec::new());
    let next = Mutex::new(&mut cells);
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                loop {
                    let Some(cell) = next.lock().unwrap().pop() else { break };
                    if let Err(why) = judge(&cell) {
                        failed.lock().unwrap().push(format!("{cell}: {why}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} cells:\n{}", failed.len(), failed.join("\n"));
}

/// Runs a cell in a process of its own.
fn judge(cell: &str) -> Result<(), String> {
    let (place, action) = cell.split_once(" / ").unwrap();
    let output = again("callback_matrix::no_callback_breaks_the_hub", cell);
    let survived = String::from_utf8_lossy(&output.stdout).contains("survived");
    let right = match action {
        "exits" if place != "two raw links" => output.status.code() == Some(STATUS),
        _ => output.status.success() && survived,
    };
    if right { Ok(()) } else { Err(format!("{}\n{}", output.status, stderr(&output))) }
}
