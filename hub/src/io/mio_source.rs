//! Sources where the system wants to be told while the source is made: mio's own types.

use std::io;

use mio::{Interest, event};

use crate::reactor::poller::SourceId;
use crate::scheduler::Core;
use crate::scheduler::current;

/// What an [`Io`](super::Io) can hold: mio's own sources.
pub trait Source: event::Source {}

impl<S: event::Source> Source for S {}

/// mio emulates edges here and promises nothing about short reads.
pub(super) const SHORT_READ_DRAINS: bool = false;

pub(super) fn register_early<S: Source>(source: &mut S) -> io::Result<Option<SourceId>> {
    let interest = Interest::READABLE.add(Interest::WRITABLE);
    let core = current::core();
    let mut poller = core.poller.borrow_mut();
    poller
        .register(|registry, token, interest| registry.register(source, token, interest), interest)
        .map(Some)
}

/// A source is registered from its birth, so there is nothing left to do.
pub(super) fn register<S: Source>(_core: &Core, _source: &S) -> io::Result<Option<SourceId>> {
    Ok(None)
}

/// The system forgets the source when it is dropped; the slot goes now.
pub(super) fn deregister<S: Source>(core: &Core, id: SourceId, _source: &S) {
    drop(core.poller.borrow_mut().deregister(id, |_| Ok(())));
}

/// The system is asked again by every operation that would block; what is known in between stays true.
pub(super) fn rearm<S: Source>(_core: &Core, _id: SourceId, _source: &S) -> io::Result<()> {
    Ok(())
}
