//! The state of a pool of threads, under one lock: its jobs, its threads, and the next step of each
//! thread.
//!
//! Nothing here wakes, starts or drops anything: actions that must happen after the lock is
//! released are returned.
//!
//! Rules of the state:
//! 1. `unfinished` counts each job from its entry until its result is delivered. `outstanding`
//!    counts the jobs among these that need capacity. Each job is subtracted once, by its
//!    [`Permit`](super::job::Permit).
//! 2. `threads` counts the threads that live or are about to be started. A thread is subtracted in
//!    the locked section in which it decides to end, so a job that enters later sees that it is
//!    gone.
//! 3. Submitting a job calls an idle thread or starts a new one, unless the pool is at its maximum
//!    or has as many threads as unfinished jobs, so that a thread is about to poll the queue. No
//!    thread stays idle while a job is queued and no other thread is about to poll: when the
//!    maximum is lowered, as many idle threads are called as must end, so one more thread polls
//!    than ends.
//! 4. A thread that is removed from `idle` is called, and polls. Any other thread stays there until
//!    it removes itself.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

use ramie_hub::Lane;
use ramie_hub::shared::{WaitQueue, Waits};

use super::idle_thread::IdleThread;
use super::job::Entry;

/// The waiters for capacity.
pub(super) const SPAWNERS: Lane = Lane::First;
/// The waiters for the end of all jobs.
pub(super) const JOINERS: Lane = Lane::Second;

/// A flag that any thread can wait for.
pub(super) struct Flag(pub(super) bool);

impl Waits for Flag {
    fn ready(&self, _lane: Lane) -> usize {
        if self.0 { usize::MAX } else { 0 }
    }
}

/// A waiter until at most `size` threads are left.
struct Shrinking {
    number: u64,
    size: usize,
    gone: WaitQueue<Flag>,
}

pub(super) struct State {
    pub(super) maxsize: usize,
    pub(super) threads: usize,
    pub(super) unfinished: usize,
    outstanding: usize,
    queue: VecDeque<(u64, Box<dyn Entry>)>,
    /// The idle threads, the most recent last.
    idle: Vec<Arc<IdleThread>>,
    shrinking: Vec<Shrinking>,
    /// `true` once the pool accepts no job, and threads without work end.
    pub(super) closed: bool,
    next_number: u64,
    /// The released numbers of threads, and the next new number.
    free_threads: BinaryHeap<Reverse<usize>>,
    next_thread: usize,
    /// The function that each thread is running, by the thread's number.
    running: Vec<Option<&'static str>>,
    /// The number of jobs that threads have begun.
    begun: u64,
    watch: Watch,
}

/// The state of the watchdog of the threads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// This pool has no watchdog.
    Never,
    /// The watchdog is started when a job finds all threads busy.
    Off,
    On,
}

/// The finding of a watchdog.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// No job waits. The watchdog is counted as stopped.
    Nothing,
    /// Jobs wait, and threads have begun this many jobs so far.
    Waiting(u64),
}

/// The reason why the threads of a pool are busy while jobs wait.
pub(super) struct Stuck {
    pub(super) threads: usize,
    pub(super) waiting: usize,
    /// Each function, with the number of threads that run it.
    pub(super) calls: BTreeMap<&'static str, usize>,
}

/// The action that a new job needs.
pub(super) enum Wakeup {
    Enough,
    Call(Arc<IdleThread>),
    /// A thread of this number must be started; it is counted already.
    Start(usize),
    /// All threads are busy, and a watchdog must be started; it is counted already.
    Watch,
}

/// The next step of a thread.
pub(super) enum Next {
    Run(Box<dyn Entry>),
    Rest,
    End(Ended),
}

/// The waiters that were waiting for an ended thread.
pub(super) struct Ended(Vec<WaitQueue<Flag>>);

impl Ended {
    /// Wakes the waiters. Must be called after the lock is released.
    pub(super) fn tell(self) {
        for gone in self.0 {
            gone.lock().0 = true;
        }
    }
}

impl Waits for State {
    fn ready(&self, lane: Lane) -> usize {
        match lane {
            SPAWNERS if self.closed => usize::MAX,
            SPAWNERS => self.room(),
            _ if self.unfinished == 0 => usize::MAX,
            _ => 0,
        }
    }
}

impl State {
    pub(super) fn new(maxsize: usize, watched: bool) -> Self {
        State {
            maxsize,
            threads: 0,
            unfinished: 0,
            outstanding: 0,
            queue: VecDeque::new(),
            idle: Vec::new(),
            shrinking: Vec::new(),
            closed: false,
            next_number: 0,
            free_threads: BinaryHeap::new(),
            next_thread: 1,
            running: Vec::new(),
            begun: 0,
            watch: if watched { Watch::Off } else { Watch::Never },
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    // --- jobs ---------------------------------------------------------------------------------------------------

    /// Returns the number of jobs that may still enter. The capacity is one more than can run, for
    /// better throughput.
    fn room(&self) -> usize {
        self.maxsize.saturating_add(1).saturating_sub(self.outstanding)
    }

    /// Counts one more job, if there is capacity or the job needs none.
    pub(super) fn reserve(&mut self, limited: bool) -> Option<()> {
        if limited {
            (self.room() > 0).then(|| self.outstanding += 1)?;
        }
        self.unfinished += 1;
        Some(())
    }

    pub(super) fn give_room(&mut self, limited: bool) {
        self.outstanding -= usize::from(limited);
        self.unfinished -= 1;
    }

    /// Queues a job that has been counted.
    pub(super) fn enter(&mut self, number: u64, entry: Box<dyn Entry>) -> Wakeup {
        self.queue.push_back((number, entry));
        match self.idle.pop() {
            Some(idle_thread) => Wakeup::Call(idle_thread),
            None if self.wants_thread() => Wakeup::Start(self.add_thread()),
            None if self.watch == Watch::Off => {
                self.watch = Watch::On;
                Wakeup::Watch
            }
            None => Wakeup::Enough,
        }
    }

    /// Checks the threads, for the watchdog.
    pub(super) fn look(&mut self) -> Watched {
        if self.queue.is_empty() {
            self.stop_watching();
            return Watched::Nothing;
        }
        Watched::Waiting(self.begun)
    }

    /// Counts the watchdog as stopped.
    pub(super) fn stop_watching(&mut self) {
        self.watch = Watch::Off;
    }

    /// Returns the functions that keep the threads busy.
    pub(super) fn stuck(&self) -> Stuck {
        let mut calls = BTreeMap::new();
        for what in self.running.iter().flatten() {
            *calls.entry(*what).or_default() += 1;
        }
        Stuck { threads: self.threads, waiting: self.queue.len(), calls }
    }

    /// Records the function that a thread is running.
    fn note(&mut self, thread: usize, what: Option<&'static str>) {
        if self.running.len() <= thread {
            self.running.resize(thread + 1, None);
        }
        self.running[thread] = what;
    }

    /// Removes a job that no thread has begun.
    pub(super) fn withdraw(&mut self, number: u64) -> Option<Box<dyn Entry>> {
        // The queue is in the order of the numbers, except for jobs that waited for capacity.
        let at = self.queue.iter().position(|(other, _)| *other == number)?;
        self.queue.remove(at).map(|(_, entry)| entry)
    }

    /// Removes every job that no thread has begun.
    pub(super) fn withdraw_all(&mut self) -> Vec<Box<dyn Entry>> {
        self.queue.drain(..).map(|(_, entry)| entry).collect()
    }

    // --- threads ------------------------------------------------------------------------------------------------

    /// Returns the maximum number of threads. A closed pool runs its queue with at least one
    /// thread, whatever its size.
    fn most(&self) -> usize {
        if self.closed { self.maxsize.max(1) } else { self.maxsize }
    }

    /// Returns the number of threads that stay when there is nothing to do.
    fn keep(&self) -> usize {
        let asked = self.shrinking.iter().map(|shrinking| shrinking.size).min();
        if self.closed { 0 } else { asked.map_or(self.maxsize, |size| size.min(self.maxsize)) }
    }

    fn wants_thread(&self) -> bool {
        self.threads < self.most() && self.unfinished > self.threads
    }

    /// Counts a thread that is about to be started, and returns its number.
    pub(super) fn add_thread(&mut self) -> usize {
        self.threads += 1;
        self.free_threads.pop().map_or_else(
            || {
                self.next_thread += 1;
                self.next_thread - 1
            },
            |Reverse(number)| number,
        )
    }

    /// Counts the threads that the queued jobs still need, and returns their numbers.
    pub(super) fn add_wanted(&mut self) -> Vec<usize> {
        let mut started = Vec::new();
        while started.len() < self.queue.len() && self.wants_thread() {
            started.push(self.add_thread());
        }
        started
    }

    /// Removes idle threads that must end because there are more than `size` threads, the longest
    /// idle first.
    pub(super) fn spare(&mut self, size: usize) -> Vec<Arc<IdleThread>> {
        let spare = self.threads.saturating_sub(size).min(self.idle.len());
        self.idle.drain(..spare).collect()
    }

    /// Decides the next step of the thread of this number.
    pub(super) fn next(&mut self, thread: usize, idle_thread: &Arc<IdleThread>) -> Next {
        let ends = if self.queue.is_empty() {
            self.threads > self.keep()
        } else {
            // The last thread stays, so that no job is left behind.
            self.threads > self.most().max(1)
        };
        if ends {
            return Next::End(self.end(thread));
        }
        match self.queue.pop_front() {
            Some((_, entry)) => {
                self.note(thread, Some(entry.what()));
                self.begun += 1;
                Next::Run(entry)
            }
            None => {
                self.note(thread, None);
                self.idle.push(idle_thread.clone());
                Next::Rest
            }
        }
    }

    /// Removes a thread after its idle time, unless it is being called.
    pub(super) fn expire(&mut self, thread: usize, idle_thread: &Arc<IdleThread>) -> Option<Ended> {
        let at = self.idle.iter().position(|other| Arc::ptr_eq(other, idle_thread))?;
        self.idle.remove(at);
        Some(self.end(thread))
    }

    /// Subtracts a thread that ends.
    pub(super) fn end(&mut self, thread: usize) -> Ended {
        self.threads -= 1;
        self.note(thread, None);
        self.free_threads.push(Reverse(thread));
        let threads = self.threads;
        let mut ended = Vec::new();
        self.shrinking.retain(|shrinking| {
            let over = threads <= shrinking.size;
            if over {
                ended.push(shrinking.gone.clone());
            }
            !over
        });
        Ended(ended)
    }

    /// Requests at most `size` threads. Returns a flag that is set once that is so.
    pub(super) fn shrink(&mut self, size: usize) -> (u64, WaitQueue<Flag>) {
        let number = self.number();
        let gone = WaitQueue::new(Flag(self.threads <= size));
        if self.threads > size {
            self.shrinking.push(Shrinking { number, size, gone: gone.clone() });
        }
        (number, gone)
    }

    /// Withdraws a request.
    pub(super) fn stop_shrinking(&mut self, number: u64) {
        self.shrinking.retain(|shrinking| shrinking.number != number);
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
