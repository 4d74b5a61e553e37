//! The state of a watcher of a descriptor.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;

use super::wait::Hold;
use crate::reactor::poller::{Direction, SourceId};
use crate::scheduler::{Core, IoWaiter, Watch};

/// The descriptor of a watcher.
pub(crate) struct FdWatch {
    fd: Box<dyn AsFd>,
    directions: Vec<Direction>,
    held: RefCell<Option<(SourceId, Hold)>>,
    key: Cell<u64>,
}

impl FdWatch {
    pub(super) fn new(fd: Box<dyn AsFd>, directions: Vec<Direction>) -> Self {
        FdWatch { fd, directions, held: RefCell::new(None), key: Cell::new(0) }
    }

    pub(crate) fn start(&self, core: &Core, watch: Rc<dyn Watch>) -> io::Result<()> {
        let fd = self.fd.as_fd();
        let Some(id) = core.fds.acquire(&core.poller, fd)? else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this descriptor cannot be polled"));
        };
        *self.held.borrow_mut() = Some((id, Hold(fd.as_raw_fd())));
        self.key.set(core.new_number());
        core.with_slot(id, |slot| {
            for direction in &self.directions {
                slot.waiters[*direction as usize].push((self.key.get(), IoWaiter::Watcher(watch.clone())));
            }
        });
        Ok(())
    }

    pub(crate) fn stop(&self, core: &Core) {
        let held = self.held.borrow_mut().take();
        if let Some((id, hold)) = held {
            let removed = core.with_slot(id, |slot| {
                let key = self.key.get();
                let mut removed = Vec::new();
                for waiters in &mut slot.waiters {
                    let (out, stay) = waiters.drain(..).partition(|(other, _)| *other == key);
                    *waiters = stay;
                    removed.push(out);
                }
                removed
            });
            drop(hold);
            drop::<Option<Vec<Vec<(u64, IoWaiter)>>>>(removed);
        }
    }

    /// Makes the system report the descriptor again if it is still ready.
    pub(crate) fn rearm(&self, core: &Core) {
        core.fds.rearm(&core.poller, self.fd.as_fd().as_raw_fd());
    }
}
