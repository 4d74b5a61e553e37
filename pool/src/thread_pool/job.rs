//! Jobs: from the hub that spawns one through the queue to a thread, and the result back.

use std::any::{Any, type_name};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;

use ramie_hub::{
    AsyncResult, Body, ErrorContext, Exception, Failure, HubGone, JobFailure, Raised, Reply, SystemExit,
    get_hub, raise, run_job,
};

use super::Shared;
use crate::error::JobAbandoned;

/// An entry of the queue.
pub(super) trait Entry: Send {
    /// Runs the entry on this thread and delivers its outcome.
    fn run(self: Box<Self>);
    /// Ends the entry without running it.
    fn refuse(self: Box<Self>, why: &Refusal<'_>);
    /// Returns the name of the function, for a report of the busy threads.
    fn what(&self) -> &'static str;
}

/// The reason why a job is not run.
pub(super) enum Refusal<'a> {
    Abandoned,
    NoThread(&'a io::Error),
}

/// The capacity that a job occupies in its pool, and its share of the unfinished jobs. Released on
/// drop, on any thread.
pub(super) struct Permit {
    shared: Option<Arc<Shared>>,
    limited: bool,
}

impl Permit {
    /// Returns a value that occupies no capacity yet.
    pub(super) fn none() -> Self {
        Permit { shared: None, limited: true }
    }

    /// Takes over capacity that was counted under the lock.
    pub(super) fn counted(shared: &Arc<Shared>, limited: bool) -> Self {
        Permit { shared: Some(shared.clone()), limited }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.state.lock().give_room(self.limited);
        }
    }
}

/// A body and the destination of its result.
pub(super) struct Task<B>
where
    B: Body,
{
    body: B,
    reply: Reply<Done<B::Value, B::Error>>,
    pub(super) room: Permit,
}

/// The outcome of a body, on its way to the hub that spawned it. Dropping it releases the capacity.
struct Done<T, E> {
    end: End<T, E>,
    room: Permit,
}

enum End<T, E> {
    Ran(Result<T, JobFailure<E>>),
    Abandoned,
    NoThread(io::Error),
}

impl<B> Task<B>
where
    B: Body + Send,
    B::Value: Send,
    B::Error: Send,
{
    /// Creates a job of this hub that occupies no capacity yet. In one turn of the hub the capacity
    /// is released, a failure is reported, and the result is set.
    pub(super) fn new(body: B, result: AsyncResult<B::Value>, site: &'static Location<'static>) -> Box<Self> {
        let reply = get_hub().reply(move |done: Done<B::Value, B::Error>| {
            let Done { end, room } = done;
            drop(room);
            match end {
                End::Ran(Ok(value)) => result.set(value),
                End::Ran(Err(failure)) => fail(&result, failure.into_failure(), site),
                End::NoThread(error) => fail(&result, Failure::from(Exception::new(error)), site),
                End::Abandoned => result.set_exception(JobAbandoned),
            }
        });
        Box::new(Task { body, reply, room: Permit::none() })
    }

    pub(super) fn into_body(self) -> B {
        self.body
    }
}

fn fail<T: 'static>(result: &AsyncResult<T>, failure: Failure, site: &'static Location<'static>) {
    get_hub().handle_error(&ErrorContext::Job(site), &failure);
    result.set_failure(failure);
}

fn deliver<T, E>(reply: Reply<Done<T, E>>, done: Done<T, E>)
where
    T: Send + 'static,
    E: Send + 'static,
{
    if let Err(HubGone(done)) = reply.send(done) {
        let _ = guarded(|| drop(done));
    }
}

impl<B> Entry for Task<B>
where
    B: Body + Send,
    B::Value: Send,
    B::Error: Send,
{
    fn run(self: Box<Self>) {
        let Task { body, reply, room } = *self;
        let end = End::Ran(run_job(body));
        deliver(reply, Done { end, room });
    }

    fn refuse(self: Box<Self>, why: &Refusal<'_>) {
        let Task { body, reply, room } = *self;
        let end = match why {
            Refusal::Abandoned => End::Abandoned,
            Refusal::NoThread(error) => End::NoThread(copy(error)),
        };
        deliver(reply, Done { end, room });
        drop(body);
    }

    fn what(&self) -> &'static str {
        type_name::<B>()
    }
}

/// Copies an error for another job.
fn copy(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}

/// A function that delivers its own outcome. Dropped without running if the pool is abandoned.
pub(super) struct Plain {
    pub(super) f: Box<dyn FnOnce() + Send>,
    pub(super) room: Permit,
    pub(super) what: &'static str,
}

impl Entry for Plain {
    fn run(self: Box<Self>) {
        let Plain { f, room, .. } = *self;
        f();
        drop(room);
    }

    fn refuse(self: Box<Self>, _why: &Refusal<'_>) {}

    fn what(&self) -> &'static str {
        self.what
    }
}

/// Runs a body in the caller, which must not wait for capacity. Errors and panics belong to the
/// body; exceptions of ramie are raised in the caller.
pub(super) fn run_inline<B: Body>(body: B, site: &'static Location<'static>) -> AsyncResult<B::Value> {
    let result = AsyncResult::new();
    match catch_unwind(AssertUnwindSafe(|| body.run())) {
        Ok(Ok(value)) => result.set(value),
        Ok(Err(error)) => {
            let failure = Failure::from(Exception::new(error));
            if let Some(exit) = failure.downcast_ref::<SystemExit>() {
                // The exit ends the enclosing job, and so reaches the hub that spawned it.
                raise(*exit);
            }
            fail(&result, failure, site);
        }
        Err(payload) if payload.is::<Raised>() => resume_unwind(payload),
        Err(payload) => fail(&result, Failure::panicked(payload), site),
    }
    result
}

/// Ends all entries without running them. A panic of a destructor has been reported by the panic
/// hook. An interrupt in a destructor is raised in the caller once all entries have ended.
pub(super) fn refuse_all(entries: Vec<Box<dyn Entry>>, why: &Refusal<'_>) {
    let mut raised = None;
    for entry in entries {
        raised = raised.or(guarded(|| entry.refuse(why)));
    }
    if let Some(payload) = raised {
        resume_unwind(payload);
    }
}

/// Runs a function and contains its panic, which has no caller to reach. Returns the payload if it
/// is an exception of ramie.
pub(super) fn guarded(f: impl FnOnce()) -> Option<Box<dyn Any + Send>> {
    let payload = catch_unwind(AssertUnwindSafe(f)).err()?;
    if payload.is::<Raised>() {
        return Some(payload);
    }
    // A payload may panic in its own destructor; the payload of that second panic is leaked.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        Box::leak(again);
    }
    None
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("taken", &self.shared.is_some()).finish_non_exhaustive()
    }
}
