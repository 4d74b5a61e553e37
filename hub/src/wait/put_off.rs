//! Deferral of an interrupt in a call that has a result to report.

use crate::scheduler::current;
use crate::scheduler::unwind::{Escape, guard};
use crate::wait::timeout::Timeout;

/// Runs `f`. A kill or a timeout that is raised in it is raised at the next wait of the greenlet
/// instead.
///
/// This is for an operation that has done a part of its work and must report that by returning.
/// Returns `None` when an exception was raised. A timeout with a scope that ends before the next
/// wait is not raised at all. The refusal of a wait, in a callback of the hub, is not raised again.
///
/// # Panics
///
/// With the panic of `f`.
#[doc(hidden)]
pub fn put_off<R>(f: impl FnOnce() -> R) -> Option<R> {
    let exception = match guard(f) {
        Ok(value) => return Some(value),
        Err(Escape::Exception(exception)) => exception,
        Err(escape) => escape.resume(),
    };
    let core = current::core();
    if !core.in_hub() {
        let record = core.current();
        record.task.mask(Timeout::throw_again(exception));
        // A task that is unwinding takes the interrupt when the unwinding is over.
        core.defer(record);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;
    use crate::{GreenletExit, catch, sleep, spawn, with_timeout, yield_now};

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn kill_is_raised_at_the_next_wait() {
        let reported = Rc::new(Cell::new(false));
        let (seen, after) = (reported.clone(), Rc::new(Cell::new(false)));
        let waited = after.clone();
        let g = spawn(move || {
            assert_eq!(put_off(|| sleep(LONG)), None);
            seen.set(true);
            let caught = catch::<GreenletExit, _>(yield_now);
            waited.set(caught.is_err());
        });
        yield_now();
        g.kill();
        assert!(g.ready() && reported.get() && after.get());
    }

    #[test]
    fn timeout_is_raised_at_the_next_wait_of_its_scope_and_not_after_it() {
        let in_time = with_timeout(SHORT, || put_off(|| sleep(LONG)));
        assert_eq!(in_time, Ok(None));
        yield_now();
        let late = with_timeout(SHORT, || {
            assert_eq!(put_off(|| sleep(LONG)), None);
            yield_now();
        });
        assert!(late.is_err());
        assert_eq!(put_off(|| 5), Some(5));
    }
}
