//! The two ends of a wake-up between threads: the waiting site and the target of the wake-up.

use std::sync::Arc;
use std::task::Waker;
use std::thread::{self, Thread};
use std::time::Instant;

use crate::error::BlockingSwitchOutError;
use crate::exception::Exception;
use crate::inbox::hub_inbox::{Inbox, Message};
use crate::inbox::registry::{Owed, Registration};
use crate::remote::handle::KeepAlive;
use crate::scheduler::Item;
use crate::scheduler::borrowed::wake_future;
use crate::scheduler::current::{self, CoreRef};
use crate::task::{WaitToken, WakeReason};
use crate::wait::guard::TimerGuard;
use crate::wait::limit::Limit;

/// The target of a wake-up. Each target is woken at most once; waking a target that no longer waits
/// does nothing.
pub(super) enum Target {
    /// A greenlet in this wait.
    Greenlet(Arc<Inbox>, WaitToken),
    /// A link of this number.
    Link(Arc<Inbox>, u64),
    /// A thread without a hub.
    Thread(Thread),
    /// The executor of a future.
    Future(Waker),
}

impl Target {
    /// Wakes the target, from any thread. Never switches, never panics, and blocks only if the
    /// waker of a future does.
    pub(super) fn wake(self) {
        let (inbox, message) = match self {
            Target::Greenlet(inbox, token) => (inbox, Message::Wake(token)),
            Target::Link(inbox, number) => (inbox, Message::Link(number)),
            Target::Thread(thread) => return thread.unpark(),
            Target::Future(waker) => return wake_future(waker),
        };
        match current::core_with(&inbox) {
            Some(core) => core.push(Item::from(message)),
            // A hub that rejects the message has ended, and withdraws all its waiters (rule 4 of
            // the protocol).
            None => drop(inbox.post(message, |message| message)),
        }
    }
}

/// The refusal of a wait in a callback of the hub.
pub(super) struct Refused(CoreRef);

impl Refused {
    pub(super) fn raise(self) -> ! {
        self.0.raise(Exception::new(BlockingSwitchOutError))
    }
}

/// The site of a wait, for the time of the wait.
pub(super) enum WaitSite {
    Greenlet(Greenlet),
    Thread { deadline: Option<Instant> },
}

pub(super) struct Greenlet {
    core: CoreRef,
    reason: &'static str,
    deadline: Option<u64>,
    token: WaitToken,
    /// The number of the wait in the hub's registry.
    number: Option<u64>,
    _alive: KeepAlive,
}

impl WaitSite {
    /// Returns the running greenlet, or this thread if it has no hub; no hub is created.
    pub(super) fn here(
        limit: Limit,
        reason: &'static str,
        registered: impl FnOnce() -> Registration,
    ) -> Result<WaitSite, Refused> {
        let Some(core) = current::try_core() else {
            let deadline = match limit.fixed() {
                Limit::At(deadline) => Some(deadline),
                _ => None,
            };
            return Ok(WaitSite::Thread { deadline });
        };
        if core.in_hub() && !core.unwinds_in_hub() {
            return Err(Refused(core));
        }
        let number = core.expect(Owed::Wait(registered()));
        Ok(WaitSite::Greenlet(Greenlet {
            core,
            reason,
            deadline: limit.deadline(&core),
            token: core.token(),
            number: Some(number),
            _alive: KeepAlive::new(),
        }))
    }

    /// Returns the target that ends the next [`park`](WaitSite::park).
    pub(super) fn target(&mut self) -> Target {
        match self {
            WaitSite::Greenlet(greenlet) => {
                greenlet.token = greenlet.core.token();
                Target::Greenlet(greenlet.core.foreign().inbox().clone(), greenlet.token)
            }
            WaitSite::Thread { .. } => Target::Thread(thread::current()),
        }
    }

    /// Waits for a wake-up, which may be spurious. Returns `false` if the time is up.
    pub(super) fn park(&self) -> bool {
        match self {
            WaitSite::Greenlet(greenlet) => {
                let Greenlet { core, token, .. } = greenlet;
                let timer = TimerGuard::limit(core, *token, greenlet.deadline);
                core.park_with(timer, *token, greenlet.reason) != WakeReason::TimedOut
            }
            WaitSite::Thread { deadline: None } => {
                thread::park();
                true
            }
            WaitSite::Thread { deadline: Some(deadline) } => {
                thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
                Instant::now() < *deadline
            }
        }
    }

    /// Removes the wait from the hub's registry, so that the end of the hub does not withdraw it.
    pub(super) fn unregister(&mut self) {
        if let WaitSite::Greenlet(greenlet) = self {
            if let Some(number) = greenlet.number.take() {
                drop(greenlet.core.foreign().remove(number));
            }
        }
    }
}

impl Drop for WaitSite {
    fn drop(&mut self) {
        self.unregister();
    }
}
