//! A set of living greenlets that are joined and killed together.

use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie_hub::{AnyGreenlet, Body, Builder, Exception, Failure, Greenlet, GreenletExit, Limit, getcurrent};
use ramie_hub::{iwait, yield_now};

use crate::members::Members;

/// A set of living greenlets, of whatever results: gevent's `Group`. Clones are the same group.
///
/// A member leaves when it has ended, in its turn among the greenlet's links: who joined or linked it before it was
/// added still sees it inside, who came later does not. Dropping every handle of a group leaves its members running.
///
/// A [`Pool`](crate::Pool) is a group with a limit and dereferences to this; what is said to *enter* here waits for a
/// slot there.
///
/// # Examples
///
/// ```
/// use ramie_pool::Group;
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
    /// A group without members.
    pub fn new() -> Self {
        Self::with_builder(Builder::new())
    }

    /// A group that makes its greenlets with this builder: their name, their stacks.
    pub fn with_builder(builder: Builder) -> Self {
        Group { members: Members::new(builder, None) }
    }

    /// A group of greenlets that exist already. Does not let others run.
    ///
    /// Unlike gevent's, its [`join`](Group::join) waits for them. One that has ended leaves in a later turn.
    pub fn from_greenlets<G: Into<AnyGreenlet>>(greenlets: impl IntoIterator<Item = G>) -> Self {
        greenlets.into_iter().collect()
    }

    // --- members ------------------------------------------------------------------------------------------------

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the greenlet is a member.
    pub fn contains(&self, greenlet: &AnyGreenlet) -> bool {
        self.members.contains(greenlet)
    }

    /// The members, in the order in which they came.
    pub fn greenlets(&self) -> Vec<AnyGreenlet> {
        self.members.greenlets()
    }

    /// Iterates over those who are members now, in the order in which they came.
    pub fn iter(&self) -> std::vec::IntoIter<AnyGreenlet> {
        self.greenlets().into_iter()
    }

    /// Takes a greenlet in, whatever its state. Lets others run only if it waits for a slot of a pool.
    ///
    /// A greenlet that is a member already stays one member; in a pool it takes a second slot, and gives both back
    /// when it leaves. One that has ended leaves in a later turn.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes no slot and leaves the line; the greenlet is no member.
    pub fn add(&self, greenlet: &AnyGreenlet) {
        self.members.acquire(Limit::Never);
        self.members.enter(greenlet);
    }

    /// Lets a member go, which runs on; its slot is free at once. Nothing happens to a greenlet that is no member.
    /// Does not let others run.
    pub fn discard(&self, greenlet: &AnyGreenlet) {
        self.members.discard(greenlet);
    }

    /// [Adds](Group::add) a greenlet and starts it. Lets others run only if it waits for a slot of a pool.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes no slot, and the greenlet is neither started nor a member.
    pub fn start(&self, greenlet: &AnyGreenlet) {
        self.add(greenlet);
        greenlet.start();
    }

    /// Makes a greenlet, takes it in and starts it. Lets others run only if it waits for a slot of a pool.
    ///
    /// Those who wait for a slot are served in order, but a slot is not handed over: whoever asks between its
    /// release and the turn of the first in line takes it, and the first stays first.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes no slot and drops the body.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_pool::Group;
    ///
    /// let group = Group::new();
    /// assert_eq!(group.spawn(|| 5).get().unwrap(), 5);
    /// ```
    #[track_caller]
    pub fn spawn<B: Body>(&self, body: B) -> Greenlet<B::Value> {
        self.members.spawn(body, None)
    }

    /// Whether whoever enters now would have to wait: never, but in a pool.
    pub fn full(&self) -> bool {
        self.members.is_full()
    }

    /// Waits until somebody could enter, and reserves nothing; returns how many could. Without a limit that is 1.
    ///
    /// Lets others run only if it waits. The number is zero when others were faster.
    pub fn wait_available(&self) -> usize {
        self.members.slots.as_ref().map_or(1, ramie_hub::Semaphore::wait)
    }

    // --- joining ------------------------------------------------------------------------------------------------

    /// Waits until the group has been empty once. Returns without letting others run when it is.
    ///
    /// Those who join the group meanwhile are waited for too. Whoever still waits to enter is not: there may be
    /// members again when this returns. A member that joins its own group waits for itself.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller leaves the members as they are.
    pub fn join(&self) {
        self.members.join(Limit::Never);
    }

    /// Waits at most that long; says whether the group has been empty.
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.members.join(Limit::After(timeout))
    }

    /// Waits at most until then; says whether the group has been empty.
    pub fn join_deadline(&self, deadline: Instant) -> bool {
        self.members.join(Limit::At(deadline))
    }

    /// Joins like [`join`](Group::join) and returns the first failure in time of those who are members now.
    ///
    /// It waits for all of them, failure or not. A plain kill is no failure. Those who have failed and left before,
    /// or come during the call, do not count; who was discarded during it counts if it has failed when this returns.
    ///
    /// # Errors
    ///
    /// The failure that came first. gevent returns any of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_hub::{fallible, yield_now};
    /// use ramie_pool::Group;
    ///
    /// let group = Group::new();
    /// group.spawn(fallible(|| { yield_now(); Err::<(), _>("the second") }));
    /// group.spawn(fallible(|| Err::<(), _>("the first")));
    /// assert_eq!(group.join_raising().unwrap_err().to_string(), "the first");
    /// ```
    pub fn join_raising(&self) -> Result<bool, Failure> {
        self.members.join_raising(Limit::Never)
    }

    /// Waits at most that long; says whether the group has been empty.
    ///
    /// # Errors
    ///
    /// As [`join_raising`](Group::join_raising), also when the time is over and only some have ended.
    pub fn join_raising_timeout(&self, timeout: Duration) -> Result<bool, Failure> {
        self.members.join_raising(Limit::After(timeout))
    }

    /// Waits at most until then; says whether the group has been empty.
    ///
    /// # Errors
    ///
    /// As [`join_raising_timeout`](Group::join_raising_timeout).
    pub fn join_raising_deadline(&self, deadline: Instant) -> Result<bool, Failure> {
        self.members.join_raising(Limit::At(deadline))
    }

    // --- killing ------------------------------------------------------------------------------------------------

    /// Kills every member with [`GreenletExit`] and waits until the group is empty.
    ///
    /// Members that come meanwhile are killed too, but have mostly been started by then and run to their first wait.
    /// However often the group is killed, each member is hit once at most; one that goes on all the same is waited
    /// for. The caller may be a member: the exception is raised out of this call, and nobody waits for the caller.
    ///
    /// Whoever waits to enter a pool is no member: there may be members again when this has returned.
    ///
    /// # Cancellation
    ///
    /// The kills stay in force when the caller is interrupted.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ramie_hub::sleep;
    /// use ramie_pool::Group;
    ///
    /// let group = Group::new();
    /// for _ in 0..3 {
    ///     group.spawn(|| sleep(Duration::from_secs(10)));
    /// }
    /// group.kill();
    /// assert!(group.is_empty());
    /// ```
    pub fn kill(&self) {
        self.kill_for(Exception::new(GreenletExit), Some(Limit::Never));
    }

    /// Kills every member with any exception and waits until the group is empty; see [`kill`](Group::kill).
    pub fn kill_with<E: fmt::Debug + fmt::Display + 'static>(&self, error: E) {
        self.kill_for(Exception::new(error), Some(Limit::Never));
    }

    /// Kills every member with [`GreenletExit`] without waiting. Does not let others run, so all are still inside.
    pub fn kill_nowait(&self) {
        self.kill_for(Exception::new(GreenletExit), None);
    }

    /// Kills every member with any exception without waiting. Does not let others run.
    pub fn kill_with_nowait<E: fmt::Debug + fmt::Display + 'static>(&self, error: E) {
        self.kill_for(Exception::new(error), None);
    }

    /// Kills every member with [`GreenletExit`] and waits at most that long; says whether the group is empty.
    pub fn kill_timeout(&self, timeout: Duration) -> bool {
        self.kill_for(Exception::new(GreenletExit), Some(Limit::After(timeout)))
    }

    /// Kills every member with any exception and waits at most that long; says whether the group is empty.
    pub fn kill_with_timeout<E: fmt::Debug + fmt::Display + 'static>(
        &self,
        error: E,
        timeout: Duration,
    ) -> bool {
        self.kill_for(Exception::new(error), Some(Limit::After(timeout)))
    }

    /// Without a limit it does not wait at all.
    fn kill_for(&self, exception: Exception, limit: Option<Limit>) -> bool {
        let limit = limit.map(Limit::fixed);
        while !self.is_empty() {
            for greenlet in self.members.condemn_all() {
                greenlet.kill_with_nowait(exception.clone());
            }
            let Some(limit) = limit else { break };
            let me = getcurrent();
            let mut others = self.greenlets();
            others.retain(|greenlet| *greenlet != me);
            let kills_itself = self.contains(&me);
            if others.is_empty() {
                // The kill of the caller itself arrives here, unless it is put off or was caught before.
                yield_now();
                break;
            }
            // Their places among the links come after the group's: who was waited for has left.
            let ended = match limit {
                Limit::At(deadline) => iwait(&others).deadline(deadline).count(),
                _ => iwait(&others).count(),
            };
            if ended < others.len() {
                break;
            }
            if kills_itself {
                // Its own kill comes before those of a further round.
                yield_now();
            }
        }
        self.is_empty()
    }

    /// Kills a member with [`GreenletExit`] and waits for its end, unless it was killed through the group before.
    ///
    /// A stranger, and a member that was killed before, is left alone, and nothing is waited for. For the rest see
    /// [`AnyGreenlet::kill`].
    pub fn killone(&self, greenlet: &AnyGreenlet) {
        self.killone_with(greenlet, GreenletExit);
    }

    /// Kills a member with any exception and waits for its end; see [`killone`](Group::killone).
    pub fn killone_with<E: fmt::Debug + fmt::Display + 'static>(&self, greenlet: &AnyGreenlet, error: E) {
        if self.members.condemn(greenlet) {
            if *greenlet == getcurrent() {
                greenlet.kill_with(error);
                return;
            }
            // In line at once: should it end before it is hit, whoever was there before is told first.
            greenlet.kill_with_nowait(error);
            greenlet.join();
        }
    }

    /// Kills a member with [`GreenletExit`] without waiting. Does not let others run.
    pub fn killone_nowait(&self, greenlet: &AnyGreenlet) {
        self.killone_with_nowait(greenlet, GreenletExit);
    }

    /// Kills a member with any exception without waiting. Does not let others run.
    pub fn killone_with_nowait<E: fmt::Debug + fmt::Display + 'static>(
        &self,
        greenlet: &AnyGreenlet,
        error: E,
    ) {
        if self.members.condemn(greenlet) {
            greenlet.kill_with_nowait(error);
        }
    }

    /// Kills a member with [`GreenletExit`] and waits at most that long; says whether it has ended.
    pub fn killone_timeout(&self, greenlet: &AnyGreenlet, timeout: Duration) -> bool {
        self.killone_with_timeout(greenlet, GreenletExit, timeout)
    }

    /// Kills a member with any exception and waits at most that long; says whether it has ended.
    pub fn killone_with_timeout<E: fmt::Debug + fmt::Display + 'static>(
        &self,
        greenlet: &AnyGreenlet,
        error: E,
        timeout: Duration,
    ) -> bool {
        if self.members.condemn(greenlet) {
            if *greenlet == getcurrent() {
                return greenlet.kill_with_timeout(error, timeout);
            }
            greenlet.kill_with_nowait(error);
            return greenlet.join_timeout(timeout);
        }
        greenlet.ready()
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
