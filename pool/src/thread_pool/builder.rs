//! How a pool of threads is made.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ramie_hub::shared::WaitQueue;

use super::state::State;
use super::{Shared, ThreadPool};

/// What a [`ThreadPool`] is made with. Made by [`ThreadPool::builder`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie_pool::ThreadPool;
///
/// let pool = ThreadPool::builder(4).name("disk").idle_timeout(Some(Duration::from_secs(5))).build();
/// let name = pool.spawn(|| std::thread::current().name().map(str::to_owned));
/// assert_eq!(name.get().unwrap().as_deref(), Some("disk-1"));
/// ```
#[derive(Clone, Debug)]
pub struct ThreadPoolBuilder {
    maxsize: usize,
    name: Option<String>,
    idle_timeout: Option<Duration>,
    stack_size: Option<usize>,
    watched: bool,
}

impl ThreadPool {
    /// Begins a pool of at most that many threads.
    pub fn builder(maxsize: usize) -> ThreadPoolBuilder {
        ThreadPoolBuilder { maxsize, name: None, idle_timeout: None, stack_size: None, watched: false }
    }
}

impl ThreadPoolBuilder {
    /// What the threads are called, with their number behind it: `name-1`. Unless set, `ramie-pool1`, `ramie-pool2`.
    ///
    /// Linux shows the first 15 bytes of the whole.
    ///
    /// # Panics
    ///
    /// When the name contains a zero byte, which no thread can have in its name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        assert!(!name.contains('\0'), "the name of a thread must not contain a zero byte");
        self.name = Some(name);
        self
    }

    /// After what time a thread that has nothing to do ends; `None`, as it is unless set, is never, gevent's -1.
    ///
    /// The thread that was the last to finish is the first to be called again, so those that are not needed do rest.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// The size of the threads' stacks in bytes; what std does unless set.
    #[must_use]
    pub fn stack_size(mut self, size: usize) -> Self {
        self.stack_size = Some(size);
        self
    }

    /// Has the pool say when its threads are stuck.
    pub(super) fn watched(mut self) -> Self {
        self.watched = true;
        self
    }

    /// Makes the pool. No thread is started yet.
    pub fn build(self) -> ThreadPool {
        static POOLS: AtomicUsize = AtomicUsize::new(1);
        let name =
            self.name.unwrap_or_else(|| format!("ramie-pool{}", POOLS.fetch_add(1, Ordering::Relaxed)));
        ThreadPool::from_shared(Shared {
            state: WaitQueue::new(State::new(self.maxsize, self.watched)),
            name,
            idle_timeout: self.idle_timeout,
            stack_size: self.stack_size,
        })
    }
}
