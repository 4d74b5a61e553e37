//! gevent's tests of links (from `test__greenlet.py`) and of their order (`test__order.py`),
//! restated.
//!
//! A link target is a closure here. Where gevent hands an `AsyncResult`, a `Queue` or a `Channel`
//! to `link`, a [`Letters`] receives what the link's closure puts in.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use ramie::hub::LinkId;
use ramie::sync::{Event, Semaphore};
use ramie::{AnyGreenlet, Failure, Greenlet, Waitable, fallible, get_hub, raise, sleep, spawn, yield_now};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);

/// A queue that a link fills and the test empties.
struct Letters<T> {
    letters: Rc<RefCell<VecDeque<T>>>,
    arrived: Semaphore,
}

impl<T> Clone for Letters<T> {
    fn clone(&self) -> Self {
        Letters { letters: self.letters.clone(), arrived: self.arrived.clone() }
    }
}

impl<T> Letters<T> {
    fn new() -> Self {
        Letters { letters: Rc::default(), arrived: Semaphore::new(0) }
    }

    fn put(&self, letter: T) {
        self.letters.borrow_mut().push_back(letter);
        self.arrived.release();
    }

    fn get(&self) -> T {
        self.arrived.acquire();
        self.letters.borrow_mut().pop_front().expect("a permit stands for a letter")
    }
}

/// One of the three ways to link.
type Link = fn(&AnyGreenlet, Box<dyn FnOnce(&AnyGreenlet)>) -> LinkId;

fn link(g: &AnyGreenlet, f: Box<dyn FnOnce(&AnyGreenlet)>) -> LinkId {
    g.link(f)
}

fn link_value(g: &AnyGreenlet, f: Box<dyn FnOnce(&AnyGreenlet)>) -> LinkId {
    g.link_value(f)
}

fn link_exception(g: &AnyGreenlet, f: Box<dyn FnOnce(&AnyGreenlet)>) -> LinkId {
    g.link_exception(f)
}

/// Links of one kind that have to be called, and one of the other kind that must not be.
struct Links {
    results: Letters<Result<i32, Failure>>,
    greenlets: Letters<AnyGreenlet>,
    others: Log,
    untouched: Log,
}

impl Links {
    fn set(g: &Greenlet<i32>, link: Link, other: Link) -> Self {
        let links = Links {
            results: Letters::new(),
            greenlets: Letters::new(),
            others: Log::new(),
            untouched: Log::new(),
        };
        let (results, typed) = (links.results.clone(), g.clone());
        link(g, Box::new(move |_| results.put(typed.get())));
        let greenlets = links.greenlets.clone();
        link(g, Box::new(move |g| greenlets.put(g.clone())));
        for _ in 0..10 {
            link(g, Box::new(links.others.linker("called")));
        }
        other(g, Box::new(links.untouched.linker("touched")));
        links
    }

    /// Returns the one result that arrived, having checked that each link was called once.
    #[track_caller]
    fn check(self, g: &Greenlet<i32>) -> Result<i32, Failure> {
        assert!(!g.started());
        assert!(self.greenlets.get().is(g));
        let result = self.results.get();
        // Whatever else could be on its way arrives now.
        sleep(Duration::from_millis(1));
        assert_eq!(self.others.len(), 10);
        assert!(self.untouched.is_empty());
        assert!(self.results.letters.borrow().is_empty() && self.greenlets.letters.borrow().is_empty());
        result
    }
}

/// gevent: `TestReturn_link::test_return`.
fn link_fires_on_success(link: Link) {
    let g = spawn(|| 25);
    for _ in 0..3 {
        let links = Links::set(&g, link, link_exception);
        g.join();
        assert_eq!(links.check(&g).ok(), Some(25));
    }
}

/// gevent: `TestReturn_link::test_kill`.
fn link_fires_when_killed(link: Link) {
    let g = spawn(|| {
        sleep(LONG);
        0
    });
    for _ in 0..3 {
        let links = Links::set(&g, link, link_exception);
        g.kill();
        assert!(links.check(&g).is_err_and(|failure| failure.is_exit()));
    }
}

/// gevent: `TestRaise_link::test_raise`.
fn link_fires_on_failure(link: Link) {
    let _errors = Log::of_errors();
    let g = spawn(|| -> i32 { raise("expected") });
    for _ in 0..3 {
        let links = Links::set(&g, link, link_value);
        g.join();
        assert!(links.check(&g).is_err_and(|failure| failure.is::<&str>()));
    }
}

/// gevent: `TestLink::test_link_to_asyncresult`.
#[test]
fn a_link_delivers_the_value_before_and_after_the_end() {
    within(LIMIT, || {
        let g = spawn(|| 100);
        for _ in 0..4 {
            let letters = Letters::new();
            let target = letters.clone();
            g.link(move |g| target.put(g.get().ok()));
            assert_eq!(letters.get(), Some(100));
        }
    });
}

/// gevent: `TestLink::test_link_to_asyncresult_exception`.
#[test]
fn every_link_sees_the_same_failure() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let g = spawn(fallible(|| Err::<(), _>("expected")));
        let mut seen = Vec::new();
        for _ in 0..4 {
            let letters = Letters::new();
            let target = letters.clone();
            g.link(move |g| target.put(g.exception()));
            seen.push(letters.get().expect("it failed"));
        }
        assert!(seen.iter().all(|failure| failure.same(&seen[0])));
        assert_eq!(seen[0].downcast_ref(), Some(&"expected"));
    });
}

/// gevent: `TestLink::test_link_to_queue`.
#[test]
fn a_link_is_given_the_greenlet() {
    within(LIMIT, || {
        let g = spawn(|| 100);
        let letters = Letters::<Greenlet<i32>>::new();
        for _ in 0..4 {
            let target = letters.clone();
            g.link(move |g| target.put(g.clone()));
            assert_eq!(letters.get().get().ok(), Some(100));
        }
    });
}

/// gevent: `TestLink::test_link_to_channel`.
#[test]
fn links_may_wait_for_each_other() {
    within(LIMIT, || {
        let (room, letters) = (Semaphore::new(0), Letters::new());
        for value in [101, 102, 103] {
            let (room, target) = (room.clone(), letters.clone());
            spawn(move || value).link(move |g| {
                room.acquire();
                target.put(g.get().ok());
            });
        }
        let received = [(); 3].map(|()| {
            room.release();
            letters.get()
        });
        assert_eq!(received, [Some(101), Some(102), Some(103)]);
    });
}

/// gevent: `TestUnlink::test_func_link`.
#[test]
fn unlink_undoes_a_link() {
    within(LIMIT, || unlink_undoes(link));
}

/// gevent: `TestUnlink::test_func_link_value`.
#[test]
fn unlink_undoes_a_link_for_values() {
    within(LIMIT, || unlink_undoes(link_value));
}

/// gevent: `TestUnlink::test_func_link_exception`.
#[test]
fn unlink_undoes_a_link_for_exceptions() {
    within(LIMIT, || unlink_undoes(link_exception));
}

fn unlink_undoes(link: Link) {
    let log = Log::new();
    let g = spawn(|| 1);
    for _ in 0..2 {
        let id = link(&g, Box::new(log.linker("called")));
        assert_eq!(g.has_links(), 1);
        g.unlink(id);
        assert_eq!(g.has_links(), 0);
        // A link that is gone is no error.
        g.unlink(id);
    }
    g.kill();
    yield_now();
    assert!(log.is_empty());
}

/// gevent: `TestReturn_link::test_return`.
#[test]
fn a_link_fires_on_success() {
    within(LIMIT, || link_fires_on_success(link));
}

/// gevent: `TestReturn_link::test_kill`.
#[test]
fn a_link_fires_when_killed() {
    within(LIMIT, || link_fires_when_killed(link));
}

/// gevent: `TestReturn_link_value::test_return`.
#[test]
fn a_link_for_values_fires_on_success() {
    within(LIMIT, || link_fires_on_success(link_value));
}

/// gevent: `TestReturn_link_value::test_kill`.
#[test]
fn a_link_for_values_fires_when_killed() {
    within(LIMIT, || link_fires_when_killed(link_value));
}

/// gevent: `TestRaise_link::test_raise`.
#[test]
fn a_link_fires_on_failure() {
    within(LIMIT, || link_fires_on_failure(link));
}

/// gevent: `TestRaise_link_exception::test_raise`.
#[test]
fn a_link_for_exceptions_fires_on_failure() {
    within(LIMIT, || link_fires_on_failure(link_exception));
}

/// gevent: `TestStuff::test_multiple_listeners_error`.
#[test]
fn an_error_in_a_link_does_not_stop_the_others() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let good = spawn(fallible(|| Ok::<_, &str>(5)));
        let bad = spawn(fallible(|| Err::<i32, _>("body")));
        for g in [good, bad] {
            let log = Log::new();
            for word in ["one", "two", "three"] {
                let log = log.clone();
                g.link(move |_| {
                    log.add(word);
                    raise(word)
                });
            }
            sleep(Duration::from_millis(1));
            log.expect("one two three");
        }
        // Both bodies end before the first one's links run.
        errors.expect("body one two three one two three");
    });
}

/// Two links that unlink each other and fail, and a third that only fails.
fn unlinking_links(
    link: impl Fn(Box<dyn FnOnce()>) -> LinkId,
    unlink: impl Fn(LinkId) + Clone + 'static,
) -> Log {
    let _errors = Log::of_errors();
    let log = Log::new();
    let ids: Rc<[Cell<Option<LinkId>>; 2]> = Rc::default();
    for (own, other) in [(0, 1), (1, 0)] {
        let (log, others, unlink) = (log.clone(), ids.clone(), unlink.clone());
        let id = link(Box::new(move || {
            unlink(others[other].get().expect("both were linked before either ran"));
            log.add("one");
            raise("expected")
        }));
        ids[own].set(Some(id));
    }
    link(Box::new(|| raise("expected too")));
    sleep(Duration::from_millis(1));
    log
}

/// gevent: `TestStuff::test_multiple_listeners_error_unlink_Greenlet_link`.
#[test]
fn of_two_links_that_unlink_each_other_one_is_called() {
    within(LIMIT, || {
        let g = spawn(|| 5);
        let of = g.clone();
        unlinking_links(|f| g.link(|_| f()), move |id| of.unlink(id)).expect("one");
    });
}

/// gevent: `TestStuff::test_multiple_listeners_error_unlink_Greenlet_rawlink`.
#[test]
fn of_two_raw_links_that_unlink_each_other_one_is_called() {
    within(LIMIT, || {
        let g = spawn(|| 5);
        let of = g.clone();
        unlinking_links(|f| g.rawlink(|_| f()), move |id| of.unlink(id)).expect("one");
    });
}

/// gevent: `TestStuff::test_multiple_listeners_error_unlink_AsyncResult_rawlink`.
#[test]
fn of_two_raw_links_of_an_event_that_unlink_each_other_one_is_called() {
    within(LIMIT, || {
        let event = Event::new();
        let (setter, of) = (event.clone(), event.clone());
        spawn(move || setter.set());
        unlinking_links(|f| event.rawlink(f), move |id| Waitable::unlink(&of, id)).expect("one");
    });
}

/// gevent: `test__order.py`, `Test::test_greenlet_link` with 2, 3, 4 and 1000 links.
#[test]
fn links_run_in_order_and_before_a_later_joiner() {
    within(LIMIT, || {
        for count in [2, 3, 4, 1000] {
            let log = Log::new();
            let g = spawn(log.adder(0));
            for i in 1..count {
                g.link(log.linker(i));
            }
            g.join();
            let expected: Vec<_> = (0..count).map(|i| i.to_string()).collect();
            assert_eq!(log.words(), expected);
        }
    });
}

/// gevent: `test__order.py`, `TestSleep0::test`.
#[test]
fn yielding_greenlets_take_turns() {
    within(LIMIT, || {
        let log = Log::new();
        for name in ["1", "2"] {
            let log = log.clone();
            spawn(move || {
                log.add(format!("{name}A"));
                yield_now();
                log.add(format!("{name}B"));
            });
        }
        get_hub().join();
        log.expect("1A 2A 1B 2B");
    });
}
