//! Timers in the order of their deadlines: a pure data structure that is given the time and never
//! reads a clock.
//!
//! Nearly every timer is a timeout that is cancelled long before it fires. Starting and cancelling
//! must therefore be cheap, with a million pending timers as with one. Far deadlines lie unsorted
//! in the slots of a hierarchical [wheel], from which a timer is unlinked in constant time. Only
//! the timers of the current tick (2^20 ns, about a millisecond) and of the past are kept in exact
//! order, in [current_tick]. Both refer by index to the nodes of the [arena], one vector of reused
//! nodes: a timer costs no allocation of its own once the vectors have grown to the usual number of
//! timers. The vectors do not shrink.
//!
//! The rules of the state:
//!
//! 1. The wheel has a current tick, which never goes back. A timer with the current tick or an
//!    earlier one is near; every other timer is in the wheel. So every near timer comes before
//!    every timer of the wheel.
//! 2. The deadline and the current tick alone determine the slot of a timer in the wheel (see
//!    `wheel.rs`); the slot is stored nowhere.
//! 3. The current tick moves only while no timer is near, and never past a slot in use.
//! 4. The timer that was started last is neither near nor in the wheel until another one is started
//!    or the earliest timer is asked for: if it is cancelled before that, as a timeout around a short
//!    section is, it never needs a place.
//!
//! An indexed heap for all timers was the alternative: it is exact without a wheel, but a start and
//! a cancel walk the depth of a heap of a million, through as many cache misses. Lazy cancelling
//! was rejected because it keeps garbage in proportion to the rate of timeouts times their length.

mod arena;
mod current_tick;
mod queue;
mod wheel;

#[cfg(test)]
mod tests;

pub(crate) use self::arena::TimerId;
pub(crate) use self::queue::Timers;
