//! The builder of a pool of threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ramie_hub::shared::WaitQueue;

use super::state::State;
use super::{Shared, ThreadPool};

/// A builder for a [`ThreadPool`]. Made by [`ThreadPool::builder`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::ThreadPool;
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
    /// Returns a builder for a pool of at most `maxsize` threads.
    pub fn builder(maxsize: usize) -> ThreadPoolBuilder {
        ThreadPoolBuilder { maxsize, name: None, idle_timeout: None, stack_size: None, watched: false }
    }
}

impl ThreadPoolBuilder {
    /// Sets the name of the threads, to which the number of each is added: `name-1`. The default is
    /// `ramie-pool1`, `ramie-pool2` and so on.
    ///
    /// Linux shows the first 15 bytes of the whole name.
    ///
    /// # Panics
    ///
    /// When the name contains a zero byte, which the name of a thread cannot contain.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        assert!(!name.contains('\0'), "the name of a thread must not contain a zero byte");
        self.name = Some(name);
        self
    }

    /// Sets the time after which an idle thread ends. `None`, the default, means never; gevent
    /// writes -1.
    ///
    /// The thread that became idle last gets the next job, so threads that are not needed stay
    /// idle.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets the size of the threads' stacks in bytes. The default is std's.
    #[must_use]
    pub fn stack_size(mut self, size: usize) -> Self {
        self.stack_size = Some(size);
        self
    }

    /// Enables the report of stuck threads.
    pub(super) fn watched(mut self) -> Self {
        self.watched = true;
        self
    }

    /// Creates the pool. No thread is started yet.
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
