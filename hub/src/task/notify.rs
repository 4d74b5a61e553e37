//! Notification: a pass over the links of a greenlet or of an object.

use std::mem::ManuallyDrop;
use std::rc::Rc;

use super::links::{Lane, LinkId, Links, Notifier, Target, WakePolicy};
use crate::task::{TaskRef, WaitToken};

/// Limit on entries added during a pass that the same pass still serves.
const MOST_NEWCOMERS: usize = 50;

/// An object with links of its own, other than a greenlet.
pub(crate) trait Linkable: 'static {
    fn links(&self) -> &Links;
    fn rule(&self) -> WakePolicy;
    /// Returns `true` if a waiter could proceed.
    fn ready(&self) -> bool;
    /// Selects the lane to serve next under [`WakePolicy::Ordered`], if any entry can be served, after the
    /// lane that was served last.
    fn next_lane(&self, last: Option<Lane>) -> Option<Lane>;
    /// Returns the name of the object for error reports.
    fn kind(&self) -> &'static str;
}

/// The owner of the links that are served.
#[derive(Clone)]
pub(crate) enum Notified {
    Greenlet(TaskRef),
    Object(Rc<dyn Linkable>),
}

impl Notified {
    pub(crate) fn links(&self) -> &Links {
        match self {
            Notified::Greenlet(record) => &record.task.links,
            Notified::Object(object) => object.links(),
        }
    }

    /// Returns `true` if a pass is due.
    pub(crate) fn owed(&self) -> bool {
        match self {
            Notified::Greenlet(record) => record.task.ready() && !record.task.links.is_empty(),
            Notified::Object(object) => owed(&**object),
        }
    }
}

/// Returns `true` if any waiter of an object can be served. Called after every change that may have
/// made the object ready.
#[inline]
pub(crate) fn owed<L: Linkable + ?Sized>(object: &L) -> bool {
    match object.rule() {
        WakePolicy::All => {
            if object.ready() {
                object.links().promise();
            }
            object.links().owes()
        }
        WakePolicy::WhileReady => object.ready() && !object.links().is_empty(),
        WakePolicy::Ordered => object.next_lane(None).is_some(),
    }
}

/// One notification, resumable between any two entries.
pub(crate) struct Notification {
    pub(crate) of: Notified,
    stage: Stage,
    /// The number of entries that may still be served where new entries are included.
    left: usize,
}

#[derive(Clone, Copy)]
enum Stage {
    Begin,
    /// Serves a lane up to this entry (rule 3).
    Until(Lane, LinkId),
    /// Serves the lane that the object selects, after this one.
    After(Option<Lane>),
    End,
}

impl Notification {
    /// Begins the pass that was queued under `ticket`, unless it was cancelled.
    #[inline(always)]
    pub(crate) fn begin(of: Notified, ticket: u64) -> Option<Notification> {
        let links = of.links();
        if links.notifier.get() != Notifier::Queued(ticket) {
            return None;
        }
        links.notifier.set(Notifier::Running);
        let left = links.len() + MOST_NEWCOMERS;
        Some(Notification { of, stage: Stage::Begin, left })
    }

    /// Continues the pass whose first target, in this lane, is running after its direct wake.
    pub(crate) fn after_direct(of: Notified, lane: Lane) -> Notification {
        let links = of.links();
        links.run_on();
        let stage = match &of {
            Notified::Object(object) if object.rule() == WakePolicy::Ordered => Stage::After(Some(lane)),
            // Nothing is left of the lane: the entry was the only one.
            _ => Stage::Until(lane, LinkId(0)),
        };
        Notification { of, stage, left: MOST_NEWCOMERS }
    }

    /// Returns the next target, or `None` when the pass is over.
    pub(crate) fn next(&mut self) -> Option<Target> {
        let links = self.of.links();
        let Notified::Object(object) = &self.of else {
            self.left = self.left.checked_sub(1)?;
            return links.pop(Lane::First, None);
        };
        let stopped = Stopped(links);
        let target = next_of(object, links, &mut self.stage, &mut self.left);
        let _kept = ManuallyDrop::new(stopped);
        target
    }

    /// Returns the next two waiters, if at least `many` wait: their records are no longer in the
    /// nearest cache.
    #[inline]
    pub(crate) fn crowd(&self, many: usize) -> Option<[Option<WaitToken>; 2]> {
        let Stage::Until(lane, _) = self.stage else { return None };
        self.of.links().lane(lane)?.borrow().crowd(many)
    }

    /// Ends the pass. Returns `true` when another one is due at once.
    pub(crate) fn end(&self) -> bool {
        self.of.links().notifier.set(Notifier::Idle);
        self.of.owed()
    }
}

/// Returns the stage that serves the present entries of a lane.
fn until(links: &Links, lane: Lane) -> Option<Stage> {
    links.lane(lane)?.borrow().last().map(|last| Stage::Until(lane, last.id))
}

/// Returns the next waiter of an object, which user code selects.
#[inline]
fn next_of(object: &Rc<dyn Linkable>, links: &Links, stage: &mut Stage, left: &mut usize) -> Option<Target> {
    loop {
        match *stage {
            Stage::Begin => {
                *stage = match object.rule() {
                    WakePolicy::Ordered => Stage::After(None),
                    WakePolicy::All | WakePolicy::WhileReady => {
                        until(links, Lane::First).or_else(|| until(links, Lane::Second)).unwrap_or(Stage::End)
                    }
                }
            }
            Stage::After(last) => {
                let lane = object.next_lane(last)?;
                *left = left.checked_sub(1)?;
                *stage = Stage::After(Some(lane));
                return links.pop(lane, None);
            }
            Stage::Until(lane, end) => {
                if object.rule() == WakePolicy::WhileReady && !object.ready() {
                    return None;
                }
                let promised = lane == Lane::First && object.rule() == WakePolicy::All;
                let end = if promised { end.min(links.promised.get()) } else { end };
                if let Some(target) = links.pop(lane, Some(end)) {
                    return Some(target);
                }
                let late = if lane == Lane::First { until(links, Lane::Second) } else { None };
                *stage = late.unwrap_or(Stage::End);
            }
            Stage::End => return None,
        }
    }
}

/// Ends a pass if its object panics in place of returning its readiness; otherwise no further pass
/// could begin.
struct Stopped<'a>(&'a Links);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.notifier.set(Notifier::Idle);
    }
}
