//! Noticing that the thread ends, while its thread-locals are alive.
//!
//! A suspended greenlet may be in the middle of using a thread-local: it may hold a reference, or
//! have changed half of the value. When the thread ends its thread-locals are destroyed, the
//! youngest first. So the hub has to end before a thread-local is destroyed that a greenlet may be
//! using.
//!
//! Greenlets run only while main waits. A hook that is planted when main goes on after the loop has
//! run is younger than everything that a greenlet has used by then, and what main uses for the
//! first time afterwards no greenlet is using. With an [`ExitList`] the hub plants such a hook
//! whenever something was registered since the last one: when main goes on, and for an `exit` that
//! a greenlet or a callback calls also at the beginning of each pass of the loop and of each
//! greenlet.
//!
//! Without one there are *sentinels*, thread-locals of the hub's own, of which there are only so
//! many: one is planted each of the first times that main goes on, later at every doubling of the
//! count. What is left then: a thread-local that a greenlet uses for the first time between the
//! last planting and the end of the thread, and is suspended in.

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

        /// Each plants its sentinel if that is not destroyed; a second call does nothing.
        const PLANT: &[fn() -> bool] = &[$(|| $name.try_with(|_| ()).is_ok()),*];
    };
}

sentinels! {
    S00 S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11 S12 S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 S23 S24 S25 S26 S27 S28 S29
    S30 S31 S32 S33 S34 S35 S36 S37 S38 S39 S40 S41 S42 S43 S44 S45 S46 S47 S48 S49 S50 S51 S52 S53 S54 S55 S56 S57 S58 S59
    S60 S61 S62 S63 S64 S65 S66 S67 S68 S69 S70 S71 S72 S73 S74 S75 S76 S77 S78 S79 S80 S81 S82 S83 S84 S85 S86 S87 S88 S89
    S90 S91 S92 S93 S94 S95
}

/// The times at which each one is planted.
const EACH: u64 = 32;

/// The first of the sentinels that are kept for the end of the thread, where each is planted once.
const LATE: usize = 60;

thread_local! {
    /// The next of the late sentinels.
    static NEXT: Cell<usize> = const { Cell::new(LATE) };
}

/// How a hub learns that its thread ends.
pub(crate) struct ThreadExit {
    list: Option<ExitList>,
}

impl ThreadExit {
    /// Has the end of this thread call [`current::thread_ends`]; `None` when nothing can do that
    /// any more. With `ending` the end has begun.
    pub(crate) fn watch(ending: bool) -> Option<ThreadExit> {
        let list = ExitList::hooked();
        let watched = list.is_some() || if ending { plant_late() } else { plant_at(0) };
        watched.then_some(ThreadExit { list })
    }

    /// Notes that a greenlet may use from now on whatever was registered since the last time.
    #[inline(always)]
    pub(crate) fn renew(&self) {
        if let Some(list) = &self.list {
            if !list.is_hooked() {
                list.hook();
            }
        }
    }

    /// Notes that main goes on for the `count`th time after the loop has run.
    #[inline]
    pub(crate) fn main_goes_on(&self, count: u64) {
        self.renew();
        if self.list.is_none() && (count < EACH || count.is_power_of_two()) {
            plant_at(if count < EACH { count } else { EACH + u64::from(count.ilog2() - EACH.ilog2()) });
        }
    }

    /// The same while the thread ends, in the destructor of a thread-local. Returns `false` if
    /// nothing can be planted: then the hub must not run a greenlet again.
    #[cold]
    pub(crate) fn main_goes_on_late(&self) -> bool {
        self.renew();
        self.list.is_some() || plant_late()
    }

    /// Whether the process ends with this thread, and needs nothing that is left.
    pub(crate) fn ends_process(&self) -> bool {
        self.list.is_some() && ExitList::is_of_first_thread()
    }

    /// Leaks the thread-locals of this thread that are left, instead of having them destroyed.
    /// Returns `false` where that is impossible.
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
