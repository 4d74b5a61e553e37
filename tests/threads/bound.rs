//! Values that travel through other threads and are reached on their own: `Bound`, and the cause of
//! a failure.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use ramie::hub::{Bound, has_hub};
use ramie::io::ReadWriteRef;
use ramie::net::{TcpListener, TcpStream};
use ramie::{Exception, Failure, get_hub, getcurrent, sleep, spawn, yield_now};

use crate::util::eventually::until;
use crate::util::{assert_send, within};

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(5);

/// Runs a function on another thread, while the greenlets of this one run.
fn elsewhere<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, waker) = get_hub().waiter();
    let thread = thread::spawn(move || {
        let value = f();
        drop(waker);
        value
    });
    done.wait();
    thread.join().unwrap()
}

/// A value with a destructor that waits. It notes the end of the wait.
struct Waits {
    dropped: Rc<Cell<bool>>,
}

impl Drop for Waits {
    fn drop(&mut self) {
        assert!(has_hub());
        sleep(SHORT);
        self.dropped.set(true);
    }
}

fn stream_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

#[test]
fn it_may_go_anywhere() {
    fn assert_sync<T: Sync>() {}
    assert_send::<Bound<Rc<u8>>>();
    assert_sync::<Bound<Rc<Cell<u8>>>>();
    assert_send::<Box<dyn Read + Send + Sync>>();
    assert_send::<Bound<TcpStream>>();
}

#[test]
fn a_value_is_reached_on_its_own_thread_only() {
    within(LIMIT, || {
        let mut bound = Bound::new(Rc::new(Cell::new(5)));
        assert!(bound.is_here());
        bound.get().unwrap().set(6);
        *bound.get_mut().unwrap() = Rc::new(Cell::new(7));
        assert_eq!(format!("{bound:?}"), "Bound(Cell { value: 7 })");
        let mut bound = elsewhere(move || {
            assert!(!bound.is_here());
            assert!(bound.get().is_none());
            assert!(bound.get_mut().is_none());
            assert_eq!(format!("{bound:?}"), "Bound(on another thread)");
            bound.into_inner().unwrap_err()
        });
        // In a greenlet too: it is the same thread.
        bound = spawn(move || {
            assert_eq!(bound.get().unwrap().get(), 7);
            bound
        })
        .take()
        .unwrap();
        assert_eq!(bound.into_inner().unwrap().get(), 7);
    });
}

#[test]
fn a_stream_is_read_and_written_on_its_own_thread_only() {
    within(LIMIT, || {
        let (near, mut far) = stream_pair();
        let mut near = Arc::new(Bound::new(near));
        let writer = near.clone();
        let writing = spawn(move || {
            sleep(SHORT);
            (&*writer).write_all(b"ping").unwrap();
            (&*writer).flush().unwrap();
        });
        let mut four = [0; 4];
        far.read_exact(&mut four).unwrap();
        assert_eq!(&four, b"ping");
        writing.join();
        drop(writing);
        far.write_all(b"pongpong").unwrap();
        (&*near).read_exact(&mut four).unwrap();
        assert_eq!(&four, b"pong");
        let own = Arc::get_mut(&mut near).unwrap();
        own.read_exact(&mut four).unwrap();
        own.write_all(b"last").unwrap();
        own.flush().unwrap();
        far.read_exact(&mut four).unwrap();
        assert_eq!(&four, b"last");
        far.write_all(b"left").unwrap();

        let near = elsewhere(move || {
            let message = |result: io::Result<usize>| result.unwrap_err().to_string();
            let expected = "the stream is bound to another thread";
            assert_eq!(message((&*near).read(&mut [0; 4])), expected);
            assert_eq!(message((&*near).write(b"text")), expected);
            assert_eq!(message(near.read_ref(&mut [0; 4])), expected);
            assert_eq!(message((&*near).flush().map(|()| 0)), expected);
            let mut near = Arc::into_inner(near).unwrap();
            assert_eq!(message(near.read(&mut [0; 4])), expected);
            assert_eq!(message(near.write(b"text")), expected);
            assert_eq!(message(near.flush().map(|()| 0)), expected);
            assert!(!has_hub(), "an error needs no hub");
            near
        });
        // Nothing was taken from the stream.
        let mut near = near.into_inner().unwrap();
        near.read_exact(&mut four).unwrap();
        assert_eq!(&four, b"left");
    });
}

#[test]
fn a_value_that_is_dropped_elsewhere_is_dropped_at_home_in_a_greenlet() {
    within(LIMIT, || {
        let dropped = Rc::new(Cell::new(false));
        let bound = Bound::new(Waits { dropped: dropped.clone() });
        elsewhere(move || drop(bound));
        // The destructor waits, and others run.
        yield_now();
        assert!(!dropped.get());
        until(|| dropped.get());
    });
}

#[test]
fn a_stream_that_is_dropped_elsewhere_is_closed_by_its_hub() {
    within(LIMIT, || {
        let (near, mut far) = stream_pair();
        let bound = Bound::new(near);
        elsewhere(move || drop(bound));
        assert_eq!(far.read(&mut [0; 4]).unwrap(), 0);
    });
}

/// The hub may be younger than the value.
#[test]
fn a_value_without_a_hub_is_leaked_and_with_one_it_is_not() {
    within(LIMIT, || {
        let (first, second) = (Rc::new(()), Rc::new(()));
        let (lost, kept) = (Bound::new(first.clone()), Bound::new(second.clone()));
        assert!(!has_hub());
        thread::spawn(move || drop(lost)).join().unwrap();
        get_hub();
        thread::spawn(move || drop(kept)).join().unwrap();
        sleep(SHORT);
        assert_eq!((Rc::strong_count(&first), Rc::strong_count(&second)), (2, 1));
    });
}

/// A value that tells of its end.
struct Told(Arc<AtomicBool>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The hub ends with the value still in its inbox: it is dropped by the end of the hub.
#[test]
fn the_end_of_the_hub_drops_what_has_come_home() {
    let told = Arc::new(AtomicBool::new(false));
    let value = Told(told.clone());
    let told = within(LIMIT, move || {
        get_hub();
        let bound = Bound::new(value);
        thread::spawn(move || drop(bound)).join().unwrap();
        assert!(!told.load(Ordering::Acquire), "the hub has not run");
        told
    });
    assert!(told.load(Ordering::Acquire));
    let (sender, receiver) = channel();
    within(LIMIT, move || {
        get_hub();
        let told = Arc::new(AtomicBool::new(false));
        sender.send((told.clone(), Bound::new(Told(told)))).unwrap();
    });
    let (told, after) = receiver.recv().unwrap();
    drop(after);
    assert!(!told.load(Ordering::Acquire), "a value whose hub has ended is leaked");
}

#[test]
fn the_cause_of_a_failure_comes_home() {
    within(LIMIT, || {
        struct Cause(#[expect(dead_code, reason = "only counted")] Rc<()>);
        impl std::fmt::Debug for Cause {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("cause")
            }
        }
        impl std::fmt::Display for Cause {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("cause")
            }
        }
        getcurrent();
        let count = Rc::new(());
        let failure = Failure::from(Exception::new(Cause(count.clone())));
        let other = failure.clone();
        elsewhere(move || drop(other));
        assert_eq!(Rc::strong_count(&count), 2);
        elsewhere(move || drop(failure));
        until(|| Rc::strong_count(&count) == 1);
    });
}

/// Threads exchange values and drop them while hubs end: each value is dropped once, on its own
/// thread, or leaked.
#[test]
fn values_of_hubs_that_end_are_dropped_once() {
    struct Once(Bound<()>, Cell<u32>);
    impl Drop for Once {
        fn drop(&mut self) {
            assert!(self.0.is_here());
            self.1.set(self.1.get() + 1);
            assert_eq!(self.1.get(), 1);
        }
    }
    let (sender, receiver) = channel::<Bound<Box<Once>>>();
    let dropper = thread::spawn(move || receiver.into_iter().map(drop).count());
    let rounds = 200;
    for _ in 0..rounds {
        let sender = sender.clone();
        within(LIMIT, move || {
            for _ in 0..3 {
                let once = Once(Bound::new(()), Cell::new(0));
                sender.send(Bound::new(Box::new(once))).unwrap();
                yield_now();
            }
        });
    }
    drop(sender);
    assert_eq!(dropper.join().unwrap(), 3 * rounds);
}
