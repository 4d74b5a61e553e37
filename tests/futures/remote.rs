//! Greenlets of another thread's hub: `Remote::spawn` and `Remote::call`.

use std::cell::{Cell, RefCell};
use std::num::ParseIntError;
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ramie::hub::{FailureText, HubGone, Remote, RemoteGreenlet, add_spawn_callback, has_hub};
use ramie::shared::Event;
use ramie::{AnyGreenlet, Failure, GetError, fallible, get_hub, getcurrent, raise, sleep};

use crate::util::executor::{Wakes, in_greenlet, on_thread, poll, poll_once};
use crate::util::log::Log;
use crate::util::participants::{KINDS, LIMIT, LONG, SHORT, done, on};
use crate::util::{assert_send, within};

/// A thread with a hub that runs until the event is set.
fn hub() -> (Remote, Event, JoinHandle<Vec<String>>) {
    let (send, remote) = channel();
    let end = Event::new();
    let over = end.clone();
    let thread = thread::spawn(move || {
        let errors = Log::of_errors();
        send.send(get_hub().remote()).unwrap();
        over.wait();
        errors.words()
    });
    (remote.recv().unwrap(), end, thread)
}

#[test]
fn a_handle_is_send() {
    assert_send::<RemoteGreenlet<Cell<u8>>>();
}

/// The report is one of the greenlet's links. Without it the wait ends, and does not hang.
#[test]
fn a_greenlet_that_removes_its_links_reports_nothing() {
    within(LIMIT, || {
        let (remote, end, thread) = hub();
        let handle = remote.call(|| {
            getcurrent().unlink_all();
            7
        });
        assert!(handle.get().unwrap_err().is::<HubGone<()>>());
        end.set();
        done(thread);
    });
}

#[test]
fn a_value_is_waited_for_by_every_kind_and_awaited() {
    within(LIMIT, || {
        let (remote, end, thread) = hub();
        let slow = || {
            sleep(SHORT);
            5
        };
        for kind in KINDS {
            let remote = remote.clone();
            let got = on(kind, move || {
                let (spawned, called) = (remote.spawn(slow).unwrap(), remote.call(slow));
                (spawned.get().unwrap(), called.get().unwrap())
            });
            assert_eq!(done(got), (5, 5));
        }
        assert_eq!(on_thread(remote.call(slow)).unwrap(), 5);
        assert_eq!(on_thread(async { remote.spawn(slow).unwrap().await.unwrap() }), 5);
        assert!(!has_hub());
        end.set();
        assert!(done(thread).is_empty());
    });
}

#[test]
fn an_outcome_is_taken_once() {
    within(LIMIT, || {
        let (remote, end, thread) = hub();
        let greenlet = remote.spawn(|| String::from("once")).unwrap();
        assert_eq!(greenlet.get().unwrap(), "once");
        assert!(greenlet.ready());
        assert!(greenlet.get().unwrap_err().is_taken());
        end.set();
        done(thread);
    });
}

#[test]
fn failures_arrive_in_a_form_for_the_thread() {
    within(LIMIT, || {
        let (remote, end, thread) = hub();
        let parsed = remote.spawn(fallible(|| "x".parse::<u8>())).unwrap();
        assert!(parsed.get().unwrap_err().is::<ParseIntError>());
        let raised = remote.call(|| -> u8 { raise("no luck") }).get().unwrap_err();
        assert_eq!(raised.downcast_ref::<FailureText>().unwrap().to_string(), "no luck");
        let panicked = remote.call(|| -> u8 { panic!("it panics on {}", "purpose") }).get().unwrap_err();
        assert_eq!(panicked.panic_message(), Some("it panics on purpose"));
        end.set();
        assert_eq!(done(thread), ["no luck", "panicked: it panics on purpose"]);
    });
}

/// The payload of a panic, of a type of its own.
struct Reason(u8);

#[test]
fn a_panic_keeps_its_payload_unless_a_handle_has_it_too() {
    within(LIMIT, || {
        let (remote, end, thread) = hub();
        let ask = || remote.call(|| -> u8 { panic_any(Reason(7)) }).get().unwrap_err();
        let payload = |failure: &Failure| failure.panic_payload()?.downcast_ref::<Reason>().map(|r| r.0);
        let alone = ask();
        assert!(alone.is_panic());
        assert_eq!(payload(&alone), Some(7));
        // The handles of a callback live on.
        let kept = || {
            let keep = |greenlet: &AnyGreenlet| KEPT.with_borrow_mut(|kept| kept.push(greenlet.clone()));
            add_spawn_callback(keep);
        };
        remote.call(kept).get().unwrap();
        let shared = ask();
        assert!(shared.is_panic());
        assert_eq!(payload(&shared), None);
        remote.call(|| drop(KEPT.take())).get().unwrap();
        end.set();
        assert_eq!(done(thread), ["panicked: (no message)", "panicked: (no message)"]);
    });
}

thread_local! {
    static KEPT: RefCell<Vec<AnyGreenlet>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn a_kill_reaches_a_greenlet_that_waits_and_one_that_has_not_started() {
    within(LIMIT, || {
        let (remote, end, thread) = hub();
        for before_the_start in [false, true] {
            let dropped = Event::new();
            let guard = SetOnDrop(dropped.clone());
            let greenlet = remote.spawn(move || {
                let _guard = guard;
                sleep(LONG);
            });
            let greenlet = greenlet.unwrap();
            if !before_the_start {
                sleep_a_little();
            }
            assert!(matches!(greenlet.get_timeout(Duration::ZERO), Err(GetError::TimedOut)));
            greenlet.kill();
            assert!(greenlet.ready() && dropped.is_set());
            assert!(greenlet.get().unwrap_err().is_exit());
            greenlet.kill();
        }
        end.set();
        done(thread);
    });
}

struct SetOnDrop(Event);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

fn sleep_a_little() {
    thread::sleep(SHORT);
}

#[test]
fn a_dropped_handle_kills_a_call_and_leaves_a_spawned_greenlet() {
    within(LIMIT, || {
        let (remote, end, thread) = hub();
        for polls in 0..3 {
            let (gone, goes_on) = (Event::new(), Event::new());
            let guard = SetOnDrop(gone.clone());
            let mut call = remote.call(move || {
                let _guard = guard;
                sleep(LONG);
            });
            for _ in 0..polls {
                assert!(poll_once(&mut call).is_pending());
                sleep_a_little();
            }
            drop(call);
            gone.wait();
            let sets = goes_on.clone();
            drop(remote.spawn(move || {
                sleep(SHORT);
                sets.set();
            }));
            goes_on.wait();
        }
        end.set();
        done(thread);
    });
}

#[test]
fn an_unwanted_value_is_dropped_once_and_may_wait() {
    struct Waits {
        _count: Arc<()>,
    }

    impl Drop for Waits {
        fn drop(&mut self) {
            if has_hub() {
                sleep(Duration::from_millis(1));
            }
        }
    }

    within(LIMIT, || {
        let (remote, end, thread) = hub();
        let count = Arc::new(());
        for round in 0..200 {
            let value = Waits { _count: count.clone() };
            let greenlet = remote.spawn(move || value).unwrap();
            if round % 3 == 0 {
                thread::yield_now();
            }
            if round % 50 == 0 {
                drop(greenlet.get());
            }
            drop(greenlet);
        }
        let deadline = std::time::Instant::now() + LONG;
        while Arc::strong_count(&count) > 1 {
            assert!(std::time::Instant::now() < deadline);
            sleep_a_little();
        }
        end.set();
        assert!(done(thread).is_empty());
    });
}

#[test]
fn the_end_of_a_hub_ends_every_wait() {
    within(LIMIT, || {
        let (remote, end, thread) = hub();
        let sleeper = remote.spawn(|| sleep(LONG)).unwrap();
        let mut awaited = remote.call(|| sleep(LONG));
        let (wakes, waker) = Wakes::new();
        assert!(poll(&mut awaited, &waker).is_pending());
        // Survives its kills, and is abandoned.
        let began = Event::new();
        let begins = began.clone();
        let stubborn = remote.spawn(move || {
            begins.set();
            loop {
                let _ = ramie::catch::<ramie::GreenletExit, _>(|| sleep(LONG));
            }
        });
        let stubborn = stubborn.unwrap();
        // A greenlet that has not begun is killed well.
        began.wait();
        let waits = thread::spawn(move || stubborn.get().unwrap_err().is::<HubGone<()>>());
        end.set();
        done(thread);
        assert!(done(waits), "the hub is gone");
        assert!(sleeper.get().is_err());
        assert_eq!(wakes.count(), 1);
        assert!(matches!(poll_once(&mut awaited), Poll::Ready(Err(_))));
        assert!(remote.call(|| 5).get().unwrap_err().is::<HubGone<()>>());
        assert_eq!(remote.spawn(|| 6).unwrap_err().into_inner()(), 6);
    });
}

#[test]
fn a_greenlet_awaits_a_call_to_its_own_hub() {
    within(LIMIT, || {
        let remote = get_hub().remote();
        assert_eq!(in_greenlet(remote.call(|| 5)).unwrap(), 5);
        assert_eq!(remote.call(|| 6).get().unwrap(), 6);
    });
}
