//! One function over many inputs, with all results at once: what runs behind `map` and `map_async`.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;

use ramie_hub::{Body, Builder, Exception, Failure, Greenlet, fallible};

use super::spawn::{Job, Spawn};

/// The failure itself, if a greenlet has failed with another's failure.
pub(super) fn inner(failure: Failure) -> Failure {
    failure.downcast_ref::<Failure>().cloned().unwrap_or(failure)
}

/// What a mapping greenlet and its link share.
struct Progress<J> {
    jobs: RefCell<Vec<J>>,
    /// The input is being asked; an exception now is its own.
    asking: Cell<bool>,
    /// The greenlet has come to its end by itself, well or not.
    over: Cell<bool>,
}

/// Starts all bodies and waits for their results, in a greenlet that is no member; `callback` sees all of them at its end.
///
/// When that greenlet is killed, the jobs are cancelled that it has started.
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
        loop {
            shared.asking.set(true);
            let body = bodies.next();
            shared.asking.set(false);
            let Some(body) = body else { break };
            let job = own.spawn_at(body, site);
            shared.jobs.borrow_mut().push(job);
        }
        let mut results = Vec::new();
        let jobs = shared.jobs.borrow().clone();
        for job in jobs {
            match job.take() {
                Ok(result) => results.push(result),
                Err(failure) => {
                    shared.over.set(true);
                    return Err(Exception::new(failure));
                }
            }
        }
        shared.over.set(true);
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
