//! A program for both worlds: bodies made of steps. `README.md` beside this package documents the
//! format.

use serde::{Deserialize, Serialize};

fn off(flag: &bool) -> bool {
    !*flag
}

/// One program. Body 0 is run by the main greenlet; the others by whatever a step names them for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The subject that a program of the corpus shows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The objects that steps name by their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Object>,
    /// The bodies, each a list of steps.
    pub bodies: Vec<Vec<Step>>,
}

/// An object that is there before the first step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Object {
    /// An `Event`.
    Event,
    /// An `AsyncResult`.
    Result,
    /// A `Semaphore` with so many permits.
    Semaphore {
        /// The permits.
        n: usize,
    },
    /// A `BoundedSemaphore`.
    Bounded {
        /// The permits, and the bound.
        n: usize,
    },
    /// An `RLock`.
    Rlock,
    /// A `Queue` of one of the three orders, or a `SimpleQueue`.
    Queue {
        /// Which queue.
        order: Order,
        /// The limit, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        n: Option<usize>,
        /// The contents at the beginning.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        items: Vec<i64>,
    },
    /// A `Channel`.
    Channel,
    /// A `Group`.
    Group,
    /// A `Pool`.
    Pool {
        /// The limit, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        n: Option<usize>,
    },
    /// A pair of connected sockets.
    Pair,
}

/// Which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// First in, first out.
    Fifo,
    /// Last in, first out.
    Lifo,
    /// Smallest first.
    Priority,
    /// A `SimpleQueue`: first in, first out, without an end and without tasks.
    Simple,
}

/// An exception that is raised or thrown. Each `A` and `B` is a new exception with a number of its
/// own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An error of the program's own.
    A,
    /// Another one.
    B,
    /// `GreenletExit`.
    Exit,
    /// `SystemExit`.
    System,
}

/// The exceptions that a `try` step catches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Catch {
    /// Errors of kind `A`.
    A,
    /// Errors of kind `B`.
    B,
    /// `GreenletExit`.
    Exit,
    /// Any scope's timeout.
    Timeout,
    /// `LoopExit`.
    LoopExit,
    /// Whatever it is.
    Any,
}

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The action of a step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Op {
            $($(#[$doc])* $name,)*
        }

        impl Op {
            /// All of them.
            pub const ALL: &'static [Op] = &[$(Op::$name,)*];
        }
    };
}

ops! {
    // Greenlets.
    /// `spawn(body)` into slot `g`.
    Spawn,
    /// `spawn_raw(body)` into slot `g`.
    SpawnRaw,
    /// `Greenlet(body)` into slot `g`, not started.
    Create,
    /// `g.start()`.
    Start,
    /// `spawn_later(t, body)` into slot `g`.
    SpawnLater,
    /// `g.start_later(t)`.
    StartLater,
    /// `g.kill(exc, nowait, t)`.
    Kill,
    /// `kill(main, exc)`.
    KillMain,
    /// `g.throw(exc)`.
    Throw,
    /// `g.get(nowait, t)`.
    Get,
    /// `g.join(t)`.
    Join,
    /// All that can be asked of `g` without waiting.
    State,
    /// `g.link(body)`, remembered in slot `l`.
    Link,
    /// `g.link_value(body)`.
    LinkValue,
    /// `g.link_exception(body)`.
    LinkException,
    /// `g.rawlink(body)`.
    Rawlink,
    /// `g.link(result o)`.
    LinkResult,
    /// `g.unlink(l)`.
    Unlink,
    /// `g.unlink_all()`.
    UnlinkAll,
    /// `with g: steps`.
    With,
    // Control.
    /// Raises `exc`.
    Raise,
    /// Ends the body with `v`.
    Return,
    /// `try: steps`, `except catch: handler`, `finally: finally`.
    Try,
    /// `sleep(t)`; without `t`, `sleep(0)`.
    Sleep,
    /// `idle()`.
    Idle,
    /// Has the hub call `body` in its turn of the queue.
    Callback,
    /// `with Timeout(t, exc): steps`, `silent` with `False`.
    Scope,
    /// `Timeout(t, exc).start()` into slot `l`.
    TimeoutStart,
    /// Cancels the timeout in slot `l`.
    TimeoutCancel,
    /// Reads if the timeout in slot `l` is pending.
    TimeoutPending,
    // Several at once.
    /// `wait(gs + os, t, count n)`.
    Wait,
    /// The same as an iteration, with `steps` after each; broken off after `v`.
    Iwait,
    /// `joinall(gs, t, raise_error, count n)`.
    Joinall,
    /// `killall(gs, exc, nowait, t)`.
    Killall,
    /// `hub.join(t)`.
    HubJoin,
    // Events and results.
    /// `o.set()`.
    Set,
    /// `o.clear()`.
    Clear,
    /// `o.is_set()`.
    IsSet,
    /// `o.wait(t)` of an event, a result or a semaphore.
    WaitFor,
    /// `o.set(v)` of a result.
    SetResult,
    /// `o.set_exception(exc)`.
    SetException,
    /// `o.get(nowait, t)` of a result.
    GetResult,
    // Locks.
    /// `o.acquire(nowait, t)`.
    Acquire,
    /// `o.release()`.
    Release,
    /// `with o: steps`.
    WithLock,
    // Queues.
    /// `o.put(v, nowait, t)`.
    Put,
    /// `o.get(nowait, t)`.
    Take,
    /// `o.peek(nowait, t)`.
    Peek,
    /// `o.task_done()`.
    TaskDone,
    /// `o.join(t)`.
    JoinQueue,
    /// `o.shutdown(immediate)`.
    Shutdown,
    /// `o.maxsize = n`.
    Resize,
    // Groups and pools.
    /// `o.spawn(body)` into slot `g`.
    PoolSpawn,
    /// `o.start(g, nowait, t)`.
    PoolStart,
    /// `o.add(g, nowait, t)`.
    PoolAdd,
    /// `o.discard(g)`.
    Discard,
    /// `o.join(t, raise_error)`.
    PoolJoin,
    /// `o.kill(exc, nowait, t)`.
    PoolKill,
    /// `o.killone(g, exc, nowait, t)`.
    Killone,
    /// `o.wait_available(t)`.
    WaitAvailable,
    /// Length, free places, whether it is full and whether `g` is in it.
    PoolState,
    /// `Group(gs)` in place of the object `o`, or members added to it.
    GroupOf,
    /// `o.apply(body)`.
    Apply,
    /// `o.apply_async(body, callback cb)` into slot `g`.
    ApplyAsync,
    /// `o.apply_cb(body, callback cb)`.
    ApplyCb,
    /// `o.map(body, 0..n)`.
    Map,
    /// `o.map_async(body, 0..n)` into slot `g`.
    MapAsync,
    /// `o.map_cb(body, 0..n, callback cb)`.
    MapCb,
    /// `o.imap(body, 0..n, maxsize v)` into slot `l`.
    Imap,
    /// `o.imap_unordered(body, 0..n, maxsize v)` into slot `l`.
    ImapUnordered,
    /// `next()` of the mapping in slot `l`, at most `t`.
    Next,
    // Sockets.
    /// Sends the number `v` on end `n` of the pair `o`.
    Send,
    /// Receives on end `n` of the pair `o`, at most `t`.
    Recv,
    /// Closes end `n` of the pair `o`.
    Close,
    // Whatever can be asked.
    /// All that can be asked of object `o` without waiting.
    Look,
}

/// One step. Which fields an operation reads is said where it is defined; the others are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The action.
    pub op: Op,
    /// The greenlet's slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub g: Option<usize>,
    /// The object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub o: Option<usize>,
    /// The slot of a link, a timeout or a mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l: Option<usize>,
    /// The body to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<usize>,
    /// The body to call back with the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cb: Option<usize>,
    /// A time in ticks; none means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t: Option<u32>,
    /// The exception that is raised or thrown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exc: Option<Kind>,
    /// The exceptions that are caught.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch: Option<Catch>,
    /// A value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v: Option<i64>,
    /// A number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<usize>,
    /// The place at which the input of a mapping raises `A`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<usize>,
    /// `block=False`.
    #[serde(default, skip_serializing_if = "off")]
    pub nowait: bool,
    /// `raise_error=True`; for a step that returns an error: `true` if the body then raises it.
    #[serde(default, skip_serializing_if = "off")]
    pub raising: bool,
    /// `Timeout(t, False)`.
    #[serde(default, skip_serializing_if = "off")]
    pub silent: bool,
    /// `shutdown(immediate=True)`.
    #[serde(default, skip_serializing_if = "off")]
    pub immediate: bool,
    /// `true` if the input of a mapping yields before each item.
    #[serde(default, skip_serializing_if = "off")]
    pub slow: bool,
    /// Slots of greenlets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gs: Vec<usize>,
    /// Objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub os: Vec<usize>,
    /// The steps of a block.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// The steps of a `try`'s handler.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handler: Vec<Step>,
    /// The steps that follow a `try` in any case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finally: Vec<Step>,
}

impl Step {
    /// A step without arguments.
    pub fn new(op: Op) -> Self {
        Step {
            op,
            g: None,
            o: None,
            l: None,
            body: None,
            cb: None,
            t: None,
            exc: None,
            catch: None,
            v: None,
            n: None,
            fail: None,
            nowait: false,
            raising: false,
            silent: false,
            immediate: false,
            slow: false,
            gs: Vec::new(),
            os: Vec::new(),
            steps: Vec::new(),
            handler: Vec::new(),
            finally: Vec::new(),
        }
    }

    /// The lists of steps inside this one, with the mark that each has in a step's path.
    pub fn blocks(&self) -> [(&'static str, &Vec<Step>); 3] {
        [(".", &self.steps), ("h", &self.handler), ("f", &self.finally)]
    }
}

impl Op {
    /// Its name in the format.
    pub fn name(self) -> String {
        let name = serde_json::to_value(self).expect("a name can be written");
        name.as_str().unwrap_or_default().to_owned()
    }
}

/// Calls `f` for each of these steps, those in blocks included.
pub fn for_each<'a>(steps: &'a [Step], f: &mut impl FnMut(&'a Step)) {
    for step in steps {
        f(step);
        for (_, block) in step.blocks() {
            for_each(block, f);
        }
    }
}

impl Program {
    /// Calls `f` for every step, those in blocks included.
    pub fn for_each<'a>(&'a self, f: &mut impl FnMut(&'a Step)) {
        for body in &self.bodies {
            for_each(body, f);
        }
    }

    /// Returns `true` if any step takes real time.
    pub fn is_timed(&self) -> bool {
        let mut timed = false;
        self.for_each(&mut |step| timed |= step.t.is_some_and(|t| t > 0));
        timed
    }

    /// Returns the number of steps.
    pub fn len(&self) -> usize {
        let mut len = 0;
        self.for_each(&mut |_| len += 1);
        len
    }

    /// Returns `true` if it has no step.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// On one line, as it is sent and stored.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("a program can be written")
    }
}
