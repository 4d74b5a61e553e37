use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;

use super::arena::NIL;
use super::queue::Due;
use super::{TimerId, Timers};

const TICK: u64 = 1 << 20;
const MILLISECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MILLISECOND;

/// Checks the three rules of the state.
fn check<P>(timers: &Timers<P>) {
    let placed = timers.near.check(&timers.wheel) + timers.wheel.check(&timers.nodes);
    assert_eq!(placed + usize::from(timers.unplaced != NIL), timers.len());
}

fn drain<P>(timers: &mut Timers<P>, now: u64) -> Vec<P> {
    std::iter::from_fn(|| timers.pop_due(now)).map(|due| due.payload).collect()
}

#[test]
fn fires_in_the_order_of_deadlines() {
    let mut timers = Timers::new();
    let deadlines =
        [5 * HOUR, 3, u64::MAX, 0, 70 * TICK, TICK, TICK - 1, 64 * TICK, 4096 * TICK + 1, 4096 * TICK];
    for deadline in deadlines {
        timers.start(deadline, deadline);
    }
    check(&timers);
    let mut sorted = deadlines.to_vec();
    sorted.sort_unstable();
    assert_eq!(drain(&mut timers, u64::MAX), sorted);
    assert_eq!(timers.len(), 0);
}

#[test]
fn equal_deadlines_fire_in_start_order() {
    let mut timers = Timers::new();
    let deadline = 100_000 * TICK + 7;
    // Starts timers while the deadline is far away, while it is nearer, and within its tick.
    for (payload, now) in [0, TICK, 90_000 * TICK, 99_990 * TICK, 100_000 * TICK].into_iter().enumerate() {
        assert!(timers.pop_due(now).is_none());
        timers.start(deadline, payload * 2);
        timers.start(deadline, payload * 2 + 1);
        check(&timers);
    }
    assert_eq!(drain(&mut timers, deadline), (0..10).collect::<Vec<_>>());
}

#[test]
fn never_fires_early() {
    let mut timers = Timers::new();
    let deadline = 5 * HOUR + 12_345;
    let id = timers.start(deadline, 'a');
    for now in [0, HOUR, deadline - TICK, deadline - 1] {
        assert_eq!(timers.pop_due(now), None);
        assert!(timers.is_pending(id));
    }
    assert_eq!(timers.pop_due(deadline), Some(Due { id, deadline, payload: 'a' }));
    assert!(!timers.is_pending(id));
    assert_eq!(timers.pop_due(u64::MAX), None);
}

#[test]
fn a_deadline_of_the_past_is_due_at_once() {
    let mut timers = Timers::new();
    assert_eq!(timers.pop_due(HOUR), None);
    timers.start(HOUR + 1, 'd');
    timers.start(HOUR, 'c');
    timers.start(7, 'b');
    timers.start(0, 'a');
    assert_eq!(timers.next_deadline(), Some(0));
    assert_eq!(drain(&mut timers, HOUR), ['a', 'b', 'c']);
}

#[test]
fn a_deadline_at_the_end_of_time_is_kept() {
    let mut timers = Timers::new();
    timers.start(u64::MAX, 'a');
    assert_eq!(timers.next_deadline(), Some(u64::MAX));
    assert_eq!(timers.pop_due(u64::MAX - 1), None);
    assert_eq!(timers.next_deadline(), Some(u64::MAX));
    timers.start(u64::MAX, 'b');
    assert_eq!(drain(&mut timers, u64::MAX), ['a', 'b']);
}

#[test]
fn an_earlier_now_is_no_harm() {
    let mut timers = Timers::new();
    assert_eq!(timers.pop_due(HOUR), None);
    timers.start(HOUR + 5 * TICK, 'b');
    assert_eq!(timers.pop_due(0), None);
    check(&timers);
    timers.start(HOUR - 1, 'a');
    assert_eq!(timers.pop_due(0), None);
    assert_eq!(drain(&mut timers, HOUR), ['a']);
    assert_eq!(drain(&mut timers, HOUR + 5 * TICK), ['b']);
}

#[test]
fn cancel_gives_the_payload_back_once() {
    let mut timers = Timers::new();
    for deadline in [0, TICK, HOUR, u64::MAX] {
        let id = timers.start(deadline, deadline);
        assert_eq!(timers.cancel(id), Some(deadline));
        assert_eq!(timers.cancel(id), None);
        assert!(!timers.is_pending(id));
        assert_eq!(timers.next_deadline(), None);
        check(&timers);
    }
    assert_eq!(timers.pop_due(u64::MAX), None);
}

#[test]
fn cancel_works_at_any_place_in_a_slot_and_in_the_heap() {
    for at in [0, HOUR] {
        for cancelled in 0..9_u64 {
            let mut timers = Timers::new();
            let ids: Vec<_> =
                (0..9).map(|payload| timers.start(at + payload * 5 % 9, payload * 5 % 9)).collect();
            assert_eq!(timers.cancel(ids[cancelled as usize]), Some(cancelled * 5 % 9));
            check(&timers);
            let rest: Vec<_> = (0..9).filter(|payload| *payload != cancelled * 5 % 9).collect();
            assert_eq!(drain(&mut timers, 2 * HOUR), rest);
        }
    }
}

#[test]
fn a_stale_id_is_harmless() {
    let mut timers = Timers::new();
    let fired = timers.start(1, 'a');
    assert!(timers.pop_due(1).is_some());
    let cancelled = timers.start(HOUR, 'b');
    timers.cancel(cancelled);
    let live = timers.start(HOUR, 'c');
    for stale in [fired, cancelled] {
        assert_ne!(stale, live);
        assert!(!timers.is_pending(stale));
        assert_eq!(timers.cancel(stale), None);
    }
    assert!(timers.is_pending(live));
    assert_eq!(timers.cancel(live), Some('c'));
}

#[test]
fn a_node_without_further_generations_is_retired() {
    let mut timers = Timers::new();
    let first = timers.start(HOUR, 'a');
    let last = timers.nodes.wear_out(first);
    assert_eq!(timers.cancel(last), Some('a'));
    let next = timers.start(HOUR, 'b');
    assert_ne!(next.index(), last.index());
    assert_eq!(timers.cancel(first), None);
    assert_eq!(timers.cancel(last), None);
    assert_eq!(drain(&mut timers, HOUR), ['b']);
}

#[test]
fn nodes_are_used_again() {
    let mut timers = Timers::new();
    for round in 0..1_000 {
        let ids = [0, TICK, HOUR].map(|delay| timers.start(round * TICK + delay, ()));
        timers.cancel(ids[2]);
        drain(&mut timers, round * TICK);
    }
    assert!(timers.nodes.total() <= 4);
}

#[test]
fn payloads_are_dropped_where_they_should_be() {
    let payload = Rc::new(());
    let mut timers = Timers::new();
    let ids = [0, TICK, HOUR, HOUR].map(|deadline| timers.start(deadline, Rc::clone(&payload)));
    assert_eq!(Rc::strong_count(&payload), 5);
    drop(timers.cancel(ids[3]));
    assert_eq!(Rc::strong_count(&payload), 4);
    drop(timers.pop_due(0));
    assert_eq!(Rc::strong_count(&payload), 3);
    drop(timers);
    assert_eq!(Rc::strong_count(&payload), 1);
}

#[test]
fn next_deadline_is_exact_without_cancels() {
    let mut timers = Timers::new();
    assert_eq!(timers.next_deadline(), None);
    for deadline in [u64::MAX, 9 * HOUR + 3, 9 * HOUR + 1, 5 * TICK + 9, 5 * TICK + 3, 5 * TICK + 3, 17, 4] {
        timers.start(deadline, ());
        assert_eq!(timers.next_deadline(), Some(deadline));
    }
}

#[test]
fn an_ordinary_sleep_takes_one_poll() {
    let mut timers = Timers::new();
    let mut now = 17;
    for sleep in [1, TICK, MILLISECOND, 10 * MILLISECOND, 100 * MILLISECOND, HOUR] {
        let other = timers.start(now + 2 * HOUR, 'b');
        timers.start(now + sleep, 'a');
        now = timers.next_deadline().expect("two timers are pending");
        assert_eq!(drain(&mut timers, now), ['a']);
        timers.cancel(other);
    }
}

#[test]
fn cancelling_the_earliest_of_few_leaves_next_deadline_exact() {
    let mut timers = Timers::new();
    let ids: Vec<_> = (0..10).map(|i| timers.start(HOUR + i, ())).collect();
    for (i, id) in ids.into_iter().enumerate() {
        assert_eq!(timers.next_deadline(), Some(HOUR + i as u64));
        timers.cancel(id);
    }
    assert_eq!(timers.next_deadline(), None);
}

#[test]
fn cancelling_the_earliest_of_many_costs_one_early_wake() {
    let mut timers = Timers::new();
    let ids: Vec<_> = (0..1_000).map(|i| timers.start(HOUR + i, ())).collect();
    for id in &ids[..500] {
        timers.cancel(*id);
    }
    let early = timers.next_deadline().expect("half of the timers are pending");
    assert!(early <= HOUR + 500);
    assert_eq!(timers.pop_due(early), None);
    assert_eq!(timers.next_deadline(), Some(HOUR + 500));
}

#[test]
fn far_timers_stay_out_of_the_heap() {
    let mut timers = Timers::new();
    for i in 0..1_000 {
        timers.start(HOUR + i * TICK, ());
    }
    for now in 0..1_000 {
        assert_eq!(timers.pop_due(now * TICK), None);
        assert!(timers.next_deadline().is_some());
    }
    for before in [100_000, 10_000, 5_000, 100, 70, 2, 1] {
        assert_eq!(timers.pop_due(HOUR - before * TICK), None);
        assert_eq!(timers.near.check(&timers.wheel), 0);
    }
}

#[test]
fn only_the_current_tick_is_in_the_heap() {
    let mut timers = Timers::new();
    for now in [0, HOUR, 2 * HOUR] {
        timers.pop_due(now);
        timers.start(now, ());
        timers.start(now + TICK, ());
        assert_eq!(timers.near.check(&timers.wheel), 1);
        drain(&mut timers, now + TICK);
    }
}

#[test]
fn a_jump_over_hours_returns_everything_in_order() {
    let mut timers = Timers::new();
    let mut deadlines: Vec<_> = (0..10_000).map(|i: u64| i * i * 7_919 * TICK / 64 % (100 * HOUR)).collect();
    for &deadline in &deadlines {
        timers.start(deadline, deadline);
    }
    deadlines.sort_unstable();
    assert_eq!(drain(&mut timers, 100 * HOUR), deadlines);
    assert_eq!(drain(&mut timers, u64::MAX), []);
}

#[test]
fn a_timer_started_between_two_pops_takes_its_place() {
    let mut timers = Timers::new();
    timers.start(10, 'a');
    timers.start(10 + 3 * TICK, 'd');
    assert_eq!(timers.pop_due(HOUR).map(|due| due.payload), Some('a'));
    timers.start(10 + 2 * TICK, 'c');
    timers.start(5, 'b');
    assert_eq!(drain(&mut timers, HOUR), ['b', 'c', 'd']);
}

#[test]
fn debug_shows_the_length() {
    let mut timers = Timers::new();
    timers.start(1, ());
    assert_eq!(format!("{timers:?}"), "Timers { len: 1, .. }");
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    /// Starts a timer this long after now.
    Start(u64),
    /// Starts a timer at this time, independent of now.
    StartAt(u64),
    /// Starts a timer with the deadline of an earlier one.
    StartTied(prop::sample::Index),
    /// Starts many timers close together, this long after now.
    StartMany(u64),
    /// Cancels a timer, pending or not.
    Cancel(prop::sample::Index),
    /// Cancels the first timer.
    CancelFirst,
    /// Advances the time and removes all due timers.
    Advance(u64),
    /// Advances the time and removes at most one timer.
    AdvanceAndPop(u64),
    /// Sleeps until `next_deadline`.
    Sleep,
}

/// Durations of every order of magnitude, with some at the edges of ticks and slots.
fn duration() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (0..44_u32, any::<u64>()).prop_map(|(bits, random)| random % (1 << bits)),
        2 => (0..30_u32, 0..3_u64).prop_map(|(bits, less)| (TICK << bits).saturating_sub(less)),
        2 => 0..4 * TICK,
        1 => 0..100 * MILLISECOND,
        1 => Just(50 * MILLISECOND),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => duration().prop_map(Step::Start),
        1 => prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), Just(u64::MAX - 1)].prop_map(Step::StartAt),
        2 => any::<prop::sample::Index>().prop_map(Step::StartTied),
        1 => duration().prop_map(Step::StartMany),
        5 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        2 => Just(Step::CancelFirst),
        3 => duration().prop_map(Step::Advance),
        2 => duration().prop_map(Step::AdvanceAndPop),
        3 => Just(Step::Sleep),
    ]
}

/// The timers beside a model that is obviously correct.
struct Pair {
    timers: Timers<usize>,
    model: BTreeMap<(u64, usize), TimerId>,
    /// All timers ever started; the payload of each is its index here.
    started: Vec<(u64, TimerId)>,
    now: u64,
}

impl Pair {
    fn new(now: u64) -> Self {
        Self { timers: Timers::new(), model: BTreeMap::new(), started: Vec::new(), now }
    }

    fn start(&mut self, deadline: u64) {
        let payload = self.started.len();
        let id = self.timers.start(deadline, payload);
        self.started.push((deadline, id));
        assert!(self.model.insert((deadline, payload), id).is_none());
    }

    fn cancel(&mut self, payload: usize) {
        let (deadline, id) = self.started[payload];
        let expected = self.model.remove(&(deadline, payload));
        assert_eq!(self.timers.is_pending(id), expected.is_some());
        assert_eq!(self.timers.cancel(id), expected.map(|_| payload));
        assert!(!self.timers.is_pending(id));
    }

    /// Removes one timer. Returns `true` if there was one.
    fn pop(&mut self) -> bool {
        let first = self.model.first_entry().filter(|first| first.key().0 <= self.now);
        let expected = first.map(|first| first.remove_entry());
        let expected = expected.map(|((deadline, payload), id)| Due { id, deadline, payload });
        assert_eq!(self.timers.pop_due(self.now), expected);
        if expected.is_none() {
            let next = self.timers.next_deadline();
            assert!(next.is_none_or(|next| next > self.now), "the loop would spin");
        }
        expected.is_some()
    }

    fn pop_all(&mut self) {
        while self.pop() {}
    }

    /// Sleeps as the loop does, and returns the number of timers that one wake-up delivered.
    fn sleep(&mut self) -> usize {
        let Some(next) = self.timers.next_deadline() else { return 0 };
        self.now = self.now.max(next);
        let before = self.model.len();
        self.pop_all();
        before - self.model.len()
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Start(delay) => self.start(self.now.saturating_add(delay)),
            Step::StartAt(deadline) => self.start(deadline),
            Step::StartTied(which) if !self.started.is_empty() => self.start(which.get(&self.started).0),
            Step::StartMany(delay) => {
                for i in 0..40 {
                    self.start(self.now.saturating_add(delay + i * 7 % 40 * 1_000));
                }
            }
            Step::Cancel(which) if !self.started.is_empty() => self.cancel(which.index(self.started.len())),
            Step::CancelFirst => {
                if let Some(&(_, payload)) = self.model.keys().next() {
                    self.cancel(payload);
                }
            }
            Step::Advance(time) => {
                self.now = self.now.saturating_add(time);
                self.pop_all();
            }
            Step::AdvanceAndPop(time) => {
                self.now = self.now.saturating_add(time);
                self.pop();
            }
            Step::Sleep => {
                // After one early wake-up the next deadline is exact again.
                if !self.model.is_empty() && self.sleep() == 0 {
                    assert_ne!(self.sleep(), 0, "two early wakes in a row");
                }
            }
            Step::StartTied(_) | Step::Cancel(_) => {}
        }
        self.compare();
    }

    fn compare(&mut self) {
        check(&self.timers);
        assert_eq!(self.timers.len(), self.model.len());
        let bound = self.timers.next_deadline();
        let earliest = self.model.keys().next().map(|key| key.0);
        assert_eq!(bound.is_some(), earliest.is_some());
        assert!(bound <= earliest);
        assert_eq!(self.timers.next_deadline(), bound, "asking changes nothing");
    }
}

proptest! {
    #[test]
    fn behaves_like_a_sorted_map(
        begin in prop_oneof![Just(0), duration(), any::<u64>()],
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut pair = Pair::new(begin);
        for step in steps {
            pair.apply(step);
        }
        while !pair.model.is_empty() {
            if pair.sleep() == 0 {
                assert_ne!(pair.sleep(), 0, "two early wakes in a row");
            }
            check(&pair.timers);
        }
        assert_eq!(pair.timers.next_deadline(), None);
    }
}
