//! A set of living greenlets that are joined and killed together.

use std::fmt;
use std::rc::Rc;

use ramie_hub::{AnyGreenlet, Body, Builder, Failure, Greenlet, Kill, Limit, getcurrent};
use ramie_hub::{iwait, yield_now};

use crate::members::Members;

/// A set of living greenlets with results of any types: gevent's `Group`. Clones are the same
/// group.
///
/// A member leaves after it has ended, when the group's link to it is called. Links are called in
/// order: joiners and links that are older than the membership still see the greenlet inside; later
/// ones do not. Dropping every handle of a group leaves its members running.
///
/// A [`Pool`](crate::Pool) is a group with a limit and dereferences to this type. In a pool, each
/// method here that adds a member waits for a slot.
///
/// # Examples
///
/// ```
/// use ramie::Group;
///
/// let group = Group::new();
/// let answer = group.spawn(|| 6 * 7);
/// group.spawn(|| "of another type");
/// assert_eq!(group.len(), 2);
/// group.join();
/// assert!(group.is_empty());
/// assert_eq!(answer.get().unwrap(), 42);
/// ```
#[derive(Clone)]
pub struct Group {
    pub(crate) members: Rc<Members>,
}

impl Group {
    /// Creates a group without members.
    pub fn new() -> Self {
        Self::with_builder(Builder::new())
    }

    /// Creates a group that makes its greenlets with `builder`, which sets their names and stacks.
    pub fn with_builder(builder: Builder) -> Self {
        Group { members: Members::new(builder, None) }
    }

    /// Creates a group of existing greenlets. Does not let other greenlets run.
    ///
    /// Its [`join`](Group::join) waits for them, unlike that of a gevent group made like this. A
    /// greenlet that has already ended leaves in a later turn of the hub.
    pub fn from_greenlets<G: Into<AnyGreenlet>>(greenlets: impl IntoIterator<Item = G>) -> Self {
        greenlets.into_iter().collect()
    }

    // --- members ------------------------------------------------------------------------------------------------

    /// Returns the number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns `true` if there are no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns `true` if the greenlet is a member.
    pub fn contains(&self, greenlet: &AnyGreenlet) -> bool {
        self.members.contains(greenlet)
    }

    /// Returns the members in the order in which they were added.
    pub fn greenlets(&self) -> Vec<AnyGreenlet> {
        self.members.greenlets()
    }

    /// Iterates over the present members in the order in which they were added.
    pub fn iter(&self) -> std::vec::IntoIter<AnyGreenlet> {
        self.greenlets().into_iter()
    }

    /// Adds a greenlet, in any state. Lets other greenlets run only if it waits for a slot of a
    /// pool.
    ///
    /// A greenlet that is already a member stays one member. In a pool it takes a second slot, and
    /// gives both back when it leaves. A greenlet that has already ended leaves in a later turn of
    /// the hub.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes no slot and leaves the queue of waiters; the greenlet is not a
    /// member.
    pub fn add(&self, greenlet: &AnyGreenlet) {
        self.members.acquire(Limit::Never);
        self.members.enter(greenlet);
    }

    /// Removes a member, which continues to run. Its slot is free at once. Does nothing if the
    /// greenlet is not a member. Does not let other greenlets run.
    pub fn discard(&self, greenlet: &AnyGreenlet) {
        self.members.discard(greenlet);
    }

    /// [Adds](Group::add) a greenlet and starts it. Lets other greenlets run only if it waits for a
    /// slot of a pool.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes no slot, and the greenlet is neither started nor a member.
    pub fn start(&self, greenlet: &AnyGreenlet) {
        self.add(greenlet);
        greenlet.start();
    }

    /// Spawns a greenlet as a member. Lets other greenlets run only if it waits for a slot of a
    /// pool.
    ///
    /// Waiters for a slot are served in order, but a slot is not handed over. A caller that asks
    /// after a slot is released and before the first waiter runs takes the slot, and the first
    /// waiter stays first.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes no slot and drops the body.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::Group;
    ///
    /// let group = Group::new();
    /// assert_eq!(group.spawn(|| 5).get().unwrap(), 5);
    /// ```
    #[track_caller]
    pub fn spawn<B: Body>(&self, body: B) -> Greenlet<B::Value> {
        self.members.spawn(body, None)
    }

    /// Returns `true` if adding a greenlet now would wait for a slot. Always `false` for a group
    /// without a limit.
    pub fn full(&self) -> bool {
        self.members.is_full()
    }

    /// Waits for a free slot and reserves nothing. Returns the number of free slots; 1 without a
    /// limit.
    ///
    /// Lets other greenlets run only if it waits. The number is 0 when other greenlets have taken
    /// the slots first.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes no slot and leaves the queue of waiters.
    pub fn wait_available(&self) -> usize {
        self.members.slots.as_ref().map_or(1, ramie_hub::Semaphore::wait)
    }

    // --- joining ------------------------------------------------------------------------------------------------

    /// Waits until the group has been empty once. Does not let other greenlets run if the group is
    /// empty already.
    ///
    /// Members that are added during the wait are waited for too. Greenlets that still wait for a
    /// slot are not: the group may have members again when this returns. A member that joins its
    /// own group waits for itself.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller leaves the members as they are.
    pub fn join(&self) {
        self.members.join(Limit::Never);
    }

    /// Joins for at most `timeout`; see [`join`](Group::join). Returns `true` if the group has been
    /// empty.
    pub fn join_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.members.join(timeout.into())
    }

    /// Joins like [`join`](Group::join) and returns a failure of the present members.
    ///
    /// This waits for all members, whether one fails or not. A plain kill is not a failure. Members
    /// that have failed and left before the call, or are added during the call, do not count. A
    /// member that is discarded during the call counts if it has failed by the time this returns.
    ///
    /// # Errors
    ///
    /// The failure of the first member that left with one; if there is none, the failure of a
    /// discarded member. gevent returns any of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{Group, fallible, yield_now};
    ///
    /// let group = Group::new();
    /// group.spawn(fallible(|| { yield_now(); Err::<(), _>("the second") }));
    /// group.spawn(fallible(|| Err::<(), _>("the first")));
    /// assert_eq!(group.join_raising().unwrap_err().to_string(), "the first");
    /// ```
    pub fn join_raising(&self) -> Result<bool, Failure> {
        self.members.join_raising(Limit::Never)
    }

    /// Joins for at most `timeout`. Returns `true` if the group has been empty.
    ///
    /// # Errors
    ///
    /// As [`join_raising`](Group::join_raising), also when the time is up and only some members
    /// have ended.
    pub fn join_raising_timeout(&self, timeout: impl Into<Limit>) -> Result<bool, Failure> {
        self.members.join_raising(timeout.into())
    }

    // --- killing ------------------------------------------------------------------------------------------------

    /// Kills every member with [`GreenletExit`](ramie_hub::GreenletExit) and waits until the group
    /// is empty.
    ///
    /// Members that are added during the wait are killed too, but usually have started by then and
    /// run to their first wait. Each member is killed at most once, however often the group is
    /// killed; a member that catches the exception and continues is waited for. The caller may be a
    /// member: the exception is raised out of this call, and the call does not wait for the caller.
    ///
    /// Greenlets that wait for a slot of a pool are not members: the group may have members again
    /// when this returns.
    ///
    /// # Cancellation
    ///
    /// The kills stay in force when the caller is interrupted.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ramie::{Group, sleep};
    ///
    /// let group = Group::new();
    /// for _ in 0..3 {
    ///     group.spawn(|| sleep(Duration::from_secs(10)));
    /// }
    /// group.kill();
    /// assert!(group.is_empty());
    /// ```
    pub fn kill(&self) {
        self.kill_with(Kill::default());
    }

    /// Kills every member with [`GreenletExit`](ramie_hub::GreenletExit) without waiting. Does not
    /// let other greenlets run, so all members are still inside when this returns.
    pub fn kill_nowait(&self) {
        self.kill_with(Kill::default().nowait());
    }

    /// Kills every member with any exception, and waits within the limit of `kill`. Returns `true`
    /// if the group is empty; see [`kill`](Group::kill).
    ///
    /// # Cancellation
    ///
    /// The kills stay in force when the caller is interrupted.
    pub fn kill_with(&self, kill: impl Into<Kill>) -> bool {
        let kill = kill.into();
        let limit = kill.limit().map(Limit::fixed);
        let kill = kill.nowait();
        while !self.is_empty() {
            for greenlet in self.members.mark_all_killed() {
                greenlet.kill_with(kill.clone());
            }
            let Some(limit) = limit else { break };
            let me = getcurrent();
            let mut others = self.greenlets();
            others.retain(|greenlet| *greenlet != me);
            let kills_itself = self.contains(&me);
            if others.is_empty() {
                // A kill of the caller itself arrives here, unless it is deferred or was caught
                // before.
                yield_now();
                break;
            }
            // The links of this wait come after those of the group: a greenlet that was waited for
            // has left the group.
            let mut wait = iwait(&others).timeout(limit);
            while wait.next().is_some() {}
            // The limit may end the wait when all have ended, before the links have been called: a
            // further round would let no greenlet run.
            if wait.timed_out() {
                break;
            }
            if kills_itself {
                // The caller's own kill comes before the kills of a further round.
                yield_now();
            }
        }
        self.is_empty()
    }

    /// Kills a member with [`GreenletExit`](ramie_hub::GreenletExit) and waits for its end, unless
    /// the member was killed through the group before.
    ///
    /// A greenlet that is not a member, or was killed through the group before, is left alone and
    /// not waited for. See [`AnyGreenlet::kill`] for the rest.
    pub fn killone(&self, greenlet: &AnyGreenlet) {
        self.killone_with(greenlet, Kill::default());
    }

    /// Kills a member with [`GreenletExit`](ramie_hub::GreenletExit) without waiting. Does not let
    /// other greenlets run.
    pub fn killone_nowait(&self, greenlet: &AnyGreenlet) {
        self.killone_with(greenlet, Kill::default().nowait());
    }

    /// Kills a member with any exception, and waits within the limit of `kill`. Returns `true` if
    /// the greenlet has ended; see [`killone`](Group::killone).
    ///
    /// # Cancellation
    ///
    /// The kill stays in force when the caller is interrupted.
    pub fn killone_with(&self, greenlet: &AnyGreenlet, kill: impl Into<Kill>) -> bool {
        if !self.members.mark_killed(greenlet) {
            return greenlet.ready();
        }
        let kill = kill.into();
        if *greenlet == getcurrent() {
            return greenlet.kill_with(kill);
        }
        let limit = kill.limit();
        // Queued at once: if the greenlet ends before the kill arrives, earlier waiters are
        // notified first.
        let ended = greenlet.kill_with(kill.nowait());
        limit.map_or(ended, |limit| greenlet.join_timeout(limit))
    }
}

impl Default for Group {
    fn default() -> Self {
        Self::new()
    }
}

impl<G: Into<AnyGreenlet>> FromIterator<G> for Group {
    fn from_iter<I: IntoIterator<Item = G>>(greenlets: I) -> Self {
        let group = Group::new();
        for greenlet in greenlets {
            group.add(&greenlet.into());
        }
        group
    }
}

impl IntoIterator for &Group {
    type Item = AnyGreenlet;
    type IntoIter = std::vec::IntoIter<AnyGreenlet>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("len", &self.len()).finish_non_exhaustive()
    }
}
