//! Failures away from their thread: what other threads see of them, and what they may do.

use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::thread;

use ramie::{Exception, Failure, fallible, raise, spawn};

use crate::util::assert_send;

fn assert_sync<T: Sync>() {}

/// An error that is bound to its thread.
#[derive(Debug)]
struct Bound(Rc<str>);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bound to {}", self.0)
    }
}

#[test]
fn a_failure_is_an_error_that_any_caller_takes() {
    assert_send::<Failure>();
    assert_sync::<Failure>();
    fn fails() -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(spawn(|| raise(Exception::new(Bound("a thread".into())))).get()?)
    }
    let error = fails().unwrap_err();
    assert_eq!(error.to_string(), "bound to a thread");
    assert!(error.downcast_ref::<Failure>().is_some_and(|failure| failure.is::<Bound>()));
}

#[test]
fn another_thread_sees_the_kind_and_not_the_value() {
    let held = Rc::<str>::from("this thread");
    let error = Bound(held.clone());
    let failure = spawn(fallible(move || Err::<(), _>(error))).get().unwrap_err();
    let failure = thread::spawn(move || {
        assert!(failure.exception().is_none());
        assert!(!failure.is::<Bound>());
        assert!(failure.to_string().contains("Bound, on another thread"), "{failure}");
        assert!(!failure.is_panic());
        assert!(failure.same(&failure.clone()));
        failure
    });
    // Back at home it is whole again, and dropped.
    let failure = failure.join().unwrap();
    assert_eq!(failure.to_string(), "bound to this thread");
    drop(failure);
    assert_eq!(Rc::strong_count(&held), 1);
}

#[test]
fn the_message_of_a_panic_goes_everywhere() {
    let failure = spawn(|| -> () { panic!("no luck") }).get().unwrap_err();
    assert_eq!(failure.panic_payload().unwrap().downcast_ref::<&str>(), Some(&"no luck"));
    let elsewhere = failure.clone();
    let seen = thread::spawn(move || {
        assert!(elsewhere.panic_payload().is_none());
        (elsewhere.is_panic(), elsewhere.panic_message().map(String::from), elsewhere.to_string())
    });
    assert_eq!(seen.join().unwrap(), (true, Some("no luck".into()), "panicked: no luck".into()));
    assert!(failure.panic_payload().is_some());
}

/// Made without a hub, and kept through the creation of one.
#[test]
fn a_failure_belongs_to_its_thread_and_not_to_a_hub() {
    thread::spawn(|| {
        let payload = std::panic::catch_unwind(|| std::panic::panic_any(7)).unwrap_err();
        let failure = Failure::panicked(payload);
        spawn(|| ()).join();
        assert_eq!(failure.panic_payload().unwrap().downcast_ref::<i32>(), Some(&7));
    })
    .join()
    .unwrap();
}

/// Dropped elsewhere, the value is leaked: its destructor would run on the wrong thread.
#[test]
fn a_value_that_is_dropped_elsewhere_is_leaked() {
    let held = Rc::<str>::from("this thread");
    let error = Bound(held.clone());
    let greenlet = spawn(fallible(move || Err::<(), _>(error)));
    let failure = greenlet.get().unwrap_err();
    drop(greenlet);
    thread::spawn(move || drop(failure)).join().unwrap();
    assert_eq!(Rc::strong_count(&held), 2);
}
