//! Sources of readiness: sockets and other objects that the system can poll, waited for by any
//! number of greenlets.
//!
//! [`Io`] holds a source and registers it once, when a greenlet first has to wait: an operation is
//! tried first, and waits only if it would block. A source that never blocks is never registered.
//!
//! [`wait_read`](crate::wait_read) and [`wait_write`](crate::wait_write) wait for a descriptor that
//! is held elsewhere.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::system;
use super::system::Source;
use super::wait::{closed_error, wait_for_slot};
use crate::reactor::poller::{Direction, SourceId};
use crate::scheduler::current;
use crate::scheduler::{Core, IoWaiter, Item, LinkCell, PollWakers};
use crate::task::LinkId;
use crate::wait::limit::Limit;

/// A source with operations that wait for readiness instead of blocking the thread.
///
/// The source must be in non-blocking mode. It belongs to the hub of the thread on which it is
/// first waited for, so an `Io` is not `Send`; [`into_inner`](Io::into_inner) returns the source
/// for use on another thread.
///
/// # Examples
///
/// ```
/// # #[cfg(unix)] fn main() -> std::io::Result<()> {
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use ramie::hub::Io;
/// use ramie::spawn;
///
/// let (left, right) = UnixStream::pair()?;
/// left.set_nonblocking(true)?;
/// let left = Io::new(left)?;
/// let reader = spawn(move || {
///     let mut buffer = [0; 5];
///     let read = left.read_with(None, |mut stream| stream.read(&mut buffer));
///     (read.unwrap(), buffer)
/// });
/// (&right).write_all(b"hello")?;
/// assert_eq!(reader.get().unwrap(), (5, *b"hello"));
/// # Ok(()) }
/// # #[cfg(not(unix))] fn main() {}
/// ```
pub struct Io<S: Source> {
    /// `None` only while `into_inner` takes the value apart.
    source: Option<S>,
    id: Cell<Option<SourceId>>,
    closed: Cell<bool>,
    released: Cell<bool>,
    /// The wakers of futures, once one has waited.
    wakers: OnceCell<Rc<PollWakers>>,
    here: PhantomData<*const ()>,
}

impl<S: Source> Io<S> {
    /// Creates an `Io` from a source that is in non-blocking mode.
    ///
    /// # Errors
    ///
    /// When the registration fails, on systems that must register a source at its creation.
    pub fn new(source: S) -> io::Result<Self> {
        let mut source = source;
        let id = system::register_early(&mut source)?;
        Ok(Io {
            source: Some(source),
            id: Cell::new(id),
            closed: Cell::new(false),
            released: Cell::new(false),
            wakers: OnceCell::new(),
            here: PhantomData,
        })
    }

    /// Returns the source.
    pub fn get_ref(&self) -> &S {
        self.source.as_ref().expect("the source is there until into_inner")
    }

    /// Returns the source, still in non-blocking mode. No greenlet can be waiting, since a wait
    /// borrows the `Io`.
    pub fn into_inner(mut self) -> S {
        self.deregister();
        self.source.take().expect("the source is there until into_inner")
    }

    /// Runs an operation that reads; whenever it would block, waits until the source may be read.
    ///
    /// An operation that need not wait does not let other greenlets run, except for one yield in
    /// about every 128 operations.
    ///
    /// # Errors
    ///
    /// The operation's own errors; `TimedOut` when the time was up during a wait; `EBADF` when the
    /// source was [closed](Io::close).
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout inside means that no operation has succeeded: nothing is consumed.
    pub fn read_with<R>(
        &self,
        limit: impl Into<Limit>,
        op: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.retry(Direction::Read, limit.into(), None, op)
    }

    /// Runs an operation that writes; whenever it would block, waits until the source may be
    /// written.
    ///
    /// # Errors
    ///
    /// As [`read_with`](Io::read_with).
    ///
    /// # Cancellation
    ///
    /// As [`read_with`](Io::read_with).
    pub fn write_with<R>(
        &self,
        limit: impl Into<Limit>,
        op: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.retry(Direction::Write, limit.into(), None, op)
    }

    /// Reads into a buffer like [`read_with`](Io::read_with). A short read marks the source as
    /// drained, so that the next call waits without an attempt that would block.
    ///
    /// # Errors
    ///
    /// As [`read_with`](Io::read_with).
    ///
    /// # Cancellation
    ///
    /// As [`read_with`](Io::read_with).
    pub fn read_into(
        &self,
        limit: impl Into<Limit>,
        wanted: usize,
        mut op: impl FnMut(&S) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let limit = limit.into();
        let mut deadline = None;
        if system::SHORT_READ_DRAINS && !self.closed.get() {
            if let Some(id) = self.id.get() {
                let core = current::core();
                if core.with_slot(id, |slot| slot.known_empty()) == Some(true) {
                    deadline = limit.deadline(&core);
                    self.wait(&core, Direction::Read, deadline)?;
                }
            }
        }
        let read = self.retry(Direction::Read, limit, deadline, &mut op)?;
        if 0 < read && read < wanted {
            if let Some(id) = self.id.get() {
                current::core().with_slot(id, |slot| slot.drained(Direction::Read));
            }
        }
        Ok(read)
    }

    /// Runs an operation that reads, if it need not wait; returns `None` when it would block. Does
    /// not let other greenlets run.
    ///
    /// # Errors
    ///
    /// The operation's own errors; `EBADF` when the source was [closed](Io::close).
    pub fn try_read_with<R>(&self, op: impl FnMut(&S) -> io::Result<R>) -> io::Result<Option<R>> {
        self.attempt(Direction::Read, op)
    }

    /// Runs an operation that writes, if it need not wait; see
    /// [`try_read_with`](Io::try_read_with).
    ///
    /// # Errors
    ///
    /// As [`try_read_with`](Io::try_read_with).
    pub fn try_write_with<R>(&self, op: impl FnMut(&S) -> io::Result<R>) -> io::Result<Option<R>> {
        self.attempt(Direction::Write, op)
    }

    /// Runs an operation like [`read_with`](Io::read_with), for a source that must be borrowed
    /// mutably to be read.
    ///
    /// # Errors
    ///
    /// As [`read_with`](Io::read_with).
    pub fn read_mut_with<R>(
        &mut self,
        limit: impl Into<Limit>,
        op: impl FnMut(&mut S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.retry_mut(Direction::Read, limit.into(), op)
    }

    /// Runs an operation like [`write_with`](Io::write_with), for a source that must be borrowed
    /// mutably to be written.
    ///
    /// # Errors
    ///
    /// As [`read_with`](Io::read_with).
    pub fn write_mut_with<R>(
        &mut self,
        limit: impl Into<Limit>,
        op: impl FnMut(&mut S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.retry_mut(Direction::Write, limit.into(), op)
    }

    /// Returns `true` if an attempt to read may succeed: an event has been reported, or nothing is
    /// known yet.
    pub fn maybe_readable(&self) -> bool {
        let Some(id) = self.id.get() else { return true };
        self.closed.get() || current::core().with_slot(id, |slot| slot.ready(Direction::Read)) != Some(false)
    }

    /// Calls `f` in the hub when the source may be read: the raw link of a
    /// [`Waitable`](crate::Waitable). If an attempt may succeed already, `f` is called in a later
    /// turn.
    pub fn link_readable(&self, f: Box<dyn FnOnce()>) -> LinkId {
        let core = current::core();
        let id = core.new_link();
        if self.id.get().is_none() && !self.closed.get() {
            // A source that cannot be registered reports the error when it is read, so an attempt
            // counts as possible.
            self.id.set(system::register(&core, self.get_ref()).unwrap_or(None));
        }
        let Some(source) = self.id.get() else {
            core.run_callback(f);
            return id;
        };
        let link = Rc::new(Cell::new(Some(f)));
        core.with_slot(source, |slot| {
            slot.add_waiter(Direction::Read, id.0, IoWaiter::Link(link.clone()));
        });
        core.add_refs(1);
        if self.maybe_readable() {
            call_later(&core, source, id.0, link);
        }
        id
    }

    /// Removes a link of [`link_readable`](Io::link_readable). Does nothing if the link is gone.
    pub fn unlink_readable(&self, id: LinkId) {
        if let (Some(source), Some(core)) = (self.id.get(), current::try_core()) {
            drop(core.take_link(source, id.0));
        }
    }

    /// Waits until the source may be read, or reports an error or its end. Lets other greenlets run
    /// if it waits.
    ///
    /// # Errors
    ///
    /// As [`read_with`](Io::read_with).
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the source as it is.
    pub fn wait_readable(&self, limit: impl Into<Limit>) -> io::Result<()> {
        self.wait_ready(Direction::Read, limit.into())
    }

    /// Waits until the source may be written, or reports an error. Lets other greenlets run if it
    /// waits.
    ///
    /// # Errors
    ///
    /// As [`read_with`](Io::read_with).
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the source as it is.
    pub fn wait_writable(&self, limit: impl Into<Limit>) -> io::Result<()> {
        self.wait_ready(Direction::Write, limit.into())
    }

    /// Returns ready if an attempt to read may succeed or reports an error. Otherwise `cx` is woken
    /// when that is so. For executors on this thread that let the hub run while a future is pending.
    ///
    /// The waker of the last poll is the one that is woken; reading and writing have one waker each.
    /// Greenlets may wait for the source at the same time. Attempts must be made by
    /// [`try_read_with`](Io::try_read_with), which records that an attempt would have blocked: until
    /// then every poll is ready. Does not let other greenlets run, and does not keep the loop alive.
    ///
    /// After about 128 polls that were ready, and once the loop has not polled for the switch
    /// interval, it wakes `cx` and returns pending, so that a future that never has to wait lets
    /// other greenlets run.
    ///
    /// # Errors
    ///
    /// `EBADF` when the source was [closed](Io::close), which wakes `cx`; an error of the
    /// registration.
    ///
    /// # Cancellation
    ///
    /// The last waker is kept until it is woken or the `Io` is closed or dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(unix)] fn main() -> std::io::Result<()> {
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use std::task::{Context, Poll, Waker};
    /// use ramie::hub::Io;
    ///
    /// /// The `poll_read` of a future or a stream.
    /// fn poll_read(
    ///     stream: &Io<UnixStream>,
    ///     cx: &mut Context<'_>,
    ///     buffer: &mut [u8],
    /// ) -> Poll<std::io::Result<usize>> {
    ///     loop {
    ///         if let Some(read) = stream.try_read_with(|mut stream| stream.read(buffer))? {
    ///             return Poll::Ready(Ok(read));
    ///         }
    ///         std::task::ready!(stream.poll_readable(cx))?;
    ///     }
    /// }
    ///
    /// let (near, far) = UnixStream::pair()?;
    /// near.set_nonblocking(true)?;
    /// let near = Io::new(near)?;
    /// let mut cx = Context::from_waker(Waker::noop());
    /// let mut buffer = [0; 5];
    /// assert!(poll_read(&near, &mut cx, &mut buffer).is_pending());
    /// (&far).write_all(b"hello")?;
    /// while let Poll::Pending = poll_read(&near, &mut cx, &mut buffer) {
    ///     ramie::sleep(std::time::Duration::from_millis(1));
    /// }
    /// assert_eq!(&buffer, b"hello");
    /// # Ok(()) }
    /// # #[cfg(not(unix))] fn main() {}
    /// ```
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(Direction::Read, cx)
    }

    /// Returns ready if an attempt to write may succeed or reports an error, like
    /// [`poll_readable`](Io::poll_readable). Attempts must be made by
    /// [`try_write_with`](Io::try_write_with).
    ///
    /// # Errors
    ///
    /// As [`poll_readable`](Io::poll_readable).
    ///
    /// # Cancellation
    ///
    /// As [`poll_readable`](Io::poll_readable).
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(Direction::Write, cx)
    }

    /// Runs an operation that reads, in a future: if it would block, `cx` is woken when it may
    /// succeed; see [`poll_readable`](Io::poll_readable).
    ///
    /// # Errors
    ///
    /// The operation's own errors, and those of [`poll_readable`](Io::poll_readable).
    ///
    /// # Cancellation
    ///
    /// As [`poll_readable`](Io::poll_readable).
    pub fn poll_read_with<R>(
        &self,
        cx: &mut Context<'_>,
        op: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_with(Direction::Read, cx, op)
    }

    /// Runs an operation that writes, in a future, like [`poll_read_with`](Io::poll_read_with).
    ///
    /// # Errors
    ///
    /// As [`poll_read_with`](Io::poll_read_with).
    ///
    /// # Cancellation
    ///
    /// As [`poll_readable`](Io::poll_readable).
    pub fn poll_write_with<R>(
        &self,
        cx: &mut Context<'_>,
        op: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_with(Direction::Write, cx, op)
    }

    /// Closes the `Io`: every operation fails from now on, and waiting operations are woken with an
    /// error in a later turn of the queue. A future that polls for readiness is woken at once.
    ///
    /// The source itself stays open until the `Io` is dropped, since other code may have borrowed
    /// it. Does not let other greenlets run.
    pub fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        let (Some(id), Some(core)) = (self.id.get(), current::try_core()) else { return };
        let mut tokens = Vec::new();
        let mut links = Vec::new();
        core.with_slot(id, |slot| {
            for (key, waiter) in slot.waiters() {
                match waiter {
                    IoWaiter::Greenlet(token) => tokens.push(*token),
                    IoWaiter::Link(link) => links.push((*key, link.clone())),
                    IoWaiter::Poll(_) => {}
                    #[cfg(unix)]
                    IoWaiter::Watcher(_) => {}
                }
            }
        });
        for (key, link) in links {
            drop(core.take_link(id, key));
            call_later(&core, id, key, link);
        }
        if !tokens.is_empty() {
            core.push(Item::Close(tokens));
        }
        self.deregister();
        if let Some(wakers) = self.wakers.get() {
            wakers.wake(Direction::Read);
            wakers.wake(Direction::Write);
        }
    }

    /// Returns `true` if it was [closed](Io::close).
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Closes the source, and the file at its descriptor: an end of a pipe, a socket with its
    /// address. Does not let other greenlets run.
    ///
    /// The source keeps its number. From then on an ended stream is open at that number. If there
    /// is no descriptor left for this, the call does the same as [`close`](Io::close), and the file
    /// is closed when the `Io` is dropped.
    #[cfg(unix)]
    #[doc(hidden)]
    pub fn release(&self)
    where
        S: super::OwnsFd,
    {
        self.close();
        if !self.released.get() {
            self.released.set(super::release::release(self.get_ref()).is_ok());
        }
    }

    /// Returns `true` if its descriptor was [released](Io::release).
    #[doc(hidden)]
    pub fn is_released(&self) -> bool {
        self.released.get()
    }

    fn retry<R>(
        &self,
        direction: Direction,
        limit: Limit,
        mut deadline: Option<u64>,
        mut op: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        current::core().renew_io();
        loop {
            self.check_open()?;
            let tried = op(self.get_ref());
            if let Some(done) = self.settle(direction, limit, &mut deadline, tried)? {
                return Ok(done);
            }
        }
    }

    fn retry_mut<R>(
        &mut self,
        direction: Direction,
        limit: Limit,
        mut op: impl FnMut(&mut S) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut deadline = None;
        current::core().renew_io();
        loop {
            self.check_open()?;
            let tried = op(self.source.as_mut().expect("the source is there until into_inner"));
            if let Some(done) = self.settle(direction, limit, &mut deadline, tried)? {
                return Ok(done);
            }
        }
    }

    /// Evaluates an attempt. Waits and returns `None` when the attempt must be repeated.
    fn settle<R>(
        &self,
        direction: Direction,
        limit: Limit,
        deadline: &mut Option<u64>,
        tried: io::Result<R>,
    ) -> io::Result<Option<R>> {
        let core = current::core();
        match tried {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if deadline.is_none() {
                    *deadline = limit.deadline(&core);
                }
                self.would_block(&core, direction)?;
                self.wait(&core, direction, *deadline)?;
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            done => {
                core.spend_io();
                done.map(Some)
            }
        }
    }

    /// Makes an attempt that does not wait.
    fn attempt<R>(
        &self,
        direction: Direction,
        mut op: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<Option<R>> {
        loop {
            self.check_open()?;
            match op(self.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.would_block(&current::core(), direction)?;
                    return Ok(None);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done.map(Some),
            }
        }
    }

    fn check_open(&self) -> io::Result<()> {
        if self.closed.get() { Err(closed_error()) } else { Ok(()) }
    }

    fn wait_ready(&self, direction: Direction, limit: Limit) -> io::Result<()> {
        let core = current::core();
        self.check_open()?;
        // Nothing was tried, so readiness that exists already must be reported too.
        match self.id.get() {
            Some(id) => system::rearm(&core, id, self.get_ref())?,
            None => drop(self.register(&core)?),
        }
        self.wait(&core, direction, limit.deadline(&core))
    }

    fn poll_with<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let core = current::core();
        ready!(poll_turn(&core, cx));
        loop {
            if let Some(done) = self.attempt(direction, &mut op)? {
                core.spend_io();
                return Poll::Ready(Ok(done));
            }
            ready!(self.poll_slot(&core, direction, cx))?;
        }
    }

    fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let core = current::core();
        ready!(poll_turn(&core, cx));
        let polled = self.poll_slot(&core, direction, cx);
        if polled.is_ready() {
            core.spend_io();
        }
        polled
    }

    fn poll_slot(&self, core: &Core, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_open()?;
        let id = match self.id.get() {
            Some(id) => Some(id),
            None => self.register(core)?,
        };
        // A source that the system cannot poll never blocks for long.
        let Some(id) = id else { return Poll::Ready(Ok(())) };
        match core.with_slot(id, |slot| slot.ready(direction)) {
            Some(true) => return Poll::Ready(Ok(())),
            Some(false) => {}
            None => return Poll::Ready(Err(closed_error())),
        }
        let wakers = self.wakers.get_or_init(|| {
            let wakers = Rc::<PollWakers>::default();
            let key = core.new_number();
            core.with_slot(id, |slot| {
                for direction in [Direction::Read, Direction::Write] {
                    slot.add_waiter(direction, key, IoWaiter::Poll(wakers.clone()));
                }
            });
            wakers
        });
        drop(wakers.replace(direction, cx.waker().clone()));
        Poll::Pending
    }

    /// Ensures that the next event reports new readiness: registers the source, or clears its
    /// readiness bit.
    fn would_block(&self, core: &Core, direction: Direction) -> io::Result<()> {
        match self.id.get() {
            Some(id) => {
                core.with_slot(id, |slot| slot.would_block(direction));
                Ok(())
            }
            None => self.register(core).map(drop),
        }
    }

    /// Registers the source. Returns `None` if the system cannot poll it.
    fn register(&self, core: &Core) -> io::Result<Option<SourceId>> {
        let id = system::register(core, self.get_ref())?;
        self.id.set(id);
        Ok(id)
    }

    fn wait(&self, core: &Core, direction: Direction, deadline: Option<u64>) -> io::Result<()> {
        match self.id.get() {
            Some(id) => wait_for_slot(core, id, direction, deadline),
            // The system cannot poll the source, so it never blocks for long: yield and try again.
            None => {
                core.yield_now();
                Ok(())
            }
        }
    }

    fn deregister(&self) {
        if let (Some(id), Some(core)) = (self.id.take(), current::try_core()) {
            if let Some(source) = &self.source {
                system::deregister(&core, id, source);
            }
        }
    }
}

impl<S: Source> Drop for Io<S> {
    fn drop(&mut self) {
        self.deregister();
    }
}

impl<S: Source + fmt::Debug> fmt::Debug for Io<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io")
            .field("source", &self.source)
            .field("registered", &self.id.get().is_some())
            .field("closed", &self.closed.get())
            .finish_non_exhaustive()
    }
}

/// Returns pending, and wakes the future, if it has made many operations that did not have to wait:
/// others have their turn first.
fn poll_turn(core: &Core, cx: &Context<'_>) -> Poll<()> {
    if core.ends_turn() {
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    Poll::Ready(())
}

/// Queues the call of a link.
fn call_later(core: &Core, source: SourceId, key: u64, link: Rc<LinkCell>) {
    core.run_callback(Box::new(move || current::core().call_link(source, key, &link)));
}
