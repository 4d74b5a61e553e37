//! The creation and start of greenlets.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use crate::greenlet::handle::Greenlet;
use crate::scheduler::current;
use crate::stack::{DEFAULT_STACK_SIZE, MIN_STACK_SIZE};
use crate::task::body::Body;
use crate::task::{AnyGreenlet, Kind, SpawnCallback, TaskRef};

/// A builder for greenlets with a name, a stack size or other settings that differ from the
/// defaults.
///
/// # Examples
///
/// ```
/// use ramie::Builder;
///
/// let g = Builder::new().name("deep").stack_size(1 << 20).spawn(|| 5);
/// assert_eq!(g.name(), "deep");
/// assert_eq!(g.get().unwrap(), 5);
/// ```
#[derive(Clone, Default)]
pub struct Builder {
    name: Option<Rc<str>>,
    stack_size: Option<usize>,
    site: Option<&'static Location<'static>>,
    prepare: Option<SpawnCallback>,
}

impl Builder {
    /// Creates a builder with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name of the greenlet.
    #[must_use]
    pub fn name(mut self, name: impl Into<Rc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the size of the stack in bytes. The size is rounded up to the granularity of the system
    /// and of the stack pool, at least 16 KiB. The default is 256 KiB of address space, of which
    /// only touched pages take memory.
    ///
    /// If the system refuses the size, the greenlet fails at its start with
    /// [`StackError`](crate::StackError).
    #[must_use]
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes.max(MIN_STACK_SIZE));
        self
    }

    /// Sets the [spawn site](AnyGreenlet::spawn_site) of the greenlet, for code that spawns on
    /// behalf of another place in the program. The default is the place where the greenlet is
    /// created.
    #[must_use]
    pub fn spawn_site(mut self, site: &'static Location<'static>) -> Self {
        self.site = Some(site);
        self
    }

    /// Sets a function that is called with every created greenlet, before any other code has the
    /// greenlet. It replaces `__init__` of a subclass of gevent's `Greenlet`.
    ///
    /// `f` runs on the stack of the caller that creates the greenlet. It may wait, and may start or
    /// kill the greenlet. A panic or an exception of `f` continues in that caller, and the greenlet
    /// is not started. A greenlet of a [`scope`](crate::scope) then ends as if killed, unless `f`
    /// has started it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc};
    /// use ramie::Builder;
    ///
    /// let ended = Rc::new(Cell::new(0));
    /// let count = ended.clone();
    /// let counted = Builder::new().prepare(move |greenlet| {
    ///     let count = count.clone();
    ///     greenlet.rawlink(move |_| count.set(count.get() + 1));
    /// });
    /// counted.spawn(|| 5).join();
    /// counted.spawn(|| "of another type").join();
    /// assert_eq!(ended.get(), 2);
    /// ```
    #[must_use]
    pub fn prepare(mut self, f: impl Fn(&AnyGreenlet) + 'static) -> Self {
        self.prepare = Some(Rc::new(f));
        self
    }

    /// Creates a greenlet without starting it.
    #[track_caller]
    pub fn create<B: Body>(&self, body: B) -> Greenlet<B::Value> {
        self.create_at(body, self.site_or(Location::caller()))
    }

    /// Creates a greenlet like [`create`](Builder::create), with this spawn site.
    #[doc(hidden)]
    pub fn create_at<B: Body>(&self, body: B, site: &'static Location<'static>) -> Greenlet<B::Value> {
        let greenlet = Greenlet::from_record(self.record(body, site));
        self.prepare_one(&greenlet);
        greenlet
    }

    /// Creates a greenlet and queues its start. Does not let other greenlets run.
    #[track_caller]
    pub fn spawn<B: Body>(&self, body: B) -> Greenlet<B::Value> {
        let greenlet = self.create(body);
        greenlet.start();
        greenlet
    }

    /// Creates a greenlet that starts after a delay. Does not let other greenlets run.
    #[track_caller]
    pub fn spawn_later<B: Body>(&self, after: Duration, body: B) -> Greenlet<B::Value> {
        let greenlet = self.create(body);
        greenlet.start_later(after);
        greenlet
    }

    pub(crate) fn site_or(&self, caller: &'static Location<'static>) -> &'static Location<'static> {
        self.site.unwrap_or(caller)
    }

    /// Calls the function set by [`prepare`](Builder::prepare).
    pub(crate) fn prepare_one(&self, greenlet: &AnyGreenlet) {
        if let Some(prepare) = &self.prepare {
            prepare(greenlet);
        }
    }

    /// Creates the record of a greenlet. Calls no user code.
    pub(crate) fn record<B: Body>(&self, body: B, site: &'static Location<'static>) -> TaskRef {
        let record =
            current::core().record(Kind::Greenlet, body, site, self.stack_size.unwrap_or(DEFAULT_STACK_SIZE));
        if let Some(name) = &self.name {
            AnyGreenlet::from(&record).set_name(name.clone());
        }
        record
    }
}

impl<T: 'static> Greenlet<T> {
    /// Creates a greenlet without starting it.
    #[track_caller]
    pub fn new<B: Body<Value = T>>(body: B) -> Self {
        Builder::new().create(body)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("stack_size", &self.stack_size)
            .field("spawn_site", &self.site)
            .field("prepares", &self.prepare.is_some())
            .finish()
    }
}

/// Creates a greenlet and queues its start. The greenlet runs when the caller next waits, after
/// everything that is already queued.
///
/// Does not let other greenlets run. The closure need not be `Send`: a greenlet never leaves its
/// thread. If it returns a `Result`, an `Err` counts as a value unless the closure is wrapped in
/// [`fallible`](crate::fallible).
///
/// # Examples
///
/// ```
/// use std::{cell::RefCell, rc::Rc};
/// use ramie::{joinall, spawn};
///
/// let log = Rc::new(RefCell::new(Vec::new()));
/// let greenlets: Vec<_> = (0..3).map(|i| {
///     let log = log.clone();
///     spawn(move || log.borrow_mut().push(i))
/// }).collect();
/// joinall(&greenlets);
/// assert_eq!(*log.borrow(), [0, 1, 2]);
/// ```
#[track_caller]
pub fn spawn<B: Body>(body: B) -> Greenlet<B::Value> {
    let core = current::core();
    let record = core.record(Kind::Greenlet, body, Location::caller(), DEFAULT_STACK_SIZE);
    core.start(&record);
    Greenlet::from_record(record)
}

/// Creates a greenlet that starts after a delay. Does not let other greenlets run.
///
/// A zero delay is due at the next poll, after everything that is spawned in the same turn of the
/// loop.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// let g = ramie::spawn_later(Duration::from_millis(1), || 5);
/// assert_eq!(g.get().unwrap(), 5);
/// ```
#[track_caller]
pub fn spawn_later<B: Body>(after: Duration, body: B) -> Greenlet<B::Value> {
    Builder::new().spawn_later(after, body)
}

/// Starts a bare greenlet: gevent's `spawn_raw`. Does not let other greenlets run.
///
/// The greenlet has no result. A [kill](AnyGreenlet::kill) before its first turn does not prevent
/// its start: the exception is raised at its first wait.
///
/// # Examples
///
/// ```
/// let raw = ramie::hub::spawn_raw(|| println!("hello"));
/// raw.join();
/// assert!(raw.dead());
/// ```
#[track_caller]
pub fn spawn_raw(f: impl FnOnce() + 'static) -> AnyGreenlet {
    let core = current::core();
    let record = core.record(Kind::Raw, f, Location::caller(), DEFAULT_STACK_SIZE);
    core.start(&record);
    AnyGreenlet { record }
}

/// Registers a callback that is called with every greenlet of this hub at its start. Returns the id
/// for [`remove_spawn_callback`].
///
/// The callback must not wait.
///
/// # Examples
///
/// ```
/// use ramie::hub::{add_spawn_callback, remove_spawn_callback};
/// use ramie::spawn;
///
/// let id = add_spawn_callback(|greenlet| println!("started {}", greenlet.name()));
/// spawn(|| ()).join();
/// assert!(remove_spawn_callback(id));
/// ```
pub fn add_spawn_callback(callback: impl Fn(&AnyGreenlet) + 'static) -> SpawnCallbackId {
    SpawnCallbackId(current::core().add_spawn_callback(Rc::new(callback)), PhantomData)
}

/// Removes a spawn callback. Returns `false` when it was removed before.
pub fn remove_spawn_callback(id: SpawnCallbackId) -> bool {
    current::core().remove_spawn_callback(id.0)
}

/// The id of a spawn callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpawnCallbackId(u64, PhantomData<*const ()>);
