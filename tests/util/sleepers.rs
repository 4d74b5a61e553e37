//! Greenlets that wait until something wakes them, or is thrown into them.

use std::time::Duration;

use ramie::{Greenlet, GreenletExit, catch, sleep, spawn, yield_now};

const LONG: Duration = Duration::from_secs(60);

/// A greenlet that waits, as far as it gets before it waits.
pub(crate) fn parked<T: 'static>(f: impl FnOnce() -> T + 'static) -> Greenlet<T> {
    let greenlet = spawn(f);
    yield_now();
    assert!(!greenlet.ready(), "it was to wait");
    greenlet
}

/// A greenlet that is asleep.
pub(crate) fn asleep() -> Greenlet<()> {
    let g = spawn(|| sleep(LONG));
    yield_now();
    g
}

/// Sleeps until something is raised, and says what that was, as its text.
pub(crate) fn interrupted() -> String {
    let caught =
        catch::<GreenletExit, _>(|| catch::<&str, _>(|| sleep(LONG)).map_err(|error| error.to_string()));
    match caught {
        Ok(Ok(())) => "slept".to_owned(),
        Ok(Err(error)) => error,
        Err(exit) => exit.to_string(),
    }
}
