//! The state of a watcher of a descriptor.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::time::Duration;

use super::wait::Hold;
use crate::reactor::poller::{Direction, SourceId};
use crate::scheduler::{Core, IoWaiter, TimerAction, Watch};
use crate::timers::TimerId;

/// The descriptor of a watcher.
pub(crate) struct FdWatch {
    fd: Box<dyn AsFd>,
    directions: Vec<Direction>,
    held: RefCell<Option<(SourceId, Hold)>>,
    key: Cell<u64>,
    /// `true` if the system cannot poll the descriptor, so that it is always ready: then the timer
    /// is due in each iteration of the loop.
    always: Cell<bool>,
    timer: Cell<Option<TimerId>>,
}

impl FdWatch {
    pub(crate) fn new(fd: Box<dyn AsFd>, readable: bool, writable: bool) -> Self {
        assert!(readable || writable, "a watcher of a descriptor must wait for reading or for writing");
        let asked = [(readable, Direction::Read), (writable, Direction::Write)];
        let wanted = asked.into_iter().filter(|(wanted, _)| *wanted);
        FdWatch {
            fd,
            directions: wanted.map(|(_, direction)| direction).collect(),
            held: RefCell::new(None),
            key: Cell::new(0),
            always: Cell::new(false),
            timer: Cell::new(None),
        }
    }

    pub(crate) fn start(&self, core: &Core, watch: Rc<dyn Watch>) -> io::Result<()> {
        let fd = self.fd.as_fd();
        let Some(id) = core.reactor().acquire(fd)? else {
            self.always.set(true);
            self.rearm(core, watch);
            return Ok(());
        };
        *self.held.borrow_mut() = Some((id, Hold(fd.as_raw_fd())));
        self.key.set(core.new_number());
        core.with_slot(id, |slot| {
            for direction in &self.directions {
                slot.add_waiter(*direction, self.key.get(), IoWaiter::Watcher(watch.clone()));
            }
        });
        Ok(())
    }

    pub(crate) fn stop(&self, core: &Core) {
        self.always.set(false);
        if let Some(timer) = self.timer.take() {
            core.cancel_timer(timer);
        }
        let held = self.held.borrow_mut().take();
        if let Some((id, hold)) = held {
            let removed = core.with_slot(id, |slot| {
                let take = |direction: &Direction| slot.remove_waiter(*direction, self.key.get());
                self.directions.iter().filter_map(take).collect::<Vec<IoWaiter>>()
            });
            drop(hold);
            // Dropped last: a watcher may hold a value of the user.
            drop(removed);
        }
    }

    /// Makes the descriptor be reported again if it is still ready.
    pub(crate) fn rearm(&self, core: &Core, watch: Rc<dyn Watch>) {
        if self.always.get() {
            let due = core.deadline(Duration::ZERO);
            // The watcher itself counts as a reference, so its timer does not.
            self.timer.set(Some(core.start_timer(due, || TimerAction::Watch(watch), false)));
        } else {
            core.reactor().rearm_watched(self.fd.as_fd().as_raw_fd());
        }
    }
}
