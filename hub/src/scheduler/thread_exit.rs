//! Detection of the end of a thread, while its thread-locals are alive.
//!
//! A suspended greenlet may be in the middle of using a thread-local: it may hold a reference, or
//! have changed half of the value. When the thread ends, its thread-locals are destroyed, the
//! youngest first. The hub must therefore end before a thread-local is destroyed that a greenlet
//! may be using.
//!
//! Greenlets run only while main waits. A hook that is registered when main continues after the
//! loop has run is younger than every thread-local that a greenlet has used by then, and no
//! greenlet uses a thread-local that main uses for the first time afterwards. With an [`ExitList`]
//! the hub registers such a hook whenever something was registered since the last hook: when main
//! continues, and, for a greenlet or a callback that calls `exit`, also at the beginning of each
//! pass of the loop and of each greenlet.
//!
//! Without an [`ExitList`] there are *sentinels*, a limited number of thread-locals of the hub: one
//! is initialised at each of the first times that main continues, later at every doubling of the
//! count. One case is then not covered: a greenlet uses a thread-local for the first time between
//! the last initialisation and the end of the thread, and is suspended in it.

use std::cell::Cell;

use super::current;
use super::exit_list::ExitList;

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

        /// Functions that initialise one sentinel each, unless it is destroyed; a second call does
        /// nothing.
        const PLANT: &[fn() -> bool] = &[$(|| $name.try_with(|_| ()).is_ok()),*];
    };
}

sentinels! {
    S00 S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11 S12 S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 S23 S24 S25 S26 S27 S28 S29
    S30 S31 S32 S33 S34 S35 S36 S37 S38 S39 S40 S41 S42 S43 S44 S45 S46 S47 S48 S49 S50 S51 S52 S53 S54 S55 S56 S57 S58 S59
    S60 S61 S62 S63 S64 S65 S66 S67 S68 S69 S70 S71 S72 S73 S74 S75 S76 S77 S78 S79 S80 S81 S82 S83 S84 S85 S86 S87 S88 S89
    S90 S91 S92 S93 S94 S95
}

/// The number of times at which each return to main initialises a sentinel.
const EACH: u64 = 32;

/// The first of the sentinels that are reserved for the end of the thread, where each is
/// initialised once.
const LATE: usize = 60;

thread_local! {
    /// The next of the late sentinels.
    static NEXT: Cell<usize> = const { Cell::new(LATE) };
}

/// The means by which a hub detects the end of its thread.
pub(crate) struct ThreadExit {
    list: Option<ExitList>,
}

impl ThreadExit {
    /// Makes the end of this thread call [`current::thread_ends`]. Returns `None` when that is no
    /// longer possible. `ending` means that the end has begun.
    pub(crate) fn watch(ending: bool) -> Option<ThreadExit> {
        let list = ExitList::hooked();
        let watched = list.is_some() || if ending { plant_late() } else { plant_at(0) };
        watched.then_some(ThreadExit { list })
    }

    /// Records that a greenlet may use from now on every thread-local that was registered since the
    /// last call.
    #[inline(always)]
    pub(crate) fn renew(&self) {
        if let Some(list) = &self.list {
            if !list.is_hooked() {
                list.hook();
            }
        }
    }

    /// Records that main continues for the `count`th time after the loop has run.
    #[inline]
    pub(crate) fn main_goes_on(&self, count: u64) {
        self.renew();
        if self.list.is_none() && (count < EACH || count.is_power_of_two()) {
            plant_at(if count < EACH { count } else { EACH + u64::from(count.ilog2() - EACH.ilog2()) });
        }
    }

    /// Does the same while the thread ends, in the destructor of a thread-local. Returns `false` if
    /// no sentinel is left: then the hub must not run a greenlet again.
    #[cold]
    pub(crate) fn main_goes_on_late(&self) -> bool {
        self.renew();
        self.list.is_some() || plant_late()
    }

    /// Returns `true` if the process ends with this thread, and needs none of the remaining values.
    pub(crate) fn ends_process(&self) -> bool {
        self.list.is_some() && ExitList::is_of_first_thread()
    }

    /// Leaks the remaining thread-locals of this thread, so that they are not destroyed. Returns
    /// `false` where that is impossible.
    pub(crate) fn leak_thread_locals(&self) -> bool {
        if let Some(list) = &self.list {
            list.clear();
        }
        self.list.is_some()
    }
}

#[cold]
fn plant_at(index: u64) -> bool {
    let index = usize::try_from(index).ok().filter(|index| *index < LATE);
    index.and_then(|index| PLANT.get(index)).is_some_and(|plant| plant())
}

#[cold]
fn plant_late() -> bool {
    let index = NEXT.replace(NEXT.get() + 1);
    PLANT.get(index).is_some_and(|plant| plant())
}
