//! Gives each subject its seed, its time and its books.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ramie::{AnyGreenlet, Greenlet, sleep};

/// A discrepancy beyond this number is counted and not kept.
const KEPT: usize = 20;

/// Records the work that was done, and the discrepancies that were found.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    counts: Rc<RefCell<BTreeMap<(&'static str, &'static str), u64>>>,
    wrong: Rc<RefCell<Vec<String>>>,
    found: Rc<Cell<usize>>,
}

impl Ledger {
    pub(crate) fn count(&self, subject: &'static str, what: &'static str, number: u64) {
        *self.counts.borrow_mut().entry((subject, what)).or_default() += number;
    }

    pub(crate) fn wrong(&self, message: String) {
        eprintln!("soak: {message}");
        self.found.update(|found| found + 1);
        let mut wrong = self.wrong.borrow_mut();
        if wrong.len() < KEPT {
            wrong.push(message);
        }
    }

    /// Returns how many discrepancies were found.
    pub(crate) fn found(&self) -> usize {
        self.found.get()
    }

    pub(crate) fn print(&self) {
        for ((subject, what), number) in &*self.counts.borrow() {
            println!("{subject:<10} {what:<34} {number:>12}");
        }
        for message in &*self.wrong.borrow() {
            println!("DISCREPANCY {message}");
        }
    }
}

/// The tools of one run of one subject. Clones share the ledger.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) subject: &'static str,
    /// Derived from the seed of the program, the number of the period and the subject.
    pub(crate) seed: u64,
    pub(crate) until: Instant,
    pub(crate) ledger: Ledger,
}

impl Context {
    pub(crate) fn count(&self, what: &'static str, number: u64) {
        self.ledger.count(self.subject, what, number);
    }

    /// Records a discrepancy unless `right`.
    pub(crate) fn check(&self, right: bool, message: impl FnOnce() -> String) {
        if !right {
            self.ledger.wrong(format!("{} (seed {:#x}): {}", self.subject, self.seed, message()));
        }
    }

    /// Records a discrepancy unless the two are equal.
    pub(crate) fn equal<T: PartialEq + Debug>(&self, what: &str, found: T, right: T) {
        self.check(found == right, || format!("{what}: {found:?} instead of {right:?}"));
    }

    /// Runs rounds, each with random numbers of its own, until the time is up. Pauses between two
    /// of them, so that no subject has the machine to itself.
    pub(crate) fn rounds<E>(&self, mut round: impl FnMut(&mut Random) -> Result<(), E>) -> Result<(), E> {
        let mut random = Random::new(self.seed);
        while Instant::now() < self.until {
            round(&mut random.fork())?;
            self.count("rounds", 1);
            sleep(Duration::from_micros(random.below(5_000)));
        }
        Ok(())
    }
}

/// Random numbers that one seed repeats: splitmix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`, which must not be 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Returns a size from 1 to `most`.
    pub(crate) fn size(&mut self, most: u64) -> usize {
        1 + self.below(most) as usize
    }

    /// Returns `true` once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Returns a pause below `most` microseconds.
    pub(crate) fn pause(&mut self, most: u64) -> Duration {
        Duration::from_micros(self.below(most))
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    /// Returns 1 to `most` bytes.
    pub(crate) fn some_bytes(&mut self, most: u64) -> Vec<u8> {
        let length = self.size(most);
        self.bytes(length)
    }

    /// Returns a generator with numbers that do not depend on the later ones of this generator.
    pub(crate) fn fork(&mut self) -> Random {
        Random(self.next())
    }
}

/// Counts the values that exist at a time: items, guards, connections.
#[derive(Clone, Default)]
pub(crate) struct Living(Arc<AtomicUsize>);

impl Living {
    pub(crate) fn one(&self) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self.0.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of the values that a [`Living`] counts.
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Kills about one of `times` greenlets, each after a pause. Returns how many.
pub(crate) fn kill_some<T: 'static>(greenlets: &[Greenlet<T>], random: &mut Random, times: u64) -> u64 {
    let mut kills = 0;
    for greenlet in greenlets {
        if random.once_in(times) {
            sleep(random.pause(2_000));
            AnyGreenlet::kill_nowait(greenlet);
            kills += 1;
        }
    }
    kills
}
