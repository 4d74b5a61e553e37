//! mio's poll and the slab of registered sources. Reports ready sources and wakes nothing.
//!
//! A source is registered once, edge-triggered, for both directions. Its token is its index in the
//! slab joined with a generation, so that an event of a source that was removed is ignored. The
//! readiness bits live in the slot and are set with or without a waiter, so an edge without a
//! waiter is not lost.

#![cfg_attr(
    unix,
    expect(unsafe_code, reason = "lends the descriptor of the poll, which is then never closed")
)]

use std::io;
#[cfg(unix)]
use std::mem::ManuallyDrop;
#[cfg(unix)]
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mio::{Events, Interest, Poll, Registry, Token, Waker};
use slab::Slab;

/// The direction of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// A registered source and its waiters.
pub(crate) struct Slot<W> {
    generation: u32,
    ready: [bool; 2],
    /// `true` once the other side has sent its last byte: from then on a read never has to wait.
    finished: [bool; 2],
    /// `true` once there was urgent data: reads then stop short at its mark, so a short read proves
    /// nothing.
    urgent: bool,
    /// A duplicate that is registered instead, because the descriptor itself has been registered
    /// elsewhere.
    #[cfg(unix)]
    duplicate: Option<OwnedFd>,
    /// The waiters of each direction, each with the number of its wait.
    waiters: [Vec<(u64, W)>; 2],
}

impl<W> Slot<W> {
    pub(crate) fn ready(&self, direction: Direction) -> bool {
        self.ready[direction as usize] || self.finished[direction as usize]
    }

    /// Returns `true` if the last read took everything and nothing has been reported since.
    pub(crate) fn known_empty(&self) -> bool {
        !self.ready(Direction::Read)
    }

    /// Records that the last attempt would have blocked: only a new event makes the direction ready
    /// again.
    pub(crate) fn would_block(&mut self, direction: Direction) {
        self.ready[direction as usize] = false;
        self.finished[direction as usize] = false;
    }

    /// Records that the last attempt took all available data. The next attempt may still find the
    /// end of the stream.
    pub(crate) fn drained(&mut self, direction: Direction) {
        if !self.urgent {
            self.ready[direction as usize] = false;
        }
    }

    /// Appends a waiter, which is reported with `key` when the direction becomes ready.
    pub(crate) fn add_waiter(&mut self, direction: Direction, key: u64, waiter: W) {
        self.waiters[direction as usize].push((key, waiter));
    }

    /// Removes the waiter with `key`. Returns `None` if it is gone.
    pub(crate) fn remove_waiter(&mut self, direction: Direction, key: u64) -> Option<W> {
        let waiters = &mut self.waiters[direction as usize];
        let at = waiters.iter().position(|(other, _)| *other == key)?;
        Some(waiters.remove(at).1)
    }

    /// Returns the waiters of both directions, each with the key of its registration.
    pub(crate) fn waiters(&self) -> impl Iterator<Item = &(u64, W)> {
        self.waiters.iter().flatten()
    }
}

#[cfg(unix)]
impl<W> Slot<W> {
    /// Returns the number of the duplicate that is registered instead of the descriptor, if any.
    pub(super) fn duplicate(&self) -> Option<RawFd> {
        self.duplicate.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Keeps a duplicate open for as long as it is registered.
    pub(super) fn set_duplicate(&mut self, duplicate: OwnedFd) {
        self.duplicate = Some(duplicate);
    }

    /// Takes the duplicate out, so that the caller can close it.
    pub(super) fn take_duplicate(&mut self) -> Option<OwnedFd> {
        self.duplicate.take()
    }
}

/// The id of a registered source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceId {
    index: u32,
    generation: u32,
}

impl SourceId {
    pub(crate) fn token(self) -> Token {
        Token(((u64::from(self.generation) << 32) | u64::from(self.index)) as usize)
    }

    fn from_token(token: Token) -> SourceId {
        SourceId { index: token.0 as u32, generation: (token.0 as u64 >> 32) as u32 }
    }
}

// A token carries an index and a generation of 32 bits each.
const _: () = assert!(usize::BITS == 64, "ramie needs a 64-bit system");

/// The waker's token: no slot has this index.
const WAKER: Token = Token(usize::MAX);

/// The maximum number of events that one poll collects.
const EVENTS: usize = 1024;

/// The poll and its sources, with waiters of type `W`.
pub(crate) struct Poller<W> {
    /// The poll; `None` once the poller is closed.
    poll: Option<Poll>,
    events: Events,
    slots: Slab<Slot<W>>,
    /// The sources and directions that have become ready and were not taken yet.
    ready: Vec<(SourceId, Direction)>,
    /// `true` once the descriptor of the poll was borrowed: it is never closed then.
    #[cfg(unix)]
    borrowed: bool,
}

impl<W> Poller<W> {
    pub(crate) fn new() -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let events = Events::with_capacity(EVENTS);
        let poller = Poller {
            poll: Some(poll),
            events,
            slots: Slab::new(),
            ready: Vec::new(),
            #[cfg(unix)]
            borrowed: false,
        };
        Ok((poller, waker))
    }

    /// Registers a source. `add` gets the registry, the token and the interest.
    pub(crate) fn register(
        &mut self,
        add: impl FnOnce(&Registry, Token, Interest) -> io::Result<()>,
        interest: Interest,
    ) -> io::Result<SourceId> {
        // One counter for all hubs: a source registered in one hub may be dropped when its thread
        // has another hub.
        static GENERATIONS: AtomicU32 = AtomicU32::new(0);
        // A generation of 31 bits keeps every token apart from the waker's.
        let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed) & (u32::MAX >> 1);
        let entry = self.slots.vacant_entry();
        let index =
            u32::try_from(entry.key()).map_err(|_| io::Error::other("too many registered sources"))?;
        let id = SourceId { index, generation };
        let poll = self.poll.as_ref().ok_or_else(closed)?;
        add(poll.registry(), id.token(), interest)?;
        entry.insert(Slot {
            generation,
            ready: [false; 2],
            finished: [false; 2],
            urgent: false,
            #[cfg(unix)]
            duplicate: None,
            waiters: [Vec::new(), Vec::new()],
        });
        Ok(id)
    }

    /// Removes a source, and returns its slot with the remaining waiters.
    pub(crate) fn deregister(
        &mut self,
        id: SourceId,
        remove: impl FnOnce(&Registry) -> io::Result<()>,
    ) -> Option<Slot<W>> {
        self.slot(id)?;
        // An error means that the system has removed the source already, since the descriptor was
        // closed.
        let _ = self.poll.as_ref().map(|poll| remove(poll.registry()));
        Some(self.slots.remove(id.index as usize))
    }

    pub(crate) fn slot(&mut self, id: SourceId) -> Option<&mut Slot<W>> {
        self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)
    }

    /// Returns the registry of sources.
    #[cfg(unix)]
    pub(crate) fn registry(&self) -> io::Result<&Registry> {
        Ok(self.poll.as_ref().ok_or_else(closed)?.registry())
    }

    /// Closes the poll, unless its descriptor was borrowed: a borrow may last as long as the process.
    fn close_poll(&mut self) {
        let poll = self.poll.take();
        #[cfg(unix)]
        if self.borrowed {
            let _open = ManuallyDrop::new(poll);
            return;
        }
        drop(poll);
    }

    /// Releases the descriptors and the memory. Returns the sources, which are no longer watched.
    pub(crate) fn close(&mut self) -> Vec<Slot<W>> {
        self.close_poll();
        self.events = Events::with_capacity(0);
        self.ready = Vec::new();
        std::mem::take(&mut self.slots).into_iter().map(|(_, slot)| slot).collect()
    }

    /// Returns the number of the poll's descriptor.
    #[cfg(unix)]
    pub(super) fn raw_fd(&self) -> io::Result<RawFd> {
        Ok(self.poll.as_ref().ok_or_else(closed)?.as_raw_fd())
    }

    /// Returns the descriptor of the poll, which stays open from now on until the process ends.
    #[cfg(unix)]
    pub(super) fn borrow_fd(&mut self) -> io::Result<BorrowedFd<'static>> {
        let fd = self.raw_fd()?;
        self.borrowed = true;
        // SAFETY: the poll owns the descriptor and is never dropped: not by `close`, since `borrowed`
        // is set, and not by a drop of the poller, since `Drop` calls `close`.
        Ok(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// Returns `true` if the last poll has returned as many events as it can: the system may have
    /// more.
    pub(super) fn is_full(&self) -> bool {
        self.events.iter().count() >= EVENTS
    }

    /// Returns the number of registered sources.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Drains the waiters of the sources that have become ready, each with the number of its wait.
    /// Each event is returned once.
    pub(crate) fn take_ready(&mut self) -> impl Iterator<Item = (SourceId, Direction, &[(u64, W)])> {
        let Poller { slots, ready, .. } = self;
        ready.drain(..).filter_map(|(id, direction)| {
            let slot = slots.get(id.index as usize).filter(|slot| slot.generation == id.generation)?;
            Some((id, direction, &*slot.waiters[direction as usize]))
        })
    }

    /// Waits for events, sets the readiness bits, and records the sources that have become ready.
    pub(crate) fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.as_mut().ok_or_else(closed)?.poll(&mut self.events, timeout) {
            // A signal is not an error: the loop runs an iteration and polls again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &self.events {
            if event.token() == WAKER {
                continue;
            }
            let id = SourceId::from_token(event.token());
            let Some(slot) =
                self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)
            else {
                continue;
            };
            let broken = event.is_error();
            slot.urgent |= event.is_priority();
            for (direction, now, closed) in [
                (Direction::Read, event.is_readable(), event.is_read_closed()),
                (Direction::Write, event.is_writable(), event.is_write_closed()),
            ] {
                slot.finished[direction as usize] |= closed;
                if now || closed || broken {
                    slot.ready[direction as usize] = true;
                    self.ready.push((id, direction));
                }
            }
        }
        Ok(())
    }
}

#[cold]
fn closed() -> io::Error {
    io::Error::other("the hub has ended")
}

impl<W> Drop for Poller<W> {
    fn drop(&mut self) {
        self.close_poll();
    }
}

impl<W> std::fmt::Debug for Poller<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller").field("sources", &self.slots.len()).finish_non_exhaustive()
    }
}
