//! Executors for tests: one for a thread, one for a greenlet, and single polls with wakers that
//! count.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use ramie::shared::Event;

/// Counts the calls of `wake`.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn new() -> (Arc<Wakes>, Waker) {
        let wakes = Arc::new(Wakes::default());
        (wakes.clone(), Waker::from(wakes))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Polls once, with a waker that does nothing.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll(future, Waker::noop())
}

/// Drives a future on a thread, which parks between two polls.
pub(crate) fn on_thread<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = pin!(future);
    loop {
        // Another waker each time, as a future meets it that moves between tasks.
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// Drives a future in a greenlet, which lets others run between two polls.
pub(crate) fn in_greenlet<F: Future>(future: F) -> F::Output {
    struct Set(Event);

    impl Wake for Set {
        fn wake(self: Arc<Self>) {
            self.0.set();
        }
    }

    let mut future = pin!(future);
    let woken = Event::new();
    let waker = Waker::from(Arc::new(Set(woken.clone())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => woken.wait(),
        }
        woken.clear();
    }
}
