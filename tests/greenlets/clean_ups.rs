//! Destructors that wait while a kill unwinds their greenlet: nothing interrupts them, and they
//! disturb no other greenlet.

use std::thread;
use std::time::Duration;

use ramie::sync::Event;
use ramie::{
    Greenlet, GreenletExit, Kill, TimedOut, Timeout, catch, getcurrent, raise, sleep, spawn, spawn_later,
    yield_now,
};

use crate::util::log::Log;
use crate::util::sleepers::{asleep, interrupted};
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Waits in its destructor until the event is set, and logs both ends of that.
struct WaitsInDrop(Log, Event);

impl Drop for WaitsInDrop {
    fn drop(&mut self) {
        self.0.add("cleaning");
        self.1.wait();
        self.0.add("clean");
    }
}

/// A greenlet asleep with something on its stack that waits in its destructor; then it runs
/// `after`.
fn cleaner(log: &Log, may_end: &Event, after: impl FnOnce() + 'static) -> Greenlet<()> {
    let waits = WaitsInDrop(log.clone(), may_end.clone());
    let g = spawn(move || {
        let caught = catch::<GreenletExit, _>(|| {
            let _waits = waits;
            sleep(LONG);
        });
        after();
        raise(caught.expect_err("it is killed").into_exception())
    });
    yield_now();
    g
}

#[test]
fn a_kill_waits_for_a_clean_up_that_waits() {
    within(LIMIT, || {
        let (log, may_end) = (Log::new(), Event::new());
        let g = cleaner(&log, &may_end, || ());
        spawn_later(ms(2), move || may_end.set());
        g.kill();
        log.add("killed");
        log.expect("cleaning clean killed");
        assert!(g.successful());
    });
}

#[test]
fn a_second_kill_does_not_interrupt_the_clean_up() {
    within(LIMIT, || {
        let (log, may_end) = (Log::new(), Event::new());
        let g = cleaner(&log, &may_end, || ());
        g.kill_nowait();
        yield_now();
        log.expect("cleaning");
        g.kill_with(Kill::new("second").nowait());
        yield_now();
        sleep(ms(1));
        log.expect("cleaning");
        may_end.set();
        g.join();
        log.expect("cleaning clean");
        assert!(g.successful(), "the second kill came too late");
    });
}

#[test]
fn a_second_kill_hits_after_the_clean_up_where_the_target_waits_again() {
    within(LIMIT, || {
        let (log, may_end) = (Log::new(), Event::new());
        let after = log.clone();
        let g = cleaner(&log, &may_end, move || after.add(interrupted()));
        g.kill_nowait();
        yield_now();
        g.kill_with(Kill::new("second").nowait());
        yield_now();
        may_end.set();
        g.join();
        log.expect("cleaning clean second");
    });
}

#[test]
fn a_timeout_does_not_interrupt_the_clean_up_either() {
    within(LIMIT, || {
        let (log, may_end) = (Log::new(), Event::new());
        let (body, waits) = (log.clone(), WaitsInDrop(log.clone(), may_end.clone()));
        let g = spawn(move || {
            let limited = Timeout::new(ms(2)).scope(|| {
                let _waits = waits;
                sleep(LONG);
            });
            body.add(limited.is_err());
        });
        yield_now();
        g.kill_nowait();
        yield_now();
        sleep(ms(10));
        log.expect("cleaning");
        may_end.set();
        g.join();
        log.expect("cleaning clean");
        assert!(g.successful(), "it ended by the kill");
    });
}

#[test]
fn a_clean_up_of_mains_is_not_interrupted() {
    within(LIMIT, || {
        let (log, may_end, main) = (Log::new(), Event::new(), getcurrent());
        let (waits, end) = (WaitsInDrop(log.clone(), may_end.clone()), may_end);
        spawn(move || {
            main.kill_with(Kill::new("second").nowait());
            yield_now();
            end.set();
        });
        let first = catch::<&str, ()>(|| {
            let _waits = waits;
            raise("first")
        });
        assert_eq!(*first.expect_err("it was raised"), "first");
        log.expect("cleaning clean");
        assert_eq!(interrupted(), "second");
    });
}

#[test]
fn a_neighbour_in_its_clean_up_protects_nobody_else() {
    within(LIMIT, || {
        let (log, may_end) = (Log::new(), Event::new());
        let hanging = cleaner(&log, &may_end, || ());
        // One that waits before the unwinding, and one that begins to during it.
        let before = asleep();
        hanging.kill_nowait();
        yield_now();
        log.expect("cleaning");
        let during = asleep();
        before.kill();
        during.kill();
        assert!(before.successful() && during.successful() && !hanging.ready());
        may_end.set();
        hanging.join();
        log.expect("cleaning clean");
        assert!(!thread::panicking());
    });
}

#[test]
fn an_interrupted_killer_does_not_take_its_kill_back() {
    within(LIMIT, || {
        let (log, may_end) = (Log::new(), Event::new());
        let g = cleaner(&log, &may_end, || ());
        assert_eq!(Timeout::new(ms(1)).scope(|| g.kill()), Err(TimedOut));
        log.expect("cleaning");
        may_end.set();
        g.join();
        log.expect("cleaning clean");
    });
}
