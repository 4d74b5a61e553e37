//! Watchers: callbacks of the loop itself, as in gevent's `hub.loop`.
//!
//! Greenlets hardly need watchers; they are for code that builds on the loop. A watcher's callback
//! runs in the hub and must not wait. Dropping a [`Watcher`] stops it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::scheduler::current;
use crate::scheduler::report::ErrorContext;
use crate::scheduler::{Core, TimerAction, Watch, WatchKind};
use crate::timers::TimerId;

/// The state of a watcher, shared between its handle and the loop.
struct State {
    kind: WatchKind,
    priority: Cell<i8>,
    keeps: Cell<bool>,
    active: Cell<bool>,
    pending: Cell<bool>,
    callback: RefCell<Option<Rc<dyn Fn()>>>,
    after: Cell<Duration>,
    repeat: Cell<Duration>,
    timer: Cell<Option<TimerId>>,
    /// The number of the hub that the watcher is active in.
    hub: Cell<u64>,
    #[cfg(unix)]
    io: Option<crate::io::FdWatch>,
}

impl Watch for State {
    fn kind(&self) -> WatchKind {
        self.kind
    }

    fn priority(&self) -> i8 {
        self.priority.get()
    }

    fn mark_pending(&self) {
        self.pending.set(true);
    }

    fn fire_pending(self: Rc<Self>, core: &Core) {
        if !self.pending.replace(false) {
            return;
        }
        if self.kind == WatchKind::Timer {
            self.timer.set(None);
            if self.repeat.get().is_zero() {
                let callback = self.callback.borrow().clone();
                self.deactivate(core);
                self.call(core, callback);
                return;
            }
            self.arm(core, self.repeat.get());
        }
        self.fire(core);
        #[cfg(unix)]
        if self.active.get() {
            if let Some(io) = &self.io {
                // Watchers report as long as the descriptor is ready. Rearming makes the system
                // check again.
                io.rearm(core, self.clone());
            }
        }
    }

    fn fire(&self, core: &Core) {
        if self.active.get() {
            let callback = self.callback.borrow().clone();
            self.call(core, callback);
        }
    }
}

impl State {
    fn call(&self, core: &Core, callback: Option<Rc<dyn Fn()>>) {
        let Some(callback) = callback else { return };
        let fine = core.call(|| ErrorContext::Watcher(self.kind.name()), || callback());
        #[cfg(unix)]
        if !fine && self.kind == WatchKind::Io {
            // The callback would fail again for as long as the descriptor is ready.
            self.stop(core);
        }
        let _ = fine;
    }

    fn arm(self: &Rc<Self>, core: &Core, after: Duration) {
        let deadline = core.deadline(after);
        // The watcher itself counts as a reference, so its timer does not.
        self.timer.set(Some(core.start_timer(deadline, || TimerAction::Watch(self.clone()), false)));
    }

    fn start(self: &Rc<Self>, core: &Core, callback: Rc<dyn Fn()>) -> std::io::Result<()> {
        let old = self.callback.borrow_mut().replace(callback);
        drop(old);
        if self.active.get() {
            return Ok(());
        }
        match self.kind {
            WatchKind::Timer => self.arm(core, self.after.get()),
            #[cfg(unix)]
            WatchKind::Io => {
                if let Some(io) = &self.io {
                    io.start(core, self.clone())?;
                }
            }
            _ => core.add_watch(self.clone()),
        }
        self.active.set(true);
        self.hub.set(core.number());
        if self.keeps.get() {
            core.add_refs(1);
        }
        Ok(())
    }

    fn stop(&self, core: &Core) {
        self.pending.set(false);
        if let Some(timer) = self.timer.take() {
            core.cancel_timer(timer);
        }
        if self.active.get() {
            #[cfg(unix)]
            if let Some(io) = &self.io {
                io.stop(core);
            }
            self.deactivate(core);
        }
        let callback = self.callback.borrow_mut().take();
        drop(callback);
    }

    fn deactivate(&self, core: &Core) {
        self.active.set(false);
        core.remove_watch(self);
        if self.keeps.get() {
            core.add_refs(-1);
        }
    }
}

/// A callback that the loop calls when an event is due: a time, readiness, or a point of its
/// iteration.
///
/// Made by [`Hub::timer`](crate::Hub::timer), [`Hub::io`](crate::Hub::io),
/// [`Hub::prepare`](crate::Hub::prepare), [`Hub::check`](crate::Hub::check) or
/// [`Hub::watch_idle`](crate::Hub::watch_idle). An active watcher keeps the loop alive, unless
/// [`set_ref(false)`](Watcher::set_ref) was called. Dropping it stops it.
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, rc::Rc, time::Duration};
/// use ramie::{get_hub, sleep};
///
/// let ticks = Rc::new(Cell::new(0));
/// let timer = get_hub().timer(Duration::from_millis(1), Duration::from_millis(1));
/// let count = ticks.clone();
/// timer.start(move || count.set(count.get() + 1))?;
/// sleep(Duration::from_millis(20));
/// timer.stop();
/// assert!(ticks.get() >= 2);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Watcher {
    watch: Rc<State>,
}

impl Watcher {
    pub(crate) fn new(kind: WatchKind, after: Duration, repeat: Duration) -> Self {
        Watcher { watch: Rc::new(Self::idle_watch(kind, after, repeat)) }
    }

    fn idle_watch(kind: WatchKind, after: Duration, repeat: Duration) -> State {
        State {
            kind,
            priority: Cell::new(0),
            keeps: Cell::new(true),
            active: Cell::new(false),
            pending: Cell::new(false),
            callback: RefCell::new(None),
            after: Cell::new(after),
            repeat: Cell::new(repeat),
            timer: Cell::new(None),
            hub: Cell::new(0),
            #[cfg(unix)]
            io: None,
        }
    }

    #[cfg(unix)]
    pub(crate) fn with_io(io: crate::io::FdWatch) -> Self {
        let watch = Self::idle_watch(WatchKind::Io, Duration::ZERO, Duration::ZERO);
        Watcher { watch: Rc::new(State { io: Some(io), ..watch }) }
    }

    /// Activates the watcher. `callback` is called in the hub whenever the watcher is due and must
    /// not wait.
    ///
    /// A watcher that is active already only gets the new callback.
    ///
    /// # Errors
    ///
    /// When the system refuses to watch the descriptor.
    pub fn start(&self, callback: impl Fn() + 'static) -> std::io::Result<()> {
        self.watch.start(&current::core(), Rc::new(callback))
    }

    /// Deactivates the watcher and drops the callback. A pending event is dropped.
    pub fn stop(&self) {
        // A later hub of this thread does not know this watcher.
        if let Some(core) = current::core_of(self.watch.hub.get()) {
            self.watch.stop(&core);
        }
    }

    /// Returns `true` if the watcher is active.
    pub fn active(&self) -> bool {
        self.watch.active.get()
    }

    /// Returns `true` if the watcher is due and its callback has not been called yet.
    pub fn pending(&self) -> bool {
        self.watch.pending.get()
    }

    /// Sets the order among the watchers that are due in one iteration: 2 is first, -2 is last, 0
    /// is the default.
    ///
    /// # Panics
    ///
    /// When the watcher is active or the priority is outside -2 to 2.
    pub fn set_priority(&self, priority: i8) {
        assert!(!self.active(), "the priority must be set while the watcher is not active");
        assert!((-2..=2).contains(&priority), "the priority must be between -2 and 2");
        self.watch.priority.set(priority);
    }

    /// Sets whether the watcher keeps the loop alive while it is active.
    pub fn set_ref(&self, keeps: bool) {
        let before = self.watch.keeps.replace(keeps);
        if self.active() && before != keeps {
            current::core().add_refs(if keeps { 1 } else { -1 });
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("kind", &self.watch.kind.name())
            .field("active", &self.active())
            .field("pending", &self.pending())
            .finish()
    }
}
