//! What the benchmarks share: calls inside each other, time by the piece when the work comes in batches, stacks for
//! bare coroutines, and the smallest hub that runs them.

pub mod least_hub;
pub mod slots;

use std::hint::black_box;
use std::time::Duration;

/// Runs `bottom` inside `depth` calls, each of which works a little before and after, as a program's own
/// would.
///
/// At depth 0 it is called in place. Returns what the work came to.
#[inline(always)]
pub fn at_depth(depth: u32, bottom: &impl Fn()) -> u64 {
    if depth == 0 {
        bottom();
        0
    } else {
        descend(depth, 1, bottom)
    }
}

#[inline(never)]
fn descend(depth: u32, seed: u64, bottom: &impl Fn()) -> u64 {
    let before = black_box(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
    let below = if depth == 1 {
        bottom();
        before
    } else {
        descend(depth - 1, before, bottom)
    };
    // After the call, so that it is no tail call and there is a frame to return to.
    black_box(below ^ seed).rotate_left(7)
}

/// Runs whole batches of `batch` pieces until at least `pieces` are done, and returns the time of `pieces` of
/// them.
///
/// `run` is told how many batches, and returns how long they took.
pub fn by_the_piece(pieces: u64, batch: u64, run: impl FnOnce(u64) -> Duration) -> Duration {
    let batches = pieces.div_ceil(batch);
    run(batches).mul_f64(pieces as f64 / (batches * batch) as f64)
}
