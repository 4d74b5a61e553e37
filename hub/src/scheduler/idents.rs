//! The names and numbers of greenlets in reports.

use std::cmp::Reverse;
use std::fmt;

use super::state::Core;
use crate::error::Waiting;
use crate::scheduler::current;
use crate::task::{AnyGreenlet, Kind, Task, TaskRef};

impl Core {
    /// Returns all suspended greenlets, main first.
    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        self.tasks
            .records()
            .iter()
            .filter(|record| record.task.wait.get() != 0)
            .map(|record| Waiting {
                name: self.name(record),
                site: (record.task.kind != Kind::Main).then_some(record.task.site),
                reason: record.task.reason.get(),
            })
            .collect()
    }

    /// Returns the smallest number that no living record of this hub has, assigned at the first
    /// call.
    pub(crate) fn ident(&self, task: &Task) -> u32 {
        if let Some(ident) = task.ident.get() {
            return ident;
        }
        let free = self.free_idents.borrow_mut().pop();
        let ident = match free {
            Some(Reverse(ident)) => ident,
            None => {
                let ident = self.next_ident.get();
                self.next_ident.set(ident + 1);
                ident
            }
        };
        task.ident.set(Some(ident));
        ident
    }

    /// Releases the number of a record that is gone.
    pub(crate) fn free_ident(&self, ident: u32) {
        self.free_idents.borrow_mut().push(Reverse(ident));
    }

    pub(crate) fn name(&self, record: &TaskRef) -> String {
        if let Some(name) = record.task.overflow.name() {
            return name.as_ref().to_owned();
        }
        match record.task.kind {
            Kind::Main => "main greenlet".to_owned(),
            Kind::Greenlet => format!("Greenlet-{}", self.ident(&record.task)),
            Kind::Raw => format!("raw greenlet {}", self.ident(&record.task)),
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let (Some(ident), Some(core)) = (self.ident.get(), current::try_core()) {
            core.free_ident(ident);
        }
    }
}

impl fmt::Debug for AnyGreenlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = &self.record.task;
        let name = match task.overflow.name() {
            Some(name) => name.as_ref().to_owned(),
            None if current::try_core().is_some() => current::core().name(&self.record),
            None => "Greenlet".to_owned(),
        };
        write!(f, "<{name} {:?}", task.state.get())?;
        if task.kind != Kind::Main {
            write!(f, ", spawned at {}", task.site)?;
        }
        f.write_str(">")
    }
}
