//! How a child measures.

use std::sync::OnceLock;
use std::time::Duration;

static TARGET: OnceLock<Duration> = OnceLock::new();

/// Says how long the measured part of this process shall take. Before anything is measured.
pub(crate) fn set_target(target: Duration) {
    TARGET.set(target).expect("a child measures one thing");
}

/// How long the measured part shall take, where that can be chosen.
pub(crate) fn target() -> Duration {
    *TARGET.get().expect("a child is told before it measures")
}

/// The nanoseconds that a piece takes when `run` does so many batches of `batch` pieces.
///
/// What `run` returns is the time of the pieces alone. It is run until its work is large enough to be measured,
/// which also warms up whatever it uses, and then once more: that run counts.
pub(crate) fn cost(batch: u64, mut run: impl FnMut(u64) -> Duration) -> f64 {
    let (target, mut batches) = (target(), 1);
    let took = loop {
        let took = run(batches).max(Duration::from_nanos(1));
        if took * 4 >= target {
            break took;
        }
        let missing = target.as_secs_f64() / 3.0 / took.as_secs_f64();
        batches = scaled(batches, missing.clamp(2.0, 16.0));
    };
    batches = scaled(batches, target.as_secs_f64() / took.as_secs_f64());
    each(run(batches), batches * batch)
}

/// The nanoseconds of one of `pieces`.
pub(crate) fn each(took: Duration, pieces: u64) -> f64 {
    took.as_nanos() as f64 / pieces as f64
}

fn scaled(batches: u64, by: f64) -> u64 {
    ((batches as f64 * by) as u64).max(1)
}
