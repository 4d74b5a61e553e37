//! The operations that a place must provide for the mapping functions to run there.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::rc::Weak;
use std::sync::Arc;

use ramie_hub::{Body, Failure, Greenlet, Observer, ScopedBody, Waitable, getcurrent};

use crate::group::Group;
use crate::pool::Pool;

/// A place that runs bodies of this kind; [`Mapping`](crate::Mapping) is built on it.
///
/// Groups and pools run every [`Body`]; a pool of threads runs bodies that are `Send`. A type that
/// implements this trait for all bodies it can run may implement [`Mapping`](crate::Mapping) with
/// an empty `impl`.
///
/// # Examples
///
/// ```
/// use std::panic::Location;
/// use ramie::hub::Body;
/// use ramie::pool::Spawn;
/// use ramie::{Greenlet, Mapping, spawn};
///
/// /// Runs everything, and remembers nothing.
/// #[derive(Clone)]
/// struct Anywhere;
///
/// impl<B: Body> Spawn<B> for Anywhere {
///     type Job = Greenlet<B::Value>;
///
///     fn spawn_at(&self, body: B, _site: &'static Location<'static>) -> Self::Job {
///         spawn(body)
///     }
///
///     fn try_spawn_at(&self, body: B, _site: &'static Location<'static>) -> Result<Self::Job, B> {
///         Ok(spawn(body))
///     }
///
///     fn cancel(&self, job: &Self::Job) {
///         job.kill_nowait();
///     }
///
///     fn is_inside(&self) -> bool {
///         false
///     }
/// }
///
/// impl Mapping for Anywhere {}
///
/// assert_eq!(Anywhere.map(0..3, |x| x * x).unwrap(), [0, 1, 4]);
/// ```
pub trait Spawn<B: Body>: Clone + 'static {
    /// The handle of a started body.
    type Job: Job<B::Value>;

    /// Starts the body, after waiting for capacity if necessary. `site` is the location of the call
    /// that the body is run for.
    fn spawn_at(&self, body: B, site: &'static Location<'static>) -> Self::Job;

    /// Starts the body as a greenlet of this thread if no wait is necessary, and gives the body
    /// back otherwise.
    ///
    /// # Errors
    ///
    /// The body, when there is no capacity or the place does not run greenlets.
    fn try_spawn_at(&self, body: B, site: &'static Location<'static>) -> Result<Greenlet<B::Value>, B>;

    /// Ends a job that has no waiter left, or prevents its start, as far as the place can. Does not
    /// wait.
    fn cancel(&self, job: &Self::Job);

    /// Returns `true` if the caller is run by this place, and so must not wait for capacity here.
    fn is_inside(&self) -> bool;

    /// Starts a body of a mapping, after waiting for capacity if necessary. This is
    /// [`spawn_at`](Spawn::spawn_at), unless the place has capacity for mappings that its own
    /// members wait for.
    fn spawn_mapped_at(&self, body: B, site: &'static Location<'static>) -> Self::Job {
        self.spawn_at(body, site)
    }

    /// Called before a greenlet waits for a mapping of this place. The returned value is dropped
    /// when that wait is over.
    ///
    /// A place with a limit can use it to track which of its members wait for others of its
    /// members.
    fn wait_for_mapping(&self) -> Option<Box<dyn Any>> {
        None
    }
}

/// A started job that will have a result.
pub trait Job<T>: Waitable + Clone + 'static {
    /// Waits for the end and takes the value out.
    ///
    /// # Errors
    ///
    /// The failure of the job.
    fn take(&self) -> Result<T, Failure>;

    /// Tells an observer of the end of the job, from a raw link. The link does not keep the observer
    /// alive.
    #[doc(hidden)]
    fn observe(&self, observer: Weak<dyn Observer>, place: u32) {
        self.rawlink(Box::new(move || {
            if let Some(observer) = observer.upgrade() {
                observer.observed(place);
            }
        }));
    }
}

impl<T: 'static> Job<T> for Greenlet<T> {
    fn take(&self) -> Result<T, Failure> {
        Greenlet::take(self)
    }

    fn observe(&self, observer: Weak<dyn Observer>, place: u32) {
        self.as_any().observe(observer, place);
    }
}

impl<B: Body> Spawn<B> for Group {
    type Job = Greenlet<B::Value>;

    fn spawn_at(&self, body: B, site: &'static Location<'static>) -> Self::Job {
        self.members.spawn(body, Some(site))
    }

    fn try_spawn_at(&self, body: B, site: &'static Location<'static>) -> Result<Greenlet<B::Value>, B> {
        self.members.spawn_within(body, None, Some(site))
    }

    fn cancel(&self, job: &Self::Job) {
        self.killone_nowait(job);
    }

    fn is_inside(&self) -> bool {
        self.contains(&getcurrent())
    }

    fn spawn_mapped_at(&self, body: B, site: &'static Location<'static>) -> Self::Job {
        self.members.spawn_mapped(body, site)
    }

    fn wait_for_mapping(&self) -> Option<Box<dyn Any>> {
        Some(Box::new(self.members.wait_for_mapping()?))
    }
}

impl<B: Body> Spawn<B> for Pool {
    type Job = Greenlet<B::Value>;

    fn spawn_at(&self, body: B, site: &'static Location<'static>) -> Self::Job {
        Group::spawn_at(self, body, site)
    }

    fn try_spawn_at(&self, body: B, site: &'static Location<'static>) -> Result<Greenlet<B::Value>, B> {
        Group::try_spawn_at(self, body, site)
    }

    fn cancel(&self, job: &Self::Job) {
        self.killone_nowait(job);
    }

    fn is_inside(&self) -> bool {
        self.contains(&getcurrent())
    }

    fn spawn_mapped_at(&self, body: B, site: &'static Location<'static>) -> Self::Job {
        Group::spawn_mapped_at(self, body, site)
    }

    fn wait_for_mapping(&self) -> Option<Box<dyn Any>> {
        Spawn::<B>::wait_for_mapping(self.as_group())
    }
}

/// The body that [`map`](crate::Mapping::map) and its variants run: a function and one of its
/// inputs.
pub struct Call<F, A> {
    f: Arc<F>,
    item: A,
}

impl<F, A> Call<F, A> {
    /// Returns the calls of one function for all items.
    pub(super) fn all(f: F, items: impl Iterator<Item = A>) -> impl Iterator<Item = Self> {
        let f = Arc::new(f);
        items.map(move |item| Call { f: f.clone(), item })
    }
}

impl<F, A, R> ScopedBody for Call<F, A>
where
    F: Fn(A) -> R + 'static,
    A: 'static,
    R: 'static,
{
    type Value = R;
    type Error = Infallible;

    fn run(self) -> Result<R, Infallible> {
        Ok((self.f)(self.item))
    }
}

impl<F, A> fmt::Debug for Call<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call(..)")
    }
}

/// The body that [`try_map`](crate::Mapping::try_map) and its variants run: a fallible function and
/// one of its inputs.
pub struct TryCall<F, A>(Call<F, A>);

impl<F, A> TryCall<F, A> {
    pub(super) fn all(f: F, items: impl Iterator<Item = A>) -> impl Iterator<Item = Self> {
        Call::all(f, items).map(TryCall)
    }
}

impl<F, A, R, E> ScopedBody for TryCall<F, A>
where
    F: Fn(A) -> Result<R, E> + 'static,
    A: 'static,
    R: 'static,
    E: fmt::Debug + fmt::Display + 'static,
{
    type Value = R;
    type Error = E;

    fn run(self) -> Result<R, E> {
        (self.0.f)(self.0.item)
    }
}

impl<F, A> fmt::Debug for TryCall<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TryCall(..)")
    }
}
