//! The machinery of `map` and `map_async`: one function over many inputs, with all results at once.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::Location;
use std::rc::Rc;

use ramie_hub::{Body, Builder, Exception, Failure, Greenlet, fallible};

use super::spawn::{Job, Spawn};

/// Returns the inner failure, if a greenlet has failed with another greenlet's failure.
pub(super) fn inner(failure: Failure) -> Failure {
    failure.downcast_ref::<Failure>().cloned().unwrap_or(failure)
}

/// The state that a mapping greenlet and its link share.
struct Progress<J> {
    /// The jobs with results that were not taken, in the order of the inputs.
    jobs: RefCell<VecDeque<J>>,
    /// `true` while the input is asked for an item; an exception raised then is the input's own.
    asking: Cell<bool>,
    /// `true` once the greenlet has reached its own end, with a value or a failure.
    over: Cell<bool>,
}

impl<J> Progress<J> {
    /// Returns `true` if the first job has ended. It stays where it is: this is asked after each start.
    #[inline]
    fn first_is_ready<T>(&self) -> bool
    where
        J: Job<T>,
    {
        self.jobs.borrow().front().is_some_and(J::is_ready)
    }

    /// Takes results in order, up to the first failure: with `waits`, of all jobs; without, of the
    /// leading jobs that have ended.
    fn collect<T>(&self, results: &mut Vec<T>, waits: bool) -> Result<(), Failure>
    where
        J: Job<T>,
    {
        loop {
            let first_is_ready = self.first_is_ready::<T>();
            if !first_is_ready && !waits {
                return Ok(());
            }
            let first = self.jobs.borrow_mut().pop_front();
            let Some(job) = first else { return Ok(()) };
            if first_is_ready {
                results.push(job.take()?);
                continue;
            }
            // The job stays in the list while it is waited for, so that a kill finds it.
            let again = job.clone();
            self.jobs.borrow_mut().push_front(again);
            let result = job.take();
            let again = self.jobs.borrow_mut().pop_front();
            drop(again);
            results.push(result?);
        }
    }
}

/// Starts all bodies and waits for their results, in a greenlet that is not a member. `callback`
/// gets all results at the end.
///
/// When that greenlet is killed, the jobs that it has started are cancelled.
pub(super) fn start_map<P, B>(
    place: &P,
    mut bodies: impl Iterator<Item = B> + 'static,
    callback: impl FnOnce(&[B::Value]) + 'static,
    site: &'static Location<'static>,
) -> Greenlet<Vec<B::Value>>
where
    P: Spawn<B>,
    B: Body,
{
    let progress =
        Rc::new(Progress { jobs: RefCell::default(), asking: Cell::new(false), over: Cell::new(false) });
    let (own, shared) = (place.clone(), progress.clone());
    let mapping = Builder::new().spawn_site(site).spawn(fallible(move || {
        let (mut results, mut failure) = (Vec::new(), None);
        loop {
            shared.asking.set(true);
            let body = bodies.next();
            shared.asking.set(false);
            let Some(body) = body else { break };
            let job = own.spawn_mapped_at(body, site);
            shared.jobs.borrow_mut().push_back(job);
            // Takes results early, since a job takes far more memory than its result.
            if failure.is_none() && shared.first_is_ready() {
                failure = shared.collect(&mut results, false).err();
            }
        }
        failure = failure.or_else(|| shared.collect(&mut results, true).err());
        shared.over.set(true);
        if let Some(failure) = failure {
            return Err(Exception::new(failure));
        }
        callback(&results);
        Ok(results)
    }));
    let place = place.clone();
    mapping.rawlink(move |mapping| {
        let input_failed = progress.asking.get() && mapping.exception().is_some();
        let jobs = progress.jobs.take();
        if !progress.over.get() && !input_failed {
            jobs.iter().for_each(|job| place.cancel(job));
        }
    });
    mapping
}
