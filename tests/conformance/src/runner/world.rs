//! The state of a running program: its objects, its slots, its trace, and the bodies that it runs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use ramie::hub::{Io, LinkId};
use ramie::pool::IMap;
use ramie::queue::{Channel, LifoQueue, PriorityQueue, Queue, SimpleQueue};
use ramie::sync::{AsyncResult, Event, Semaphore};
use ramie::sync::{BoundedSemaphore, RLock};
use ramie::{AnyGreenlet, Exception, Greenlet, Group, Kill, Pool, SystemExit, Timeout, getcurrent, raise};

use super::Outcome;
use super::words::{Done, Error, attempt};
use crate::coverage::Coverage;
use crate::program::{Kind, Object, Op, Order, Program, Step};

/// After how many steps a program does nothing more.
const BUDGET: usize = 400;

/// A greenlet in a slot.
#[derive(Clone)]
pub(super) enum Handle {
    One(Greenlet<i64>),
    Many(Greenlet<Vec<i64>>),
    Raw(AnyGreenlet),
}

impl Handle {
    pub(super) fn any(&self) -> &AnyGreenlet {
        match self {
            Handle::One(greenlet) => greenlet.as_any(),
            Handle::Many(greenlet) => greenlet.as_any(),
            Handle::Raw(greenlet) => greenlet,
        }
    }
}

/// A queue of whatever order, which is a type here.
pub(super) enum AnyQueue {
    Fifo(Queue<i64>),
    Lifo(LifoQueue<i64>),
    Priority(PriorityQueue<i64>),
    Simple(SimpleQueue<i64>),
}

/// An object of the program.
pub(super) enum Thing {
    Event(Event),
    Result(AsyncResult<i64>),
    Semaphore(Semaphore),
    Bounded(BoundedSemaphore),
    Rlock(RLock),
    Queue(AnyQueue),
    Channel(Channel<i64>),
    Group(RefCell<Group>),
    Pool(Pool),
    Pair([Io<UnixStream>; 2]),
}

/// A mapping in a slot, and its name in the trace.
pub(super) type Mapping = Rc<RefCell<IMap<i64>>>;

pub(super) struct World {
    pub(super) program: Program,
    pub(super) tick: Duration,
    pub(super) main: AnyGreenlet,
    pub(super) things: Vec<Thing>,
    pub(super) greenlets: RefCell<Vec<Option<Handle>>>,
    pub(super) links: RefCell<Vec<Option<(AnyGreenlet, LinkId)>>>,
    pub(super) timeouts: RefCell<Vec<Option<Timeout>>>,
    pub(super) mappings: RefCell<Vec<Option<Mapping>>>,
    /// Keeps a mapping after its slot was taken: gevent's continues without a reader.
    pub(super) all_mappings: RefCell<Vec<Mapping>>,
    /// Every timeout of a scope, by its number in the trace.
    names: RefCell<Vec<Timeout>>,
    /// Errors that a step may get as a result.
    ended: RefCell<BTreeSet<String>>,
    runs: RefCell<Vec<usize>>,
    errors: Cell<usize>,
    steps: Cell<usize>,
    trace: RefCell<Vec<String>>,
    pub(super) coverage: RefCell<Coverage>,
    /// `true` once the trace is complete: greenlets that still run only end.
    pub(super) over: Cell<bool>,
}

/// The greenlet that does a step, and the values that the step can use.
pub(super) struct Actor<'a> {
    pub(super) world: &'a Rc<World>,
    pub(super) who: String,
    pub(super) value: i64,
    /// The position in its body, for the coverage.
    pub(super) place: Cell<&'static str>,
}

fn thing(object: &Object) -> Thing {
    match object {
        Object::Event => Thing::Event(Event::new()),
        Object::Result => Thing::Result(AsyncResult::new()),
        Object::Semaphore { n } => Thing::Semaphore(Semaphore::new(*n)),
        Object::Bounded { n } => Thing::Bounded(BoundedSemaphore::new(*n)),
        Object::Rlock => Thing::Rlock(RLock::new()),
        Object::Queue { order, n, items } => {
            let items = items.clone();
            Thing::Queue(match order {
                Order::Fifo => AnyQueue::Fifo(Queue::with_maxsize(*n, items)),
                Order::Lifo => AnyQueue::Lifo(Queue::with_maxsize(*n, items)),
                Order::Priority => AnyQueue::Priority(Queue::with_maxsize(*n, items)),
                Order::Simple => {
                    let queue = n.map_or_else(SimpleQueue::unbounded, SimpleQueue::bounded);
                    AnyQueue::Simple(queue)
                }
            })
        }
        Object::Channel => Thing::Channel(Channel::new()),
        Object::Group => Thing::Group(RefCell::new(Group::new())),
        Object::Pool { n } => Thing::Pool(n.map_or_else(Pool::unlimited, Pool::new)),
        Object::Pair => {
            let (one, other) = UnixStream::pair().expect("a pair of sockets can be had");
            Thing::Pair([one, other].map(|end| {
                end.set_nonblocking(true).expect("a socket can be made not to block");
                Io::new(end).expect("a socket can be watched")
            }))
        }
    }
}

impl World {
    pub(super) fn new(program: Program, tick: Duration) -> Rc<Self> {
        let things = program.objects.iter().map(thing).collect();
        let runs = vec![0; program.bodies.len()];
        Rc::new(World {
            program,
            tick,
            main: getcurrent(),
            things,
            greenlets: RefCell::default(),
            links: RefCell::default(),
            timeouts: RefCell::default(),
            mappings: RefCell::default(),
            all_mappings: RefCell::default(),
            names: RefCell::default(),
            ended: RefCell::default(),
            runs: RefCell::new(runs),
            errors: Cell::new(0),
            steps: Cell::new(0),
            trace: RefCell::default(),
            coverage: RefCell::default(),
            over: Cell::new(false),
        })
    }

    /// Ends the trace, and drops everything that refers to greenlets.
    pub(super) fn clear(&self) -> Outcome {
        self.mappings.take();
        self.all_mappings.take();
        self.greenlets.take();
        self.links.take();
        self.timeouts.take();
        Outcome { trace: self.trace.take(), coverage: self.coverage.take() }
    }

    // --- the trace ----------------------------------------------------------------------------------------------

    pub(super) fn note(&self, line: String) {
        if !self.over.get() {
            self.trace.borrow_mut().push(line);
        }
    }

    pub(super) fn describe_end(self: &Rc<Self>) {
        let actor = Actor { world: self, who: "end".into(), value: 0, place: Cell::new("main") };
        for (at, _) in self.things.iter().enumerate() {
            let step = Step { o: Some(at), ..Step::new(Op::Look) };
            self.note(format!("end o{at} {}", actor.look(&step).word));
        }
        let slots = self.greenlets.borrow().len();
        for at in 0..slots {
            let step = Step { g: Some(at), ..Step::new(Op::State) };
            self.note(format!("end g{at} {}", actor.state(&step).word));
        }
    }

    // --- exceptions ---------------------------------------------------------------------------------------------

    /// Makes the kill of a step.
    pub(super) fn kill(&self, step: &Step) -> Kill {
        let kill = step.exc.map_or_else(Kill::default, |kind| Kill::new(self.exception(kind)));
        match step.t {
            _ if step.nowait => kill.nowait(),
            Some(t) => kill.timeout(self.time(t)),
            None => kill,
        }
    }

    /// Makes the exception of a step.
    pub(super) fn exception(&self, kind: Kind) -> Exception {
        let kind = match kind {
            Kind::A => 'A',
            Kind::B => 'B',
            Kind::Exit => return Exception::new(ramie::GreenletExit),
            Kind::System => return Exception::new(SystemExit(3)),
        };
        self.errors.set(self.errors.get() + 1);
        Exception::new(Error { kind, number: self.errors.get() })
    }

    /// Remembers an error that may now be the result of a step.
    pub(super) fn may_be_returned(&self, exception: &Exception) {
        self.ended.borrow_mut().insert(self.name(exception));
    }

    pub(super) fn may_be_a_result(&self, exception: &Exception) -> bool {
        self.ended.borrow().contains(&self.name(exception))
    }

    pub(super) fn new_timeout(&self, timeout: &Timeout) {
        self.names.borrow_mut().push(timeout.clone());
    }

    pub(super) fn timeout_name(&self, timeout: &Timeout) -> String {
        let at = self.names.borrow().iter().position(|other| other.is(timeout));
        at.map_or_else(|| "timeout".into(), |at| format!("T{at}"))
    }

    // --- slots --------------------------------------------------------------------------------------------------

    pub(super) fn time(&self, ticks: u32) -> Duration {
        self.tick * ticks
    }

    pub(super) fn greenlet(&self, step: &Step) -> Option<Handle> {
        self.slot(step.g.unwrap_or(0))
    }

    pub(super) fn slot(&self, at: usize) -> Option<Handle> {
        self.greenlets.borrow().get(at).cloned().flatten()
    }

    pub(super) fn keep(&self, step: &Step, handle: Handle) {
        put(&self.greenlets, step.g.unwrap_or(0), handle);
    }

    pub(super) fn thing(&self, step: &Step) -> Option<&Thing> {
        self.things.get(step.o.unwrap_or(0))
    }

    // --- bodies -------------------------------------------------------------------------------------------------

    /// The closure that runs a body.
    pub(super) fn body(self: &Rc<Self>, body: usize, argument: i64) -> impl FnOnce() -> i64 + 'static {
        let world = self.clone();
        move || world.run_body(body, argument)
    }

    /// Runs a body to its end, in whatever greenlet calls it.
    pub(super) fn run_body(self: &Rc<Self>, body: usize, argument: i64) -> i64 {
        if self.over.get() {
            return 0;
        }
        let Some(steps) = self.program.bodies.get(body) else { return argument };
        let run = {
            let mut runs = self.runs.borrow_mut();
            runs[body] += 1;
            runs[body] - 1
        };
        let who = format!("b{body}#{run}");
        self.note(format!("{who} begin {argument}"));
        let actor = Actor { world: self, who, value: argument, place: Cell::new("body") };
        match attempt(|| actor.block(steps, "")) {
            Ok(value) => {
                let value = value.unwrap_or(argument);
                self.note(format!("{} end {value}", actor.who));
                value
            }
            Err(exception) => {
                self.note(format!("{} end by {}", actor.who, self.name(&exception)));
                self.may_be_returned(&exception);
                raise(exception)
            }
        }
    }
}

/// Puts something into a slot that may not be there yet.
pub(super) fn put<T>(slots: &RefCell<Vec<Option<T>>>, at: usize, value: T) {
    let mut slots = slots.borrow_mut();
    if slots.len() <= at {
        slots.resize_with(at + 1, || None);
    }
    let old = slots[at].replace(value);
    drop(slots);
    drop(old);
}

impl Actor<'_> {
    /// Runs steps until one of them ends the body with a value.
    pub(super) fn block(&self, steps: &[Step], path: &str) -> Option<i64> {
        for (at, step) in steps.iter().enumerate() {
            let steps = self.world.steps.get() + 1;
            self.world.steps.set(steps);
            if steps > BUDGET {
                return None;
            }
            let value = self.step(step, &format!("{path}{at}"));
            if value.is_some() {
                return value;
            }
        }
        None
    }

    pub(super) fn say(&self, step: &Step, path: &str, word: &str) {
        self.world.note(format!("{} {path} {} {word}", self.who, step.op.name()));
    }

    fn step(&self, step: &Step, path: &str) -> Option<i64> {
        self.world.coverage.borrow_mut().note(step.op, self.state_of(step));
        match step.op {
            Op::Return => {
                self.say(step, path, "ok");
                return Some(step.v.unwrap_or(self.value));
            }
            Op::Raise => {
                let exception = self.world.exception(step.exc.unwrap_or(Kind::A));
                self.say(step, path, &self.world.name(&exception));
                raise(exception)
            }
            Op::Try => return self.try_block(step, path),
            Op::Scope => return self.scope(step, path),
            Op::With => return self.with(step, path),
            Op::WithLock => return self.with_lock(step, path),
            Op::Iwait => return self.iwait(step, path),
            _ => {}
        }
        let result = attempt(|| self.simple(step));
        if self.world.over.get() {
            match result {
                Ok(_) => return None,
                Err(exception) => raise(exception),
            }
        }
        match result {
            Ok(done) => {
                self.say(step, path, &done.word);
                if let Some(error) = done.error.filter(|_| step.raising) {
                    raise(error);
                }
            }
            // An error of another body is this step's result, however it came here: the same rule
            // as in the other world, where both are raised.
            Err(exception) if carries(step.op) && self.world.may_be_a_result(&exception) => {
                self.say(step, path, &format!("err {}", self.world.name(&exception)));
                if step.raising {
                    raise(exception);
                }
            }
            Err(exception) => {
                self.say(step, path, &format!("raised {}", self.world.name(&exception)));
                raise(exception)
            }
        }
        None
    }

    fn simple(&self, step: &Step) -> Done {
        match step.op {
            Op::Spawn
            | Op::SpawnRaw
            | Op::Create
            | Op::Start
            | Op::SpawnLater
            | Op::StartLater
            | Op::Kill
            | Op::KillMain
            | Op::Throw
            | Op::Get
            | Op::Join
            | Op::State
            | Op::Link
            | Op::LinkValue
            | Op::LinkException
            | Op::Rawlink
            | Op::LinkResult
            | Op::Unlink
            | Op::UnlinkAll
            | Op::Wait
            | Op::Joinall
            | Op::Killall
            | Op::HubJoin => self.greenlet_step(step),
            Op::Sleep
            | Op::Idle
            | Op::Callback
            | Op::TimeoutStart
            | Op::TimeoutCancel
            | Op::TimeoutPending => self.control_step(step),
            Op::Set
            | Op::Clear
            | Op::IsSet
            | Op::WaitFor
            | Op::SetResult
            | Op::SetException
            | Op::GetResult
            | Op::Acquire
            | Op::Release => self.event_step(step),
            Op::Put | Op::Take | Op::Peek | Op::TaskDone | Op::JoinQueue | Op::Shutdown | Op::Resize => {
                self.queue_step(step)
            }
            Op::Send | Op::Recv | Op::Close => self.socket_step(step),
            Op::Look => self.look(step),
            _ => self.pool_step(step),
        }
    }

    /// Returns the state under which the coverage counts a step: that of the greenlet it concerns,
    /// else of the greenlet that does it.
    fn state_of(&self, step: &Step) -> &'static str {
        if step.g.is_some() && step.op.has_target() {
            let Some(handle) = self.world.greenlet(step) else { return "unset" };
            let greenlet = handle.any();
            return if greenlet.is(&getcurrent()) {
                "self"
            } else if greenlet.is_raw() {
                "raw"
            } else if greenlet.exception().is_some() {
                "failed"
            } else if greenlet.ready() {
                match &handle {
                    Handle::One(one) if one.value().is_none() => "killed",
                    _ => "returned",
                }
            } else if greenlet.started() {
                "started"
            } else {
                "created"
            };
        }
        if ramie::get_hub().in_callback() {
            return "in hub";
        }
        let me = getcurrent();
        match self.place.get() {
            "body" if me.is_main() => "in main",
            "body" if me.is_raw() => "in raw",
            "body" => "in greenlet",
            place => place,
        }
    }
}

/// Returns `true` if a step may get an error of another body as its result.
fn carries(op: Op) -> bool {
    matches!(
        op,
        Op::Get
            | Op::GetResult
            | Op::Joinall
            | Op::PoolJoin
            | Op::Apply
            | Op::ApplyCb
            | Op::Map
            | Op::MapCb
            | Op::Next
    )
}
