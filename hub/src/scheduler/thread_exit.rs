//! Detection of the end of a thread, before its thread-locals are destroyed.
//!
//! A suspended greenlet may hold a reference into a thread-local. When the thread ends, its
//! thread-locals are destroyed, the youngest first. If the destructor of one of them waited, and so
//! resumed that greenlet, the greenlet would read a destroyed value. The hub must therefore end
//! before any thread-local is destroyed that a greenlet may have used.
//!
//! The system has no such hook, but a thread-local that is younger than all of those serves as one.
//! Every time main continues after the loop has run, an unused *sentinel* is initialised: at first
//! each time, later, since they are few, at every doubling of the count. The first sentinel that is
//! destroyed ends the hub.
//!
//! One case is not covered: a greenlet uses a thread-local for the first time between the last
//! initialisation and the end of the thread, and stays suspended in it, while the destructor of an
//! older one waits.

use crate::scheduler::current;

struct Sentinel;

impl Drop for Sentinel {
    fn drop(&mut self) {
        current::thread_ends();
    }
}

macro_rules! sentinels {
    ($($name:ident)*) => {
        $(thread_local! {
            static $name: Sentinel = const { Sentinel };
        })*

        /// Functions that initialise one sentinel each; a second call does nothing.
        const PLANT: &[fn()] = &[$(|| {
            // A destroyed sentinel has done its work.
            let _ = $name.try_with(|_| ());
        }),*];
    };
}

sentinels! {
    S00 S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11 S12 S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 S23 S24 S25 S26 S27 S28 S29
    S30 S31 S32 S33 S34 S35 S36 S37 S38 S39 S40 S41 S42 S43 S44 S45 S46 S47 S48 S49 S50 S51 S52 S53 S54 S55 S56 S57 S58 S59
}

/// The number of times at which each return to main initialises a sentinel.
const EACH: u64 = 32;

/// Initialises the sentinel that belongs to the `count`th time that main continues.
#[inline]
pub(crate) fn plant(count: u64) {
    if count < EACH || count.is_power_of_two() {
        plant_at(if count < EACH { count } else { EACH + u64::from(count.ilog2() - EACH.ilog2()) });
    }
}

#[cold]
fn plant_at(index: u64) {
    if let Some(plant) = usize::try_from(index).ok().and_then(|index| PLANT.get(index)) {
        plant();
    }
}
