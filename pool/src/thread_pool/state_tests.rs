//! A model test of the state: every operation in any order, with threads and hubs simulated by
//! hand.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::super::job::Refusal;
use super::*;

/// A job that records its number.
struct Note(u64, Arc<Mutex<Vec<u64>>>);

impl Entry for Note {
    fn run(self: Box<Self>) {
        self.1.lock().expect("no test thread panics").push(self.0);
    }

    fn refuse(self: Box<Self>, _why: &Refusal<'_>) {}

    fn what(&self) -> &'static str {
        "note"
    }
}

/// The activity of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// The thread is being started, and about to poll.
    Starts,
    /// The thread is about to poll: called, or done with a job.
    Comes,
    Runs,
    Rests,
}

struct Played {
    number: usize,
    idle_thread: Arc<IdleThread>,
    doing: Doing,
}

#[derive(Clone, Debug)]
enum Deed {
    Spawn {
        limited: bool,
    },
    /// A thread polls.
    Look(usize),
    /// A thread cannot be started.
    Fail(usize),
    /// A running job ends; its result is on its way.
    Finish(usize),
    /// A result is delivered.
    Deliver,
    SetMaxsize(usize),
    Shrink(usize),
    StopShrinking,
    Grow(usize),
    Expire(usize),
    Withdraw(u64),
    Close,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => any::<bool>().prop_map(|limited| Deed::Spawn { limited }),
        8 => any::<usize>().prop_map(Deed::Look),
        1 => any::<usize>().prop_map(Deed::Fail),
        6 => any::<usize>().prop_map(Deed::Finish),
        4 => Just(Deed::Deliver),
        2 => (0..4_usize).prop_map(Deed::SetMaxsize),
        1 => (0..3_usize).prop_map(Deed::Shrink),
        1 => Just(Deed::StopShrinking),
        1 => (0..4_usize).prop_map(Deed::Grow),
        2 => any::<usize>().prop_map(Deed::Expire),
        1 => (0..40_u64).prop_map(Deed::Withdraw),
        1 => Just(Deed::Close),
    ]
}

struct Play {
    state: State,
    threads: Vec<Played>,
    log: Arc<Mutex<Vec<u64>>>,
    /// The jobs that have entered and were not withdrawn, in order.
    entered: Vec<u64>,
    /// One entry for each unfinished job: `true` if it needs capacity.
    rooms: Vec<bool>,
    done: usize,
    /// A thread could not be started.
    failed: bool,
    shrinking: Vec<(u64, WaitQueue<Flag>, usize)>,
}

impl Play {
    fn new(maxsize: usize) -> Self {
        Play {
            state: State::new(maxsize, false),
            threads: Vec::new(),
            log: Arc::default(),
            entered: Vec::new(),
            rooms: Vec::new(),
            done: 0,
            failed: false,
            shrinking: Vec::new(),
        }
    }

    fn start(&mut self, number: usize) {
        assert!(self.threads.iter().all(|thread| thread.number != number), "a number belongs to one thread");
        self.threads.push(Played { number, idle_thread: IdleThread::new(), doing: Doing::Starts });
    }

    fn call(&mut self, idle_thread: &Arc<IdleThread>) {
        let thread = self.threads.iter_mut().find(|thread| Arc::ptr_eq(&thread.idle_thread, idle_thread));
        let thread = thread.expect("an idle thread lives");
        assert_eq!(thread.doing, Doing::Rests);
        thread.doing = Doing::Comes;
    }

    fn over(&mut self, at: usize, ended: Ended) {
        self.threads.remove(at);
        ended.tell();
    }

    /// Returns the index of a thread with this activity, if there is one.
    fn pick(&self, doing: Doing, any: usize) -> Option<usize> {
        let all = self.threads.iter().enumerate().filter(|(_, thread)| thread.doing == doing);
        let all: Vec<usize> = all.map(|(at, _)| at).collect();
        (!all.is_empty()).then(|| all[any % all.len()])
    }

    fn look(&mut self, at: usize) {
        let thread = &self.threads[at];
        match self.state.next(thread.number, &thread.idle_thread.clone()) {
            Next::Run(entry) => {
                entry.run();
                self.threads[at].doing = Doing::Runs;
            }
            Next::Rest => self.threads[at].doing = Doing::Rests,
            Next::End(ended) => {
                assert!(
                    self.state.threads > 0 || self.state.queue.is_empty(),
                    "the last thread leaves no job behind"
                );
                self.over(at, ended);
            }
        }
    }

    fn act(&mut self, deed: &Deed) {
        match *deed {
            Deed::Spawn { limited } => {
                let free = self.state.room();
                if self.state.closed {
                    return;
                }
                if self.state.reserve(limited).is_none() {
                    assert!(limited && free == 0);
                    return;
                }
                self.rooms.push(limited);
                let number = self.state.number();
                self.entered.push(number);
                match self.state.enter(number, Box::new(Note(number, self.log.clone()))) {
                    Wakeup::Enough | Wakeup::Watch => {}
                    Wakeup::Call(idle_thread) => self.call(&idle_thread),
                    Wakeup::Start(thread) => self.start(thread),
                }
            }
            Deed::Look(any) => {
                if let Some(at) = self.pick(Doing::Comes, any).or_else(|| self.pick(Doing::Starts, any)) {
                    self.look(at);
                }
            }
            Deed::Fail(any) => {
                let Some(at) = self.pick(Doing::Starts, any) else { return };
                self.failed = true;
                let ended = self.state.end(self.threads[at].number);
                self.over(at, ended);
                if self.threads.is_empty() {
                    for _ in self.state.withdraw_all() {
                        self.entered.pop();
                        let limited = self.rooms.pop().expect("each unfinished job has an entry");
                        self.state.give_room(limited);
                    }
                }
            }
            Deed::Finish(any) => {
                if let Some(at) = self.pick(Doing::Runs, any) {
                    self.threads[at].doing = Doing::Comes;
                    self.done += 1;
                }
            }
            Deed::Deliver => {
                if self.done > 0 {
                    self.done -= 1;
                    let limited = self.rooms.pop().expect("each unfinished job has an entry");
                    self.state.give_room(limited);
                }
            }
            Deed::SetMaxsize(maxsize) => {
                self.state.maxsize = maxsize;
                let spare = self.state.spare(maxsize);
                spare.iter().for_each(|idle_thread| self.call(idle_thread));
                let wanted = self.state.add_wanted();
                wanted.into_iter().for_each(|thread| self.start(thread));
            }
            Deed::Shrink(size) => {
                let (number, gone) = self.state.shrink(size);
                self.shrinking.push((number, gone, size));
                let spare = self.state.spare(size);
                spare.iter().for_each(|idle_thread| self.call(idle_thread));
            }
            Deed::StopShrinking => {
                if let Some((number, ..)) = self.shrinking.pop() {
                    self.state.stop_shrinking(number);
                }
            }
            Deed::Grow(size) => {
                while self.state.threads < size.min(self.state.maxsize) {
                    let thread = self.state.add_thread();
                    self.start(thread);
                }
            }
            Deed::Expire(any) => {
                let Some(at) = self.pick(Doing::Rests, any) else { return };
                let thread = &self.threads[at];
                let ended = self.state.expire(thread.number, &thread.idle_thread.clone());
                self.over(at, ended.expect("the thread is idle"));
            }
            Deed::Withdraw(number) => {
                if self.state.withdraw(number).is_some() {
                    self.entered.retain(|other| *other != number);
                    let limited = self.rooms.pop().expect("each unfinished job has an entry");
                    self.state.give_room(limited);
                }
            }
            Deed::Close => {
                self.state.closed = true;
                let spare = self.state.spare(0);
                spare.iter().for_each(|idle_thread| self.call(idle_thread));
                let wanted = self.state.add_wanted();
                wanted.into_iter().for_each(|thread| self.start(thread));
            }
        }
        self.check();
    }

    fn check(&self) {
        let state = &self.state;
        assert_eq!(state.threads, self.threads.len());
        assert_eq!(state.unfinished, self.rooms.len());
        let count = |doing| self.threads.iter().filter(|thread| thread.doing == doing).count();
        assert_eq!(state.idle.len(), count(Doing::Rests));
        assert_eq!(state.queue.len() + count(Doing::Runs) + self.done, state.unfinished);
        // Rule 3: no thread is idle, and none is missing, while a job is queued and no thread
        // comes to poll.
        if !state.queue.is_empty() && count(Doing::Comes) + count(Doing::Starts) == 0 {
            assert_eq!(count(Doing::Rests), 0);
            // A thread that could not be started is not replaced by the present ones.
            assert!(
                state.threads >= state.most() || self.failed,
                "{} of {} threads",
                state.threads,
                state.most()
            );
        }
        for (_, gone, size) in &self.shrinking {
            assert!(gone.lock().0 || state.threads > *size, "a waiter for few threads is woken");
        }
        assert!(
            self.entered.starts_with(&self.log.lock().expect("no test thread panics")),
            "first in, first out"
        );
    }

    /// Runs until all threads are idle.
    fn settle(&mut self) {
        for _ in 0..1000 {
            self.act(&Deed::Look(0));
            self.act(&Deed::Finish(0));
            self.act(&Deed::Deliver);
        }
        assert!(self.threads.iter().all(|thread| thread.doing == Doing::Rests));
    }
}

/// gevent: idle workers wait on a stack.
#[test]
fn the_last_to_rest_is_called_first_and_the_first_to_rest_is_spared() {
    let mut play = Play::new(3);
    play.act(&Deed::Grow(3));
    // In the order of their numbers.
    (0..3).for_each(|_| play.act(&Deed::Look(0)));
    let comes = |play: &Play| {
        let all = play.threads.iter().filter(|thread| thread.doing == Doing::Comes);
        all.map(|thread| thread.number).collect::<Vec<_>>()
    };
    play.act(&Deed::Spawn { limited: true });
    assert_eq!(comes(&play), [3]);
    play.act(&Deed::SetMaxsize(2));
    assert_eq!(comes(&play), [1, 3]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_job_waits_for_nobody(maxsize in 0..4_usize, deeds in prop::collection::vec(deed(), 0..120)) {
        let mut play = Play::new(maxsize);
        for deed in &deeds {
            play.act(deed);
        }
        play.settle();
        if play.state.most() > 0 {
            prop_assert_eq!((play.state.unfinished, play.state.outstanding, play.state.queue.len()), (0, 0, 0));
            prop_assert_eq!(&*play.log.lock().unwrap(), &play.entered);
        }
        prop_assert!(play.threads.len() <= play.state.keep());
        // A request that is not withdrawn is fulfilled in the end.
        play.act(&Deed::Shrink(0));
        play.settle();
        prop_assert!(play.threads.is_empty() && play.shrinking.iter().all(|(_, gone, _)| gone.lock().0));
    }
}

/// A job that does nothing and returns this name.
struct Named(&'static str);

impl Entry for Named {
    fn run(self: Box<Self>) {}

    fn refuse(self: Box<Self>, _why: &Refusal<'_>) {}

    fn what(&self) -> &'static str {
        self.0
    }
}

#[test]
fn a_watched_pool_asks_for_a_watchdog_when_a_job_finds_all_threads_busy() {
    let mut state = State::new(1, true);
    let enter = |state: &mut State, what| {
        state.reserve(false).expect("it needs no room");
        let number = state.number();
        state.enter(number, Box::new(Named(what)))
    };
    let Wakeup::Start(thread) = enter(&mut state, "first") else { panic!("a thread is started") };
    let idle_thread = IdleThread::new();
    assert!(matches!(state.next(thread, &idle_thread), Next::Run(_)));
    assert!(matches!(enter(&mut state, "second"), Wakeup::Watch));
    // One watchdog is enough.
    assert!(matches!(enter(&mut state, "third"), Wakeup::Enough));
    let Watched::Waiting(begun) = state.look() else { panic!("two wait") };
    assert_eq!(begun, 1);
    let stuck = state.stuck();
    assert_eq!((stuck.threads, stuck.waiting), (1, 2));
    assert!(stuck.calls.into_iter().eq([("first", 1)]));
    for what in ["second", "third"] {
        assert!(matches!(state.next(thread, &idle_thread), Next::Run(_)));
        assert!(state.stuck().calls.into_iter().eq([(what, 1)]));
    }
    assert_eq!(state.look(), Watched::Nothing);
    assert!(matches!(state.next(thread, &idle_thread), Next::Rest));
    assert!(state.stuck().calls.is_empty());
}
