//! A pool of threads as a place for the mapping functions.

use std::fmt;
use std::panic::Location;

use ramie_hub::{AsyncResult, Body, Failure, Greenlet, LinkId, Waitable};

use super::ThreadPool;
use super::job::{Refusal, refuse_all};
use crate::mapping::{Job, Mapping, Spawn};

/// A job of a [`ThreadPool`] for the [mapping functions](Mapping): its result, and its position in
/// the queue.
pub struct ThreadJob<T> {
    pub(super) result: AsyncResult<T>,
    /// The number of the job in the queue; `None` if it was run or rejected without entering the
    /// queue.
    pub(super) number: Option<u64>,
}

impl<T> ThreadJob<T> {
    /// Returns the result, which is set when the job has run.
    pub fn result(&self) -> &AsyncResult<T> {
        &self.result
    }
}

impl<T> Clone for ThreadJob<T> {
    fn clone(&self) -> Self {
        ThreadJob { result: self.result.clone(), number: self.number }
    }
}

impl<T: 'static> Job<T> for ThreadJob<T> {
    fn take(&self) -> Result<T, Failure> {
        self.result.take()
    }
}

impl<T: 'static> Waitable for ThreadJob<T> {
    fn is_ready(&self) -> bool {
        self.result.is_ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.result.rawlink(f)
    }

    fn unlink(&self, id: LinkId) {
        self.result.unlink(id);
    }
}

impl<T: 'static> fmt::Debug for ThreadJob<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadJob").field("result", &self.result).field("number", &self.number).finish()
    }
}

impl<B> Spawn<B> for ThreadPool
where
    B: Body<Value: Send, Error: Send> + Send,
{
    type Job = ThreadJob<B::Value>;

    fn spawn_at(&self, body: B, site: &'static Location<'static>) -> Self::Job {
        self.spawn_for_ever(body, site)
    }

    /// Always gives the body back: a job is not a greenlet of this thread.
    fn try_spawn_at(&self, body: B, _site: &'static Location<'static>) -> Result<Greenlet<B::Value>, B> {
        Err(body)
    }

    /// Drops the body of a job that waits for a thread. A running job is left alone.
    fn cancel(&self, job: &Self::Job) {
        let entry = job.number.and_then(|number| self.shared().state.lock().withdraw(number));
        refuse_all(entry.into_iter().collect(), &Refusal::Abandoned);
    }

    fn is_inside(&self) -> bool {
        self.shared().is_inside()
    }
}

/// Functions, inputs and results must be `Send`, since they travel to the threads and back.
///
/// # Examples
///
/// ```
/// use ramie::{Mapping, ThreadPool};
///
/// let pool = ThreadPool::new(2);
/// assert_eq!(pool.apply(|| 5).unwrap(), 5);
/// assert_eq!(pool.map(1..=4, |x| x * x).unwrap(), [1, 4, 9, 16]);
/// assert_eq!(pool.imap(["a", "bb"], str::len).map(Result::unwrap).sum::<usize>(), 3);
/// ```
impl Mapping for ThreadPool {}
