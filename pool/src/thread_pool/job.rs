//! A job on its way: from the hub that spawns it through the queue to a thread, and its result back.

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

/// What stands in the queue.
pub(super) trait Entry: Send {
    /// Runs it on this thread; whatever comes of it goes where it belongs.
    fn run(self: Box<Self>);
    /// Ends it unrun.
    fn refuse(self: Box<Self>, why: &Refusal<'_>);
    /// Returns the name of the function, for a report of what keeps the threads busy.
    fn what(&self) -> &'static str;
}

/// Why a job is not run.
pub(super) enum Refusal<'a> {
    Abandoned,
    NoThread(&'a io::Error),
}

/// The room that a job takes in its pool, and its share of what is unfinished. Given back when it is dropped, wherever.
pub(super) struct Room {
    shared: Option<Arc<Shared>>,
    limited: bool,
}

impl Room {
    /// No room yet.
    pub(super) fn none() -> Self {
        Room { shared: None, limited: true }
    }

    /// Takes over what was counted under the lock.
    pub(super) fn counted(shared: &Arc<Shared>, limited: bool) -> Self {
        Room { shared: Some(shared.clone()), limited }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.state.lock().give_room(self.limited);
        }
    }
}

/// A body, and where its result goes.
pub(super) struct Task<B>
where
    B: Body,
{
    body: B,
    reply: Reply<Done<B::Value, B::Error>>,
    pub(super) room: Room,
}

/// What becomes of a body, on its way home. Wherever it is dropped, its room is given back.
struct Done<T, E> {
    end: End<T, E>,
    room: Room,
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
    /// A job of this hub, without room yet. Its result arrives in one turn: room, report, result.
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
        Box::new(Task { body, reply, room: Room::none() })
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

/// The same error once more, for another job.
fn copy(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}

/// A function that has its own way to tell what comes of it. Dropped unrun if the pool is given up.
pub(super) struct Plain {
    pub(super) f: Box<dyn FnOnce() + Send>,
    pub(super) room: Room,
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

/// Runs a body right here, for a caller who must not wait for room: errors and panics are the body's, everything that ramie
/// raises is the caller's.
pub(super) fn run_inline<B: Body>(body: B, site: &'static Location<'static>) -> AsyncResult<B::Value> {
    let result = AsyncResult::new();
    match catch_unwind(AssertUnwindSafe(|| body.run())) {
        Ok(Ok(value)) => result.set(value),
        Ok(Err(error)) => {
            let failure = Failure::from(Exception::new(error));
            if let Some(exit) = failure.downcast_ref::<SystemExit>() {
                // It ends the job around it, and so gets where it belongs.
                raise(*exit);
            }
            fail(&result, failure, site);
        }
        Err(payload) if payload.is::<Raised>() => resume_unwind(payload),
        Err(payload) => fail(&result, Failure::panicked(payload), site),
    }
    result
}

/// Ends all of them unrun. Their destructors may fail, which the panic hook has told, or be interrupted, which goes on in the
/// caller once all are done.
pub(super) fn refuse_all(entries: Vec<Box<dyn Entry>>, why: &Refusal<'_>) {
    let mut raised = None;
    for entry in entries {
        raised = raised.or(guarded(|| entry.refuse(why)));
    }
    if let Some(payload) = raised {
        resume_unwind(payload);
    }
}

/// Runs what may panic where that has nowhere to go; returns the payload if it is an exception of ramie's.
pub(super) fn guarded(f: impl FnOnce()) -> Option<Box<dyn Any + Send>> {
    let payload = catch_unwind(AssertUnwindSafe(f)).err()?;
    if payload.is::<Raised>() {
        return Some(payload);
    }
    // A payload may panic in its own destructor; what that panics with is let go of for good.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        Box::leak(again);
    }
    None
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("taken", &self.shared.is_some()).finish_non_exhaustive()
    }
}
