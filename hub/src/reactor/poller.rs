//! mio's poll and the slab of registered sources: says who is ready and wakes nobody.
//!
//! A source is registered once, edge-triggered, for both directions; its token is its place in the slab joined with
//! a generation, so that an event collected for a source that is gone is ignored. The readiness bits live in the
//! slot and are set whether or not anybody waits: an edge that nobody waited for is not lost.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mio::{Events, Interest, Poll, Registry, Token, Waker};
use slab::Slab;

/// Reading or writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// One registered source, and who waits for it.
pub(crate) struct Slot<W> {
    generation: u32,
    ready: [bool; 2],
    /// The other side has sent its last byte: from now on a read never has to wait.
    finished: [bool; 2],
    /// There was urgent data: reads stop short at its mark, so that a short one proves nothing.
    urgent: bool,
    /// A duplicate that is registered instead, because somebody else has registered the descriptor itself.
    #[cfg(unix)]
    pub(crate) duplicate: Option<std::os::fd::OwnedFd>,
    pub(crate) waiters: [Vec<(u64, W)>; 2],
}

impl<W> Slot<W> {
    pub(crate) fn ready(&self, direction: Direction) -> bool {
        self.ready[direction as usize] || self.finished[direction as usize]
    }

    /// Whether the last read took everything, and nothing has been reported since.
    pub(crate) fn known_empty(&self) -> bool {
        !self.ready(Direction::Read)
    }

    /// The last attempt would have blocked: only a new event makes it ready again.
    pub(crate) fn would_block(&mut self, direction: Direction) {
        self.ready[direction as usize] = false;
        self.finished[direction as usize] = false;
    }

    /// The last attempt took all that was there; the next one may still find the end of the stream.
    pub(crate) fn drained(&mut self, direction: Direction) {
        if !self.urgent {
            self.ready[direction as usize] = false;
        }
    }
}

/// Names a registered source.
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

/// How many events one poll collects.
const EVENTS: usize = 1024;

/// The poll and its sources, for which `W`s wait.
pub(crate) struct Poller<W> {
    /// `None` once it is closed.
    poll: Option<Poll>,
    events: Events,
    slots: Slab<Slot<W>>,
    /// Who has become ready and has not been asked for.
    ready: Vec<(SourceId, Direction)>,
}

impl<W> Poller<W> {
    pub(crate) fn new() -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let events = Events::with_capacity(EVENTS);
        let poller = Poller { poll: Some(poll), events, slots: Slab::new(), ready: Vec::new() };
        Ok((poller, waker))
    }

    /// Registers a source by a closure that is given the registry, the token and the interest.
    pub(crate) fn register(
        &mut self,
        add: impl FnOnce(&Registry, Token, Interest) -> io::Result<()>,
        interest: Interest,
    ) -> io::Result<SourceId> {
        // One count for all hubs: what is registered in one may be dropped when its thread has another.
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

    /// Forgets a source; returns whoever still waited for it.
    pub(crate) fn deregister(
        &mut self,
        id: SourceId,
        remove: impl FnOnce(&Registry) -> io::Result<()>,
    ) -> Option<Slot<W>> {
        self.slot(id)?;
        // An error means that the system has forgotten the source already: it was closed by somebody.
        let _ = self.poll.as_ref().map(|poll| remove(poll.registry()));
        Some(self.slots.remove(id.index as usize))
    }

    pub(crate) fn slot(&mut self, id: SourceId) -> Option<&mut Slot<W>> {
        self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)
    }

    /// Where sources are registered.
    #[cfg(unix)]
    pub(crate) fn registry(&self) -> io::Result<&Registry> {
        Ok(self.poll.as_ref().ok_or_else(closed)?.registry())
    }

    /// Gives its descriptors and its memory back. Returns the sources, which are no longer watched.
    pub(crate) fn close(&mut self) -> Vec<Slot<W>> {
        self.poll = None;
        self.events = Events::with_capacity(0);
        self.ready = Vec::new();
        std::mem::take(&mut self.slots).into_iter().map(|(_, slot)| slot).collect()
    }

    /// How many sources are registered.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Who waits for those that have become ready, each with the number of its wait. Nothing is said twice.
    pub(crate) fn take_ready(&mut self) -> impl Iterator<Item = (SourceId, &[(u64, W)])> {
        let Poller { slots, ready, .. } = self;
        ready.drain(..).filter_map(|(id, direction)| {
            let slot = slots.get(id.index as usize).filter(|slot| slot.generation == id.generation)?;
            Some((id, &*slot.waiters[direction as usize]))
        })
    }

    /// Waits for events, sets the readiness bits, and notes who has become ready.
    pub(crate) fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.as_mut().ok_or_else(closed)?.poll(&mut self.events, timeout) {
            // A signal is not an error: the loop looks around and polls again.
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

impl<W> std::fmt::Debug for Poller<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller").field("sources", &self.slots.len()).finish_non_exhaustive()
    }
}
