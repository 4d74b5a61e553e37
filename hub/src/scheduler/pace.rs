//! The times at which the loop reads the clock, and at which it polls again.
//!
//! A batch of callbacks ends after the switch interval, 5 ms, and a greenlet with operations that
//! never have to wait yields after the same time. Reading the clock costs more than a switch, so
//! the clock is read once for a number of *units*: items of the queue, targets that a pass over links
//! serves after its first, and operations that did not have to wait.
//!
//! The number adapts. It falls to 1 where units take long, and rises to gevent's 50 where they are
//! short. After each poll it is 4 at most, so that slow units are detected soon.
//!
//! gevent reads the clock after every 50 callbacks. A batch of short units ends at such a boundary
//! here too. Between two boundaries it ends only if the time is up and two checks in a row found
//! units that take long. One slow unit among short ones therefore changes no order: what it has
//! caused runs before the poll, as in gevent.
//!
//! This module is given the time and never reads the clock.

use std::cell::Cell;
use std::time::Duration;

use super::Core;
use super::clock::nanos;

/// The number of units from one boundary to the next, as in gevent.
pub(super) const WINDOW: u32 = 50;

/// The maximum number of units up to the first check after a poll.
const FIRST: u32 = 4;

/// The factor by which the number of units between two checks may rise.
const RISE: u32 = 4;

/// A check is due after this part of the interval, as far as can be predicted.
const LOOKS_PER_INTERVAL: u64 = 8;

/// The minimum time between two checks, as far as can be predicted.
const SHORTEST: u64 = 100_000;

/// The number of operations on ready sources that a greenlet, or a future that it polls, may do
/// before it lets other greenlets run.
const IO_BUDGET: u32 = 128;

/// The number of futures that are told to let others run, because the budget is spent, until it is
/// renewed.
const MOST_REFUSED: u32 = 64;

/// The switch interval of a new hub.
const SWITCH_INTERVAL: Duration = Duration::from_millis(5);

/// A counter of units that decides when the clock is read and when the loop polls.
pub(crate) struct Pace {
    /// The number of units up to the next check.
    left: Cell<u32>,
    /// The number of units between the last check and the next one.
    dealt: Cell<u32>,
    /// The number of units from the next check to the boundary.
    window: Cell<u32>,
    /// The number of units that a check may cover.
    stride: Cell<u32>,
    /// The time of the last check.
    looked: Cell<u64>,
    /// The time at which the loop must poll.
    poll_by: Cell<u64>,
    /// `true` if the last check found the time up and units that take long.
    overdue: Cell<bool>,
    interval: Cell<u64>,
    /// With that many units left, a greenlet that waits switches to the hub: 0 if it may hand over to
    /// the next greenlet until a check is due, and the maximum if something calls for the loop.
    hub_at: Cell<u32>,
    /// The number of operations left to the running greenlet.
    io_budget: Cell<u32>,
    /// The number of futures that were told to let others run, since one was not, in this turn.
    refused: Cell<u32>,
    /// The number of waits at the last refusal: another number means another turn.
    refused_at: Cell<u64>,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace {
            left: Cell::new(FIRST),
            dealt: Cell::new(FIRST),
            window: Cell::new(WINDOW - FIRST),
            stride: Cell::new(FIRST),
            looked: Cell::new(0),
            poll_by: Cell::new(nanos(SWITCH_INTERVAL)),
            overdue: Cell::new(false),
            interval: Cell::new(nanos(SWITCH_INTERVAL)),
            hub_at: Cell::new(u32::MAX),
            io_budget: Cell::new(IO_BUDGET),
            refused: Cell::new(0),
            refused_at: Cell::new(0),
        }
    }

    pub(super) fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval.get())
    }

    pub(super) fn set_interval(&self, interval: Duration) {
        self.interval.set(nanos(interval));
    }

    /// Returns `true` if the clock must be read before the next unit.
    #[inline(always)]
    pub(super) fn due(&self) -> bool {
        self.left.get() == 0
    }

    /// Sets whether the greenlet that is resumed next may hand over to others.
    #[inline(always)]
    pub(super) fn allow_hand_over(&self, allowed: bool) {
        self.hub_at.set(if allowed { 0 } else { u32::MAX });
    }

    /// Makes the running greenlet switch to the hub when it waits: the loop has more to do than to
    /// serve the next item.
    #[inline]
    pub(super) fn call_for_loop(&self) {
        self.allow_hand_over(false);
    }

    /// Returns `true` if a greenlet that waits must switch to the hub.
    #[inline(always)]
    pub(super) fn calls_for_loop(&self) -> bool {
        self.left.get() <= self.hub_at.get()
    }

    /// Counts an item of the queue. No check may be due.
    #[inline(always)]
    pub(super) fn spend(&self) {
        debug_assert!(!self.due(), "the clock is read before the item");
        self.left.set(self.left.get().wrapping_sub(1));
    }

    /// Counts an operation or a target of a pass, whether a check is due or not.
    #[inline]
    pub(super) fn spend_operation(&self) {
        self.left.set(self.left.get().saturating_sub(1));
    }

    /// Gives the running greenlet a new budget of operations.
    #[inline(always)]
    pub(super) fn renew_budget(&self) {
        self.io_budget.set(IO_BUDGET);
    }

    /// Returns `true` if the running greenlet has used up its budget of operations.
    #[inline(always)]
    pub(super) fn budget_spent(&self) -> bool {
        self.io_budget.get() == 0
    }

    /// Counts an operation of the running greenlet.
    #[inline(always)]
    pub(super) fn spend_budget(&self) {
        self.io_budget.set(self.io_budget.get().saturating_sub(1));
        self.spend_operation();
    }

    /// Returns `true` if a future must let others run, in a turn that is over. Not always: an
    /// executor that lets no greenlet run and no loop poll in between must get on too.
    ///
    /// `waits` is the number of waits so far.
    pub(super) fn refuses_future(&self, waits: u64) -> bool {
        if self.refused_at.replace(waits) != waits {
            self.refused.set(0);
        }
        let most = if self.budget_spent() { MOST_REFUSED } else { 1 };
        if self.refused.get() < most {
            self.refused.set(self.refused.get() + 1);
            return true;
        }
        self.refused.set(0);
        // A budget that is not spent stays: it is that of all futures of the turn.
        if self.budget_spent() {
            self.renew_budget();
        }
        false
    }

    /// Makes the next check due now, at a boundary.
    fn force(&self) {
        self.left.set(0);
        self.window.set(0);
    }

    /// Checks the time. Returns `true` if the loop must poll before the next unit; a further check
    /// returns the same.
    pub(super) fn look(&self, now: u64) -> bool {
        let spent = now.saturating_sub(self.looked.replace(now)).max(1);
        let slice = (self.interval.get() / LOOKS_PER_INTERVAL).max(SHORTEST);
        // The number of units like the last ones that fit into a slice.
        let fit = u64::from(self.dealt.get().max(1)).saturating_mul(slice) / spent;
        let fit = u32::try_from(fit).unwrap_or(u32::MAX);
        self.stride.set(fit.clamp(1, (self.stride.get() * RISE).min(WINDOW)));
        let window = self.window.get();
        let boundary = window == 0;
        let late = now > self.poll_by.get();
        let overdue = late && fit < window;
        if late && boundary || self.overdue.replace(overdue) && overdue {
            self.force();
            return true;
        }
        self.deal(if boundary { WINDOW } else { window });
        false
    }

    /// Records a poll that has returned at this time.
    pub(super) fn polled(&self, now: u64) {
        self.poll_by.set(now.saturating_add(self.interval.get()));
        self.looked.set(now);
        self.overdue.set(false);
        self.refused.set(0);
        self.stride.set(self.stride.get().min(FIRST));
        self.deal(WINDOW);
    }

    /// Begins a batch: at this time, with an interval of its own, or continuing from the poll.
    pub(super) fn begin_batch(&self, now: Option<u64>) {
        if let Some(now) = now {
            self.poll_by.set(now.saturating_add(self.interval.get()));
            self.looked.set(now);
        }
        self.deal(WINDOW);
    }

    /// Sets the next check, with `window` units left up to the boundary.
    fn deal(&self, window: u32) {
        let dealt = self.stride.get().min(window);
        self.left.set(dealt);
        self.dealt.set(dealt);
        self.window.set(window - dealt);
    }
}

/// The switch interval for other folders.
impl Core {
    pub(crate) fn switch_interval(&self) -> Duration {
        self.pace.interval()
    }

    pub(crate) fn set_switch_interval(&self, interval: Duration) {
        self.pace.set_interval(interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: u64 = 1_000;
    const MS: u64 = 1_000_000;

    /// Spends units that take `each` nanoseconds until the loop must poll. Returns their number.
    fn batch(pace: &Pace, now: &mut u64, mut each: impl FnMut(u64) -> u64) -> u64 {
        let mut units = 0;
        loop {
            if pace.due() && pace.look(*now) {
                return units;
            }
            pace.spend();
            units += 1;
            *now += each(units);
        }
    }

    /// Polls, and spends units as [`batch`] does. Returns their number and the delay of the next
    /// poll.
    fn iteration(pace: &Pace, now: &mut u64, each: impl FnMut(u64) -> u64) -> (u64, u64) {
        pace.polled(*now);
        pace.begin_batch(None);
        let start = *now;
        let units = batch(pace, now, each);
        (units, (*now - start).saturating_sub(5 * MS))
    }

    #[test]
    fn short_units_end_at_a_boundary_of_fifty() {
        let (pace, mut now) = (Pace::new(), 0);
        for each in [10, 50, 300, US, 5 * US] {
            let (units, late) = iteration(&pace, &mut now, |_| each);
            assert_eq!(units % u64::from(WINDOW), 0, "{each} ns: {units}");
            assert!(late <= 700 * US, "{each} ns: {late}");
        }
    }

    #[test]
    fn slow_units_are_noticed_after_five_at_the_latest() {
        for slow in [200 * US, 2 * MS, 20 * MS] {
            let (pace, mut now) = (Pace::new(), 0);
            let (fast, _) = iteration(&pace, &mut now, |_| 20);
            assert!(fast > 100_000, "{fast}");
            for _ in 0..3 {
                let (_, late) = iteration(&pace, &mut now, |_| slow);
                assert!(late <= (5 * slow).max(2 * MS), "{slow} ns: {late}");
            }
            let (_, late) = iteration(&pace, &mut now, |_| slow);
            assert!(late <= (2 * slow).max(2 * MS), "{slow} ns, once it is known: {late}");
        }
    }

    #[test]
    fn units_that_become_slow_in_the_middle_hold_the_poll_up_once() {
        let (pace, mut now) = (Pace::new(), 0);
        let (_, late) = iteration(&pace, &mut now, |unit| if unit < 1000 { 20 } else { 2 * MS });
        assert!(late <= 100 * MS, "{late}");
    }

    #[test]
    fn the_clock_is_read_once_in_fifty_short_units() {
        let (pace, mut looks) = (Pace::new(), 0);
        pace.polled(0);
        pace.begin_batch(None);
        for unit in 0..10_000 {
            if pace.due() {
                looks += 1;
                assert!(!pace.look(unit * 20));
            }
            pace.spend();
        }
        assert!(looks <= 10_000 / 50 + 4, "{looks}");
    }

    #[test]
    fn it_stays_late_until_the_poll_and_a_batch_runs_one_unit_at_least() {
        let pace = Pace::new();
        pace.polled(0);
        pace.begin_batch(None);
        for _ in 0..4 {
            pace.spend();
        }
        assert!(!pace.look(20 * MS), "the next unit may be a short one");
        pace.spend();
        assert!(pace.due() && pace.look(40 * MS));
        assert!(pace.due() && pace.look(40 * MS + 1));
        pace.polled(41 * MS);
        pace.begin_batch(None);
        assert!(!pace.due());
    }

    #[test]
    fn one_slow_unit_among_short_ones_ends_no_batch_before_its_boundary() {
        let (pace, mut now) = (Pace::new(), 0);
        for slow in 1..u64::from(WINDOW) {
            let (units, _) = iteration(&pace, &mut now, |unit| if unit == slow { 20 * MS } else { 20 });
            assert_eq!(units, u64::from(WINDOW), "unit {slow} is the slow one");
        }
    }

    #[test]
    fn an_interval_of_zero_still_lets_units_run() {
        let (pace, mut now) = (Pace::new(), 0);
        pace.set_interval(Duration::ZERO);
        let (units, _) = iteration(&pace, &mut now, |_| 20);
        assert_eq!(units, u64::from(WINDOW));
    }
}
