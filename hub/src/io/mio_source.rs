//! Sources on systems that require registration while the source is created: mio's own types.

use std::io;

use mio::{Interest, event};

use crate::reactor::poller::SourceId;
use crate::scheduler::Core;
use crate::scheduler::current;

/// The bound on the content of an [`Io`](super::Io): mio's own sources.
pub trait Source: event::Source {}

impl<S: event::Source> Source for S {}

/// mio emulates edges here and promises nothing about short reads.
pub(super) const SHORT_READ_DRAINS: bool = false;

pub(super) fn register_early<S: Source>(source: &mut S) -> io::Result<Option<SourceId>> {
    let interest = Interest::READABLE.add(Interest::WRITABLE);
    current::core().reactor().register(source, interest).map(Some)
}

/// Registers nothing: a source is registered when its `Io` is created.
pub(super) fn register<S: Source>(_core: &Core, _source: &S) -> io::Result<Option<SourceId>> {
    Ok(None)
}

/// Removes the slot. The system removes the source when the source is dropped.
pub(super) fn deregister<S: Source>(core: &Core, id: SourceId, _source: &S) {
    core.reactor().deregister(id);
}

/// Does nothing: every operation that would block asks the system again, and the known state stays
/// true in between.
pub(super) fn rearm<S: Source>(_core: &Core, _id: SourceId, _source: &S) -> io::Result<()> {
    Ok(())
}
