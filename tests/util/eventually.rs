//! Waits for conditions of which no notification exists.

use std::time::Duration;

use ramie::sleep;

use crate::util::footprint::{Footprint, settled};

/// Lets others run until it is so.
pub(crate) fn until(what: impl Fn() -> bool) {
    while !what() {
        sleep(Duration::from_millis(1));
    }
}

/// Lets others run until the hub holds what it held before.
pub(crate) fn rests(before: Footprint) {
    until(|| settled() == before);
}
