//! How greenlets are called in reports.

use std::cmp::Reverse;

use crate::core::Core;
use crate::error::Waiting;
use crate::task::{Kind, Task, TaskRef};

impl Core {
    /// Everybody who is suspended, main first.
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

    /// The smallest number that no living record of this hub has, given on first asking.
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

    /// A record with this number is gone.
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
