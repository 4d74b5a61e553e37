//! Programs from a seed.
//!
//! A program has a subject or two, so that its steps meet each other, and few objects and slots. A body runs only
//! bodies with higher numbers: no program goes on for ever.

use crate::program::{Catch, Kind, Object, Op, Order, Program, Step};
use crate::random::Random;

mod subjects;

use subjects::{ALWAYS, Subject};

/// How many slots for greenlets a program uses at most.
const SLOTS: usize = 5;

/// Slots for links, timeouts and mappings.
const SMALL_SLOTS: usize = 2;

/// One program in so many takes real time.
const TIMED: usize = 12;

/// The times of a program, in ticks: each is used once, so that no two sums of them are equal, and what happens
/// after different ones never happens at the same time.
const TIMES: [u32; 4] = [1, 2, 4, 8];

/// What a zero stands for in a program without real time. Timers of different priorities that are due in the same
/// iteration are told apart on purpose in ramie, so a program has only one kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Zero {
    Limits,
    Timers,
}

struct Generator<'a> {
    random: &'a mut Random,
    subjects: Vec<Subject>,
    objects: Vec<Object>,
    bodies: usize,
    /// Which bodies the hub can run.
    for_hub: Vec<bool>,
    times: Vec<u32>,
    zero: Zero,
    sockets: bool,
}

/// The program of a seed.
pub fn generate(seed: u64) -> Program {
    let mut random = Random::new(seed);
    loop {
        let program = draw(&mut random);
        if !has_twin_times(&program) {
            return program;
        }
    }
}

/// Whether a step that takes real time may be run more than once. What two greenlets do after the same time happens in
/// the order of deadlines that are microseconds apart, and twice a time may be another one. Neither is a promise.
fn has_twin_times(program: &Program) -> bool {
    let mut runs = vec![0_usize; program.bodies.len()];
    runs[0] = 1;
    // A body runs only later ones, so that what is counted of it is complete when its turn comes.
    program.bodies.iter().enumerate().any(|(body, steps)| {
        let times = runs[body];
        repeats_time(steps, times, &mut runs)
    })
}

/// Whether one of these steps takes real time and is run more than once, when all of them are run so many times. Counts
/// the runs of the bodies that they run.
fn repeats_time(steps: &[Step], times: usize, runs: &mut [usize]) -> bool {
    let mut repeated = false;
    for step in steps {
        repeated |= times > 1 && step.t.is_some_and(|t| t > 0);
        let n = step.n.unwrap_or(1);
        // A mapping over no items calls its callback all the same.
        for (run, each) in
            step.body.map(|body| (body, n)).into_iter().chain(step.cb.map(|body| (body, n.max(1))))
        {
            runs[run] = runs[run].saturating_add(times.saturating_mul(each));
        }
        // An iteration runs its block for each of its objects.
        let inside = if step.op == Op::Iwait { times.saturating_mul(2) } else { times };
        for (_, block) in step.blocks() {
            repeated |= repeats_time(block, inside, runs);
        }
    }
    repeated
}

fn draw(random: &mut Random) -> Program {
    let timed = random.below(TIMED) == 0;
    let sockets = timed && random.chance(40);
    let mut subjects = vec![if sockets { Subject::Sockets } else { Subject::any(random) }];
    if random.chance(35) {
        subjects.push(Subject::any(random));
    }
    let mut objects: Vec<Object> = Vec::new();
    for subject in &subjects {
        // Sockets of two pairs that are ready at the same time are served in any order.
        let more = if sockets { 0 } else { random.below(2) };
        for _ in 0..=more {
            objects.extend(subject.object(random));
        }
    }
    let bodies = 2 + random.below(4);
    let mut times = if timed { TIMES.to_vec() } else { Vec::new() };
    for at in (1..times.len()).rev() {
        times.swap(at, random.below(at + 1));
    }
    let for_hub = (0..bodies).map(|body| body > 0 && random.chance(20)).collect();
    let zero = if random.chance(70) { Zero::Limits } else { Zero::Timers };
    let mut generator = Generator { random, subjects, objects, bodies, for_hub, times, zero, sockets };
    let bodies = (0..bodies).map(|body| generator.body(body)).collect();
    Program { note: String::new(), objects: generator.objects, bodies }
}

impl Generator<'_> {
    fn body(&mut self, body: usize) -> Vec<Step> {
        let most = if body == 0 { 9 } else { 6 };
        let mut steps = Vec::new();
        if body == 0 {
            // What comes to run at once: the others meet there.
            for other in 1..self.bodies.min(4) {
                if self.random.chance(60) {
                    steps.push(Step { g: Some(other), body: Some(other), ..Step::new(Op::Spawn) });
                }
            }
            if self.random.chance(60) {
                steps.push(Step::new(Op::Sleep));
            }
        }
        for _ in 0..=self.random.below(most) {
            steps.extend(self.step(body, 0));
        }
        steps
    }

    fn block(&mut self, body: usize, depth: usize, most: usize) -> Vec<Step> {
        (0..=self.random.below(most)).filter_map(|_| self.step(body, depth + 1)).collect()
    }

    /// A step for a body; none if what was drawn is not possible there.
    fn step(&mut self, body: usize, depth: usize) -> Option<Step> {
        let op = self.op(body, depth)?;
        let mut step = Step::new(op);
        self.fill(&mut step, body, depth)?;
        Some(step)
    }

    fn op(&mut self, body: usize, depth: usize) -> Option<Op> {
        if self.for_hub[body] {
            let choices: Vec<Op> = Op::ALL.iter().copied().filter(|op| op.in_hub()).collect();
            return self.random.pick(&choices);
        }
        let subject =
            if self.random.chance(60) { self.random.pick(&self.subjects)? } else { Subject::Control };
        let choices = if self.random.chance(20) { ALWAYS } else { subject.ops() };
        let total: usize = choices.iter().map(|(_, weight)| weight).sum();
        let mut at = self.random.below(total);
        let chosen = choices.iter().find(|(_, weight)| {
            let found = at < *weight;
            at = at.saturating_sub(*weight);
            found
        });
        let op = chosen?.0;
        let nests = matches!(op, Op::Try | Op::Scope | Op::With | Op::WithLock | Op::Iwait);
        if nests && depth >= 2 {
            return None;
        }
        Some(op)
    }

    // --- arguments ----------------------------------------------------------------------------------------------

    fn slot(&mut self) -> usize {
        1 + self.random.below(SLOTS.min(self.bodies + 1))
    }

    /// A body that this one may run.
    fn later(&mut self, body: usize, hub: bool) -> Option<usize> {
        let choices: Vec<usize> =
            (body + 1..self.bodies).filter(|other| !hub || self.for_hub[*other]).collect();
        self.random.pick(&choices)
    }

    fn object(&mut self, wanted: impl Fn(&Object) -> bool) -> Option<usize> {
        let choices: Vec<usize> = (0..self.objects.len()).filter(|at| wanted(&self.objects[*at])).collect();
        self.random.pick(&choices)
    }

    /// A limit, for some.
    fn limit(&mut self, percent: usize) -> Option<u32> {
        if !self.random.chance(percent) {
            return None;
        }
        match self.times.pop() {
            Some(time) => Some(time),
            None if self.zero == Zero::Limits && !self.sockets => Some(0),
            None => None,
        }
    }

    fn error(&mut self, percent: usize) -> Option<Kind> {
        if !self.random.chance(percent) {
            return None;
        }
        let system = self.random.chance(3);
        if system { Some(Kind::System) } else { self.random.pick(&[Kind::A, Kind::A, Kind::B, Kind::Exit]) }
    }

    /// An error that is thrown: gevent cannot be asked to throw a `SystemExit` and mean it.
    fn thrown(&mut self, percent: usize) -> Option<Kind> {
        if self.random.chance(percent) { self.random.pick(&[Kind::A, Kind::B]) } else { None }
    }

    /// For how many a wait waits. None at all ends the comparison, so that is rare.
    fn count(&mut self) -> usize {
        if self.random.chance(5) { 0 } else { 1 + self.random.below(2) }
    }

    fn slots(&mut self) -> Vec<usize> {
        (0..=self.random.below(3)).map(|_| self.slot()).collect()
    }

    fn fill(&mut self, step: &mut Step, body: usize, depth: usize) -> Option<()> {
        use Object as O;
        match step.op {
            Op::Spawn | Op::SpawnRaw | Op::Create | Op::SpawnLater => {
                let run = self.later(body, false)?;
                step.body = Some(run);
                step.g = Some(if self.random.chance(60) { run.min(SLOTS) } else { self.slot() });
                if step.op == Op::SpawnLater {
                    step.t = Some(self.delay()?);
                }
            }
            Op::Start | Op::State | Op::UnlinkAll => step.g = Some(self.slot()),
            Op::StartLater => {
                step.g = Some(self.slot());
                step.t = Some(self.delay()?);
            }
            Op::Kill => {
                step.g = Some(self.slot());
                step.exc = self.thrown(30);
                step.nowait = self.random.chance(50);
                step.t = if step.nowait { None } else { self.limit(20) };
            }
            Op::KillMain => step.exc = self.thrown(50),
            Op::Throw => {
                step.g = Some(self.slot());
                step.exc = self.thrown(50);
            }
            Op::Get => {
                step.g = Some(self.slot());
                step.nowait = self.random.chance(20);
                step.t = self.limit(20);
                step.raising = self.random.chance(40);
            }
            Op::Join => {
                step.g = Some(self.slot());
                step.t = self.limit(20);
            }
            Op::Link | Op::LinkValue | Op::LinkException | Op::Rawlink => {
                step.g = Some(self.slot());
                step.l = Some(self.random.below(SMALL_SLOTS));
                step.body = Some(self.later(body, step.op == Op::Rawlink)?);
            }
            Op::LinkResult => {
                step.g = Some(self.slot());
                step.l = Some(self.random.below(SMALL_SLOTS));
                step.o = Some(self.object(|o| matches!(o, O::Result))?);
            }
            Op::Unlink => {
                step.g = Some(self.slot());
                step.l = Some(self.random.below(SMALL_SLOTS));
            }
            Op::With => {
                step.g = Some(self.slot());
                step.steps = self.block(body, depth, 2);
            }
            Op::Raise => step.exc = self.error(100),
            Op::Return => step.v = self.random.chance(50).then(|| 10 + i64::from(body as u8)),
            Op::Try => {
                step.steps = self.block(body, depth, 3);
                if self.random.chance(40) {
                    // So that the others are run as well.
                    step.steps.push(Step { exc: self.thrown(100), ..Step::new(Op::Raise) });
                }
                let catches = [
                    Catch::A,
                    Catch::B,
                    Catch::Exit,
                    Catch::Timeout,
                    Catch::LoopExit,
                    Catch::Any,
                    Catch::Any,
                ];
                if self.random.chance(70) {
                    step.catch = self.random.pick(&catches);
                    step.handler = self.block(body, depth, 3);
                }
                if self.random.chance(40) {
                    step.finally = self.block(body, depth, 3);
                }
            }
            // It ends where timers do.
            Op::Idle if self.zero == Zero::Limits => return None,
            Op::Idle => {}
            Op::Sleep => step.t = if self.random.chance(50) { self.times.pop() } else { None },
            Op::Callback => step.body = Some(self.later(body, true)?),
            Op::Scope => {
                step.t = self.limit(80);
                step.exc = self.thrown(20);
                step.silent = step.exc.is_none() && self.random.chance(20);
                step.steps = self.block(body, depth, 3);
            }
            Op::TimeoutStart => {
                step.l = Some(self.random.below(SMALL_SLOTS));
                step.t = Some(self.limit(100)?);
                step.exc = self.thrown(20);
            }
            Op::TimeoutCancel | Op::TimeoutPending => step.l = Some(self.random.below(SMALL_SLOTS)),
            Op::Wait | Op::Iwait => {
                step.gs = self.slots();
                for _ in 0..self.random.below(3) {
                    let wanted =
                        |o: &O| matches!(o, O::Event | O::Result | O::Semaphore { .. } | O::Bounded { .. });
                    step.os.extend(self.object(wanted));
                }
                if !self.random.chance(1) {
                    step.os.sort_unstable();
                    step.os.dedup();
                }
                step.t = self.limit(40);
                step.n = if self.random.chance(30) { Some(self.count()) } else { None };
                if step.op == Op::Iwait {
                    step.v = self.random.chance(30).then(|| 1 + i64::from(self.random.chance(30)));
                    step.steps = self.block(body, depth, 2);
                }
            }
            Op::Joinall => {
                step.gs = self.slots();
                step.t = self.limit(40);
                step.n = if self.random.chance(20) { Some(self.count()) } else { None };
                step.raising = self.random.chance(40);
            }
            Op::Killall => {
                step.gs = self.slots();
                if !self.random.chance(5) {
                    let mut seen = Vec::new();
                    step.gs.retain(|slot| {
                        !seen.contains(slot) && {
                            seen.push(*slot);
                            true
                        }
                    });
                }
                step.exc = self.thrown(30);
                step.nowait = self.random.chance(40);
                step.t = if step.nowait { None } else { self.limit(30) };
            }
            // Its timer is a sleeper's, not a limit's.
            // Without any time, whether it was over first depends on where gevent's loop is.
            Op::HubJoin => step.t = if self.random.chance(30) { self.times.pop() } else { None },
            _ => return self.fill_object(step, body, depth),
        }
        Some(())
    }

    /// When a greenlet starts later.
    fn delay(&mut self) -> Option<u32> {
        match self.times.pop() {
            Some(time) => Some(time),
            None if self.zero == Zero::Timers => Some(0),
            None => None,
        }
    }

    fn fill_object(&mut self, step: &mut Step, body: usize, depth: usize) -> Option<()> {
        use Object as O;
        match step.op {
            Op::Set | Op::Clear | Op::IsSet => step.o = Some(self.object(|o| matches!(o, O::Event))?),
            Op::WaitFor => {
                let wanted =
                    |o: &O| matches!(o, O::Event | O::Result | O::Semaphore { .. } | O::Bounded { .. });
                step.o = Some(self.object(wanted)?);
                step.t = self.limit(30);
            }
            Op::SetResult => {
                step.o = Some(self.object(|o| matches!(o, O::Result))?);
                step.v = Some(i64::from(self.random.chance(50)));
            }
            Op::SetException => {
                step.o = Some(self.object(|o| matches!(o, O::Result))?);
                step.exc = Some(Kind::A);
            }
            Op::GetResult => {
                step.o = Some(self.object(|o| matches!(o, O::Result))?);
                step.nowait = self.random.chance(20);
                step.t = self.limit(20);
                step.raising = self.random.chance(30);
            }
            Op::Acquire | Op::Release | Op::WithLock => {
                let wanted = |o: &O| matches!(o, O::Semaphore { .. } | O::Bounded { .. } | O::Rlock);
                step.o = Some(self.object(wanted)?);
                if step.op == Op::Acquire {
                    step.nowait = self.random.chance(25);
                    step.t = if step.nowait { None } else { self.limit(25) };
                } else if step.op == Op::WithLock {
                    step.steps = self.block(body, depth, 2);
                }
            }
            Op::Put | Op::Take | Op::Peek => {
                let peeks = step.op == Op::Peek;
                let wanted = |o: &O| matches!(o, O::Queue { .. }) || (!peeks && matches!(o, O::Channel));
                step.o = Some(self.object(wanted)?);
                step.nowait = self.random.chance(20);
                step.t = if step.nowait { None } else { self.limit(20) };
                // gevent's non-blocking operations on a channel are limits of zero: due with other
                // timers, or with sockets.
                let due = self.zero == Zero::Timers || self.objects.iter().any(|o| matches!(o, O::Pair));
                if due && self.objects.iter().any(|o| matches!(o, O::Channel)) {
                    step.nowait = false;
                }
                if step.op == Op::Put {
                    step.v = Some(self.random.below(9) as i64);
                }
            }
            Op::TaskDone | Op::JoinQueue | Op::Shutdown | Op::Resize => {
                step.o =
                    Some(self.object(|o| matches!(o, O::Queue { order, .. } if *order != Order::Simple))?);
                match step.op {
                    Op::JoinQueue => step.t = self.limit(30),
                    Op::Shutdown => step.immediate = self.random.chance(40),
                    Op::Resize => step.n = self.random.chance(80).then(|| 1 + self.random.below(3)),
                    _ => {}
                }
            }
            Op::Send | Op::Recv | Op::Close => {
                step.o = Some(self.object(|o| matches!(o, O::Pair))?);
                match step.op {
                    Op::Send => {
                        step.n = Some(0);
                        step.v = Some(self.random.below(9) as i64);
                    }
                    Op::Recv => {
                        step.n = Some(1);
                        step.t = Some(self.times.pop()?);
                    }
                    _ => step.n = Some(self.random.below(2)),
                }
            }
            Op::Look => step.o = Some(self.object(|_| true)?),
            Op::Next => {
                step.l = Some(self.random.below(SMALL_SLOTS));
                step.t = self.limit(20);
                step.raising = self.random.chance(20);
            }
            Op::GroupOf => {
                step.o = Some(self.object(|o| matches!(o, O::Group))?);
                step.gs = self.slots();
            }
            _ => return self.fill_pool(step, body),
        }
        Some(())
    }

    fn fill_pool(&mut self, step: &mut Step, body: usize) -> Option<()> {
        step.o = Some(self.object(|o| matches!(o, Object::Group | Object::Pool { .. }))?);
        match step.op {
            Op::PoolSpawn => {
                let run = self.later(body, false)?;
                step.body = Some(run);
                step.g = Some(if self.random.chance(50) { run.min(SLOTS) } else { self.slot() });
            }
            Op::PoolStart | Op::PoolAdd => {
                step.g = Some(self.slot());
                step.nowait = self.random.chance(30);
                step.t = if step.nowait { None } else { self.limit(30) };
            }
            Op::Discard | Op::PoolState => step.g = Some(self.slot()),
            Op::PoolJoin => {
                step.t = self.limit(30);
                step.raising = self.random.chance(40);
            }
            Op::PoolKill => {
                step.exc = self.thrown(30);
                step.nowait = self.random.chance(30);
                step.t = if step.nowait { None } else { self.limit(20) };
            }
            Op::Killone => {
                step.g = Some(self.slot());
                step.exc = self.thrown(30);
                step.nowait = self.random.chance(30);
                step.t = if step.nowait { None } else { self.limit(20) };
            }
            Op::WaitAvailable => step.t = self.limit(40),
            Op::Apply | Op::ApplyAsync | Op::ApplyCb => {
                step.body = Some(self.later(body, false)?);
                step.raising = step.op != Op::ApplyAsync && self.random.chance(30);
                if step.op == Op::ApplyAsync {
                    step.g = Some(self.slot());
                }
                if step.op != Op::Apply {
                    step.cb = self.later(body, false).filter(|_| self.random.chance(70));
                }
                if step.op == Op::ApplyAsync && step.cb.is_some() {
                    // Its callback runs as a link.
                    step.cb = self.later(body, false);
                }
            }
            _ => {
                step.body = Some(self.later(body, false)?);
                step.n = Some(self.random.below(4));
                step.fail = self.random.chance(20).then(|| self.random.below(4));
                step.slow = self.random.chance(15);
                match step.op {
                    Op::Map => step.raising = self.random.chance(30),
                    Op::MapCb => step.cb = self.later(body, false),
                    Op::MapAsync => step.g = Some(self.slot()),
                    _ => {
                        step.l = Some(self.random.below(SMALL_SLOTS));
                        step.v = self.random.chance(40).then(|| 1 + i64::from(self.random.chance(40)));
                    }
                }
            }
        }
        Some(())
    }
}
